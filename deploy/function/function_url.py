"""The function URL of the alias, for signed requests of our account (iam) or for anybody (public). Since October 2025
either needs two permissions: to invoke the URL, and to invoke the function through a URL (rule 70)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.aws.client import lookup
from deploy.config.settings import Settings
from deploy.function.function import function_request
from deploy.planning.resource import unchanged
from deploy.values import Act, Call, Request, State, Step, differences

Access = Literal["none", "iam", "public"]
AUTH = {"iam": "AWS_IAM", "public": "NONE"}
SID = "kennel-url-"  # begins the statements that are ours: kennel-url-iam, kennel-url-iam-function
TOUCHES = {
    "none": "nobody reaches the function by a URL",
    "iam": "whoever may invoke function URLs in this account reaches the function with signed requests",
    "public": "anybody who knows the URL can classify pictures, at your cost",
}


@dataclass(frozen=True, kw_only=True)
class FunctionUrl:
    """A desired URL; with `access` none, a URL and permissions that are to be deleted."""

    function: str
    alias: str
    access: Access
    account: str

    @property
    def address(self) -> str:
        return f"function-url/{self.function}:{self.alias}"

    def desired(self) -> dict[str, Any]:
        return {"auth": AUTH.get(self.access), "permissions": sorted(self._permissions())}

    def read(self, call: Call) -> State | None:
        """Fields as in `desired`; the attribute url if the URL exists."""
        config = lookup(call, self._request("GetFunctionUrlConfig")) or {}
        policy = lookup(call, self._request("GetPolicy")) or {}
        statements = json.loads(policy.get("Policy", "{}")).get("Statement", ())
        sids = sorted(each["Sid"] for each in statements if each["Sid"].startswith(SID))
        attributes = {"url": config["FunctionUrl"]} if config else {}
        return State(fields={"auth": config.get("AuthType"), "permissions": sids}, attributes=attributes)

    def plan(self, observed: State | None) -> Step:
        fields: Mapping[str, Any] = observed.fields if observed else {"auth": None, "permissions": []}
        changes = differences(fields, self.desired())
        if not changes:
            return unchanged(self.address)
        action: Literal["create", "update", "delete"] = "update"
        if not fields["auth"] or self.access == "none":
            action = "delete" if self.access == "none" else "create"
        return Step(
            action=action,
            address=self.address,
            reason=f"lambda.url is {self.access}",
            acts=self._acts(fields),
            changes=changes,
            touches=TOUCHES[self.access],
        )

    def _acts(self, fields: Mapping[str, Any]) -> tuple[Act, ...]:
        """The first request already locks out the callers that lose access."""
        permissions = self._permissions()
        gone = [sid for sid in fields["permissions"] if sid not in permissions]
        old = [self._request("RemovePermission", StatementId=sid) for sid in gone]
        if self.access == "none":
            return (*([self._request("DeleteFunctionUrlConfig")] if fields["auth"] else []), *old)
        auth, new = AUTH[self.access], [permissions[sid] for sid in permissions if sid not in fields["permissions"]]
        config: list[Request] = []
        if fields["auth"] != auth:
            operation = "UpdateFunctionUrlConfig" if fields["auth"] else "CreateFunctionUrlConfig"
            config = [self._request(operation, AuthType=auth)]
        return (*config, *old, *new)

    def _permissions(self) -> dict[str, Request]:
        """The requests that permit callers, by statement id."""
        if self.access == "none":
            return {}
        sid, principal = f"{SID}{self.access}", "*" if self.access == "public" else self.account
        url = self._request(
            "AddPermission",
            StatementId=sid,
            Action="lambda:InvokeFunctionUrl",
            Principal=principal,
            FunctionUrlAuthType=AUTH[self.access],
        )
        function = self._request(
            "AddPermission",
            StatementId=f"{sid}-function",
            Action="lambda:InvokeFunction",
            Principal=principal,
            InvokedViaFunctionUrl=True,
        )
        return {sid: url, f"{sid}-function": function}

    def _request(self, operation: str, **params: Any) -> Request:
        return function_request(self.function, operation, Qualifier=self.alias, **params)


def function_url(settings: Settings) -> FunctionUrl:
    """The URL that lambda.url configures."""
    section = settings.function
    return FunctionUrl(
        function=settings.function_name, alias=section.alias, access=section.url, account=settings.stage.account
    )
