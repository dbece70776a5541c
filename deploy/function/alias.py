"""The alias through which callers invoke the function. It moves to a new version only after a health check.

Lambda moves an alias with provisioned concurrency in two steps: a routing weight keeps all traffic on the old version
until the new one is warm. Until then nothing else about the alias can be changed, and if the new version never gets
warm the weight stays for ever (aws/serverless-application-model#1296, hashicorp/terraform-provider-aws#48116). So a
move waits until Lambda has finished, and clears a weight that an earlier move left behind.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import is_missing, lookup, pages
from deploy.config.settings import Settings
from deploy.errors import AwsError, DeployError
from deploy.function.function import (
    FunctionConfig,
    fields_of,
    function_config,
    function_request,
    is_settled,
    is_updated,
)
from deploy.function.health_check import answers
from deploy.planning.resource import unchanged
from deploy.values import Act, Call, Change, Ref, Request, State, Step, Wait, differences

MARK = "kennel: "  # begins the description of our aliases and versions, which cannot carry tags
BEFORE = re.compile(rf"{MARK}before this, version (\d+)")
MARKERS = ("NextMarker", "Marker")
NO_WEIGHTS: dict[str, Any] = {"AdditionalVersionWeights": {}}


@dataclass(frozen=True, kw_only=True)
class Alias:
    """A desired alias, and what its version should run."""

    function: str
    name: str
    config: FunctionConfig

    @property
    def address(self) -> str:
        return f"alias/{self.function}:{self.name}"

    def desired(self) -> dict[str, Any]:
        return {**self.config.fields(), "weights": {}}

    def read(self, call: Call) -> State | None:
        """The alias, the versions that matter to it, and our other aliases. Fields besides those of `desired`: version,
        previous, versions (number → fields), ours (versions that we published and no other alias uses), warm (status
        of provisioned concurrency), stale (our aliases of other names → the requests that delete them)."""
        try:
            published = list(pages(call, self._request("ListVersionsByFunction"), items="Versions", token=MARKERS))
        except AwsError as error:
            if is_missing(error):
                return None
            raise
        aliases = list(pages(call, self._request("ListAliases"), items="Aliases", token=MARKERS))
        current: Mapping[str, Any] = next((each for each in aliases if each["Name"] == self.name), {})
        stale = [each for each in aliases if _is_ours(each) and each is not current]
        used = {version for each in aliases if each is not current and each not in stale for version in _versions(each)}
        numbers = sorted(int(each["Version"]) for each in published if each["Version"] != "$LATEST")
        version, previous = current.get("FunctionVersion"), before(current.get("Description", ""))
        relevant = {each for each in (version, previous, *map(str, numbers[-1:])) if each and int(each) in numbers}
        versions = {each: fields_of(call(self._request("GetFunction", Qualifier=each))) for each in sorted(relevant)}
        warm = self._warm(call)
        return State(
            fields={
                **versions.get(str(version), {}),
                "weights": current.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}),
                "version": version,
                "previous": previous,
                "versions": versions,
                "ours": [each["Version"] for each in published if _is_ours(each) and each["Version"] not in used],
                "warm": warm.get(self.name, ""),
                "stale": {each["Name"]: self._removal(each["Name"], call, warm) for each in stale},
            }
        )

    def plan(self, observed: State | None) -> Step:
        fields = observed.fields if observed else {}
        changes = differences(fields, self.desired())
        stale, dropped = fields.get("stale", {}), self._dropped(fields, moves=bool(changes))
        if not changes and not stale and not dropped:
            return unchanged(self.address)
        acts: list[Act] = [*self._move(fields)] if changes else []
        acts += [request for requests in stale.values() for request in requests]
        acts += [self._request("DeleteFunction", Qualifier=version) for version in dropped]
        current = fields.get("version")
        return Step(
            action="update" if current else "create",
            address=self.address,
            reason=_reason(current, changes, stale, dropped),
            acts=tuple(acts),
            changes=changes if current else (),
            touches="callers get the new version at once, after its health check" if changes else "",
        )

    def back(self, observed: State | None) -> Step:
        """The step that returns to the previous version. Raises DeployError when there is none."""
        fields = observed.fields if observed else {}
        version, previous = fields.get("version"), fields.get("previous")
        if not version or not previous or previous not in fields["versions"]:
            raise DeployError(f"{self.address}: no earlier version to return to; ./inv status shows the live one")
        return Step(
            action="update",
            address=self.address,
            reason=f"back from version {version}",
            acts=(*self._healthy(previous), *self._point(previous, fields)),
            changes=(Change(field="version", before=version, after=previous),),
            touches="callers get the earlier version at once, after its health check",
        )

    def _move(self, fields: Mapping[str, Any]) -> tuple[Act, ...]:
        """Publishes a version or takes the newest that runs as desired, checks its health, then moves the alias."""
        newest = self._newest(fields)
        if newest and newest == fields.get("version") and fields["warm"] == "IN_PROGRESS":
            return (self._is_warm(), self._is_whole())  # an earlier move is still under way
        if newest:
            return (*self._healthy(newest), *self._point(newest, fields))
        version = Ref(address=self.address, attribute="published")
        return (*self._publish(), *self._healthy(version), *self._point(version, fields))

    def _newest(self, fields: Mapping[str, Any]) -> str:
        """The newest version that runs as desired ("" for none): PublishVersion would only return it."""
        desired, versions = self.config.fields(), fields.get("versions", {})
        return max((key for key, value in versions.items() if value == desired), key=int, default="")

    def _publish(self) -> tuple[Act, ...]:
        """Publishes exactly the code and revision that were read, so that nobody's later change goes live with it."""
        gives = {f"{self.address}.code": "CodeSha256", f"{self.address}.revision": "RevisionId"}
        return (
            is_updated(self.function),
            self._request("GetFunctionConfiguration", gives=gives),
            self._request(
                "PublishVersion",
                CodeSha256=Ref(address=self.address, attribute="code"),
                RevisionId=Ref(address=self.address, attribute="revision"),
                Description=f"{MARK}{self.config.image}"[:256],
                gives={f"{self.address}.published": "Version"},
            ),
        )

    def _healthy(self, version: str | Ref) -> tuple[Act, ...]:
        """The health check; it also wakes a version that was idle for weeks (rule 93)."""
        return (is_settled(self.function, version), answers(self.function, version))

    def _point(self, version: str | Ref, fields: Mapping[str, Any]) -> tuple[Act, ...]:
        current, warm = fields.get("version"), fields.get("warm", "")
        if not current:
            return (
                self._request("CreateAlias", Name=self.name, FunctionVersion=version, Description=f"{MARK}the first"),
            )
        under_way = warm == "IN_PROGRESS"
        routing = {"RoutingConfig": NO_WEIGHTS} if fields.get("weights") and not under_way else {}
        earlier = fields.get("previous") if version == current else current
        description = f"{MARK}before this, version {earlier}" if earlier else f"{MARK}the first"
        move = self._request("UpdateAlias", Name=self.name, FunctionVersion=version, Description=description, **routing)
        settled = (self._is_warm(), self._is_whole())
        return (*(settled if under_way else ()), move, *(settled if warm in ("IN_PROGRESS", "READY") else ()))

    def _dropped(self, fields: Mapping[str, Any], *, moves: bool) -> list[str]:
        """Our versions that are neither the live one nor the one to return to."""
        current, newest = fields.get("version"), self._newest(fields)
        kept = {current, newest} if moves and newest != current else {current, fields.get("previous")}
        return [version for version in fields.get("ours", ()) if version not in kept]

    def _removal(self, name: str, call: Call, warm: Mapping[str, str]) -> list[Request]:
        """The requests that delete an alias of another name, left from before lambda.alias was changed."""
        url = lookup(call, self._request("GetFunctionUrlConfig", Qualifier=name))
        return [
            *([self._request("DeleteProvisionedConcurrencyConfig", Qualifier=name)] if name in warm else []),
            *([self._request("DeleteFunctionUrlConfig", Qualifier=name)] if url else []),
            self._request("DeleteAlias", Name=name),
        ]

    def _warm(self, call: Call) -> dict[str, str]:
        """Status of provisioned concurrency by alias or version."""
        request = self._request("ListProvisionedConcurrencyConfigs")
        configs = pages(call, request, items="ProvisionedConcurrencyConfigs", token=MARKERS)
        return {each["FunctionArn"].rpartition(":")[2]: each["Status"] for each in configs}

    def _is_warm(self) -> Wait:
        return is_warm(self.function, self.name)

    def _is_whole(self) -> Wait:
        """Until Lambda has removed its own routing weight."""
        place = "RoutingConfig.AdditionalVersionWeights"
        return Wait(request=self._request("GetAlias", Name=self.name), path=place, empty=True, every=2.0, timeout=900.0)

    def _request(self, operation: str, *, gives: Mapping[str, str] | None = None, **params: Any) -> Request:
        return function_request(self.function, operation, gives=gives, **params)


