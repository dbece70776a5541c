"""The name by which callers meet the function: it moves to a new version only when that one is healthy.

While an alias has provisioned concurrency, Lambda itself moves it in two steps: all traffic stays with the old version,
by a routing weight, until the new one is warm. Until then nothing else about the alias can be changed, and where the
new version cannot be made warm the weight stays for ever (aws/serverless-application-model#1296,
hashicorp/terraform-provider-aws#48116). So the move waits for its end, and clears what an earlier one has left.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import is_missing, lookup, pages
from deploy.config.settings import Settings
from deploy.errors import AwsError, DeployError
from deploy.function.function import Runs, ask, fields_of, is_active, is_updated, runs
from deploy.function.health_check import answers
from deploy.planning.resource import unchanged
from deploy.values import Act, Call, Change, Ref, Request, State, Step, Wait, differences

MARK = "kennel: "  # begins the description of every alias and version that is ours: neither can carry tags
BEFORE = re.compile(rf"{MARK}before this, version (\d+)")
MARKERS = ("NextMarker", "Marker")
NO_WEIGHTS: dict[str, Any] = {"AdditionalVersionWeights": {}}


@dataclass(frozen=True, kw_only=True)
class Alias:
    """An alias that should be, and what the version behind it should run."""

    function: str
    name: str
    runs: Runs

    @property
    def address(self) -> str:
        return f"alias/{self.function}:{self.name}"

    def desired(self) -> dict[str, Any]:
        return {**self.runs.fields(), "weights": {}}

    def read(self, call: Call) -> State | None:
        """The alias, the versions that matter to it, and what else hangs on the function. Fields besides those of
        `desired`: version, previous, versions (number → fields), ours (versions that we published and no other alias
        uses), warm (status of provisioned concurrency), stale (our aliases of other names → what takes them away)."""
        try:
            published = list(pages(call, self._ask("ListVersionsByFunction"), items="Versions", token=MARKERS))
        except AwsError as error:
            if is_missing(error):
                return None
            raise
        aliases = list(pages(call, self._ask("ListAliases"), items="Aliases", token=MARKERS))
        here: Mapping[str, Any] = next((each for each in aliases if each["Name"] == self.name), {})
        stale = [each for each in aliases if _is_ours(each) and each is not here]
        used = {version for each in aliases if each is not here and each not in stale for version in _versions(each)}
        numbers = sorted(int(each["Version"]) for each in published if each["Version"] != "$LATEST")
        version, previous = here.get("FunctionVersion"), before(here.get("Description", ""))
        wanted = {each for each in (version, previous, *map(str, numbers[-1:])) if each and int(each) in numbers}
        versions = {each: fields_of(call(self._ask("GetFunction", Qualifier=each))) for each in sorted(wanted)}
        warm = self._warm(call)
        return State(
            fields={
                **versions.get(str(version), {}),
                "weights": here.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}),
                "version": version,
                "previous": previous,
                "versions": versions,
                "ours": [each["Version"] for each in published if _is_ours(each) and each["Version"] not in used],
                "warm": warm.get(self.name, ""),
                "stale": {each["Name"]: self._removal(each["Name"], call, warm) for each in stale},
            }
        )

    def plan(self, observed: State | None) -> Step:
        found = observed.fields if observed else {}
        changes = differences(found, self.desired())
        stale, dropped = found.get("stale", {}), self._dropped(found, moves=bool(changes))
        if not changes and not stale and not dropped:
            return unchanged(self.address)
        acts: list[Act] = [*self._move(found)] if changes else []
        acts += [request for requests in stale.values() for request in requests]
        acts += [self._ask("DeleteFunction", Qualifier=version) for version in dropped]
        here = found.get("version")
        return Step(
            action="update" if here else "create",
            address=self.address,
            reason=_reason(here, changes, stale, dropped),
            acts=tuple(acts),
            changes=changes if here else (),
            touches="callers meet the new version at once, when it has answered a picture" if changes else "",
        )

    def back(self, observed: State | None) -> Step:
        """The step that returns to the version before this one. Raises DeployError when there is none."""
        found = observed.fields if observed else {}
        version, previous = found.get("version"), found.get("previous")
        if not version or not previous or previous not in found["versions"]:
            raise DeployError(
                f"{self.address}: there is no earlier version to return to; ./inv status shows which is live"
            )
        return Step(
            action="update",
            address=self.address,
            reason=f"back from version {version}",
            acts=(*self._healthy(previous), *self._point(previous, found)),
            changes=(Change(field="version", before=version, after=previous),),
            touches="callers meet the earlier version at once, when it has answered a picture",
        )

    def _move(self, found: Mapping[str, Any]) -> tuple[Act, ...]:
        """Publish, or take the newest version if it is what should run; see that it answers; then move."""
        ready = self._ready(found)
        if ready and ready == found.get("version") and found["warm"] == "IN_PROGRESS":
            return (self._is_warm(), self._is_whole())  # an earlier move is still under way
        if ready:
            return (*self._healthy(ready), *self._point(ready, found))
        version = Ref(address=self.address, attribute="published")
        return (*self._publish(), *self._healthy(version), *self._point(version, found))

    def _ready(self, found: Mapping[str, Any]) -> str:
        """The newest version that runs what should run: PublishVersion would only return it."""
        wanted = self.runs.fields()
        return max((key for key, value in found.get("versions", {}).items() if value == wanted), key=int, default="")

    def _publish(self) -> tuple[Act, ...]:
        """Of just the code and the revision that are seen now, so that nobody's later change goes with it."""
        gives = {f"{self.address}.code": "CodeSha256", f"{self.address}.revision": "RevisionId"}
        return (
            is_updated(self.function),
            self._ask("GetFunctionConfiguration", gives=gives),
            self._ask(
                "PublishVersion",
                CodeSha256=Ref(address=self.address, attribute="code"),
                RevisionId=Ref(address=self.address, attribute="revision"),
                Description=f"{MARK}{self.runs.image}"[:256],
                gives={f"{self.address}.published": "Version"},
            ),
        )

    def _healthy(self, version: str | Ref) -> tuple[Act, ...]:
        return (is_active(self.function, version), answers(self.function, version))

    def _point(self, version: str | Ref, found: Mapping[str, Any]) -> tuple[Act, ...]:
        here, warm = found.get("version"), found.get("warm", "")
        if not here:
            return (self._ask("CreateAlias", Name=self.name, FunctionVersion=version, Description=f"{MARK}the first"),)
        under_way = warm == "IN_PROGRESS"
        routing = {"RoutingConfig": NO_WEIGHTS} if found.get("weights") and not under_way else {}
        earlier = found.get("previous") if version == here else here
        told = f"{MARK}before this, version {earlier}" if earlier else f"{MARK}the first"
        move = self._ask("UpdateAlias", Name=self.name, FunctionVersion=version, Description=told, **routing)
        settled = (self._is_warm(), self._is_whole())
        return (*(settled if under_way else ()), move, *(settled if warm in ("IN_PROGRESS", "READY") else ()))

    def _dropped(self, found: Mapping[str, Any], *, moves: bool) -> list[str]:
        """Our versions that nobody needs: neither the live one, nor the one to return to."""
        here, ready = found.get("version"), self._ready(found)
        kept = {here, ready} if moves and ready != here else {here, found.get("previous")}
        return [version for version in found.get("ours", ()) if version not in kept]

    def _removal(self, name: str, call: Call, warm: Mapping[str, str]) -> list[Request]:
        """What takes an alias of another name away, since lambda.alias was changed."""
        url = lookup(call, self._ask("GetFunctionUrlConfig", Qualifier=name))
        return [
            *([self._ask("DeleteProvisionedConcurrencyConfig", Qualifier=name)] if name in warm else []),
            *([self._ask("DeleteFunctionUrlConfig", Qualifier=name)] if url else []),
            self._ask("DeleteAlias", Name=name),
        ]

    def _warm(self, call: Call) -> dict[str, str]:
        """Status of provisioned concurrency by alias or version."""
        request = self._ask("ListProvisionedConcurrencyConfigs")
        found = pages(call, request, items="ProvisionedConcurrencyConfigs", token=MARKERS)
        return {each["FunctionArn"].rpartition(":")[2]: each["Status"] for each in found}

    def _is_warm(self) -> Wait:
        return is_warm(self.function, self.name)

    def _is_whole(self) -> Wait:
        """Until Lambda has taken its own routing weight away."""
        place = "RoutingConfig.AdditionalVersionWeights"
        return Wait(request=self._ask("GetAlias", Name=self.name), path=place, empty=True, every=2.0, timeout=900.0)

    def _ask(self, operation: str, *, gives: Mapping[str, str] | None = None, **params: Any) -> Request:
        return ask(self.function, operation, gives=gives, **params)


