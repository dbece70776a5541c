"""An account in memory with one resource of each kind of ours, and neighbours: one of the same prefix, one of another.

Of neighbours AWS lists the names. To read one of the same prefix is refused, unless a test judges that for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.values import Request
from tests.unit.deploy.fakes import refusal

PREFIX = "kennel-local"
NEIGHBOUR = f"{PREFIX}-auditor"
TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}
TAG_LIST = [{"Key": key, "Value": value} for key, value in TAGS.items()]
# List operation → the key of its items, the key of a name, the name of ours.
LISTS: Mapping[str, tuple[str, str, str]] = {
    "ListHyperParameterTuningJobs": (
        "HyperParameterTuningJobSummaries", "HyperParameterTuningJobName", f"{PREFIX}-tune-01234567",
    ),
    "ListTrainingJobs": ("TrainingJobSummaries", "TrainingJobName", f"{PREFIX}-train-0123456789"),
    "ListTransformJobs": ("TransformJobSummaries", "TransformJobName", f"{PREFIX}-transform-01234567"),
    "ListNotebookInstances": ("NotebookInstances", "NotebookInstanceName", f"{PREFIX}-notebook"),
    "ListNotebookInstanceLifecycleConfigs": (
        "NotebookInstanceLifecycleConfigs", "NotebookInstanceLifecycleConfigName", f"{PREFIX}-notebook",
    ),
    "ListFunctions": ("Functions", "FunctionName", f"{PREFIX}-classify"),
    "ListEndpoints": ("Endpoints", "EndpointName", PREFIX),
    "ListEndpointConfigs": ("EndpointConfigs", "EndpointConfigName", f"{PREFIX}-c"),
    "ListModels": ("Models", "ModelName", f"{PREFIX}-m"),
    "DescribeAlarms": ("MetricAlarms", "AlarmName", f"{PREFIX}-main-errors"),
    "ListInstanceProfiles": ("InstanceProfiles", "InstanceProfileName", f"{PREFIX}-ec2"),
    "ListRoles": ("Roles", "RoleName", f"{PREFIX}-training"),
    "ListPolicies": ("Policies", "PolicyName", f"{PREFIX}-deployer-storage"),
}  # fmt: skip
BUCKET = f"{PREFIX}-123456789012-us-east-1"
# What is ours, in the order of the inventory.
OURS = (
    f"scalable-target/endpoint/{PREFIX}/variant/main",
    f"tuning-job/{PREFIX}-tune-01234567",
    f"training-job/{PREFIX}-train-0123456789",
    f"transform-job/{PREFIX}-transform-01234567",
    f"notebook/{PREFIX}-notebook",
    f"notebook-config/{PREFIX}-notebook",
    f"function/{PREFIX}-classify",
    f"endpoint/{PREFIX}",
    f"endpoint-config/{PREFIX}-c",
    f"model/{PREFIX}-m",
    f"alarm/{PREFIX}-main-errors",
    "instance/i-1",
    f"instance-profile/{PREFIX}-ec2",
    "security-group/sg-1",
    f"repository/{PREFIX}/serve",
    f"repository/{PREFIX}/train",
    f"role/{PREFIX}-training",
    f"log-group//aws/lambda/{PREFIX}-classify",
    f"bucket/{BUCKET}",
    f"deployer/{PREFIX}-deployer",
    f"policy/{PREFIX}-deployer-storage",
)


@dataclass(kw_only=True)
class Account:
    """Answers what an inventory asks, and keeps all requests. `is_denied` says which requests AWS refuses."""

    is_denied: Callable[[Request], bool] = lambda request: NEIGHBOUR in str(request.params)
    code: str = "AccessDenied"
    sent: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> dict[str, Any]:
        self.sent.append(request)
        if self.is_denied(request):
            raise refusal(self.code)
        if request.operation in LISTS:
            items, key, ours = LISTS[request.operation]
            answer: dict[str, Any] = {items: [{key: name, **_more(request, name)} for name in _all(ours)]}
            return answer
        special = SPECIAL.get(f"{request.service}.{request.operation}")
        return special(request.params) if special else {}


def _all(ours: str) -> tuple[str, ...]:
    """`ours` beside names of neighbours."""
    return (ours, NEIGHBOUR, "other", f"x-{ours}", "kennel-locally-1")


def _more(request: Request, name: str) -> dict[str, Any]:
    """What a list tells besides names."""
    words = request.operation.removeprefix("List").removesuffix("s")
    return {f"{words}Status": "InProgress"} if words.endswith("Job") else {"StateValue": "OK"}


def _targets(params: Mapping[str, Any]) -> dict[str, Any]:
    if params["ServiceNamespace"] != "sagemaker":
        return {"ScalableTargets": []}
    arn = "arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/"
    known = [
        {"ResourceId": f"endpoint/{name}/variant/main", "ScalableTargetARN": f"{arn}{name}", "MinCapacity": 1,
         "MaxCapacity": 2}
        for name in _all(PREFIX)
    ]  # fmt: skip
    wanted = params.get("ResourceIds")
    return {"ScalableTargets": [each for each in known if not wanted or each["ResourceId"] in wanted]}


def _groups(params: Mapping[str, Any]) -> dict[str, Any]:
    names = [f"/aws/lambda/{name}" for name in _all(f"{PREFIX}-classify")]
    return {"logGroups": [{"logGroupName": n} for n in names if n.startswith(params["logGroupNamePrefix"])]}


def _repositories(params: Mapping[str, Any]) -> dict[str, Any]:
    if params.get("repositoryNames") == [f"{PREFIX}/lambda"]:
        raise refusal("RepositoryNotFoundException")
    names = params.get("repositoryNames") or [f"{PREFIX}/serve", f"{PREFIX}/train"]
    return {"repositories": [{"repositoryName": name} for name in names]}


def _instances(_: Mapping[str, Any]) -> dict[str, Any]:
    instance = {"InstanceId": "i-1", "InstanceType": "g5.xlarge", "State": {"Name": "running"}, "Tags": TAG_LIST}
    return {"Reservations": [{"Instances": [instance]}]}


SPECIAL: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "application-autoscaling.DescribeScalableTargets": _targets,
    "application-autoscaling.ListTagsForResource": lambda _: {"Tags": TAGS},
    "sagemaker.ListTags": lambda _: {"Tags": TAG_LIST},
    "sagemaker.DescribeEndpoint": lambda _: {"EndpointConfigName": f"{PREFIX}-c", "EndpointStatus": "InService"},
    "sagemaker.DescribeTrainingJob": lambda params: {**params, "TrainingJobStatus": "InProgress"},
    "sagemaker.DescribeTransformJob": lambda params: {**params, "TransformJobStatus": "InProgress"},
    "lambda.ListTags": lambda _: {"Tags": TAGS},
    "lambda.GetFunction": lambda _: {"Configuration": {}, "Code": {}},
    "lambda.GetAlias": lambda _: {"Name": "live", "FunctionVersion": "1"},
    "cloudwatch.ListTagsForResource": lambda _: {"Tags": TAG_LIST},
    "ec2.DescribeInstances": _instances,
    "ec2.DescribeSecurityGroups": lambda _: {"SecurityGroups": [{"GroupId": "sg-1", "Tags": TAG_LIST}]},
    "iam.GetInstanceProfile": lambda _: {"InstanceProfile": {"Tags": TAG_LIST}},
    "iam.ListRoleTags": lambda _: {"Tags": TAG_LIST},
    "iam.ListPolicyTags": lambda _: {"Tags": TAG_LIST},
    "iam.GetRole": lambda _: {"Role": {}},
    "logs.DescribeLogGroups": _groups,
    "logs.ListTagsForResource": lambda _: {"tags": TAGS},
    "ecr.DescribeRepositories": _repositories,
    "ecr.ListTagsForResource": lambda _: {"tags": TAG_LIST},
    "s3.GetBucketTagging": lambda _: {"TagSet": TAG_LIST},
    "s3.PutObject": lambda _: {"ETag": "1"},
}
