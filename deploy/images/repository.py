"""An image's ECR repository: immutable tags, scan on push, a lifecycle policy, and who else may pull."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup, pages
from deploy.aws.requests import ecr
from deploy.aws.tags import tag_list, tags_of
from deploy.config.settings import Settings
from deploy.images.recipe import KINDS, ImageKind
from deploy.planning.resource import ResourceKind, delete, require_ours, unchanged
from deploy.values import Act, Call, Request, State, Step, differences

UNTAGGED_DAYS = 14
# Rules for tagged images would one day delete an image that a live endpoint uses; `./inv prune` checks that first.
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "description": f"Expire untagged images after {UNTAGGED_DAYS} days",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": UNTAGGED_DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
}
ENCRYPTION = "AES256"
LAMBDAS_OWN = "LambdaECRImageRetrievalPolicy"
LAMBDAS_ACTIONS = frozenset(
    {"ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}
    | {"ecr:DeleteRepositoryPolicy", "ecr:GetRepositoryPolicy", "ecr:SetRepositoryPolicy"}
)


@dataclass(frozen=True, kw_only=True)
class Repository:
    """The desired repository. `lambda_of` is the ARN of a function that Lambda may pull for (rule 64)."""

    name: str
    arn: str
    tags: Mapping[str, str]
    lambda_of: str = ""

    @property
    def address(self) -> str:
        return f"repository/{self.name}"

    def desired(self) -> dict[str, Any]:
        policy = {"policy": self._policy()} if self.lambda_of else {}
        return {"tag_mutability": "IMMUTABLE", "scan_on_push": True, "lifecycle": LIFECYCLE, **policy}

    def read(self, call: Call) -> State | None:
        listed = lookup(call, ecr("DescribeRepositories", **self._names()))
        if listed is None:
            return None
        described = listed["repositories"][0]
        lifecycle = lookup(call, self._ecr("GetLifecyclePolicy")) or {}
        policy = lookup(call, self._ecr("GetRepositoryPolicy")) or {}
        tags = call(ecr("ListTagsForResource", resourceArn=self.arn))
        return State(
            fields={
                "tag_mutability": described.get("imageTagMutability"),
                "scan_on_push": described.get("imageScanningConfiguration", {}).get("scanOnPush"),
                "lifecycle": _document(lifecycle.get("lifecyclePolicyText")),
                "policy": _without_lambdas_own(_document(policy.get("policyText"))),
            },
            attributes={"uri": str(described["repositoryUri"])},
            tags=tags_of(tags["tags"]),
        )

    def plan(self, observed: State | None) -> Step:
        if observed is None:
            later = {"lifecycle", "policy"} & set(self.desired())
            acts = (self._create(), *self._settle(later))
            return Step(action="create", address=self.address, reason="does not exist", acts=acts)
        require_ours(self.address, observed, self.tags)
        changes = differences(observed.fields, self.desired())
        if not changes:
            return unchanged(self.address)
        acts = self._settle({change.field for change in changes})
        return Step(action="update", address=self.address, reason="differs", acts=acts, changes=changes)

    def remove(self) -> Step:
        return delete(self.address, self._ecr("DeleteRepository", force=True), touches="every image in it")

    def _create(self) -> Request:
        """Sends the tags too, so that a repository that still lacks its policies counts as ours (rules 73, 75)."""
        return self._ecr(
            "CreateRepository",
            imageTagMutability="IMMUTABLE",
            imageScanningConfiguration={"scanOnPush": True},
            encryptionConfiguration={"encryptionType": ENCRYPTION},
            tags=tag_list(self.tags),
        )

    def _settle(self, names: Collection[str]) -> tuple[Act, ...]:
        requests = {
            "tag_mutability": self._ecr("PutImageTagMutability", imageTagMutability="IMMUTABLE"),
            "scan_on_push": self._ecr("PutImageScanningConfiguration", imageScanningConfiguration={"scanOnPush": True}),
            "lifecycle": self._ecr("PutLifecyclePolicy", lifecyclePolicyText=json.dumps(LIFECYCLE)),
            "policy": self._ecr("SetRepositoryPolicy", policyText=json.dumps(self._policy())),
        }
        return tuple(request for name, request in requests.items() if name in names)

    def _policy(self) -> dict[str, Any]:
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "LambdaPulls",
                    "Effect": "Allow",
                    "Principal": {"Service": "lambda.amazonaws.com"},
                    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
                    "Condition": {"ArnLike": {"aws:SourceArn": [self.lambda_of, f"{self.lambda_of}:*"]}},
                }
            ],
        }

    def _ecr(self, operation: str, **params: Any) -> Request:
        return ecr(operation, repositoryName=self.name, **params)

    def _names(self) -> dict[str, Any]:
        return {"repositoryNames": [self.name]}


def repository(settings: Settings, kind: ImageKind) -> Repository:
    """The stage's repository for a kind of image."""
    name = settings.repository_name(kind)
    lambda_of = settings.arn("lambda", f"function:{settings.function_name}") if kind == "lambda" else ""
    return Repository(name=name, arn=_arn(settings, name), tags=settings.tags, lambda_of=lambda_of)


def _arn(settings: Settings, name: str) -> str:
    return settings.arn("ecr", f"repository/{name}")


def _document(text: str | None) -> Any:
    return json.loads(text) if text else None


def _without_lambdas_own(policy: Any) -> Any:
    """A policy without the statement that Lambda adds when a function is created (rule 97); None when no other is
    left."""
    if policy is None:
        return None
    statements = [each for each in policy["Statement"] if not _is_lambdas_own(each)]
    return {**policy, "Statement": statements} if statements else None


def _is_lambdas_own(statement: Mapping[str, Any]) -> bool:
    """Only as Lambda writes it: a statement of that name which lets anybody else in is drift."""
    actions = statement.get("Action", ())
    return (
        statement.get("Sid") == LAMBDAS_OWN
        and statement.get("Effect") == "Allow"
        and statement.get("Principal") == {"Service": "lambda.amazonaws.com"}
        and LAMBDAS_ACTIONS.issuperset([actions] if isinstance(actions, str) else actions)
    )


def _tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    request = ecr("ListTagsForResource", resourceArn=_arn(settings, name))
    return tags_of((lookup(call, request) or {}).get("tags", ()))


def _names(settings: Settings, call: Call) -> Iterator[str]:
    """The stage's repositories, asked for one by one: a listing without names would need the right on all of the
    account's (rule 99)."""
    for name in map(settings.repository_name, KINDS):
        if lookup(call, ecr("DescribeRepositories", repositoryNames=[name])) is not None:
            yield name


def _remove(name: str, settings: Settings) -> Step:
    return Repository(name=name, arn=_arn(settings, name), tags=settings.tags).remove()


def _state(name: str, _: Settings, call: Call) -> str:
    request = ecr("DescribeImages", repositoryName=name)
    count = sum(1 for _ in pages(call, request, items="imageDetails", token=("nextToken", "nextToken")))
    return f"{count} image{'' if count == 1 else 's'}"


KIND = ResourceKind(
    name="repository",
    names=_names,
    tags=_tags,
    remove=_remove,
    state=_state,
    keep="images",
)