def is_warm(function: str, qualifier: str) -> Wait:
    """Until provisioned concurrency is there."""
    return Wait(
        request=ask(function, "GetProvisionedConcurrencyConfig", Qualifier=qualifier),
        path="Status",
        until="READY",
        failed=("FAILED",),
        reason="StatusReason",
        every=2.0,
        timeout=1800.0,
    )


def before(description: str) -> str | None:
    """The version that an alias pointed to before, by its description."""
    found = BEFORE.fullmatch(description)
    return found.group(1) if found else None


def _is_ours(described: Mapping[str, Any]) -> bool:
    return str(described.get("Description", "")).startswith(MARK)


def _versions(described: Mapping[str, Any]) -> set[str]:
    """The versions that an alias sends traffic to."""
    return {described["FunctionVersion"], *described.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}


def alias(settings: Settings, *, image: str) -> Alias:
    """The alias that callers name."""
    return Alias(function=settings.function_name, name=settings.function.alias, runs=runs(settings, image=image))


def _reason(here: str | None, changes: tuple[Change, ...], stale: Mapping[str, Any], dropped: list[str]) -> str:
    if not here:
        return "does not exist"
    parts = [f"version {here} is not what should run"] if changes else []
    parts += [f"alias {name} is no longer named in deploy.toml" for name in stale]
    parts += [f"version {', '.join(dropped)} is no longer needed"] if dropped else []
    return "; ".join(parts)
