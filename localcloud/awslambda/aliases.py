"""Lambda's operations on aliases, and how Lambda moves an alias with provisioned concurrency.

Lambda itself gives the old version a routing weight of 1.0, so that it keeps all traffic until the new version has its
environments, then removes the weight. The weight stays when the environments do not start
(hashicorp/terraform-provider-aws#48116).
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from localcloud.awslambda.concurrency import Concurrency
from localcloud.awslambda.configuration import REVISION, Params, conflict, invalid, missing
from localcloud.awslambda.functions import Function, Functions, page
from localcloud.errors import ApiError


@dataclass(kw_only=True)
class Aliases:
    """The operations on aliases."""

    functions: Functions
    concurrency: Concurrency

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Operation → handler."""
        return {
            "CreateAlias": self.create,
            "UpdateAlias": self.update,
            "GetAlias": self.get,
            "ListAliases": self.list,
            "DeleteAlias": self.delete,
        }

    def create(self, params: Params) -> Params:
        name = params["Name"]
        with self.functions.locked(params) as (function, _):
            function.at(params["FunctionVersion"])
            if name in function.aliases:
                raise conflict(f"Alias already exists: {function.arn}:{name}")
            function.aliases[name] = {"AliasArn": f"{function.arn}:{name}", "Name": name, "Description": ""}
            return self._set(function, params)

    def update(self, params: Params) -> Params:
        """UpdateAlias. The alias's provisioned concurrency moves with it to the new version."""
        with self.functions.locked(params) as (function, _):
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
            answer = self._set(function, params)
            if params.get("RoutingConfig") is None:
                answer["RoutingConfig"] = alias["RoutingConfig"] = {"AdditionalVersionWeights": {old: 1.0}}
            self.concurrency.move(function, params["Name"], old)
            return answer

    def _set(self, function: Function, params: Params) -> Params:
        changes = {key: params[key] for key in ("FunctionVersion", "Description", "RoutingConfig") if key in params}
        for version in changes.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}):
            function.at(version)
        alias = function.aliases[params["Name"]]
        alias |= changes | {"RevisionId": str(uuid.uuid4())}
        if not alias.get("RoutingConfig", {}).get("AdditionalVersionWeights"):
            alias.pop("RoutingConfig", None)
        return dict(alias)

    def _find(self, function: Function, name: str) -> Params:
        if name not in function.aliases:
            raise missing(f"Cannot find alias arn: {function.arn}:{name}")
        return function.aliases[name]

    def get(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, _):
            return dict(self._find(function, params["Name"]))

    def list(self, params: Params) -> Params:
        version = params.get("FunctionVersion")
        with self.functions.locked(params) as (function, _):
            rows = [dict(each) for each in function.aliases.values() if version in (None, each["FunctionVersion"])]
        return page(rows, params, "Aliases")

    def delete(self, params: Params) -> Params:
        """DeleteAlias. Deletes the alias's provisioned concurrency, URL and policy too."""
        name = params["Name"]
        with self.functions.locked(params) as (function, _):
            self.concurrency.drop(function, name)
            function.urls.pop(name, None)
            function.policies.pop(name, None)
            function.aliases.pop(name, None)
        return {}


def _check_weights(alias: Params, params: Params, new: str) -> None:
    """Refuse a routing configuration that names the version the alias points to. Raises ApiError."""
    routing: Params = params["RoutingConfig"] if "RoutingConfig" in params else alias.get("RoutingConfig", {})
    if new in routing.get("AdditionalVersionWeights", {}):
        raise invalid(
            f"Invalid function version {new}. Function version {new} is already included in routing configuration."
        )
