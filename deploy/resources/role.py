"""IAM roles of least privilege for training, the endpoint and the Lambda (CONTRACTS 77–79, 82)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws import lookup
from deploy.models import Act, Call, Request, State, Step, differences
from deploy.resources.base import Kind, delete, listing, require_ours, tag_list, tags_of, unchanged
from deploy.settings import Settings

Document = dict[str, Any]
POLICY = "kennel"


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role that should be: who may take it, and what it may do."""

    name: str
    trust: Document
    policy: Document
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"role/{self.name}"

    def desired(self) -> dict[str, Any]:
        return {"trust": self.trust, "policy": self.policy}

    def read(self, call: Call) -> State | None:
        answer = lookup(call, self._iam("GetRole"))
        if answer is None:
            return None
        role = answer["Role"]
        inline = lookup(call, self._iam("GetRolePolicy", PolicyName=POLICY)) or {}
        return State(
            fields={
                "trust": _document(role["AssumeRolePolicyDocument"]),
                "policy": _document(inline.get("PolicyDocument")),
            },
            attributes={"arn": role["Arn"]},
            tags=tags_of(role.get("Tags", ())),
        )

    def plan(self, seen: State | None) -> Step:
        rights = ", ".join(sorted(_actions(self.policy)))
        if seen is None:
            return Step(
                action="create",
                address=self.address,
                reason="does not exist",
                acts=(self._create(), self._put_policy()),
                touches=f"allows {rights}",
            )
        require_ours(self.address, seen, self.tags)
        changes = differences(seen.fields, self.desired())
        if not changes:
            return unchanged(self.address)
        requests: dict[str, Act] = {
            "trust": self._iam("UpdateAssumeRolePolicy", PolicyDocument=json.dumps(self.trust)),
            "policy": self._put_policy(),
        }
        return Step(
            action="update",
            address=self.address,
            reason="differs",
            acts=tuple(requests[change.field] for change in changes),
            changes=changes,
            touches=_delta(seen.fields.get("policy"), self.policy),
        )

    def remove(self) -> Step:
        return delete(self.address, self._iam("DeleteRolePolicy", PolicyName=POLICY), self._iam("DeleteRole"))

    def _create(self) -> Request:
        params = {"AssumeRolePolicyDocument": json.dumps(self.trust), "Tags": tag_list(self.tags)}
        request = self._iam("CreateRole", **params)
        return Request(**{**vars(request), "gives": {f"{self.address}.arn": "Role.Arn"}})

    def _put_policy(self) -> Request:
        return self._iam("PutRolePolicy", PolicyName=POLICY, PolicyDocument=json.dumps(self.policy))

    def _iam(self, operation: str, **params: Any) -> Request:
        return Request(service="iam", operation=operation, params={"RoleName": self.name, **params})


def training_role(settings: Settings) -> Role:
    """Reads the bucket, writes models and checkpoints into it, pulls the image, logs (CONTRACTS 77)."""
    statements = _sagemaker_statements(settings, "train", actions=["s3:GetObject", "s3:PutObject", "s3:DeleteObject"])
    return _role(settings, "training", _sagemaker_trust(settings, "training-job/*"), statements)


def endpoint_role(settings: Settings) -> Role:
    """The same without writing (CONTRACTS 78)."""
    statements = _sagemaker_statements(settings, "serve", actions=["s3:GetObject"])
    return _role(settings, "endpoint", _sagemaker_trust(settings, "*"), statements)


def function_role(settings: Settings) -> Role:
    """Invokes that one endpoint (its ARN is in lower case) and writes its own log group (CONTRACTS 79)."""
    group = settings.arn("logs", f"log-group:/aws/lambda/{settings.function_name}:*")
    endpoint = settings.arn("sagemaker", f"endpoint/{settings.endpoint_name.lower()}")
    statements = [
        _allow("InvokeEndpoint", ["sagemaker:InvokeEndpoint"], [endpoint]),
        _allow("Logs", ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], [group]),
        _allow("Pictures", ["s3:GetObject"], [f"arn:aws:s3:::{settings.bucket}/pictures/*"]),
    ]
    return _role(settings, "lambda", _trust("lambda", {}), statements)


def _role(settings: Settings, purpose: str, trust: Document, statements: list[Document]) -> Role:
    policy = {"Version": "2012-10-17", "Statement": statements}
    return Role(name=settings.role_name(purpose), trust=trust, policy=policy, tags=settings.tags)


def _sagemaker_statements(settings: Settings, image: str, *, actions: list[str]) -> list[Document]:
    bucket = f"arn:aws:s3:::{settings.bucket}"
    pull = ["ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"]
    logs = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"]
    return [
        _allow("ListBucket", ["s3:ListBucket"], [bucket]),
        _allow("Objects", actions, [f"{bucket}/*"]),
        _allow("PullImage", pull, [settings.arn("ecr", f"repository/{settings.repository_name(image)}")]),
        _allow("Account", ["ecr:GetAuthorizationToken", "cloudwatch:PutMetricData", *logs], ["*"]),
    ]


def _sagemaker_trust(settings: Settings, resource: str) -> Document:
    """Only SageMaker, only for our account and such resources: no confused deputy (CONTRACTS 82)."""
    condition = {
        "StringEquals": {"aws:SourceAccount": settings.stage.account},
        "ArnLike": {"aws:SourceArn": settings.arn("sagemaker", resource)},
    }
    return _trust("sagemaker", {"Condition": condition})


def _trust(service: str, condition: Document) -> Document:
    principal = {"Service": f"{service}.amazonaws.com"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **condition}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _allow(sid: str, actions: list[str], resources: list[str]) -> Document:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}


def _document(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _actions(policy: Document | None) -> set[str]:
    return {action for statement in (policy or {}).get("Statement", ()) for action in statement["Action"]}


def _delta(before: Document | None, after: Document) -> str:
    gained, lost = _actions(after) - _actions(before), _actions(before) - _actions(after)
    parts = [f"adds {', '.join(sorted(gained))}"] if gained else []
    parts += [f"takes away {', '.join(sorted(lost))}"] if lost else []
    return "; ".join(parts) or "same rights on other terms"


def _tags(name: str, _: Settings, call: Call) -> dict[str, str]:
    request = Request(service="iam", operation="ListRoleTags", params={"RoleName": name})
    return tags_of((lookup(call, request) or {}).get("Tags", ()))


def _remove(name: str, settings: Settings) -> Step:
    return Role(name=name, trust={}, policy={}, tags=settings.tags).remove()


KIND = Kind(
    name="role",
    names=listing("iam", "ListRoles", "Roles", "RoleName", token=("Marker", "Marker")),
    tags=_tags,
    remove=_remove,
)
