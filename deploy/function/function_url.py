"""The function URL of the alias: signed requests of our account (iam), or anybody's (public). Both take two permissions
since October 2025: to invoke the URL, and to invoke the function by way of a URL (rule 70)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.aws.client import lookup
from deploy.config.settings import Settings
from deploy.function.function import ask
from deploy.planning.resource import unchanged
from deploy.values import Act, Call, Request, State, Step, differences

Access = Literal["none", "iam", "public"]
AUTH = {"iam": "AWS_IAM", "public": "NONE"}
SID = "kennel-url-"  # begins the statements that are ours: kennel-url-iam, kennel-url-iam-function
TOUCHES = {
    "none": "nobody reaches the function by a URL",
    "iam": "who may invoke function URLs in this account reaches it by signed requests",
    "public": "anybody who knows the URL can have pictures classified, at your cost",
}


@dataclass(frozen=True, kw_only=True)
class FunctionUrl:
    """A URL that should be, or should not: `access` none takes it away with its permissions."""

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
        """Fields as in `desired`; the attribute url where there is one."""
        config = lookup(call, self._ask("GetFunctionUrlConfig")) or {}
        policy = lookup(call, self._ask("GetPolicy")) or {}
        statements = json.loads(policy.get("Policy", "{}")).get("Statement", ())
        sids = sorted(each["Sid"] for each in statements if each["Sid"].startswith(SID))
        attributes = {"url": config["FunctionUrl"]} if config else {}
        return State(fields={"auth": config.get("AuthType"), "permissions": sids}, attributes=attributes)

    def plan(self, observed: State | None) -> Step:
        found: Mapping[str, Any] = observed.fields if observed else {"auth": None, "permissions": []}
        changes = differences(found, self.desired())
        if not changes:
            return unchanged(self.address)
        action: Literal["create", "update", "delete"] = "update"
        if not found["auth"] or self.access == "none":
            action = "delete" if self.access == "none" else "create"
        return Step(
            action=action,
            address=self.address,
            reason=f"lambda.url is {self.access}",
            acts=self._acts(found),
            changes=changes,
            touches=TOUCHES[self.access],
        )

    def _acts(self, found: Mapping[str, Any]) -> tuple[Act, ...]:
        """Whoever shall no longer come in is kept out by the first request already."""
        wanted = self._permissions()
        old = [self._ask("RemovePermission", StatementId=sid) for sid in found["permissions"] if sid not in wanted]
        if self.access == "none":
            return (*([self._ask("DeleteFunctionUrlConfig")] if found["auth"] else []), *old)
        auth, new = AUTH[self.access], [wanted[sid] for sid in wanted if sid not in found["permissions"]]
        config: list[Request] = []
        if found["auth"] != auth:
            operation = "UpdateFunctionUrlConfig" if found["auth"] else "CreateFunctionUrlConfig"
            config = [self._ask(operation, AuthType=auth)]
        return (*config, *old, *new)

    def _permissions(self) -> dict[str, Request]:
        """By statement: the requests that let callers in."""
        if self.access == "none":
            return {}
        sid, who = f"{SID}{self.access}", "*" if self.access == "public" else self.account
        url = self._ask(
            "AddPermission",
            StatementId=sid,
            Action="lambda:InvokeFunctionUrl",
            Principal=who,
            FunctionUrlAuthType=AUTH[self.access],
        )
        function = self._ask(
            "AddPermission",
            StatementId=f"{sid}-function",
            Action="lambda:InvokeFunction",
            Principal=who,
            InvokedViaFunctionUrl=True,
        )
        return {sid: url, f"{sid}-function": function}

    def _ask(self, operation: str, **params: Any) -> Request:
        return ask(self.function, operation, Qualifier=self.alias, **params)


def function_url(settings: Settings) -> FunctionUrl:
    """As lambda.url has it."""
    wanted = settings.function
    return FunctionUrl(
        function=settings.function_name, alias=wanted.alias, access=wanted.url, account=settings.stage.account
    )
