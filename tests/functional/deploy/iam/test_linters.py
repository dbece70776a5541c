"""parliament and cloudsplaining find nothing in any document except findings that are listed here with a reason."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.config.general import Iam
from deploy.config.settings import Settings
from deploy.iam.document import Document
from deploy.iam.policies import auditor, deployer, ec2, endpoint, function, notebook, training
from tests.functional.deploy.iam.tools import Tools

DRIVER = Path(__file__).with_name("lint.py")


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """A finding that we accept: in documents whose name begins with `document`, of a kind, whose detail begins with
    `about`."""

    document: str
    finding: str
    about: str
    reason: str

    def covers(self, row: Sequence[str]) -> bool:
        name, finding, detail = row
        return name.startswith(self.document) and finding == self.finding and detail.startswith(self.about)


ACCEPTED = (
    Accepted(
        document="",
        finding="cloudsplaining credentials exposure",
        about='["ecr:GetAuthorizationToken"]',
        reason="who pulls or pushes must log in; the token allows no more than the rest of the policy",
    ),
    Accepted(
        document="auditor",
        finding="parliament RESOURCE_STAR",
        about="",
        reason="a review looks at the whole account; a test holds that it only reads",
    ),
    Accepted(
        document="deployer-calling",
        finding="parliament RESOURCE_MISMATCH",
        about="[{'action': 'ec2:RunInstances'",
        reason="an instance is many things, and each kind is bound by another condition: a statement a kind",
    ),
    Accepted(
        document="deployer-calling",
        finding="parliament RESOURCE_MISMATCH",
        about="[{'action': 'ec2:CreateSecurityGroup'",
        reason="the group is bound by its tags, and the VPC that it stands in is not ours: two statements",
    ),
    Accepted(
        document="deployer-calling",
        finding="parliament RESOURCE_STAR",
        about="['cloudwatch:DescribeAlarms'] ",
        reason="alarms are found by their prefix, and CloudWatch answers that to a right on everything only",
    ),
    Accepted(
        document="deployer-rights-private",
        finding="parliament MISMATCHED_TYPE_BUT_USABLE",
        about="Type mismatch: StringEquals requires a value of type String but given Arn",
        reason="IAM's guide compares iam:PermissionsBoundary as a string",
    ),
)


def every_document(settings: Settings) -> dict[str, Document]:
    roles = {
        "training": training.policy,
        "endpoint": endpoint.policy,
        "lambda": function.policy,
        "ec2": ec2.policy,
        "notebook": notebook.policy,
        "auditor": auditor.policy,
    }
    return {name: make(settings) for name, make in roles.items()} | {
        f"deployer-{topic}": document for topic, document in deployer.policies(settings).items()
    }


@pytest.fixture
def private(settings: Settings) -> Settings:
    """The settings with everything that widens a policy: a key, a VPC, a boundary, an asynchronous endpoint."""
    placed = {
        "kms_key": "arn:aws:kms:us-east-1:123456789012:key/01234567-89ab-cdef-0123-456789abcdef",
        "subnets": ("subnet-1a",),
        "security_groups": ("sg-1a",),
    }
    bulk = settings.endpoint.model_copy(update={"kind": "async"})
    return settings.model_copy(
        update={
            "training": settings.training.model_copy(update=placed),
            "endpoints": {"bulk": bulk},
            "iam": Iam(permissions_boundary="arn:aws:iam::123456789012:policy/bounds"),
        }
    )


def findings(tools: Tools, documents: Mapping[str, Document]) -> list[list[str]]:
    """Document, kind of finding and detail of each."""
    done = subprocess.run(
        [tools.python, DRIVER], input=json.dumps(documents), capture_output=True, text=True, timeout=120, check=True
    )
    rows: list[list[str]] = json.loads(done.stdout)
    return rows


def test_the_linters_find_only_accepted_things_in_every_policy(
    tools: Tools, settings: Settings, private: Settings
) -> None:
    documents = every_document(settings)
    documents |= {f"{name}-private": document for name, document in every_document(private).items()}
    rows = findings(tools, documents)
    new = [": ".join(each) for each in rows if not any(known.covers(each) for known in ACCEPTED)]
    assert not new, "\n".join(new)
    assert [known for known in ACCEPTED if not any(known.covers(each) for each in rows)] == []


def test_the_linters_find_a_bad_policy(tools: Tools) -> None:
    wide = {"Sid": "Wide", "Effect": "Allow", "Action": ["s3:GetObject", "s3:PutBucketPolicy"], "Resource": ["*"]}
    unknown = {"Sid": "Unknown", "Effect": "Allow", "Action": ["s3:Fetch"], "Resource": ["*"]}
    misplaced = {"Sid": "Off", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::bucket"]}
    documents: dict[str, dict[str, Any]] = {
        str(statement["Sid"]): {"Version": "2012-10-17", "Statement": [statement]}
        for statement in (wide, unknown, misplaced)
    }
    assert {name for name, _, _ in findings(tools, documents)} == {"Wide", "Unknown", "Off"}
