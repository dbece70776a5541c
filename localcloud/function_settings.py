"""What hangs on a function's name: aliases, permissions, URLs, concurrency and tags."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.concurrency import ACCOUNT_LIMIT, check_reservation
from localcloud.errors import ApiError
from localcloud.function_configs import Params, conflict, invalid, missing, stamp
from localcloud.functions import Function, Functions, page

NONE_THERE = "The resource you requested does not exist."


@dataclass(kw_only=True)
class Settings:
    """The operations on all this."""

    functions: Functions

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
            "CreateAlias": self.create_alias,
            "UpdateAlias": self.update_alias,
            "GetAlias": self.get_alias,
            "ListAliases": self.list_aliases,
            "DeleteAlias": self.delete_alias,
            "PutFunctionConcurrency": self.put_concurrency,
            "GetFunctionConcurrency": self.get_concurrency,
            "DeleteFunctionConcurrency": self.delete_concurrency,
            "PutProvisionedConcurrencyConfig": self.put_provisioned,
            "GetProvisionedConcurrencyConfig": self.get_provisioned,
            "ListProvisionedConcurrencyConfigs": self.list_provisioned,
            "DeleteProvisionedConcurrencyConfig": self.delete_provisioned,
            "GetAccountSettings": self.account,
            "AddPermission": self.add_permission,
            "RemovePermission": self.remove_permission,
            "GetPolicy": self.get_policy,
            "CreateFunctionUrlConfig": self.create_url,
            "UpdateFunctionUrlConfig": self.update_url,
            "GetFunctionUrlConfig": self.get_url,
            "ListFunctionUrlConfigs": self.list_urls,
            "DeleteFunctionUrlConfig": self.delete_url,
            "TagResource": self.tag,
            "UntagResource": self.untag,
            "ListTags": self.list_tags,
        }

    # ------------------------------------------------------------------------------------------ aliases

    def create_alias(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        name = params["Name"]
        with function.lock:
            function.at(params["FunctionVersion"])
            if name in function.aliases:
                raise conflict(f"Alias already exists: {function.arn}:{name}")
            function.aliases[name] = {"AliasArn": f"{function.arn}:{name}", "Name": name, "Description": ""}
            return self._set_alias(function, params)

    def update_alias(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        with function.lock:
            current = self._alias(function, params["Name"])
            if params.get("RevisionId") not in (None, current["RevisionId"]):
                raise ApiError("PreconditionFailedException", "The RevisionId provided does not match the latest.", 412)
            function.at(params.get("FunctionVersion"))
            return self._set_alias(function, params)

    def _set_alias(self, function: Function, params: Params) -> Params:
        given = {key: params[key] for key in ("FunctionVersion", "Description", "RoutingConfig") if key in params}
        for version in given.get("RoutingConfig", {}).get("AdditionalVersionWeights", {}):
            function.at(version)
        alias = function.aliases[params["Name"]]
        alias |= given | {"RevisionId": str(uuid.uuid4())}
        return dict(alias)

    def _alias(self, function: Function, name: str) -> Params:
        if name not in function.aliases:
            raise missing(f"Cannot find alias arn: {function.arn}:{name}")
        return function.aliases[name]

    def get_alias(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        return dict(self._alias(function, params["Name"]))

    def list_aliases(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        wanted = params.get("FunctionVersion")
        rows = [dict(a) for a in function.aliases.values() if wanted in (None, a["FunctionVersion"])]
        return page(rows, params, "Aliases")

    def delete_alias(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        function.aliases.pop(params["Name"], None)
        return {}

    # ------------------------------------------------------------------------------------------ concurrency

    def put_concurrency(self, params: Params) -> Params:
        """Reserve concurrency; 0 stops the function (CONTRACTS 67)."""
        function, _ = self.functions.find(params)
        wanted = params["ReservedConcurrentExecutions"]
        check_reservation(wanted, self._reserved(apart=function))
        if wanted < sum(entry["RequestedProvisionedConcurrentExecutions"] for entry in function.provisioned.values()):
            raise invalid("ReservedConcurrentExecutions must not be below the function's provisioned concurrency.")
        function.gate.reserved = wanted
        return {"ReservedConcurrentExecutions": wanted}

    def _reserved(self, apart: Function | None = None) -> int:
        others = [function for function in self.functions.functions.values() if function is not apart]
        return sum(function.gate.reserved or 0 for function in others)

    def get_concurrency(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        return {"ReservedConcurrentExecutions": function.gate.reserved}

    def delete_concurrency(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        function.gate.reserved = None
        return {}

    def account(self, _: Params) -> Params:
        """Answer GetAccountSettings."""
        return {
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800,
                "CodeSizeUnzipped": 262_144_000,
                "CodeSizeZipped": 52_428_800,
                "ConcurrentExecutions": ACCOUNT_LIMIT,
                "UnreservedConcurrentExecutions": ACCOUNT_LIMIT - self._reserved(),
            },
            "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": len(self.functions.functions)},
        }

    def put_provisioned(self, params: Params) -> Params:
        """Keep that many environments warm on a version or alias (CONTRACTS 67); IN_PROGRESS until they are."""
        function, qualifier = self.functions.find(params)
        wanted = params["ProvisionedConcurrentExecutions"]
        if qualifier in (None, "$LATEST"):
            raise invalid("Provisioned Concurrency Configs cannot be applied to unpublished function versions.")
        function.at(qualifier)
        if function.gate.reserved is not None and wanted > function.gate.reserved:
            raise invalid(
                "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution "
                "for function"
            )
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

    def _provision(self, function: Function, qualifier: str, entry: Params) -> None:
        wanted = entry["RequestedProvisionedConcurrentExecutions"]
        try:
            function.at(qualifier).pool.warm(wanted)
        except ApiError as error:
            entry |= {"Status": "FAILED", "StatusReason": error.message}
            return
        entry |= {
            "Status": "READY",
            "AllocatedProvisionedConcurrentExecutions": wanted,
            "AvailableProvisionedConcurrentExecutions": wanted,
        }

    def get_provisioned(self, params: Params) -> Params:
        function, qualifier = self.functions.find(params)
        if qualifier not in function.provisioned:
            raise ApiError(
                "ProvisionedConcurrencyConfigNotFoundException",
                "No Provisioned Concurrency Config found for this function", 404, Type="User",
            )  # fmt: skip
        return dict(function.provisioned[str(qualifier)])

    def list_provisioned(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        rows = [entry | {"FunctionArn": f"{function.arn}:{name}"} for name, entry in function.provisioned.items()]
        return page(rows, params, "ProvisionedConcurrencyConfigs")

    def delete_provisioned(self, params: Params) -> Params:
        function, qualifier = self.functions.find(params)
        if function.provisioned.pop(str(qualifier), None) is not None:
            function.at(qualifier).pool.floor = 0
        return {}

    # ------------------------------------------------------------------------------------------ permissions

    def add_permission(self, params: Params) -> Params:
        """Keep a statement of the function's policy; nobody is refused here, for localcloud has no IAM."""
        function, qualifier = self.functions.find(params)
        function.at(qualifier)
        statements = function.policies.setdefault(qualifier or "", [])
        if any(statement["Sid"] == params["StatementId"] for statement in statements):
            raise conflict(f"The statement id ({params['StatementId']}) provided already exists.")
        resource = function.arn + (f":{qualifier}" if qualifier else "")
        statement = policy_statement(params, resource)
        statements.append(statement)
        return {"Statement": json.dumps(statement)}

    def remove_permission(self, params: Params) -> Params:
        function, qualifier = self.functions.find(params)
        statements = function.policies.get(qualifier or "", [])
        left = [statement for statement in statements if statement["Sid"] != params["StatementId"]]
        if len(left) == len(statements):
            raise missing(f"Statement {params['StatementId']} is not found in resource policy.")
        function.policies[qualifier or ""] = left
        return {}

    def get_policy(self, params: Params) -> Params:
        function, qualifier = self.functions.find(params)
        statements = function.policies.get(qualifier or "", [])
        if not statements:
            raise missing(NONE_THERE)
        policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
        return {"Policy": json.dumps(policy), "RevisionId": function.latest.config["RevisionId"]}

    # ------------------------------------------------------------------------------------------ URLs

    def create_url(self, params: Params) -> Params:
        """Give the function (or an alias) a URL; what it holds is kept, and answered at localcloud's own port."""
        function, qualifier = self.functions.find(params)
        function.at(qualifier)
        if (qualifier or "") in function.urls:
            raise conflict(f"FunctionUrlConfig exists for this Lambda function: {function.arn}")
        cloud = self.functions.cloud
        now, suffix = cloud.now().isoformat(), f":{qualifier}" if qualifier else ""
        function.urls[qualifier or ""] = {
            "FunctionUrl": f"{cloud.endpoint_url}/_localcloud/function-url/{function.name}{suffix}/",
            "FunctionArn": function.arn + suffix,
            "AuthType": params["AuthType"],
            "InvokeMode": params.get("InvokeMode", "BUFFERED"),
            "CreationTime": now,
            "LastModifiedTime": now,
        } | ({"Cors": params["Cors"]} if "Cors" in params else {})
        return {key: value for key, value in function.urls[qualifier or ""].items() if key != "LastModifiedTime"}

    def _url(self, params: Params) -> Params:
        function, qualifier = self.functions.find(params)
        if (qualifier or "") not in function.urls:
            raise missing(NONE_THERE)
        return function.urls[qualifier or ""]

    def update_url(self, params: Params) -> Params:
        url = self._url(params)
        url |= {key: params[key] for key in ("AuthType", "Cors", "InvokeMode") if key in params}
        url["LastModifiedTime"] = self.functions.cloud.now().isoformat()
        return dict(url)

    def get_url(self, params: Params) -> Params:
        return dict(self._url(params))

    def list_urls(self, params: Params) -> Params:
        function, _ = self.functions.find(params)
        return page(list(function.urls.values()), params, "FunctionUrlConfigs")

    def delete_url(self, params: Params) -> Params:
        self._url(params)
        function, qualifier = self.functions.find(params)
        del function.urls[qualifier or ""]
        return {}

    # ------------------------------------------------------------------------------------------ tags

    def _tags(self, params: Params) -> dict[str, str]:
        function, _ = self.functions.find({"FunctionName": params["Resource"]})
        return function.tags

    def tag(self, params: Params) -> Params:
        self._tags(params).update(params["Tags"])
        return {}

    def untag(self, params: Params) -> Params:
        for key in params["TagKeys"]:
            self._tags(params).pop(key, None)
        return {}

    def list_tags(self, params: Params) -> Params:
        return {"Tags": dict(self._tags(params))}


def policy_statement(params: Params, resource: str) -> Params:
    """Return the policy statement that AddPermission makes, conditions and all (CONTRACTS 70)."""
    principal: Any = params["Principal"]
    if principal != "*":
        principal = {"Service" if principal.endswith(".amazonaws.com") else "AWS": principal}
    condition: Params = {}
    if "SourceArn" in params:
        condition["ArnLike"] = {"AWS:SourceArn": params["SourceArn"]}
    equal = {
        "AWS:SourceAccount": params.get("SourceAccount"),
        "lambda:FunctionUrlAuthType": params.get("FunctionUrlAuthType"),
        "aws:PrincipalOrgID": params.get("PrincipalOrgID"),
    }
    if strings := {key: value for key, value in equal.items() if value is not None}:
        condition["StringEquals"] = strings
    if "InvokedViaFunctionUrl" in params:
        condition["Bool"] = {"lambda:InvokedViaFunctionUrl": str(params["InvokedViaFunctionUrl"]).lower()}
    statement: Params = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": principal,
        "Action": params["Action"],
        "Resource": resource,
    }
    return statement | ({"Condition": condition} if condition else {})
