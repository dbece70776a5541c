"""What hangs on a function's name: permissions, URLs and tags."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.awslambda.configuration import Params, conflict, missing
from localcloud.awslambda.functions import Functions, page

NONE_THERE = "The resource you requested does not exist."


@dataclass(kw_only=True)
class Settings:
    """The operations on all this."""

    functions: Functions

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
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
    """Return the policy statement that AddPermission makes, conditions and all (rule 70)."""
    principal: Any = params["Principal"]
    if principal != "*":
        account = f"arn:aws:iam::{principal}:root" if principal.isdigit() else principal
        principal = {"Service" if principal.endswith(".amazonaws.com") else "AWS": account}
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
