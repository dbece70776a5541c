"""Lambda's operations on aliases, and how Lambda moves an alias with provisioned concurrency.

Lambda itself gives the old version a routing weight of 1.0, so that it keeps all traffic until the new version has its
environments, then removes the weight. The weight stays when the environments do not start
(hashicorp/terraform-provider-aws#48116).
"""

import uuid
from dataclasses import dataclass
from typing import Any

from localcloud.awslambda.concurrency import Concurrency
from localcloud.awslambda.configuration import Params
from localcloud.awslambda.functions import Functions, Handlers
from localcloud.awslambda.listing import page
from localcloud.awslambda.records import Function
from localcloud.awslambda.refusals import conflict, invalid, invalid_untyped, missing, no_function, outdated


@dataclass(kw_only=True)
class Aliases:
    """The operations on aliases."""

    functions: Functions
    concurrency: Concurrency

    def handlers(self) -> Handlers:
        """Operation → handler."""
        return self.functions.reachable({
            "CreateAlias": self.create,
            "UpdateAlias": self.update,
            "GetAlias": self.get,
            "ListAliases": self.list,
            "DeleteAlias": self.delete,
        })  # fmt: skip

    def create(self, params: Params) -> Params:
        name, version = params["Name"], params["FunctionVersion"]
        with self.functions.locked(params, lambda wanted: no_function(f"{wanted.arn}:{version}")) as (function, _):
            arn = f"{function.arn}:{name}"
            alias = _changed({"AliasArn": arn, "Name": name, "Description": ""}, params)
            _check(function, alias)
            if name in function.aliases:
                raise conflict(f"Alias already exists: {arn}")
            function.aliases[name] = alias
            return dict(alias)

    def update(self, params: Params) -> Params:
        """UpdateAlias. The alias's provisioned concurrency moves with it to the new version."""
        name = params["Name"]
        with self.functions.locked(params) as (function, _):
            old = _find(function, name, "Alias not found: ")
            if params.get("RevisionId") not in (None, old["RevisionId"]):
                raise outdated()
            alias = _changed(old, params)
            _check(function, alias)
            entry = function.provisioned.get(name)
            if entry is None or alias["FunctionVersion"] == old["FunctionVersion"]:
                function.aliases[name] = alias
                return dict(alias)
            if entry["Status"] == "IN_PROGRESS":
                raise conflict("A conflicting deployment is in progress.")
            if params.get("RoutingConfig") is None:
                alias["RoutingConfig"] = {"AdditionalVersionWeights": {old["FunctionVersion"]: 1.0}}
            function.aliases[name] = alias
            self.concurrency.move(function, name, old["FunctionVersion"])
            return dict(alias)

    def get(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, _):
            return dict(_find(function, params["Name"], "Cannot find alias arn: "))

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
            for of_alias in (function.urls, function.policies, function.aliases):
                of_alias.pop(name, None)
        return {}


def _find(function: Function, name: str, prefix: str) -> Params:
    if name not in function.aliases:
        raise missing(f"{prefix}{function.arn}:{name}")
    return function.aliases[name]


def _weights(alias: Params) -> dict[str, Any]:
    return dict(alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}))


def _changed(alias: Params, params: Params) -> Params:
    """An alias with the settings of a request, as a new revision."""
    changes = {key: params[key] for key in ("FunctionVersion", "Description", "RoutingConfig") if key in params}
    changed = alias | changes | {"RevisionId": str(uuid.uuid4())}
    if not _weights(changed):
        changed.pop("RoutingConfig", None)
    return changed


def _check(function: Function, alias: Params) -> None:
    """Refuse an alias that Lambda refuses. Raises ApiError."""
    version, weights = alias["FunctionVersion"], _weights(alias)
    if len(weights) > 1:
        raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    if version in weights:
        raise invalid(
            f"Invalid function version {version}. Function version {version} is already included in routing "
            "configuration."
        )
    if version == "$LATEST" and weights:
        raise invalid_untyped("$LATEST is not supported for an alias pointing to more than 1 version")
    for each in (version, *weights):
        if each != "$LATEST" and each not in function.versions:
            raise no_function(f"{function.arn}:{each}")
