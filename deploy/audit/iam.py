"""IAM: policies that allow too much, unused roles, missing MFA, old access keys."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import unquote

from deploy.audit.finding import Finding
from deploy.audit.permissions import unless_denied
from deploy.aws.client import lookup, pages
from deploy.aws.requests import iam
from deploy.values import Call

STALE = timedelta(days=90)
MARKER = ("Marker", "Marker")
Described = Mapping[str, Any]


def look(call: Call, now: datetime) -> Iterator[Finding]:
    """Policies and roles. Raises AwsError where these credentials may not look."""
    details = _details(call)
    documents = {policy["Arn"]: _default(policy) for policy in details["policies"]}
    for kind in ("user", "group", "role"):
        for entity in details[f"{kind}s"]:
            if not _is_aws_own(entity):
                yield from policies(kind, entity, documents)
    for role in details["roles"]:
        yield from stale_role(role, now)


def root(call: Call, _: datetime) -> Iterator[Finding]:
    """The root user should have MFA and no access keys."""
    summary = call(iam("GetAccountSummary"))["SummaryMap"]
    if not summary.get("AccountMFAEnabled"):
        fix = "log in as root, Security credentials, Assign MFA device"
        yield Finding(severity="critical", what="account/root", finding="the root user has no MFA", fix=fix)
    if summary.get("AccountAccessKeysPresent"):
        fix = "log in as root, Security credentials, delete the access keys"
        yield Finding(severity="critical", what="account/root", finding="the root user has access keys", fix=fix)


def users(call: Call, now: datetime) -> Iterator[Finding]:
    """Users with a password should have MFA, and access keys should be young and in use."""
    for user in pages(call, iam("ListUsers"), items="Users", token=MARKER):
        yield from unless_denied(f"user/{user['UserName']}", partial(_user, call, user["UserName"], now))


def _user(call: Call, name: str, now: datetime) -> Iterator[Finding]:
    password = lookup(call, iam("GetLoginProfile", UserName=name))
    devices = list(pages(call, iam("ListMFADevices", UserName=name), items="MFADevices", token=MARKER))
    if password is not None and not devices:
        fix = f"aws iam enable-mfa-device --user-name {name} … (users can do it themselves under Security credentials)"
        yield Finding(severity="high", what=f"user/{name}", finding="has a password and no MFA", fix=fix)
    for key in pages(call, iam("ListAccessKeys", UserName=name), items="AccessKeyMetadata", token=MARKER):
        used = call(iam("GetAccessKeyLastUsed", AccessKeyId=key["AccessKeyId"]))["AccessKeyLastUsed"]
        yield from access_key(key, used.get("LastUsedDate"), now)


def access_key(key: Described, used: datetime | None, now: datetime) -> Iterator[Finding]:
    """A key that is old or unused. Pure."""
    if key.get("Status") != "Active" or now - key["CreateDate"] < STALE:
        return
    name, number, age = key["UserName"], key["AccessKeyId"], (now - key["CreateDate"]).days
    what = f"user/{name}"
    if used is None or now - used > STALE:
        fix = f"aws iam update-access-key --status Inactive --access-key-id {number} --user-name {name}"
        since = "never used" if used is None else f"not used for {(now - used).days} days"
        yield Finding(severity="medium", what=what, finding=f"the access key {number} is {since}", fix=fix)
    else:
        fix = f"aws iam create-access-key --user-name {name}, switch to the new key, then delete {number}"
        yield Finding(severity="medium", what=what, finding=f"the access key {number} is {age} days old", fix=fix)


def policies(kind: str, entity: Described, documents: Mapping[str, Any]) -> Iterator[Finding]:
    """Policies that allow an entity everything, or everything of a service. Pure."""
    name = entity[f"{kind.capitalize()}Name"]
    for policy in entity.get("AttachedManagedPolicies", ()):
        arn, title = policy["PolicyArn"], policy["PolicyName"]
        detach = f"aws iam detach-{kind}-policy --{kind}-name {name} --policy-arn {arn}"
        fix = f"./inv iam shows the needed permissions; {detach}"
        yield from _wide(f"{kind}/{name}", title, documents.get(arn), fix, known=title)
    for policy in entity.get(f"{kind.capitalize()}PolicyList", ()):
        title = policy["PolicyName"]
        delete = f"aws iam delete-{kind}-policy --{kind}-name {name} --policy-name {title}"
        fix = f"list actions and ARNs in the policy; or {delete}"
        yield from _wide(f"{kind}/{name}", title, document(policy["PolicyDocument"]), fix)


def _wide(what: str, title: str, content: Any, fix: str, known: str = "") -> Iterator[Finding]:
    if known == "AdministratorAccess" or allows_all(content):
        yield Finding(severity="critical", what=what, finding=f"{title} allows everything", fix=fix)
    elif known.endswith("FullAccess") or wildcards(content):
        wide = ", ".join(wildcards(content))
        finding = f"{title} allows {wide} on everything" if wide else f"{title} allows everything of a service"
        yield Finding(severity="high", what=what, finding=finding, fix=fix)


def allows_all(content: Any) -> bool:
    """Whether a policy document allows every action on every resource."""
    return any("*" in _list(each.get("Action")) and "*" in _list(each.get("Resource")) for each in _allowing(content))


def wildcards(content: Any) -> list[str]:
    """The actions of whole services (s3:*) that a document allows on every resource without a condition."""
    actions = {
        action
        for each in _allowing(content)
        if "*" in _list(each.get("Resource")) and not each.get("Condition")
        for action in _list(each.get("Action"))
    }
    return sorted(action for action in actions if action.endswith(":*"))


def stale_role(role: Described, now: datetime) -> Iterator[Finding]:
    """A role that was not used for 90 days. Pure."""
    if _is_aws_own(role):
        return
    used = role.get("RoleLastUsed", {}).get("LastUsedDate")
    last = used or role["CreateDate"]
    if now - last > STALE:
        days, name = (now - last).days, role["RoleName"]
        finding = f"not used for {days} days" if used else f"never used in the {days} days since it was created"
        fix = f"aws iam delete-role --role-name {name} (detach its policies first)"
        yield Finding(severity="medium", what=f"role/{name}", finding=finding, fix=fix)


def document(text: Any) -> Any:
    """A policy document. botocore decodes it in some answers, and leaves percent-encoded JSON in others."""
    return json.loads(unquote(text)) if isinstance(text, str) else text


def _details(call: Call) -> dict[str, list[Described]]:
    """Users, groups, roles and policies of the account. Each page of the answer holds some of each."""
    keys = {"UserDetailList": "users", "GroupDetailList": "groups", "RoleDetailList": "roles", "Policies": "policies"}
    details: dict[str, list[Described]] = {name: [] for name in keys.values()}
    params: dict[str, Any] = {}
    while True:
        answer = call(iam("GetAccountAuthorizationDetails", **params))
        for key, name in keys.items():
            details[name] += answer.get(key, ())
        if not answer.get("IsTruncated"):
            return details
        params = {"Marker": answer["Marker"]}


def _default(policy: Described) -> Any:
    versions = [each for each in policy.get("PolicyVersionList", ()) if each.get("IsDefaultVersion")]
    return document(versions[0].get("Document")) if versions else None


def _is_aws_own(entity: Described) -> bool:
    return str(entity.get("Path", "/")).startswith("/aws-service-role/")


def _allowing(content: Any) -> Iterable[Described]:
    statements = (content or {}).get("Statement", ())
    return [
        each for each in ([statements] if isinstance(statements, dict) else statements) if each["Effect"] == "Allow"
    ]


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())