def is_warm(function: str, qualifier: str) -> Wait:
    """Until provisioned concurrency is ready."""
    return Wait(
        request=function_request(function, "GetProvisionedConcurrencyConfig", Qualifier=qualifier),
        path="Status",
        until="READY",
        failed=("FAILED",),
        reason="StatusReason",
        every=2.0,
        timeout=1800.0,
    )


def before(description: str) -> str | None:
    """The version that an alias pointed to before, read from its description."""
    match = BEFORE.fullmatch(description)
    return match.group(1) if match else None


def _is_ours(described: Mapping[str, Any]) -> bool:
    return str(described.get("Description", "")).startswith(MARK)


def _versions(described: Mapping[str, Any]) -> set[str]:
    """The versions that an alias sends traffic to."""
    return {described["FunctionVersion"], *described.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}


def alias(settings: Settings, *, image: str) -> Alias:
    """The alias that callers invoke."""
    return Alias(
        function=settings.function_name, name=settings.function.alias, config=function_config(settings, image=image)
    )


def _reason(current: str | None, changes: tuple[Change, ...], stale: Mapping[str, Any], dropped: list[str]) -> str:
    if not current:
        return "does not exist"
    parts = [f"version {current} differs"] if changes else []
    parts += [f"alias {name} is no longer named in deploy.toml" for name in stale]
    parts += [f"version {', '.join(dropped)} is no longer needed"] if dropped else []
    return "; ".join(parts)
