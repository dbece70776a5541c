"""Looks at AWS: a snapshot of the resources that should be, and the inventory of everything that is the stage's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from deploy.aws import lookup, pages
from deploy.models import Call, Request, Snapshot, State
from deploy.resources.base import Resource, is_ours, tags_of
from deploy.settings import Settings


def observe(resources: Iterable[Resource], call: Call) -> Snapshot:
    """What is there of each resource, by address."""
    return {resource.address: resource.read(call) for resource in resources}


def inventory(settings: Settings, call: Call) -> dict[str, State]:
    """Everything that carries the stage's tags, by address, in the order in which it may be deleted."""
    found: dict[str, State] = {}
    for kind, names in LISTS.items():
        for name in names(settings.prefix, call):
            tags = TAGS[kind](name, settings, call)
            if is_ours(tags, settings.tags):
                found[f"{kind}/{name}"] = State(tags=tags)
    return found


def latest_job(settings: Settings, call: Call) -> Mapping[str, Any] | None:
    """The description of the job whose model is to be served: endpoint.job, else the newest completed one."""
    name = settings.endpoint.job
    if not name:
        params = {
            "NameContains": f"{settings.prefix}-train-",
            "StatusEquals": "Completed",
            "SortBy": "CreationTime",
            "SortOrder": "Descending",
        }
        listed = call(_request("sagemaker", "ListTrainingJobs", **params))["TrainingJobSummaries"]
        if not listed:
            return None
        name = listed[0]["TrainingJobName"]
    return lookup(call, _request("sagemaker", "DescribeTrainingJob", TrainingJobName=name))


def _listing(
    service: str,
    operation: str,
    items: str,
    key: str,
    *,
    token: tuple[str, str] = ("NextToken", "NextToken"),
    **params: str,
) -> Callable[[str, Call], Iterator[str]]:
    """Names that start with a prefix, out of one list operation. The value "{prefix}" of a parameter is filled in."""

    def names(prefix: str, call: Call) -> Iterator[str]:
        filled = {name: value.format(prefix=prefix) for name, value in params.items()}
        for item in pages(call, _request(service, operation, **filled), items=items, token=token):
            name = str(item[key])
            if name == prefix or name.startswith(f"{prefix}-"):
                yield name

    return names


def _sagemaker_tags(kind: str) -> Callable[[str, Settings, Call], dict[str, str]]:
    def read(name: str, settings: Settings, call: Call) -> dict[str, str]:
        arn = settings.arn("sagemaker", f"{kind}/{name.lower()}")
        return tags_of((lookup(call, _request("sagemaker", "ListTags", ResourceArn=arn)) or {}).get("Tags", ()))

    return read


def _function_tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    arn = settings.arn("lambda", f"function:{name}")
    return dict((lookup(call, _request("lambda", "ListTags", Resource=arn)) or {}).get("Tags", {}))


def _role_tags(name: str, _: Settings, call: Call) -> dict[str, str]:
    return tags_of((lookup(call, _request("iam", "ListRoleTags", RoleName=name)) or {}).get("Tags", ()))


def _bucket_tags(name: str, _: Settings, call: Call) -> dict[str, str]:
    from deploy.errors import AwsError

    try:
        return tags_of(call(_request("s3", "GetBucketTagging", Bucket=name)).get("TagSet", ()))
    except AwsError as error:
        if error.code in ("NoSuchTagSet", "NoSuchBucket"):
            return {}
        raise


def _request(service: str, operation: str, **params: Any) -> Request:
    return Request(service=service, operation=operation, params=params)


# Deleted in this order: what uses another thing goes before it.
LISTS: Mapping[str, Callable[[str, Call], Iterator[str]]] = {
    "function": _listing("lambda", "ListFunctions", "Functions", "FunctionName", token=("NextMarker", "Marker")),
    "endpoint": _listing("sagemaker", "ListEndpoints", "Endpoints", "EndpointName", NameContains="{prefix}"),
    "endpoint-config": _listing(
        "sagemaker", "ListEndpointConfigs", "EndpointConfigs", "EndpointConfigName", NameContains="{prefix}"
    ),
    "model": _listing("sagemaker", "ListModels", "Models", "ModelName", NameContains="{prefix}"),
    "role": _listing("iam", "ListRoles", "Roles", "RoleName", token=("Marker", "Marker")),
    "bucket": _listing("s3", "ListBuckets", "Buckets", "Name", token=("ContinuationToken", "ContinuationToken")),
}
TAGS: Mapping[str, Callable[[str, Settings, Call], dict[str, str]]] = {
    "function": _function_tags,
    "endpoint": _sagemaker_tags("endpoint"),
    "endpoint-config": _sagemaker_tags("endpoint-config"),
    "model": _sagemaker_tags("model"),
    "role": _role_tags,
    "bucket": _bucket_tags,
}
