"""Reserved and provisioned concurrency of functions, and what the account has (rule 67)."""

from collections.abc import Callable
from dataclasses import dataclass

from localcloud.awslambda.configuration import Params, conflict, invalid, stamp
from localcloud.awslambda.environments import ACCOUNT_LIMIT, MUST_STAY_UNRESERVED
from localcloud.awslambda.functions import Function, Functions, page
from localcloud.errors import ApiError


@dataclass(kw_only=True)
class Provisioning:
    """The operations on concurrency. `limit` is the account's; of a new one it is 10."""

    functions: Functions
    limit: int = ACCOUNT_LIMIT

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
            "PutFunctionConcurrency": self.reserve,
            "GetFunctionConcurrency": self.reserved,
            "DeleteFunctionConcurrency": self.unreserve,
            "PutProvisionedConcurrencyConfig": self.put,
            "GetProvisionedConcurrencyConfig": self.get,
            "ListProvisionedConcurrencyConfigs": self.list,
            "DeleteProvisionedConcurrencyConfig": self.delete,
            "GetAccountSettings": self.account,
        }

    @property
    def floor(self) -> int:
        """What must stay unreserved."""
        return min(MUST_STAY_UNRESERVED, self.limit)

    # ------------------------------------------------------------------------------------------ reserved

    def reserve(self, params: Params) -> Params:
        """Reserve concurrency; 0 stops the function."""
        function, _ = self.functions.find(params)
        wanted, provisioned = params["ReservedConcurrentExecutions"], _requested(function)
        if self._unreserved(apart=function) - wanted < self.floor:
            raise self._too_much("ReservedConcurrentExecutions")
        if wanted < provisioned:
            raise invalid(
                f"ReservedConcurrentExecutions  {wanted} should not be lower than function's total provisioned "
                f"concurrency [{provisioned}]."
            )
        function.limit.reserved = wanted
        return {"ReservedConcurrentExecutions": wanted}

    def reserved(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        return {"ReservedConcurrentExecutions": function.limit.reserved}

    def unreserve(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        function.limit.reserved = None
        return {}

    def account(self, _: Params) -> Params:
        """Answer GetAccountSettings."""
        return {
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": self.limit,
                "UnreservedConcurrentExecutions": self._unreserved(),
            },
            "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": len(self.functions.functions)},
        }

    def _unreserved(self, apart: Function | None = None) -> int:
        """What the account has left beside reservations, and what is provisioned without one."""
        others = [function for function in self.functions.functions.values() if function is not apart]
        held = sum(_requested(each) if each.limit.reserved is None else each.limit.reserved for each in others)
        return self.limit - held

    def _too_much(self, what: str) -> ApiError:
        return invalid(
            f"Specified {what} for function decreases account's UnreservedConcurrentExecution below its minimum value "
            f"of [{self.floor}]."
        )

    # ------------------------------------------------------------------------------------------ provisioned

    def put(self, params: Params) -> Params:
        """Keep that many environments warm on a version or alias; IN_PROGRESS until they are."""
        function, qualifier = self.functions.find(params)
        wanted = params["ProvisionedConcurrentExecutions"]
        with function.lock:
            self._check(function, str(qualifier or "$LATEST"), wanted)
            entry = {
                "RequestedProvisionedConcurrentExecutions": wanted,
                "AllocatedProvisionedConcurrentExecutions": 0,
                "AvailableProvisionedConcurrentExecutions": 0,
                "Status": "IN_PROGRESS",
                "LastModified": stamp(self.functions.cloud.now()),
            }
            function.provisioned[str(qualifier)] = entry
        self.functions.spawn(self._provision, function, str(qualifier), entry)
        return dict(entry)

    def _check(self, function: Function, qualifier: str, wanted: int) -> None:
        release = function.at(qualifier)
        if release is function.latest:
            raise invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        if function.aliases.get(qualifier, {}).get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            raise invalid("Alias with weights can not be used with Provisioned Concurrency")
        _check_overlap(function, qualifier, str(release.config["Version"]))
        others = sum(_asked(entry) for name, entry in function.provisioned.items() if name != qualifier)
        if function.limit.reserved is None:
            if self._unreserved(apart=function) - others - wanted < self.floor:
                raise self._too_much("ConcurrentExecutions")
        elif others + wanted > function.limit.reserved:
            raise invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution "
                "for function"
            )

    def move(self, function: Function, alias: str, old: str) -> None:
        """Give an alias that has moved its environments at the new version, then take those of the old one away."""
        entry = function.provisioned[alias]
        entry |= {"Status": "IN_PROGRESS", "AvailableProvisionedConcurrentExecutions": 0}
        entry.pop("StatusReason", None)
        self.functions.spawn(self._provision, function, alias, entry, old)

    def _provision(self, function: Function, qualifier: str, entry: Params, old: str | None = None) -> None:
        wanted, release = _asked(entry), function.at(qualifier)
        try:
            release.pool.warm(wanted)
        except ApiError as error:
            release.pool.lower(0)
            entry |= {"Status": "FAILED", "StatusReason": f"FUNCTION_ERROR_INIT_FAILURE: {error.message}"}
            return
        with function.lock:
            if function.provisioned.get(qualifier) is not entry:  # changed or taken away meanwhile
                return
            if old is not None:
                if function.aliases[qualifier].get("RoutingConfig") == {"AdditionalVersionWeights": {old: 1.0}}:
                    del function.aliases[qualifier]["RoutingConfig"]
                function.at(old).pool.lower(0)
            release.pool.lower(wanted)
            entry |= {
                "Status": "READY",
                "AllocatedProvisionedConcurrentExecutions": wanted,
                "AvailableProvisionedConcurrentExecutions": wanted,
            }

    def get(self, params: Params) -> Params:
        function, qualifier = self.functions.find(params)
        if qualifier not in function.provisioned:
            raise ApiError(
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function", 404, Type="User",
            )  # fmt: skip
        return dict(function.provisioned[str(qualifier)])

    def list(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        rows = [entry | {"FunctionArn": f"{function.arn}:{name}"} for name, entry in function.provisioned.items()]
        return page(rows, params, "ProvisionedConcurrencyConfigs")

    def delete(self, params: Params) -> Params:
        function, qualifier = self.functions.find(params)
        with function.lock:
            self.drop(function, str(qualifier))
        return {}

    def drop(self, function: Function, qualifier: str) -> None:
        """Take away what is provisioned for a version or alias, if anything is."""
        if function.provisioned.pop(qualifier, None) is not None:
            function.at(qualifier).pool.lower(0)


def _check_overlap(function: Function, qualifier: str, version: str) -> None:
    """A version is provisioned by itself or by way of aliases, not both."""
    if qualifier in function.aliases:
        if version in function.provisioned:
            raise conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            )
        return
    aliases = [alias for name, alias in function.aliases.items() if name in function.provisioned]
    if any(alias["FunctionVersion"] == version for alias in aliases):
        raise conflict("Version is pointed by a Provisioned Concurrency alias")


def _asked(entry: Params) -> int:
    return int(entry["RequestedProvisionedConcurrentExecutions"])


def _requested(function: Function) -> int:
    return sum(_asked(entry) for entry in function.provisioned.values())
