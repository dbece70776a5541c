"""Golden files: their content, and that every operation that the code names has one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from deploy.config.settings import Settings
from deploy.function.alias import is_warm
from deploy.iam.deployer_role import deployer_role
from deploy.iam.role import training_role
from deploy.notebook.resource import notebook
from deploy.values import Request
from tests.unit.deploy.autoscaling.test_scalable_target import TARGET, observed
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws
from tests.unit.deploy.golden import requests

CODE = Path(__file__).parents[4] / "deploy"
SERVICES = (
    "application-autoscaling", "cloudwatch", "ec2", "ecr", "iam", "lambda", "logs", "pricing", "s3", "sagemaker",
    "sagemaker-runtime", "service-quotas", "ssm", "sts",
)  # fmt: skip
# Asked without any parameter, so that there is nothing to hold.
BARE = {
    "GetAccountAuthorizationDetails", "GetAccountSummary", "GetCallerIdentity", "ListBuckets",
    "ListRequestedServiceQuotaChangeHistory", "ListUsers",
}  # fmt: skip
POLICY_ANSWER = {"Policy": {"DefaultVersionId": "v1"}}
REPLIES: dict[str, Any] = {
    "GetRole": {"Role": {"AssumeRolePolicyDocument": "{}", "Arn": "arn:role"}},
    "GetPolicy": POLICY_ANSWER,
    "GetPolicyVersion": {"PolicyVersion": {"Document": "{}"}},
    "ListAttachedRolePolicies": {"AttachedPolicies": []},
    "DescribeNotebookInstanceLifecycleConfig": {"NotebookInstanceLifecycleConfigArn": "arn:aws:sagemaker:x"},
}


def test_a_request_that_aws_would_refuse_fails() -> None:
    bad = Request(service="sagemaker", operation="DeleteEndpoint", params={"EndpointNam": "x"})
    with pytest.raises(AssertionError, match="Missing required parameter"):
        requests.check("bad", bad)


@pytest.mark.parametrize(
    ("case", "file"),
    [
        ("update-canary", "sagemaker/update-endpoint.canary.json"),
        ("endpoint", "sagemaker/update-endpoint.json"),
        ("back-to-the-endpoint", "sagemaker/update-endpoint.back-to-the-endpoint.json"),
    ],
)
def test_a_golden_file_is_found_by_service_operation_and_case(case: str, file: str) -> None:
    assert requests.file_name(case, Request(service="sagemaker", operation="UpdateEndpoint")) == file


def test_every_golden_file_cites_rules_that_are_documented_and_stands_under_its_operations_name() -> None:
    contracts = (Path(__file__).parents[4] / "docs" / "aws-contracts.md").read_text(encoding="utf-8")
    known = {int(number) for number in re.findall(r"^#### Rule (\d+): ", contracts, re.MULTILINE)}
    for path in requests.FOLDER.rglob("*.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert list(content) == ["operation", "rules", "params"]
        assert set(content["rules"]) <= known, path
        assert path.name.split(".")[0] == xform_name(content["operation"], "-")


def test_every_operation_that_the_code_names_has_a_golden_file() -> None:
    session = botocore.session.get_session()
    known = {name for service in SERVICES for name in session.get_service_model(service).operation_names}
    policies = {CODE / "iam" / "statements.py", *(CODE / "iam" / "policies").glob("*.py")}
    files = [path for path in CODE.rglob("*.py") if path not in policies]
    named = {word for path in files for word in re.findall(r'"([A-Z]\w+)"', path.read_text(encoding="utf-8"))} & known
    held = {json.loads(path.read_text(encoding="utf-8"))["operation"] for path in requests.FOLDER.rglob("*.json")}
    assert len(named) > 150
    assert named - held - BARE == set()
    assert named >= BARE


def test_aws_accepts_the_requests_that_read_resources_and_lists(settings: Settings, golden: Golden) -> None:
    questions_by_operation = {(name, request.operation): request for name, request in questions(settings)}
    for (name, _), request in questions_by_operation.items():
        golden(name, request)


def questions(settings: Settings) -> Iterator[tuple[str, Request]]:
    """What is asked about roles, policies and the notebook, and what takes scaling by hand away."""
    aws = FakeAws(REPLIES)
    iam = settings.iam.model_copy(update={"deployer_principal": "arn:aws:iam::123456789012:role/ci"})
    for resource in (
        *deployer_role(settings.model_copy(update={"iam": iam})),
        training_role(settings),
        notebook(settings)[0],
    ):
        resource.read(aws)
    yield from (("read", request) for request in aws.sent if "Tags" not in request.operation)
    yield "warm", is_warm("kennel-local-classify", "live").request
    undone = TARGET.plan(observed(others=["by-hand"], schedules={"old": {}, **TARGET.desired()["schedules"]}))
    yield from (("by-hand", act) for act in undone.acts if isinstance(act, Request))
