"""A model: what serves, by content. Changing image, artifact or environment makes another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import sagemaker
from deploy.aws.tags import sagemaker_tags, tag_list, tags_of
from deploy.config.settings import Settings
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Call, Ref, State, Step, content_hash


@dataclass(frozen=True, kw_only=True)
class Model:
    """An image with an artifact (the S3 URI of a model.tar.gz) and an environment (rules 37, 38)."""

    name: str
    image: str
    artifact: str
    environment: Mapping[str, str]
    role: Ref
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"model/{self.name}"

    @property
    def container(self) -> dict[str, Any]:
        return {"Image": self.image, "ModelDataUrl": self.artifact, "Environment": dict(self.environment)}

    def read(self, call: Call) -> State | None:
        answer = describe_model(self.name, call)
        if answer is None:
            return None
        listed = call(sagemaker("ListTags", ResourceArn=answer["ModelArn"]))
        return State(attributes={"arn": answer["ModelArn"]}, tags=tags_of(listed.get("Tags", ())))

    def plan(self, seen: State | None) -> Step:
        if seen is not None:
            require_ours(self.address, seen, self.tags)
            return unchanged(self.address)
        request = sagemaker(
            "CreateModel",
            ModelName=self.name,
            PrimaryContainer=self.container,
            ExecutionRoleArn=self.role,
            Tags=tag_list(self.tags),
        )
        reason = f"{self.image} with {self.artifact} is not there yet"
        return Step(action="create", address=self.address, reason=reason, acts=(request,))


def model(settings: Settings, *, image: str, artifact: str, environment: Mapping[str, str]) -> Model:
    """The model of an image and an artifact, for the stage's endpoint role."""
    return Model(
        name=f"{settings.prefix}-{content_hash(image, artifact, environment)}",
        image=image,
        artifact=artifact,
        environment=environment,
        role=Ref(address=f"role/{settings.role_name('endpoint')}", attribute="arn"),
        tags=settings.tags,
    )


def describe_model(name: str, call: Call) -> Mapping[str, Any] | None:
    return lookup(call, sagemaker("DescribeModel", ModelName=name))


def remove_model(name: str) -> Step:
    return delete(f"model/{name}", sagemaker("DeleteModel", ModelName=name))


KIND = ResourceKind(
    name="model",
    names=listing("sagemaker", "ListModels", "Models", "ModelName", NameContains="{prefix}"),
    tags=sagemaker_tags("model"),
    remove=lambda name, _: remove_model(name),
)
