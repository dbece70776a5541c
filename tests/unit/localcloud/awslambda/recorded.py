"""A function as most recordings of Lambda find it, and its refusals as data.

The function f has the versions 1 and 2, the alias live on 1, two statements in its policy, and a URL.
"""

import json
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from tests.unit.localcloud.awslambda.fakes import Fakes


def furnished() -> Fakes:
    """Lambda with the function f."""
    fakes = Fakes()
    fakes.active()
    fakes.do("PublishVersion")
    fakes.do("UpdateFunctionConfiguration", Description="second")
    fakes.later.run()
    fakes.do("PublishVersion")
    fakes.do("CreateAlias", Name="live", FunctionVersion="1")
    for sid in ("s3", "sns"):
        permission = {"StatementId": sid, "Action": "lambda:InvokeFunction", "Principal": f"{sid}.amazonaws.com"}
        fakes.do("AddPermission", **permission)
    fakes.do("CreateFunctionUrlConfig", AuthType="NONE")
    fakes.later.run()
    return fakes


def stored(fakes: Fakes) -> dict[str, Any]:
    """All that is stored of all functions, to compare before and after a request."""
    return {
        function.name: deepcopy(
            {
                "versions": {release.config["Version"]: release.config for release in function.releases()},
                "references": [release.reference for release in function.releases()],
                "aliases": function.aliases,
                "reserved": function.limit.reserved,
                "provisioned": function.provisioned,
                "policies": function.policies,
                "urls": function.urls,
                "tags": function.tags,
            }
        )
        for function in fakes.functions.all()
    }


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A request that Lambda refuses, and its answer. `body`: the members besides the message, Type by default."""

    operation: str
    params: dict[str, Any]
    code: str
    message: str
    body: dict[str, str] = field(default_factory=lambda: {"Type": "User"})

    @property
    def status(self) -> int:
        """Lambda's status of the error's code."""
        return {
            "ResourceNotFoundException": 404, "ProvisionedConcurrencyConfigNotFoundException": 404,
            "ResourceConflictException": 409, "PreconditionFailedException": 412, "AccessDeniedException": 403,
        }.get(self.code, 400)  # fmt: skip

    @property
    def message_key(self) -> str:
        """ResourceNotFoundException alone has its message under a capital letter."""
        return "Message" if self.code in ("ResourceNotFoundException", "AccessDeniedException") else "message"


def shown(refusal: Refusal) -> str:
    """A test's name for a refusal."""
    return f"{refusal.operation} {json.dumps(refusal.params, default=str)[:80]}"
