"""Facts are collected by name, with requests that only read; what may not be read does not end the collection."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.commands.why import show, to_json, why
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.diagnosis.collect import Collector, trusted_services
from deploy.diagnosis.facts import Facts, ObservedImage
from deploy.diagnosis.images import split
from deploy.images import checks
from deploy.session import Session
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, refusal

NOW = datetime(2026, 11, 21, 5, tzinfo=UTC)
GONE = refusal("ValidationException", "Could not find it")
NOWHERE: dict[str, Any] = {
    "DescribeEndpoint": GONE, "DescribeTrainingJob": GONE, "GetFunction": refusal("ResourceNotFoundException"),
    "DescribeTransformJob": GONE, "DescribeHyperParameterTuningJob": refusal("ResourceNotFound"),
    "GetRole": refusal("NoSuchEntity"), "DescribeImages": refusal("RepositoryNotFoundException", "does not exist"),
}  # fmt: skip
TRUST = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}}]}
ROLE = {"GetRole": {"Role": {"AssumeRolePolicyDocument": TRUST, "CreateDate": NOW - timedelta(days=1)}}}
ENDPOINT = {
    "EndpointName": "kennel-local", "EndpointStatus": "InService", "EndpointConfigName": "kennel-local-c",
    "LastModifiedTime": NOW,
    "ProductionVariants": [{"VariantName": "main", "CurrentInstanceCount": 2}],
}  # fmt: skip
CONFIG = {"ProductionVariants": [{"VariantName": "main", "ModelName": "kennel-local-m", "InitialInstanceCount": 1}]}
MODEL = {
    "ExecutionRoleArn": "arn:aws:iam::1:role/kennel-local-endpoint",
    "PrimaryContainer": {"Image": "kennel/serve:1", "ModelDataUrl": "s3://b/m"},
}
ACTIVITY = {
    "StatusCode": "Successful",
    "EndTime": NOW,
    "StatusMessage": "Successfully set desired instance count to 3.",
}
FUNCTION = {
    "Configuration": {"Role": "arn:aws:iam::1:role/kennel-local-lambda", "State": "Active"},
    "Code": {"ImageUri": "r.example:5000/kennel-local/lambda@sha256:1"},
}
WARM = {"FunctionArn": "arn:f:live", "RequestedProvisionedConcurrentExecutions": 2, "Status": "READY"}


class NoImages:
    """No registry and no engine holds an image."""

    def look(self, uri: str, consumer: checks.Consumer) -> ObservedImage:
        return ObservedImage(uri=uri, consumer=consumer, facts=None)


def collect(settings: Settings, name: str, replies: Mapping[str, Any]) -> tuple[Facts, FakeAws]:
    aws = FakeAws({**NOWHERE, **replies})
    return Collector(settings=settings, call=aws, images=NoImages(), now=lambda: NOW).collect(name), aws


def serving(**more: Any) -> dict[str, Any]:
    replies = {"DescribeEndpoint": ENDPOINT, "DescribeEndpointConfig": CONFIG, "DescribeModel": MODEL, **ROLE}
    return {**replies, "DescribeScalingActivities": {"ScalingActivities": [ACTIVITY]}, **more}


def test_the_facts_of_an_endpoint_are_its_images_roles_and_what_scaling_did(settings: Settings) -> None:
    facts, _ = collect(settings, "kennel-local", serving())
    assert (facts.kind, facts.status, facts.is_well) == ("endpoint", "InService", True)
    assert [image.uri for image in facts.images] == ["kennel/serve:1"]
    assert facts.roles[0].trusted == ("sagemaker.amazonaws.com",)
    (variant,) = facts.variants
    assert (variant.now, variant.initial, variant.scaled, variant.artifact) == (2, 1, 3, "s3://b/m")


def test_the_facts_of_a_function_are_its_aliases_and_concurrency(settings: Settings) -> None:
    alias = {"Name": "live", "FunctionVersion": "2", "RoutingConfig": {"AdditionalVersionWeights": {"1": 1.0}}}
    replies = {
        "GetFunction": FUNCTION,
        "ListAliases": {"Aliases": [alias]},
        "ListProvisionedConcurrencyConfigs": {"ProvisionedConcurrencyConfigs": [WARM]},
        "GetFunctionConcurrency": {"ReservedConcurrentExecutions": 5},
    }
    function = collect(settings, "f", replies)[0].function
    assert function is not None
    assert (function.aliases, function.moving, function.reserved) == ({"live": "2"}, ("live",), 5)
    assert [(each.qualifier, each.requested) for each in function.provisioned] == [("live", 2)]


def test_a_failed_update_of_a_function_counts(settings: Settings) -> None:
    failed = {"LastUpdateStatus": "Failed", "LastUpdateStatusReason": "why"}
    facts, _ = collect(settings, "f", {"GetFunction": {"Configuration": {**FUNCTION["Configuration"], **failed}}})
    assert (facts.status, facts.reason) == ("Failed", "why")


@pytest.mark.parametrize(
    ("operation", "answer", "kind", "status"),
    [
        ("DescribeTransformJob", {"TransformJobStatus": "Failed", "FailureReason": "r"}, "transform job", "Failed"),
        ("DescribeHyperParameterTuningJob", {"HyperParameterTuningJobStatus": "Completed"}, "tuning job", "Completed"),
    ],
)
def test_other_jobs_are_found_by_name(
    settings: Settings, operation: str, answer: dict[str, str], kind: str, status: str
) -> None:
    facts, _ = collect(settings, "n", {operation: answer})
    assert (facts.kind, facts.status) == (kind, status)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Client.InstanceInitiatedShutdown: Instance initiated shutdown", ""),
        ("Server.SpotInstanceTermination: gone", "Server.SpotInstanceTermination: gone"),
    ],
)
def test_an_instance_that_ended_itself_has_nothing_to_explain(settings: Settings, message: str, reason: str) -> None:
    shown = {
        "InstanceId": "i-1", "InstanceType": "g5.xlarge", "LaunchTime": NOW, "State": {"Name": "terminated"},
        "StateReason": {"Message": message},
    }  # fmt: skip
    facts, _ = collect(settings, "i-1", {"DescribeInstances": {"Reservations": [{"Instances": [shown]}]}})
    assert (facts.kind, facts.reason) == ("instance", reason)


def test_for_an_unknown_name_images_roles_and_quotas_are_collected(settings: Settings) -> None:
    image = {"imageDigest": "sha256:2", "imagePushedAt": NOW}
    older = {"imageDigest": "sha256:1", "imagePushedAt": NOW - timedelta(days=1)}
    facts, _ = collect(settings, "nobody", {"DescribeImages": {"imageDetails": [older, image]}, **ROLE})
    assert facts.kind == "unknown name"
    assert {image.uri.partition("@")[2] for image in facts.images} == {"sha256:2"}
    assert len(facts.roles) == 3
    assert {row.need.command for row in facts.quotas} == {"train", "deploy"}


def test_what_may_not_be_read_is_listed_and_the_rest_is_collected(settings: Settings) -> None:
    denied = refusal("AccessDeniedException", "not allowed")
    facts, _ = collect(settings, "kennel-local", serving(GetRole=denied, FilterLogEvents=denied))
    assert facts.is_well
    assert [what.partition(":")[0] for what in facts.unreadable] == ["logs", "role kennel-local-endpoint"]


def test_a_kind_that_may_not_be_read_does_not_end_the_search(settings: Settings) -> None:
    facts, _ = collect(settings, "f", {"DescribeEndpoint": refusal("AccessDeniedException"), "GetFunction": FUNCTION})
    assert facts.kind == "function"
    assert len(facts.unreadable) == 1


def test_every_question_is_one_that_aws_takes_and_changes_nothing(settings: Settings, golden: Golden) -> None:
    sent = []
    image = {"imageDetails": [{"imageDigest": "sha256:2", "imagePushedAt": NOW}]}
    for name, replies in (
        ("kennel-local", serving()),
        ("kennel-local-classify", {"GetFunction": FUNCTION}),
        ("kennel-local-nobody", {"DescribeImages": image}),
    ):
        sent += collect(settings, name, replies)[1].sent
    operations = {request.operation: request for request in reversed(sent)}
    assert [name for name in operations if not name.startswith(("Get", "List", "Describe", "Filter", "Head"))] == []
    for request in operations.values():
        golden("why", request)


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("kennel/serve:1", ("", {})),
        ("base", ("", {})),
        ("127.0.0.1:5000/kennel-local/serve@sha256:1", ("kennel-local/serve", {"imageDigest": "sha256:1"})),
        ("1.dkr.ecr.us-east-1.amazonaws.com/a/b:t", ("a/b", {"imageTag": "t"})),
        ("1.dkr.ecr.us-east-1.amazonaws.com/a", ("a", {"imageTag": "latest"})),
    ],
)
def test_an_image_is_looked_for_in_its_registry_or_in_the_engine(
    uri: str, expected: tuple[str, dict[str, str]]
) -> None:
    assert split(uri) == expected


def test_a_trust_policy_names_who_may_assume_the_role() -> None:
    both = {"Effect": "Allow", "Principal": {"Service": ["a", "b"]}}
    others = [{"Effect": "Deny", "Principal": {"Service": "c"}}, {"Effect": "Allow", "Principal": {"AWS": "arn:d"}}]
    assert trusted_services(json.dumps({"Statement": [both, *others]})) == ("a", "b")


def test_the_diagnosis_is_printed_for_people_and_as_json_for_scripts(settings: Settings) -> None:
    out = io.StringIO()
    failed = {**ENDPOINT, "EndpointStatus": "Failed", "FailureReason": "did not pass the ping health check"}
    session = Session(
        settings=settings,
        call=FakeAws({**NOWHERE, **serving(DescribeEndpoint=failed)}),
        build=str,
        screen=Screen(out=out),
    )
    facts, diagnoses = why(session, "kennel-local", NoImages(), now=NOW)
    show(facts, diagnoses, session.screen)
    assert "endpoint kennel-local: Failed" in out.getvalue()
    assert "1. certain: the image kennel/serve:1 does not exist" in out.getvalue()
    assert "next: ./inv push" in out.getvalue()
    document = to_json(facts, diagnoses)
    assert json.loads(json.dumps(document))["diagnoses"][1]["pain"] == 6


def test_a_healthy_endpoint_has_no_diagnosis(settings: Settings) -> None:
    out = io.StringIO()
    facts, _ = collect(settings, "kennel-local", serving())
    show(facts, [], Screen(out=out))
    assert out.getvalue().endswith("healthy\n")
