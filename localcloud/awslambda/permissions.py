"""Lambda's operations on a function's resource policy: AddPermission, RemovePermission, GetPolicy."""

import json
import re
from dataclasses import dataclass
from typing import Any

from localcloud.awslambda.configuration import Params
from localcloud.awslambda.functions import Functions, Handlers
from localcloud.awslambda.names import Named
from localcloud.awslambda.records import Function, Policy
from localcloud.awslambda.refusals import NO_SUCH_RESOURCE, conflict, invalid, missing, no_target, outdated
from localcloud.errors import ApiError

PRINCIPAL = re.compile(
    r"\*|\d{12}|arn:aws[a-z-]*:(iam|sts)::\d{12}:\S+|[A-Za-z0-9.-]+\.amazon(aws)?\.com(\.cn)?"  # account, user, service
)


@dataclass(kw_only=True)
class Permissions:
    """The operations on resource policies."""

    functions: Functions

    def handlers(self) -> Handlers:
        """Operation → handler."""
        return self.functions.reachable(
            {"AddPermission": self.add, "RemovePermission": self.remove, "GetPolicy": self.get}
        )

    def add(self, params: Params) -> Params:
        """AddPermission. Function URLs enforce the policy (urls.py); every other call is allowed."""
        with self.functions.locked(params) as (function, qualifier):
            if qualifier == "$LATEST":
                raise invalid("We currently do not support adding policies for $LATEST.")
            if not PRINCIPAL.fullmatch(params["Principal"]):
                raise invalid("The provided principal was invalid. Please check the principal and try again.")
            _check_target(function, qualifier)
            policy = function.policies.get(qualifier or "", Policy())
            _check_revision(function, qualifier, params)
            if any(statement["Sid"] == params["StatementId"] for statement in policy.statements):
                raise conflict(
                    f"The statement id ({params['StatementId']}) provided already exists. Please provide a new "
                    "statement id, or remove the existing statement."
                )
            statement = policy_statement(params, function.arn + (f":{qualifier}" if qualifier else ""))
            function.policies[qualifier or ""] = Policy(statements=[*policy.statements, statement])
        return {"Statement": json.dumps(statement)}

    def remove(self, params: Params) -> Params:
        with self.functions.locked(params, _no_policy) as (function, qualifier):
            _check_target(function, qualifier)
            policy = function.policies.get(qualifier or "")
            if policy is None:
                raise missing("No policy is associated with the given resource.")
            remaining = [statement for statement in policy.statements if statement["Sid"] != params["StatementId"]]
            if len(remaining) == len(policy.statements):
                raise missing(f"Statement {params['StatementId']} is not found in resource policy.")
            _check_revision(function, qualifier, params)
            function.policies[qualifier or ""] = Policy(statements=remaining)
            if not remaining:
                del function.policies[qualifier or ""]
        return {}

    def get(self, params: Params) -> Params:
        with self.functions.locked(params, lambda _: missing(NO_SUCH_RESOURCE)) as (function, qualifier):
            policy = function.policies.get(qualifier or "")
            if policy is None:
                raise missing(NO_SUCH_RESOURCE)
            document = {"Version": "2012-10-17", "Id": "default", "Statement": policy.statements}
            return {"Policy": json.dumps(document), "RevisionId": policy.revision}


def _no_policy(wanted: Named) -> ApiError:
    return missing(f"No policy found for: {wanted.qualified}")


def _check_target(function: Function, qualifier: str | None) -> None:
    if qualifier and qualifier not in function.aliases and qualifier not in function.versions:
        raise no_target(function.arn, qualifier)


def _check_revision(function: Function, qualifier: str | None, params: Params) -> None:
    """Refuse a RevisionId that is not the policy's, or the resource's own while it has no policy. Raises ApiError."""
    if qualifier in function.aliases:
        own = function.aliases[qualifier]["RevisionId"]
    else:
        own = function.at(qualifier).config["RevisionId"]
    policy = function.policies.get(qualifier or "")
    if params.get("RevisionId") not in (None, policy.revision if policy else own):
        raise outdated("GetPolicy")


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
        "lambda:EventSourceToken": params.get("EventSourceToken"),
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
