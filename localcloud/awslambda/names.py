"""FunctionName in all its forms: NAME, NAME:QUALIFIER, a partial ARN, a whole ARN; and what it means. Pure.

Rule 94. botocore's model holds the form, so that a request with another form never comes here.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.awslambda.refusals import UNMATCHED_QUALIFIER, denied, invalid, unreachable
from localcloud.cloud import Cloud

FORM = re.compile(
    r"(?:arn:(?:aws[a-zA-Z-]*)?:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?"
    r"(?:function:)?(?P<name>[a-zA-Z0-9-_.]+)(?::(?P<qualifier>\$LATEST(?:\.PUBLISHED)?|[a-zA-Z0-9-_]+))?"
)


@dataclass(frozen=True, kw_only=True)
class Named:
    """The function that a request names, with the version or alias. `arn` is the function's own, unqualified."""

    name: str
    arn: str
    qualifier: str | None = None

    @property
    def qualified(self) -> str:
        """The ARN with the qualifier, if there is one."""
        return f"{self.arn}:{self.qualifier}" if self.qualifier else self.arn


def named(params: Mapping[str, Any], cloud: Cloud) -> Named:
    """What a request's FunctionName and Qualifier mean together. Raises ApiError when they contradict each other."""
    text = str(params["FunctionName"])
    match = FORM.fullmatch(text)
    name, derived = (match["name"], match["qualifier"]) if match else (text, None)
    given = params.get("Qualifier")
    if derived and given and derived != given:
        raise invalid(UNMATCHED_QUALIFIER)
    return Named(name=name, arn=cloud.arn("lambda", f"function:{name}"), qualifier=given or derived)


def check_reach(operation: str, text: str, cloud: Cloud) -> None:
    """Refuse the ARN of another Region or account. Raises ApiError."""
    match = FORM.fullmatch(text)
    if match is None:
        return
    if match["region"] not in (None, cloud.region):
        raise unreachable(match["region"], cloud.region)
    if match["account"] not in (None, cloud.account):
        resource = f"arn:aws:lambda:{cloud.region}:{match['account']}:function:{match['name']}"
        raise denied(operation, resource, f"arn:aws:iam::{cloud.account}:root")
