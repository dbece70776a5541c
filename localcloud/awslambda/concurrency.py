"""Lambda's operations on reserved and provisioned concurrency, and the account's limit (rule 67)."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from localcloud.awslambda.configuration import Params, stamp
from localcloud.awslambda.environments import ACCOUNT_LIMIT, MUST_STAY_UNRESERVED
from localcloud.awslambda.functions import Functions, Handlers
from localcloud.awslambda.listing import page
from localcloud.awslambda.names import Named, named
from localcloud.awslambda.records import Function, Release
from localcloud.awslambda.refusals import (
    FUNCTIONS_ONLY,
    conflict,
    invalid,
    invalid_untyped,
    no_function,
    no_target,
)
from localcloud.errors import ApiError

UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
NO_LATEST = "The function resource provided must be an alias or a published version."


@dataclass(kw_only=True)
class Concurrency:
    """The operations on concurrency. `limit` is the account's; a new account's is 10."""

    functions: Functions
    limit: int = ACCOUNT_LIMIT

    def handlers(self) -> Handlers:
        """Operation → handler."""
        return self.functions.reachable({
            "PutFunctionConcurrency": self.reserve,
            "GetFunctionConcurrency": self.reserved,
            "DeleteFunctionConcurrency": self.unreserve,
            "PutProvisionedConcurrencyConfig": self.put,
            "GetProvisionedConcurrencyConfig": self.get,
            "ListProvisionedConcurrencyConfigs": self.list,
            "DeleteProvisionedConcurrencyConfig": self.delete,
            "GetAccountSettings": self.account,
        })  # fmt: skip

    @property
    def floor(self) -> int:
        """How much concurrency must stay unreserved."""
        return min(MUST_STAY_UNRESERVED, self.limit)

    # ------------------------------------------------------------------------------------------ reserved

    def reserve(self, params: Params) -> Params:
        """PutFunctionConcurrency. 0 stops the function."""
        count = params["ReservedConcurrentExecutions"]
        if named(params, self.functions.cloud).qualifier:
            raise invalid(FUNCTIONS_ONLY)
        with self.functions.lock, self.functions.locked(params, _no_latest) as (function, _):
            provisioned = _requested(function)
            if self._unreserved(without=function) - count < self.floor:
                raise self._too_much("ReservedConcurrentExecutions")
            if count < provisioned:
                raise invalid_untyped(
                    f" ReservedConcurrentExecutions  {count} should not be lower than function's total provisioned "
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
        return invalid_untyped(
            f"Specified {setting} for function decreases account's UnreservedConcurrentExecution below its minimum "
            f"value of [{self.floor}]."
        )

    # ------------------------------------------------------------------------------------------ provisioned

    def put(self, params: Params) -> Params:
        """PutProvisionedConcurrencyConfig: keep environments of a version or alias warm. IN_PROGRESS until they run."""
        count = params["ProvisionedConcurrentExecutions"]
        with self.functions.lock, self._locked(params, latest=UNPUBLISHED) as (function, qualifier):
            release = self._check(function, qualifier, count)
            entry = {
                "RequestedProvisionedConcurrentExecutions": count,
                "AllocatedProvisionedConcurrentExecutions": 0,
                "AvailableProvisionedConcurrentExecutions": 0,
                "Status": "IN_PROGRESS",
                "LastModified": stamp(self.functions.cloud.now()),
            }
            function.provisioned[qualifier] = entry
            answer = dict(entry)
        self.functions.spawn(self._provision, function, qualifier, entry, release)
        return answer

    @contextmanager
    def _locked(self, params: Params, latest: str) -> Iterator[tuple[Function, str]]:
        """The function and the version or alias of a request, locked; `latest` is the refusal of $LATEST."""
        with self.functions.locked(params, _no_target) as (function, given):
            qualifier = str(given or "$LATEST")
            if qualifier == "$LATEST":
                raise invalid(latest)
            if qualifier not in function.aliases and qualifier not in function.versions:
                raise no_target(function.arn, qualifier)
            yield function, qualifier

    def _check(self, function: Function, qualifier: str, count: int) -> Release:
        """The release to provision. Raises ApiError where Lambda refuses. The caller holds both locks."""
        release = function.at(qualifier)
        if release is function.latest:
            raise invalid(UNPUBLISHED)
        if function.aliases.get(qualifier, {}).get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            raise invalid("Alias with weights can not be used with Provisioned Concurrency")
        _check_overlap(function, qualifier, str(release.config["Version"]))
        others = sum(_count(entry) for name, entry in function.provisioned.items() if name != qualifier)
        if function.limit.reserved is None:
            self._check_account(function, others + count)
        elif others + count > function.limit.reserved:
            raise invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution "
                "for function"
            )
        return release

    def _check_account(self, function: Function, count: int) -> None:
        """Refuse more provisioned concurrency than the account has left. Raises ApiError."""
        unreserved = self._unreserved(without=function)
        if count > unreserved:
            raise invalid_untyped(
                "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency "
                f"[{unreserved}]."
            )
        if unreserved - count < self.floor:
            raise self._too_much("ConcurrentExecutions")

    def move(self, function: Function, alias: str, old: str) -> None:
        """Start the environments of a moved alias's new version, then end those of version `old`.

        The caller holds the function's lock.
        """
        entry = function.provisioned[alias]
        entry |= {"Status": "IN_PROGRESS", "AvailableProvisionedConcurrentExecutions": 0}
        entry.pop("StatusReason", None)
        self.functions.spawn(self._provision, function, alias, entry, function.at(alias), old)

    def _provision(
        self, function: Function, qualifier: str, entry: Params, release: Release, old: str | None = None
    ) -> None:
        """Start a configuration's environments, unless it has been replaced or deleted, and tell how that ended."""
        with function.lock:
            if function.provisioned.get(qualifier) is not entry:
                return
            count = _count(entry)
            release.pool.keep(count)  # under the lock: whoever deletes the configuration later lowers it again
        try:
            release.pool.fill()
        except ApiError as error:
            self._failed(function, qualifier, entry, release, error)
            return
        with function.lock:
            if function.provisioned.get(qualifier) is not entry:
                return
            if function.aliases.get(qualifier, {}).get("RoutingConfig") == {"AdditionalVersionWeights": {old: 1.0}}:
                del function.aliases[qualifier]["RoutingConfig"]
            entry |= {
                "Status": "READY",
                "AllocatedProvisionedConcurrentExecutions": count,
                "AvailableProvisionedConcurrentExecutions": count,
            }
            _release_others(function)
            release.pool.lower(count)

    def _failed(self, function: Function, qualifier: str, entry: Params, release: Release, error: ApiError) -> None:
        with function.lock:
            if function.provisioned.get(qualifier) is not entry:
                return
            entry |= {"Status": "FAILED", "StatusReason": "FUNCTION_ERROR_INIT_FAILURE"}
            release.pool.lower(0)
        logging.getLogger(__name__).warning("provisioned concurrency of %s: %s", function.name, error.message)

    def get(self, params: Params) -> Params:
        with self._locked(params, latest=NO_LATEST) as (function, qualifier):
            if qualifier not in function.provisioned:
                raise ApiError(
                    "ProvisionedConcurrencyConfigNotFoundException",
                    "No Provisioned Concurrency Config found for this function", 404, Type="User",
                )  # fmt: skip
            return dict(function.provisioned[qualifier])

    def list(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, _):
            rows = [entry | {"FunctionArn": f"{function.arn}:{name}"} for name, entry in function.provisioned.items()]
        return page(rows, params, "ProvisionedConcurrencyConfigs")

    def delete(self, params: Params) -> Params:
        with self._locked(params, latest=NO_LATEST) as (function, qualifier):
            self.drop(function, qualifier)
        return {}

    def drop(self, function: Function, qualifier: str) -> None:
        """Remove the provisioned concurrency of a version or alias, if any. The caller holds the function's lock."""
        if function.provisioned.pop(qualifier, None) is not None:
            _release_others(function)


def _no_latest(wanted: Named) -> ApiError:
    return no_function(f"{wanted.arn}:$LATEST")


def _no_target(wanted: Named) -> ApiError:
    return no_target(wanted.arn, wanted.qualifier or "$LATEST")


def _release_others(function: Function) -> None:
    """End the warm environments of every version that no provisioned concurrency needs.

    A moving alias still needs those of its old version. The caller holds the function's lock.
    """
    needed = set(function.provisioned)
    for name in function.provisioned:
        alias = function.aliases.get(name, {})
        weights = alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        needed |= {str(alias.get("FunctionVersion")), *weights}
    for version, release in function.versions.items():
        if version not in needed:
            release.pool.lower(0)


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
