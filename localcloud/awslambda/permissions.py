"""Lambda's operations on a function's resource policy: AddPermission, RemovePermission, GetPolicy."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from localcloud.awslambda.configuration import NO_SUCH_RESOURCE, Params, conflict, missing
from localcloud.awslambda.functions import Functions


@dataclass(kw_only=True)
class Permissions:
    """The operations on resource policies."""

    functions: Functions

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Operation → handler."""
        return {"AddPermission": self.add, "RemovePermission": self.remove, "GetPolicy": self.get}

    def document(self, arn: str) -> str | None:
        """The policy of a function, a version or an alias, by its ARN; None for anything else."""
        if ":lambda:" not in arn or ":function:" not in arn:
            return None
        name, _, qualifier = arn.partition(":function:")[2].partition(":")
        with self.functions.lock:
            function = self.functions.functions.get(name)
        if function is None:
            return None
        with function.lock:
            statements = function.policies.get(qualifier, [])
            return json.dumps({"Version": "2012-10-17", "Statement": statements}) if statements else None

    def add(self, params: Params) -> Params:
        """AddPermission. Function URLs enforce the policy (urls.py); other calls are judged by it with --iam."""
        with self.functions.locked(params) as (function, qualifier):
            function.at(qualifier)
            statements = function.policies.setdefault(qualifier or "", [])
            if any(statement["Sid"] == params["StatementId"] for statement in statements):
                raise conflict(f"The statement id ({params['StatementId']}) provided already exists.")
            statement = policy_statement(params, function.arn + (f":{qualifier}" if qualifier else ""))
            statements.append(statement)
        return {"Statement": json.dumps(statement)}

    def remove(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, qualifier):
            statements = function.policies.get(qualifier or "", [])
            remaining = [statement for statement in statements if statement["Sid"] != params["StatementId"]]
            if len(remaining) == len(statements):
                raise missing(f"Statement {params['StatementId']} is not found in resource policy.")
            function.policies[qualifier or ""] = remaining
        return {}

    def get(self, params: Params) -> Params:
        with self.functions.locked(params) as (function, qualifier):
            statements = function.policies.get(qualifier or "", [])
            if not statements:
                raise missing(NO_SUCH_RESOURCE)
            policy = {"Version": "2012-10-17", "Id": "default", "Statement": statements}
            return {"Policy": json.dumps(policy), "RevisionId": function.latest.config["RevisionId"]}


def policy_statement(params: Params, resource: str) -> Params:
    """The policy statement that AddPermission creates, with its conditions (rule 70)."""
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
