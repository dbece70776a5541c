"""Tags as the AWS APIs take and return them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import sagemaker
from deploy.config.settings import Settings
from deploy.values import Call


def sagemaker_tags(kind: str) -> Callable[[str, Settings, Call], dict[str, str]]:
    """A function that reads the tags of a SageMaker resource. Names in SageMaker's ARNs are in lower case."""

    def read(name: str, settings: Settings, call: Call) -> dict[str, str]:
        arn = settings.arn("sagemaker", f"{kind}/{name.lower()}")
        request = sagemaker("ListTags", ResourceArn=arn)
        return tags_of((lookup(call, request) or {}).get("Tags", ()))

    return read


def tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def tags_of(items: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    return {str(item["Key"]): str(item["Value"]) for item in items}
