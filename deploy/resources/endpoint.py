"""A model, its endpoint configuration and the endpoint. The first two are named by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws import lookup
from deploy.errors import DeployError
from deploy.models import Call, Change, Ref, Request, State, Step, Wait, content_hash
from deploy.resources.base import Kind, delete, listing, require_ours, sagemaker_tags, tag_list, tags_of, unchanged
from deploy.settings import Settings

VARIANT = "main"
BUSY = ("Creating", "Updating", "SystemUpdating", "RollingBack")


@dataclass(frozen=True, kw_only=True)
class Model:
    """What serves: an image, an artifact, an environment. Changing one of them makes another model."""

    name: str
    image: str
    artifact: str
    environment: Mapping[str, str]
    role: Ref
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"model/{self.name}"

    def read(self, call: Call) -> State | None:
        return _read(call, _sagemaker("DescribeModel", ModelName=self.name), "ModelArn")

    def plan(self, seen: State | None) -> Step:
        if seen is not None:
            require_ours(self.address, seen, self.tags)
            return unchanged(self.address)
        container = {"Image": self.image, "ModelDataUrl": self.artifact, "Environment": dict(self.environment)}
        request = _sagemaker(
            "CreateModel",
            ModelName=self.name,
            PrimaryContainer=container,
            ExecutionRoleArn=self.role,
            Tags=tag_list(self.tags),
        )
        reason = f"{self.image} with {self.artifact} is not there yet"
        return Step(action="create", address=self.address, reason=reason, acts=(request,))

    def remove(self) -> Step:
        return delete(self.address, _sagemaker("DeleteModel", ModelName=self.name))


@dataclass(frozen=True, kw_only=True)
class EndpointConfig:
    """How many of which instances serve a model."""

    name: str
    variants: tuple[Mapping[str, Any], ...]
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"endpoint-config/{self.name}"

    def read(self, call: Call) -> State | None:
        return _read(call, _sagemaker("DescribeEndpointConfig", EndpointConfigName=self.name), "EndpointConfigArn")

    def plan(self, seen: State | None) -> Step:
        if seen is not None:
            require_ours(self.address, seen, self.tags)
            return unchanged(self.address)
        request = _sagemaker(
            "CreateEndpointConfig",
            EndpointConfigName=self.name,
            ProductionVariants=[dict(variant) for variant in self.variants],
            Tags=tag_list(self.tags),
        )
        what = ", ".join(f"{each['InitialInstanceCount']} × {each['InstanceType']}" for each in self.variants)
        return Step(action="create", address=self.address, reason=f"{what} is not there yet", acts=(request,))

    def remove(self) -> Step:
        return delete(self.address, _sagemaker("DeleteEndpointConfig", EndpointConfigName=self.name))


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """The endpoint: made once, then moved from configuration to configuration without a gap."""

    name: str
    config: str
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"endpoint/{self.name}"

    def read(self, call: Call) -> State | None:
        answer = lookup(call, _sagemaker("DescribeEndpoint", EndpointName=self.name))
        if answer is None:
            return None
        return State(
            fields={"config": answer.get("EndpointConfigName", "")},
            tags=_tags(call, answer["EndpointArn"]),
            status=answer["EndpointStatus"],
        )

    def plan(self, seen: State | None) -> Step:
        if seen is None:
            new = (self._create(), self._in_service())
            return Step(action="create", address=self.address, reason="does not exist", acts=new)
        require_ours(self.address, seen, self.tags)
        settled = (self._settled(),) if seen.status in BUSY else ()
        if seen.status == "Failed":
            acts = (self._delete(), self._is_gone(), self._create(), self._in_service())
            reason = "its last creation failed; ./inv logs says why"
            return Step(action="replace", address=self.address, reason=reason, acts=acts, touches="nothing serves now")
        if seen.fields["config"] == self.config and seen.status == "InService":
            return unchanged(self.address)
        if seen.fields["config"] == self.config and settled:
            waiting = (self._in_service(),)
            return Step(action="update", address=self.address, reason=f"still {seen.status}", acts=waiting)
        update = _sagemaker(
            "UpdateEndpoint",
            EndpointName=self.name,
            EndpointConfigName=self.config,
            RetainAllVariantProperties=True,  # CONTRACTS 53: else scaled-out capacity is thrown away
        )
        return Step(
            action="update",
            address=self.address,
            reason="another configuration",
            acts=(*settled, update, self._in_service()),
            changes=(Change(field="config", before=seen.fields["config"], after=self.config),),
            touches="all traffic moves when the new instances are healthy; the capacity stays",
        )

    def remove(self) -> Step:
        return delete(self.address, self._delete(), self._is_gone(), touches="nothing answers any more")

    def _create(self) -> Request:
        return _sagemaker(
            "CreateEndpoint", EndpointName=self.name, EndpointConfigName=self.config, Tags=tag_list(self.tags)
        )

    def _delete(self) -> Request:
        return _sagemaker("DeleteEndpoint", EndpointName=self.name)

    def _describe(self) -> Request:
        return _sagemaker("DescribeEndpoint", EndpointName=self.name)

    def _in_service(self) -> Wait:
        return Wait(
            request=self._describe(),
            path="EndpointStatus",
            until="InService",
            failed=("Failed", "OutOfService", "UpdateRollbackFailed"),
            reason="FailureReason",
            expect={"EndpointConfigName": self.config},
        )

    def _settled(self) -> Wait:
        """An update during another is refused (CONTRACTS 59)."""
        return Wait(request=self._describe(), path="EndpointStatus", until="InService", failed=("Failed",))

    def _is_gone(self) -> Wait:
        return Wait(request=self._describe(), gone=True)


def endpoint(settings: Settings, *, image: str, artifact: str) -> tuple[Model, EndpointConfig, Endpoint]:
    """What serves `artifact` (an S3 URI) with `image`: in the order in which they are made."""
    wanted = settings.endpoint
    model_name = f"{settings.prefix}-{content_hash(image, artifact, wanted.environment)}"
    variant = {
        "VariantName": VARIANT,
        "ModelName": model_name,
        "InitialInstanceCount": wanted.instance_count,
        "InstanceType": wanted.instance_type,
        "InitialVariantWeight": 1.0,
        "ContainerStartupHealthCheckTimeoutInSeconds": wanted.startup_timeout_s,
    }
    config_name = f"{settings.prefix}-{content_hash(variant)}"
    return (
        Model(
            name=model_name,
            image=image,
            artifact=artifact,
            environment=wanted.environment,
            role=Ref(address=f"role/{settings.role_name('endpoint')}", attribute="arn"),
            tags=settings.tags,
        ),
        EndpointConfig(name=config_name, variants=(variant,), tags=settings.tags),
        Endpoint(name=settings.endpoint_name, config=config_name, tags=settings.tags),
    )


def artifact_of(job: Mapping[str, Any]) -> str:
    """The artifact of a described training job. Raises DeployError for one that made none."""
    if job["TrainingJobStatus"] != "Completed":
        raise DeployError(
            f"training job {job['TrainingJobName']}: is {job['TrainingJobStatus']}; ./inv train makes one"
        )
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def _read(call: Call, request: Request, arn: str) -> State | None:
    answer = lookup(call, request)
    return None if answer is None else State(attributes={"arn": answer[arn]}, tags=_tags(call, answer[arn]))


def _tags(call: Call, arn: str) -> dict[str, str]:
    return tags_of(call(_sagemaker("ListTags", ResourceArn=arn)).get("Tags", ()))


def _sagemaker(operation: str, **params: Any) -> Request:
    return Request(service="sagemaker", operation=operation, params=params)


def _state(name: str, _: Settings, call: Call) -> str:
    return str((lookup(call, _sagemaker("DescribeEndpoint", EndpointName=name)) or {}).get("EndpointStatus", "gone"))


def _list(kind: str) -> Callable[[Settings, Call], Iterator[str]]:
    return listing("sagemaker", f"List{kind}s", f"{kind}s", f"{kind}Name", NameContains="{prefix}")


KINDS = (
    Kind(
        name="endpoint",
        names=_list("Endpoint"),
        tags=sagemaker_tags("endpoint"),
        remove=lambda name, settings: Endpoint(name=name, config="", tags=settings.tags).remove(),
        state=_state,
    ),
    Kind(
        name="endpoint-config",
        names=_list("EndpointConfig"),
        tags=sagemaker_tags("endpoint-config"),
        remove=lambda name, settings: EndpointConfig(name=name, variants=(), tags=settings.tags).remove(),
    ),
    Kind(
        name="model",
        names=_list("Model"),
        tags=sagemaker_tags("model"),
        remove=lambda name, _: delete(f"model/{name}", _sagemaker("DeleteModel", ModelName=name)),
    ),
)
