"""Aliases, and how Lambda moves one that has provisioned concurrency.

All traffic stays with the old version, by a routing weight of 1.0 that Lambda sets itself, until the new version has
its environments; then the weight goes. Where they cannot be had it stays (hashicorp/terraform-provider-aws#48116).
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from localcloud.awslambda.concurrency import Provisioning
from localcloud.awslambda.configuration import REVISION, Params, conflict, invalid, missing
from localcloud.awslambda.functions import Function, Functions, page
from localcloud.errors import ApiError


@dataclass(kw_only=True)
class Aliases:
    """The operations on aliases."""

    functions: Functions
    provisioning: Provisioning

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
            "CreateAlias": self.create,
            "UpdateAlias": self.update,
            "GetAlias": self.get,
            "ListAliases": self.list,
            "DeleteAlias": self.delete,
        }

    def create(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        name = params["Name"]
        with function.lock:
            function.at(params["FunctionVersion"])
            if name in function.aliases:
                raise conflict(f"Alias already exists: {function.arn}:{name}")
            function.aliases[name] = {"AliasArn": f"{function.arn}:{name}", "Name": name, "Description": ""}
            return self._set(function, params)

    def update(self, params: Params) -> Params:
        """Answer UpdateAlias; what is provisioned for the alias goes with it to the new version."""
        function, _ = self.functions.find(params)
        with function.lock:
            alias = self._find(function, params["Name"])
            if params.get("RevisionId") not in (None, alias["RevisionId"]):
                raise ApiError("PreconditionFailedException", REVISION, 412)
            old = str(alias["FunctionVersion"])
            new = str(params.get("FunctionVersion", old))
            function.at(new)
            _check_weights(alias, params, new)
            entry = function.provisioned.get(params["Name"])
            if entry is None or old == new:
                return self._set(function, params)
            if entry["Status"] == "IN_PROGRESS":
                raise conflict("A conflicting deployment is in progress.")
            weights = params.get("RoutingConfig") is None
            answer = self._set(function, params)
            if weights:
                answer["RoutingConfig"] = alias["RoutingConfig"] = {"AdditionalVersionWeights": {old: 1.0}}
            self.provisioning.move(function, params["Name"], old)
            return answer

    def _set(self, function: Function, params: Params) -> Params:
        given = {key: params[key] for key in ("FunctionVersion", "Description", "RoutingConfig") if key in params}
        for version in given.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}):
            function.at(version)
        alias = function.aliases[params["Name"]]
        alias |= given | {"RevisionId": str(uuid.uuid4())}
        if not alias.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            alias.pop("RoutingConfig", None)
        return dict(alias)

    def _find(self, function: Function, name: str) -> Params:
        if name not in function.aliases:
            raise missing(f"Cannot find alias arn: {function.arn}:{name}")
        return function.aliases[name]

    def get(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        return dict(self._find(function, params["Name"]))

    def list(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        wanted = params.get("FunctionVersion")
        rows = [dict(a) for a in function.aliases.values() if wanted in (None, a["FunctionVersion"])]
        return page(rows, params, "Aliases")

    def delete(self, params: Params) -> Params:
        """Answer DeleteAlias: all that hangs on the name goes with it."""
        function, _ = self.functions.find(params)
        name = params["Name"]
        with function.lock:
            self.provisioning.drop(function, name)
            function.urls.pop(name, None)
            function.policies.pop(name, None)
            function.aliases.pop(name, None)
        return {}


def _check_weights(alias: Params, params: Params, new: str) -> None:
    """A version cannot stand in the routing configuration of an alias that points to it."""
    routing: Params = params["RoutingConfig"] if "RoutingConfig" in params else alias.get("RoutingConfig", {})
    if new in routing.get("AdditionalVersionWeights", {}):
        raise invalid(
            f"Invalid function version {new}. Function version {new} is already included in routing configuration."
        )
