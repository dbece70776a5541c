"""A model: an image, an artifact and an environment. Its name is their hash, so changing any makes another model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import sagemaker
from deploy.aws.tags import sagemaker_tags, tag_list, tags_of
from deploy.endpoints.spec import EndpointSpec
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Call, Ref, State, Step, content_hash

TOLERANCE = "KENNEL_GOLDEN_TOLERANCE"
ANY_ANSWER = "1"  # probabilities never differ by more


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

    def plan(self, observed: State | None) -> Step:
        if observed is not None:
            require_ours(self.address, observed, self.tags)
            return unchanged(self.address)
        request = sagemaker(
            "CreateModel",
            ModelName=self.name,
            PrimaryContainer=self.container,
            ExecutionRoleArn=self.role,
            Tags=tag_list(self.tags),
        )
        reason = f"new: {self.image} with {self.artifact}"
        return Step(action="create", address=self.address, reason=reason, acts=(request,))


def model(spec: EndpointSpec, *, image: str, artifact: str) -> Model:
    """The model with which an endpoint serves an artifact in an image."""
    variables = environment(spec)
    return Model(
        name=f"{spec.prefix}-{content_hash(image, artifact, variables)}",
        image=image,
        artifact=artifact,
        environment=variables,
        role=Ref(address=f"role/{spec.role}", attribute="arn"),
        tags=spec.tags,
    )


def environment(spec: EndpointSpec) -> dict[str, str]:
    """The serving container's variables: those of deploy.toml, and the tolerance of its own golden check at startup."""
    rollout = spec.section.rollout
    chosen = f"{rollout.golden_tolerance:g}" if rollout.golden_tolerance else ""
    tolerance = chosen if rollout.golden else ANY_ANSWER
    return {**({TOLERANCE: tolerance} if tolerance else {}), **spec.section.environment}


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
