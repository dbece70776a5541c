"""The deployer's calls: the golden requests, and an example of each operation that has no golden request."""

from __future__ import annotations

import ast
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import botocore.session

from deploy.aws import requests
from deploy.config.training import Ec2
from tests.functional.deploy.iam.authorization import OPERATIONS
from tests.functional.deploy.iam.rules import arn
from tests.functional.deploy.iam.simulator import Need
from tests.unit.deploy.golden.requests import FOLDER

DEPLOY = Path(__file__).resolve().parents[4] / "deploy"
# Function of deploy/aws/requests.py → the service that its requests go to.
SERVICES = {
    name: made("").service for name, made in vars(requests).items() if getattr(made, "__name__", "") == "request"
}
# What makes and changes the deployer's own role: for an administrator, and for nobody else.
ADMINISTRATOR = frozenset(
    f"iam.{name}"
    for name in (
        "AttachRolePolicy", "CreatePolicy", "CreatePolicyVersion", "DeletePolicy", "DeletePolicyVersion",
        "DetachRolePolicy",
    )
)  # fmt: skip

_PREFIX = "kennel-local"
_BUCKET = "kennel-local-123456789012-us-east-1"
_TAGS = [{"Key": "kennel:project", "Value": "kennel"}, {"Key": "kennel:stage", "Value": "local"}]
# The stage's things, by the names that each service's parameters have.
ANY: Mapping[str, Mapping[str, Any]] = {
    "s3": {"Bucket": _BUCKET, "Key": "data/1.jpg", "Delete": {"Objects": [{"Key": "data/1.jpg", "VersionId": "1"}]}},
    "ecr": {
        "repositoryName": f"{_PREFIX}/train",
        "repositoryNames": [f"{_PREFIX}/train"],
        "resourceArn": arn("ecr", f"repository/{_PREFIX}/train"),
        "tags": _TAGS,
    },
    "iam": {
        "RoleName": f"{_PREFIX}-ec2",
        "InstanceProfileName": f"{_PREFIX}-ec2",
        "PolicyArn": arn("iam", f"policy/{_PREFIX}-deployer-rights"),
        "Tags": _TAGS,
    },
    "sagemaker": {
        "EndpointName": _PREFIX,
        "EndpointConfigName": f"{_PREFIX}-1",
        "ModelName": f"{_PREFIX}-1",
        "TrainingJobName": f"{_PREFIX}-train-1",
        "TransformJobName": f"{_PREFIX}-transform-1",
        "HyperParameterTuningJobName": f"{_PREFIX}-tune-1",
        "NotebookInstanceName": f"{_PREFIX}-notebook",
        "NotebookInstanceLifecycleConfigName": f"{_PREFIX}-notebook",
        "ResourceArn": [
            arn("sagemaker", f"{kind}/{_PREFIX}-1") for kind in ("model", "endpoint-config", "notebook-instance")
        ],
        "RoleArn": arn("iam", f"role/{_PREFIX}-training"),
        "Tags": _TAGS,
    },
    "sagemaker-runtime": {"EndpointName": _PREFIX},
    "lambda": {
        "FunctionName": f"{_PREFIX}-classify",
        "Qualifier": "live",
        "Resource": arn("lambda", f"function:{_PREFIX}-classify"),
        "Role": arn("iam", f"role/{_PREFIX}-lambda"),
        "Tags": _TAGS,
    },
    "application-autoscaling": {"ServiceNamespace": "sagemaker", "ResourceId": f"endpoint/{_PREFIX}/variant/main"},
    "cloudwatch": {"AlarmNames": [f"{_PREFIX}-main-errors"], "ResourceARN": arn("cloudwatch", f"alarm:{_PREFIX}-1")},
    "logs": {
        "logGroupName": f"/aws/lambda/{_PREFIX}-classify",
        "logStreamName": "1",
        "resourceArn": arn("logs", f"log-group:/aws/lambda/{_PREFIX}-classify"),
        "tags": _TAGS,
    },
    "ec2": {
        "GroupId": "sg-1",
        "InstanceId": "i-1",
        "InstanceIds": ["i-1"],
        "ImageId": "ami-1",
        "KeyName": "key",
        "IamInstanceProfile": {"Name": f"{_PREFIX}-ec2"},
        "TagSpecifications": [
            {"ResourceType": kind, "Tags": _TAGS} for kind in ("security-group", "instance", "volume")
        ],
    },
    "ssm": {"Name": Ec2().ami_parameter},
    "service-quotas": {"ServiceCode": "sagemaker", "QuotaCode": "L-1"},
    "pricing": {},
    "sts": {},
}
# Names that come from deploy.toml alone, where a test may make one up. Names that come from a list or from a person are
# judged as they stand.
NAMED = {"Bucket", "FunctionName", "ResourceId"}


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request: service.Operation, its parameters, and where it was written down."""

    operation: str
    params: Mapping[str, Any]
    where: str

    @property
    def needs(self) -> list[Need]:
        return list(OPERATIONS[self.operation](self.params))

    @property
    def is_for_administrators(self) -> bool:
        return self.operation in ADMINISTRATOR or (
            self.operation == "iam.CreateRole" and self.params["RoleName"].endswith("-deployer")
        )


def golden() -> list[Call]:
    """Every request that has a golden file, except those of the audit. Names that a test made up stand for the stage's
    resource of that kind."""
    requests = []
    for path in sorted(FOLDER.rglob("*.json")):
        content, service = json.loads(path.read_text(encoding="utf-8")), path.parent.name
        if ".audit" not in path.name:
            params = _of_the_stage(content["params"], ANY.get(service, {}))
            where = path.relative_to(FOLDER).as_posix()
            requests.append(Call(operation=f"{service}.{content['operation']}", params=params, where=where))
    return requests


def _of_the_stage(params: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    made_up = [
        key for key, value in params.items() if isinstance(value, str) and key in NAMED and "kennel" not in value
    ]
    return {**params, **{key: _target(params, names) if key == "ResourceId" else names[key] for key in made_up}}


def _target(params: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    function = "function:kennel-local-classify:live"
    return function if params["ServiceNamespace"] == "lambda" else str(names["ResourceId"])


def examples(held: Collection[str], *, of: str) -> list[Call]:
    """One request for each operation that the code names and that is not among `held`: `of` the deployer or the
    auditor."""
    requests: dict[str, Call] = {}
    for where, operations in named_in_code():
        for operation in operations:
            if operation in OPERATIONS and operation not in held and of == who(where):
                params = ANY[operation.partition(".")[0]]
                requests[operation] = Call(operation=operation, params=params, where=where)
    return list(requests.values())


def who(where: str) -> str:
    """Who runs a file of deploy/: the auditor or the deployer."""
    return "auditor" if where.startswith("deploy/audit/") else "deployer"


def named_in_code() -> Iterator[tuple[str, list[str]]]:
    """For each string of deploy/ that names an operation: its file, and the operations (service.Operation) that it may
    mean. If the file names a service that has the operation, other services are left out."""
    session = botocore.session.get_session()
    models = {service: set(session.get_service_model(service).operation_names) for service in ANY}
    for path in sorted(DEPLOY.rglob("*.py")):
        if path.parent.name == "policies" or path.name == "statements.py":  # rights, not calls
            continue
        texts, named = set(_texts(path)), _services(path)
        for text in sorted(texts):
            having = {service for service in ANY if text in models[service]}
            operations = [f"{service}.{text}" for service in sorted(having & (texts | named) or having)]
            if operations:
                yield path.relative_to(DEPLOY.parent).as_posix(), operations


def _services(path: Path) -> set[str]:
    """The services whose request functions (deploy/aws/requests.py) a file names."""
    names = {node.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)}
    return {SERVICES[name] for name in names & SERVICES.keys()}


def _texts(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
