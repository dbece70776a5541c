"""How many requests the function takes at once (reserved), and how many of them meet a warm start (provisioned).

The order in which the two change (rule 67; aws/serverless-application-model#1425): what is provisioned may never
be more than what is reserved. So the reservation goes first, unless the new one is below what is provisioned now: then
the provisioned concurrency is lowered first, and is down before the reservation follows. What does not scale any more
is deregistered before all that, or scaling would put back what is taken away.
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
from deploy.function.function import ask
from deploy.planning.resource import is_ours, unchanged
from deploy.values import Act, Call, Request, State, Step, differences

UNRESERVED = 100  # must stay for the account's other functions; a new account's whole limit is 10 (rule 67)
QUOTA = "ask for more (Service Quotas: AWS Lambda, Concurrent executions, L-B99A9384)"


@dataclass(frozen=True, kw_only=True)
class Concurrency:
    """The concurrency that a function and its alias should have. `reserved` None shares the account's.

    With `most` above 0, scaling moves the provisioned concurrency between `least` and `most`, and what it has come to
    stays. Only scaling that carries `tags` is ours to end.
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
        """What Application Auto Scaling calls it (rule 68)."""
        return f"function:{self.function}:{self.alias}"

    def desired(self, now: int = 0) -> dict[str, Any]:
        """What should be, where `now` is provisioned already."""
        provisioned = self.provisioned
        if self.most and provisioned and now:
            provisioned = min(max(now, self.least), self.most)
        return {"reserved": self.reserved, "provisioned": provisioned}

    def read(self, call: Call) -> State | None:
        """Fields besides those of `desired`: status (of provisioned concurrency), limit and unreserved (of the
        account), scales (by a target of ours)."""
        reserved = lookup(call, self._ask("GetFunctionConcurrency")) or {}
        listed = lookup(call, self._ask("ListProvisionedConcurrencyConfigs")) or {}
        configs = listed.get("ProvisionedConcurrencyConfigs", ())
        warm: Mapping[str, Any] = next((each for each in configs if each["FunctionArn"].endswith(f":{self.alias}")), {})
        account = call(lambda_("GetAccountSettings"))["AccountLimit"]
        target = describe(self.scaled, call)
        return State(
            fields={
                "scales": target is not None and is_ours(tags_at(target["ScalableTargetARN"], call), self.tags),
                "reserved": reserved.get("ReservedConcurrentExecutions"),
                "provisioned": warm.get("RequestedProvisionedConcurrentExecutions", 0),
                "status": warm.get("Status", ""),
                "limit": account["ConcurrentExecutions"],
                "unreserved": account["UnreservedConcurrentExecutions"],
            }
        )

    def plan(self, observed: State | None) -> Step:
        """Raises DeployError where the account would refuse it."""
        found: Mapping[str, Any] = observed.fields if observed else {"provisioned": 0}
        wanted = self.desired(found["provisioned"])
        self._check(found, wanted)
        changes = differences(found, wanted)
        acts = (*self._still(found), *self._acts(found, wanted))
        if not changes and not acts:
            return unchanged(self.address)
        return Step(
            action="update" if found.get("reserved") or found["provisioned"] else "create",
            address=self.address,
            reason="differs" if changes else self._reason(found),
            acts=acts,
            changes=changes,
            touches=f"{wanted['provisioned']} kept warm, billed by the hour" if wanted["provisioned"] else "",
        )

    def _reason(self, found: Mapping[str, Any]) -> str:
        return "does not scale any more" if self._still(found) else f"provisioned concurrency is {found['status']}"

    def _still(self, found: Mapping[str, Any]) -> tuple[Act, ...]:
        if self.most or not found.get("scales"):
            return ()
        params = key_of(self.scaled)
        return (autoscaling("DeregisterScalableTarget", **params),)

    def _acts(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[Act, ...]:
        reserved, now = wanted["reserved"], found["provisioned"]
        reserve = self._reserve(reserved) if reserved != found.get("reserved") else ()
        provision = self._provision(found, wanted["provisioned"])
        fits = reserved is None or reserved >= now
        return (*reserve, *provision) if fits else (*provision, *reserve)

    def _reserve(self, count: int | None) -> tuple[Act, ...]:
        if count is None:
            return (self._ask("DeleteFunctionConcurrency"),)
        return (self._ask("PutFunctionConcurrency", ReservedConcurrentExecutions=count),)

    def _provision(self, found: Mapping[str, Any], count: int) -> tuple[Act, ...]:
        if not count:
            delete = self._ask("DeleteProvisionedConcurrencyConfig", Qualifier=self.alias)
            return (delete,) if found["provisioned"] else ()
        status = found.get("status")
        ready = is_warm(self.function, self.alias)
        if count == found["provisioned"] and status in ("READY", "IN_PROGRESS"):
            return () if status == "READY" else (ready,)
        put = self._ask("PutProvisionedConcurrencyConfig", Qualifier=self.alias, ProvisionedConcurrentExecutions=count)
        return (put, ready)

    def _check(self, found: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
        """What the account must keep unreserved is known before anything is sent (rule 67)."""
        if "limit" not in found:
            return
        reserved, warm, limit = wanted["reserved"], wanted["provisioned"], found["limit"]
        held = found["provisioned"] if found["reserved"] is None else found["reserved"]
        floor = min(UNRESERVED, limit)
        free = max(found["unreserved"] + held - floor, held)
        key, count = ("provisioned", warm) if reserved is None else ("reserved", reserved)
        if count > free:
            raise DeployError(
                f"lambda.{key}_concurrency: {count} are more than the account can spare: of its {limit} concurrent "
                f"executions {floor} must stay unreserved, which leaves {max(free, 0)}; "
                f"lower it, leave it out, or {QUOTA}"
            )

    def _ask(self, operation: str, **params: Any) -> Request:
        return ask(self.function, operation, **params)


def concurrency(settings: Settings) -> Concurrency:
    """As [lambda] has it."""
    wanted = settings.function
    return Concurrency(
        function=settings.function_name,
        alias=wanted.alias,
        tags=settings.tags,
        reserved=wanted.reserved_concurrency,
        provisioned=wanted.provisioned_concurrency,
        least=wanted.autoscaling.min if wanted.autoscaling.is_on else 0,
        most=wanted.autoscaling.max,
    )
