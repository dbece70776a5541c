"""Lambda's operations on reserved and provisioned concurrency, and the account's limit (rule 67)."""

from collections.abc import Callable
from dataclasses import dataclass

from localcloud.awslambda.configuration import Params, conflict, invalid, stamp
from localcloud.awslambda.environments import ACCOUNT_LIMIT, MUST_STAY_UNRESERVED
from localcloud.awslambda.functions import Function, Functions, page
from localcloud.errors import ApiError


@dataclass(kw_only=True)
class Concurrency:
    """The operations on concurrency. `limit` is the account's; a new account's is 10."""

    functions: Functions
    limit: int = ACCOUNT_LIMIT

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Operation → handler."""
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
        """How much concurrency must stay unreserved."""
        return min(MUST_STAY_UNRESERVED, self.limit)

    # ------------------------------------------------------------------------------------------ reserved

    def reserve(self, params: Params) -> Params:
        """PutFunctionConcurrency. 0 stops the function."""
        count = params["ReservedConcurrentExecutions"]
        with self.functions.lock, self.functions.locked(params) as (function, _):
            provisioned = _requested(function)
            if self._unreserved(without=function) - count < self.floor:
                raise self._too_much("ReservedConcurrentExecutions")
            if count < provisioned:
                raise invalid(
                    f"ReservedConcurrentExecutions  {count} should not be lower than function's total provisioned "
                    f"concurrency [{provisioned}]."
                )
            function.limit.reserved = count
        return {"ReservedConcurrentExecutions": count}

    def reserved(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, _):
            return {"ReservedConcurrentExecutions": function.limit.reserved}

    def unreserve(self, params: Params) -> Params:
        with self.functions.lock, self.functions.locked(params) as (function, _):
            function.limit.reserved = None
        return {}

    def account(self, _: Params) -> Params:
        """GetAccountSettings."""
        with self.functions.lock:
            unreserved, functions = self._unreserved(), len(self.functions.all())
        return {
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": self.limit,
                "UnreservedConcurrentExecutions": unreserved,
            },
            "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": functions},
        }

    def _unreserved(self, without: Function | None = None) -> int:
        """The account's limit minus what functions reserve, or provision without a reservation.

        `without`: a function not to count. The caller holds `Functions.lock`.
        """
        return self.limit - sum(_claimed(each) for each in self.functions.all() if each is not without)

    def _too_much(self, setting: str) -> ApiError:
        return invalid(
            f"Specified {setting} for function decreases account's UnreservedConcurrentExecution below its minimum "
            f"value of [{self.floor}]."
        )

    # ------------------------------------------------------------------------------------------ provisioned

    def put(self, params: Params) -> Params:
        """PutProvisionedConcurrencyConfig: keep environments of a version or alias warm. IN_PROGRESS until they run."""
        count = params["ProvisionedConcurrentExecutions"]
        with self.functions.lock, self.functions.locked(params) as (function, qualifier):
            self._check(function, str(qualifier or "$LATEST"), count)
            entry = {
                "RequestedProvisionedConcurrentExecutions": count,
                "AllocatedProvisionedConcurrentExecutions": 0,
                "AvailableProvisionedConcurrentExecutions": 0,
                "Status": "IN_PROGRESS",
                "LastModified": stamp(self.functions.cloud.now()),
            }
            function.provisioned[str(qualifier)] = entry
            answer = dict(entry)
        self.functions.spawn(self._provision, function, str(qualifier), entry)
        return answer

    def _check(self, function: Function, qualifier: str, count: int) -> None:
        """Refuse provisioned concurrency that Lambda refuses. The caller holds both locks. Raises ApiError."""
        release = function.at(qualifier)
        if release is function.latest:
            raise invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        if function.aliases.get(qualifier, {}).get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            raise invalid("Alias with weights can not be used with Provisioned Concurrency")
        _check_overlap(function, qualifier, str(release.config["Version"]))
        others = sum(_count(entry) for name, entry in function.provisioned.items() if name != qualifier)
        if function.limit.reserved is None:
            if self._unreserved(without=function) - others - count < self.floor:
                raise self._too_much("ConcurrentExecutions")
        elif others + count > function.limit.reserved:
            raise invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution "
                "for function"
            )

    def move(self, function: Function, alias: str, old: str) -> None:
        """Start the environments of a moved alias's new version, then end those of version `old`.

        The caller holds the function's lock.
        """
        entry = function.provisioned[alias]
        entry |= {"Status": "IN_PROGRESS", "AvailableProvisionedConcurrentExecutions": 0}
        entry.pop("StatusReason", None)
        self.functions.spawn(self._provision, function, alias, entry, old)

    def _provision(self, function: Function, qualifier: str, entry: Params, old: str | None = None) -> None:
        with function.lock:
            count, release = _count(entry), function.at(qualifier)
        try:
            release.pool.warm(count)
        except ApiError as error:
            release.pool.lower(0)
            with function.lock:
                entry |= {"Status": "FAILED", "StatusReason": f"FUNCTION_ERROR_INIT_FAILURE: {error.message}"}
            return
        with function.lock:
            if function.provisioned.get(qualifier) is not entry:  # a client has replaced or deleted it
                return
            if old is not None:
                if function.aliases[qualifier].get("RoutingConfig") == {"AdditionalVersionWeights": {old: 1.0}}:
                    del function.aliases[qualifier]["RoutingConfig"]
                function.at(old).pool.lower(0)
            release.pool.lower(count)
            entry |= {
                "Status": "READY",
                "AllocatedProvisionedConcurrentExecutions": count,
                "AvailableProvisionedConcurrentExecutions": count,
            }

    def get(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, qualifier):
            if qualifier not in function.provisioned:
                raise ApiError(
                    "ProvisionedConcurrencyConfigNotFoundException",
                    "No Provisioned Concurrency Config found for this function", 404, Type="User",
                )  # fmt: skip
            return dict(function.provisioned[str(qualifier)])

    def list(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, _):
            rows = [entry | {"FunctionArn": f"{function.arn}:{name}"} for name, entry in function.provisioned.items()]
        return page(rows, params, "ProvisionedConcurrencyConfigs")

    def delete(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, qualifier):
            self.drop(function, str(qualifier))
        return {}

    def drop(self, function: Function, qualifier: str) -> None:
        """Remove the provisioned concurrency of a version or alias, if any. The caller holds the function's lock."""
        if function.provisioned.pop(qualifier, None) is not None:
            function.at(qualifier).pool.lower(0)


def _check_overlap(function: Function, qualifier: str, version: str) -> None:
    """Refuse provisioned concurrency on both a version and an alias that points to it. Raises ApiError."""
    if qualifier in function.aliases:
        if version in function.provisioned:
            raise conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version"
            )
        return
    aliases = [alias for name, alias in function.aliases.items() if name in function.provisioned]
    if any(alias["FunctionVersion"] == version for alias in aliases):
        raise conflict("Version is pointed by a Provisioned Concurrency alias")


def _count(entry: Params) -> int:
    return int(entry["RequestedProvisionedConcurrentExecutions"])


def _requested(function: Function) -> int:
    """All provisioned concurrency that a function requests."""
    return sum(_count(entry) for entry in function.provisioned.values())


def _claimed(function: Function) -> int:
    """What a function takes from the account's concurrency: its reservation, else its provisioned concurrency."""
    with function.lock:
        reserved = function.limit.reserved
        return _requested(function) if reserved is None else reserved
