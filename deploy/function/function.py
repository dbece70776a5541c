"""The Lambda function in front of the main endpoint, from a container image. Callers invoke its alias."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import lambda_
from deploy.config.settings import Settings
from deploy.planning.resource import ResourceKind, delete, listing, require_ours, unchanged
from deploy.values import Act, Call, Ref, Request, State, Step, Wait, differences

ACTIVE, INACTIVE = "Active", "Inactive"
UNDONE = "UpdateFailed"  # the status of a function that still runs as before its last update


@dataclass(frozen=True, kw_only=True)
class FunctionConfig:
    """What a function, or a version of it, runs: the image, its memory, timeout and environment."""

    image: str
    memory_mb: int
    timeout_s: int
    environment: Mapping[str, str]

    def fields(self) -> dict[str, Any]:
        return {**vars(self), "environment": dict(self.environment)}


@dataclass(frozen=True, kw_only=True)
class Function:
    """A desired function. Updates change $LATEST; callers get them only when the alias moves."""

    name: str
    config: FunctionConfig
    role: Ref
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"function/{self.name}"

    def desired(self) -> dict[str, Any]:
        return self.config.fields()

    def read(self, call: Call) -> State | None:
        answer = lookup(call, self._lambda("GetFunction"))
        if answer is None:
            return None
        now = answer["Configuration"]
        return State(
            fields=fields_of(answer),
            attributes={"arn": now["FunctionArn"]},
            tags=answer.get("Tags", {}),
            status=_status(now),
        )

    def plan(self, observed: State | None) -> Step:
        if observed is None:
            new = (self._create(), is_active(self.name))
            return Step(action="create", address=self.address, reason="does not exist", acts=new)
        require_ours(self.address, observed, self.tags)
        if observed.status == "Failed":
            acts = (self._lambda("DeleteFunction"), *self.plan(None).acts)
            return Step(action="replace", address=self.address, reason="its last creation failed", acts=acts)
        changes = differences(observed.fields, self.desired())
        if observed.status == "Pending" and not changes:
            waiting = (is_settled(self.name),)
            return Step(action="update", address=self.address, reason="is still Pending", acts=waiting)
        if not changes and observed.status != UNDONE:
            return unchanged(self.address)
        names = set(self.desired()) if observed.status == UNDONE else {change.field for change in changes}
        return Step(
            action="update",
            address=self.address,
            reason="its last update failed" if observed.status == UNDONE else "differs",
            acts=self._settle(names, observed.status),
            changes=changes,
            touches="nothing yet: callers get the change when the alias moves",
        )

    def remove(self) -> Step:
        return delete(self.address, self._lambda("DeleteFunction"), touches="callers get no answers any more")

    def _settle(self, names: set[str], status: str) -> tuple[Act, ...]:
        """Updates the code, then the configuration, each after the update before it is done (rule 66). A function that
        nobody invoked for weeks is Inactive, which does not keep it from being updated."""
        acts: list[Act] = [is_settled(self.name)] if status == "Pending" else []
        acts += [is_updated(self.name)] if status != UNDONE else []
        if "image" in names:
            acts += [self._lambda("UpdateFunctionCode", ImageUri=self.config.image), is_updated(self.name)]
        if names - {"image"}:
            acts += [self._lambda("UpdateFunctionConfiguration", **self._configuration()), is_updated(self.name)]
        return tuple(acts)

    def _create(self) -> Request:
        return self._lambda(
            "CreateFunction",
            PackageType="Image",  # takes neither Runtime nor Handler (rule 65)
            Code={"ImageUri": self.config.image},
            Role=self.role,
            Architectures=["x86_64"],
            Tags=dict(self.tags),
            **self._configuration(),
        )

    def _configuration(self) -> dict[str, Any]:
        variables = {"Variables": dict(self.config.environment)}
        return {"MemorySize": self.config.memory_mb, "Timeout": self.config.timeout_s, "Environment": variables}

    def _lambda(self, operation: str, **params: Any) -> Request:
        return function_request(self.name, operation, **params)


def _status(now: Mapping[str, Any]) -> str:
    state = str(now.get("State", "Active"))
    return UNDONE if state != "Failed" and now.get("LastUpdateStatus") == "Failed" else state


def function_request(name: str, operation: str, *, gives: Mapping[str, str] | None = None, **params: Any) -> Request:
    """A Lambda request about one function."""
    return Request(service="lambda", operation=operation, params={"FunctionName": name, **params}, gives=gives or {})


def fields_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of FunctionConfig in an answer of GetFunction."""
    now = answer["Configuration"]
    return {
        "image": answer.get("Code", {}).get("ImageUri", ""),
        "memory_mb": now.get("MemorySize"),
        "timeout_s": now.get("Timeout"),
        "environment": now.get("Environment", {}).get("Variables", {}),
    }


