"""How many requests the function takes at once (reserved), and how many of them start warm (provisioned).

Provisioned concurrency may never exceed reserved concurrency, which decides the order of changes (rule 67;
aws/serverless-application-model#1425). The reservation changes first, unless the new one is below what is provisioned
now: then the provisioned concurrency is lowered first. A scalable target that is no longer desired is deregistered
before either, because scaling would undo the change. An alias whose version was idle for weeks is woken first: Lambda
keeps nothing warm that is not Active (rule 93).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.autoscaling.scalable_target import describe, key_of, tags_at
from deploy.aws.client import lookup
from deploy.aws.requests import autoscaling, lambda_
from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.function.alias import is_warm
from deploy.function.function import INACTIVE, function_request
from deploy.function.health_check import wake
from deploy.planning.resource import is_ours, unchanged
from deploy.values import Act, Call, Request, State, Step, differences

UNRESERVED = 100  # must stay for other functions of the account; the whole limit of a new account is 10 (rule 67)
QUOTA = "ask for more (Service Quotas: AWS Lambda, Concurrent executions, L-B99A9384)"


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """The desired concurrency of a function and its alias. `reserved` None means the account's shared concurrency.

    With `most` above 0, scaling moves the provisioned concurrency between `least` and `most`, and a deploy keeps the
    present value. Scaling without our `tags` is left alone.
    """

    function: str
    alias: str
    reserved: int | None
    provisioned: int
    least: int = 0
    most: int = 0
    tags: Mapping[str, str]

    @property
    def address(self) -> str:
        return f"concurrency/{self.function}:{self.alias}"

    @property
    def scaled(self) -> str:
        """The alias as Application Auto Scaling names it (rule 68)."""
        return f"function:{self.function}:{self.alias}"

    def desired(self, now: int = 0) -> dict[str, Any]:
        """The desired fields, where `now` is provisioned already."""
        provisioned = self.provisioned
        if self.most and provisioned and now:
            provisioned = min(max(now, self.least), self.most)
        return {"reserved": self.reserved, "provisioned": provisioned}

    def read(self, call: Call) -> State | None:
        """Fields besides those of `desired`: status (of provisioned concurrency), limit and unreserved (of the
        account), scales (by a target of ours), state (of the alias's version, where it is to be kept warm)."""
        reserved = lookup(call, self._request("GetFunctionConcurrency")) or {}
        listed = lookup(call, self._request("ListProvisionedConcurrencyConfigs")) or {}
        configs = listed.get("ProvisionedConcurrencyConfigs", ())
        warm: Mapping[str, Any] = next((each for each in configs if each["FunctionArn"].endswith(f":{self.alias}")), {})
        account = call(lambda_("GetAccountSettings"))["AccountLimit"]
        target = describe(self.scaled, call)
        look = self._request("GetFunctionConfiguration", Qualifier=self.alias)
        version = lookup(call, look) if self.provisioned else None
        return State(
            fields={
                "state": (version or {}).get("State", ""),
                "scales": target is not None and is_ours(tags_at(target["ScalableTargetARN"], call), self.tags),
                "reserved": reserved.get("ReservedConcurrentExecutions"),
                "provisioned": warm.get("RequestedProvisionedConcurrentExecutions", 0),
                "status": warm.get("Status", ""),
                "limit": account["ConcurrentExecutions"],
                "unreserved": account["UnreservedConcurrentExecutions"],
            }
        )

    def plan(self, observed: State | None) -> Step:
        """Raises DeployError when the account has too little concurrency left."""
        fields: Mapping[str, Any] = observed.fields if observed else {"provisioned": 0}
        desired = self.desired(fields["provisioned"])
        self._check(fields, desired)
        changes = differences(fields, desired)
        acts = (*self._stop_scaling(fields), *self._acts(fields, desired))
        if not changes and not acts:
            return unchanged(self.address)
        return Step(
            action="update" if fields.get("reserved") or fields["provisioned"] else "create",
            address=self.address,
            reason="differs" if changes else self._reason(fields),
            acts=acts,
            changes=changes,
            touches=f"{desired['provisioned']} kept warm, billed by the hour" if desired["provisioned"] else "",
        )

    def _reason(self, fields: Mapping[str, Any]) -> str:
        return (
            "does not scale any more"
            if self._stop_scaling(fields)
            else f"provisioned concurrency is {fields['status']}"
        )

    def _stop_scaling(self, fields: Mapping[str, Any]) -> tuple[Act, ...]:
        if self.most or not fields.get("scales"):
            return ()
        params = key_of(self.scaled)
        return (autoscaling("DeregisterScalableTarget", **params),)

    def _acts(self, fields: Mapping[str, Any], desired: Mapping[str, Any]) -> tuple[Act, ...]:
        reserved, now = desired["reserved"], fields["provisioned"]
        reserve = self._reserve(reserved) if reserved != fields.get("reserved") else ()
        provision = self._provision(fields, desired["provisioned"])
        fits = reserved is None or reserved >= now
        return (*reserve, *provision) if fits else (*provision, *reserve)

    def _reserve(self, count: int | None) -> tuple[Act, ...]:
        if count is None:
            return (self._request("DeleteFunctionConcurrency"),)
        return (self._request("PutFunctionConcurrency", ReservedConcurrentExecutions=count),)

    def _provision(self, fields: Mapping[str, Any], count: int) -> tuple[Act, ...]:
        if not count:
            delete = self._request("DeleteProvisionedConcurrencyConfig", Qualifier=self.alias)
            return (delete,) if fields["provisioned"] else ()
        status = fields.get("status")
        warmed = is_warm(self.function, self.alias)
        if count == fields["provisioned"] and status in ("READY", "IN_PROGRESS"):
            return () if status == "READY" else (warmed,)
        put = self._request(
            "PutProvisionedConcurrencyConfig", Qualifier=self.alias, ProvisionedConcurrentExecutions=count
        )
        woken = (wake(self.function, self.alias),) if fields.get("state") == INACTIVE else ()
        return (*woken, put, warmed)

    def _check(self, fields: Mapping[str, Any], desired: Mapping[str, Any]) -> None:
        """Checks before anything is sent that the account keeps enough concurrency unreserved (rule 67)."""
        if "limit" not in fields:
            return
        reserved, warm, limit = desired["reserved"], desired["provisioned"], fields["limit"]
        held = fields["provisioned"] if fields["reserved"] is None else fields["reserved"]
        floor = min(UNRESERVED, limit)
        free = max(fields["unreserved"] + held - floor, held)
        key, count = ("provisioned", warm) if reserved is None else ("reserved", reserved)
        if count > free:
            raise DeployError(
                f"lambda.{key}_concurrency: {count} is more than the account can spare: of its {limit} concurrent "
                f"executions {floor} must stay unreserved, which leaves {max(free, 0)}; "
                f"lower it, leave it out, or {QUOTA}"
            )

    def _request(self, operation: str, **params: Any) -> Request:
        return function_request(self.function, operation, **params)


def concurrency(settings: Settings) -> Concurrency:
    """The concurrency that [lambda] configures."""
    section = settings.function
    return Concurrency(
        function=settings.function_name,
        alias=section.alias,
        tags=settings.tags,
        reserved=section.reserved_concurrency,
        provisioned=section.provisioned_concurrency,
        least=section.autoscaling.min if section.autoscaling.is_on else 0,
        most=section.autoscaling.max,
    )
