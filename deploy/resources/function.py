"""The Lambda in front of the endpoint: an image function of one image, one endpoint, so much concurrency."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.aws import lookup
from deploy.models import Act, Call, Ref, Request, State, Step, Wait, differences
from deploy.resources.base import Kind, delete, listing, require_ours, unchanged
from deploy.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function that should be."""

    name: str
    image: str
    role: Ref
    memory_mb: int
    timeout_s: int
    environment: Mapping[str, str]
    concurrency: int | None
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"function/{self.name}"

    def desired(self) -> dict[str, Any]:
        return {
            "image": self.image,
            "memory_mb": self.memory_mb,
            "timeout_s": self.timeout_s,
            "environment": dict(self.environment),
            "concurrency": self.concurrency,
        }

    def read(self, call: Call) -> State | None:
        answer = lookup(call, self._lambda("GetFunction"))
        if answer is None:
            return None
        now = answer["Configuration"]
        return State(
            fields={
                "image": answer.get("Code", {}).get("ImageUri", ""),
                "memory_mb": now.get("MemorySize"),
                "timeout_s": now.get("Timeout"),
                "environment": now.get("Environment", {}).get("Variables", {}),
                "concurrency": answer.get("Concurrency", {}).get("ReservedConcurrentExecutions"),
            },
            attributes={"arn": now["FunctionArn"]},
            tags=answer.get("Tags", {}),
            status=now.get("State", "Active"),
        )

    def plan(self, seen: State | None) -> Step:
        if seen is None:
            concurrency = () if self.concurrency is None else (self._put_concurrency(),)
            acts = (self._create(), self._is_active(), *concurrency)
            return Step(action="create", address=self.address, reason="does not exist", acts=acts)
        require_ours(self.address, seen, self.tags)
        if seen.status == "Failed":
            acts = (self._lambda("DeleteFunction"), *self.plan(None).acts)
            return Step(action="replace", address=self.address, reason="its last creation failed", acts=acts)
        changes = differences(seen.fields, self.desired())
        if not changes:
            return unchanged(self.address)
        acts = self._settle({change.field for change in changes})
        touches = (
            "requests go on; new ones meet the change" if {"image", "environment"} & {c.field for c in changes} else ""
        )
        return Step(
            action="update", address=self.address, reason="differs", acts=acts, changes=changes, touches=touches
        )

    def remove(self) -> Step:
        return delete(self.address, self._lambda("DeleteFunction"), touches="nothing answers any more")

    def _settle(self, names: set[str]) -> tuple[Act, ...]:
        """Code, then configuration, then concurrency, each after the one before has settled (CONTRACTS 66)."""
        acts: list[Act] = [self._is_active(), self._is_updated()]
        if "image" in names:
            acts += [self._lambda("UpdateFunctionCode", ImageUri=self.image), self._is_updated()]
        if names & {"memory_mb", "timeout_s", "environment"}:
            acts += [self._lambda("UpdateFunctionConfiguration", **self._configuration()), self._is_updated()]
        if "concurrency" in names:
            none = self._lambda("DeleteFunctionConcurrency")
            acts += [none if self.concurrency is None else self._put_concurrency()]
        return tuple(acts)

    def _create(self) -> Request:
        return self._lambda(
            "CreateFunction",
            PackageType="Image",  # takes neither Runtime nor Handler (CONTRACTS 65)
            Code={"ImageUri": self.image},
            Role=self.role,
            Architectures=["x86_64"],
            Tags=dict(self.tags),
            **self._configuration(),
        )

    def _configuration(self) -> dict[str, Any]:
        variables = dict(self.environment)
        return {"MemorySize": self.memory_mb, "Timeout": self.timeout_s, "Environment": {"Variables": variables}}

    def _put_concurrency(self) -> Request:
        return self._lambda("PutFunctionConcurrency", ReservedConcurrentExecutions=self.concurrency)

    def _is_active(self) -> Wait:
        return Wait(
            request=self._lambda("GetFunction"),
            path="Configuration.State",
            until="Active",
            failed=("Failed",),
            reason="Configuration.StateReason",
            every=1.0,
            timeout=600.0,
        )

    def _is_updated(self) -> Wait:
        return Wait(
            request=self._lambda("GetFunction"),
            path="Configuration.LastUpdateStatus",
            until="Successful",
            failed=("Failed",),
            reason="Configuration.LastUpdateStatusReason",
            every=1.0,
            timeout=600.0,
        )

    def _lambda(self, operation: str, **params: Any) -> Request:
        return Request(service="lambda", operation=operation, params={"FunctionName": self.name, **params})


def function(settings: Settings, *, image: str) -> Function:
    """The function that asks the settings' endpoint."""
    wanted = settings.function
    environment = {
        "KENNEL_ENDPOINT_NAME": settings.endpoint_name,
        "KENNEL_MAX_BYTES": str(wanted.max_bytes),
        "KENNEL_ALLOW_HTTP": "1" if wanted.allow_http else "0",
        "KENNEL_ALLOW_HOSTS": ",".join(wanted.allow_hosts),
    }
    return Function(
        name=settings.function_name,
        image=image,
        role=Ref(address=f"role/{settings.role_name('lambda')}", attribute="arn"),
        memory_mb=wanted.memory_mb,
        timeout_s=wanted.timeout_s,
        environment=environment,
        concurrency=wanted.reserved_concurrency,
        tags=settings.tags,
    )


def _tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    arn = settings.arn("lambda", f"function:{name}")
    request = Request(service="lambda", operation="ListTags", params={"Resource": arn})
    return dict((lookup(call, request) or {}).get("Tags", {}))


def _state(name: str, _: Settings, call: Call) -> str:
    request = Request(service="lambda", operation="GetFunction", params={"FunctionName": name})
    return str((lookup(call, request) or {}).get("Configuration", {}).get("State", "gone"))


def _remove(name: str, settings: Settings) -> Step:
    return replace(function(settings, image=""), name=name).remove()


KIND = Kind(
    name="function",
    names=listing("lambda", "ListFunctions", "Functions", "FunctionName", token=("NextMarker", "Marker")),
    tags=_tags,
    remove=_remove,
    state=_state,
)