def is_active(name: str) -> Wait:
    """Until a new function can be invoked: FunctionActiveV2 (rule 66)."""
    return _settles(name, "State", ACTIVE, {})


def is_settled(name: str, version: str | Ref | None = None) -> Wait:
    """Until a function, or a version of it, is no longer Pending (rule 66). It may be Inactive then: nobody invoked it
    for weeks, and only a call makes it Active again (rule 93). So whoever needs it Active invokes it next."""
    return _settles(name, "State", (ACTIVE, INACTIVE), {} if version is None else {"Qualifier": version})


def is_updated(name: str) -> Wait:
    """Until an update of $LATEST is done: FunctionUpdatedV2 (rule 66)."""
    return _settles(name, "LastUpdateStatus", "Successful", {})


def _settles(name: str, status: str, good: str | tuple[str, ...], qualifier: Mapping[str, Any]) -> Wait:
    return Wait(
        request=function_request(name, "GetFunctionConfiguration", gives=None, **qualifier),
        path=status,
        until=good,
        failed=("Failed",),
        reason=f"{status}Reason",
        every=1.0,
        timeout=600.0,
    )


def function_config(settings: Settings, *, image: str) -> FunctionConfig:
    """What [lambda] configures."""
    section = settings.function
    environment = {
        "KENNEL_ENDPOINT_NAME": settings.endpoint_name,
        "KENNEL_MAX_BYTES": str(section.max_bytes),
        "KENNEL_ALLOW_HTTP": "1" if section.allow_http else "0",
        "KENNEL_ALLOW_HOSTS": ",".join(section.allow_hosts),
    }
    return FunctionConfig(
        image=image, memory_mb=section.memory_mb, timeout_s=section.timeout_s, environment=environment
    )


def function(settings: Settings, *, image: str) -> Function:
    """The function that invokes the main endpoint of the settings."""
    role = Ref(address=f"role/{settings.role_name('lambda')}", attribute="arn")
    config = function_config(settings, image=image)
    return Function(name=settings.function_name, config=config, role=role, tags=settings.tags)


def _tags(name: str, settings: Settings, call: Call) -> dict[str, str]:
    arn = settings.arn("lambda", f"function:{name}")
    request = lambda_("ListTags", Resource=arn)
    return dict((lookup(call, request) or {}).get("Tags", {}))


def _state(name: str, settings: Settings, call: Call) -> str:
    """Like "Active, live is version 3, 2 of 2 kept warm, https://…"."""
    answer = lookup(call, function_request(name, "GetFunction"))
    if answer is None:
        return "gone"
    parts = [str(answer["Configuration"].get("State", "Active"))]
    alias = lookup(call, function_request(name, "GetAlias", Name=settings.function.alias))
    if alias is not None:
        parts.append(f"{alias['Name']} is version {alias['FunctionVersion']}")
    warm = lookup(call, function_request(name, "ListProvisionedConcurrencyConfigs")) or {}
    for each in warm.get("ProvisionedConcurrencyConfigs", ()):
        available = each.get("AvailableProvisionedConcurrentExecutions", 0)
        parts.append(f"{available} of {each['RequestedProvisionedConcurrentExecutions']} kept warm")
    urls = lookup(call, function_request(name, "ListFunctionUrlConfigs")) or {}
    return ", ".join(parts + [each["FunctionUrl"] for each in urls.get("FunctionUrlConfigs", ())])


def _remove(name: str, settings: Settings) -> Step:
    return replace(function(settings, image=""), name=name).remove()


KIND = ResourceKind(
    name="function",
    names=listing("lambda", "ListFunctions", "Functions", "FunctionName", token=("NextMarker", "Marker")),
    tags=_tags,
    remove=_remove,
    state=_state,
)
