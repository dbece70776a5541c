"""Each rule fires on the facts of its pain, and on nothing that is well."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy.costs.quotas import Need, Quota, Row
from deploy.diagnosis.facts import (
    Facts,
    ObservedFunction,
    ObservedImage,
    ObservedRole,
    ObservedVariant,
    ProvisionedConcurrency,
)
from deploy.diagnosis.rules import STUCK_S, diagnose, telling
from deploy.images import checks
from deploy.images.manifest import DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

T = datetime(2026, 11, 21, 4, tzinfo=UTC)
LATER = T + timedelta(hours=1)
GOOD_FACTS = checks.Facts(media_type=DOCKER_MANIFEST, platform="linux/amd64", entrypoint=("python3",), size=10**9)
GOOD_IMAGE = ObservedImage(uri="r/serve@sha256:1", consumer="SageMaker", facts=GOOD_FACTS)
GOOD_ROLE = ObservedRole(
    name="k", service="sagemaker.amazonaws.com", exists=True, trusted=("sagemaker.amazonaws.com",), age_s=999
)
GOOD_VARIANT = ObservedVariant(
    name="main", instance_type="ml.g5.xlarge", host_image="al2023-ami-sagemaker-inference-gpu-4-1", now=3, initial=1,
    scaled=3, scaled_at=T, artifact="s3://b/new", newest="s3://b/new", newest_at=LATER,
)  # fmt: skip
GOOD_WARM = ProvisionedConcurrency(qualifier="live", requested=3, available=3, status="READY")
GOOD_FUNCTION = ObservedFunction(aliases={"live": "2"}, reserved=5, provisioned=(GOOD_WARM,))
ENDPOINT = Facts(
    kind="endpoint", name="e", status="InService", changed=T, images=(GOOD_IMAGE,), roles=(GOOD_ROLE,),
    variants=(GOOD_VARIANT,),
)  # fmt: skip
FUNCTION = Facts(kind="function", name="f", status="Active", function=GOOD_FUNCTION)
JOB = Facts(kind="training job", name="j", status="Completed", images=(GOOD_IMAGE,), roles=(GOOD_ROLE,))
NEED = Need(command="train", service="sagemaker", name="ml.g5.xlarge for training job usage", amount=1, why="x")
SHORT = Row(need=NEED, quota=Quota(code="L-1", name=NEED.name, value=0))


def image(cuda: str = "", **facts: Any) -> ObservedImage:
    return replace(GOOD_IMAGE, facts=replace(GOOD_FACTS, **facts), cuda=cuda)


def variant(**facts: Any) -> tuple[ObservedVariant, ...]:
    return (replace(GOOD_VARIANT, **facts),)


def warm(**facts: Any) -> ObservedFunction:
    return replace(GOOD_FUNCTION, provisioned=(replace(GOOD_WARM, **facts),))


def failed(facts: Facts, reason: str = "", *lines: str, **more: Any) -> Facts:
    return replace(facts, status="Failed", reason=reason, lines=lines, **more)


OLD_HOST = "al2-ami-sagemaker-inference-gpu-2"
PING = "The primary container for production variant main did not pass the ping health check."
PAINS: list[tuple[int, str, Facts]] = [
    (1, "OCI manifest", failed(ENDPOINT, images=(image(media_type=OCI_MANIFEST),))),
    (1, "only Docker manifests", failed(ENDPOINT, f"Unsupported manifest media type {OCI_MANIFEST}")),
    (2, "is an index", failed(FUNCTION, images=(replace(image(media_type=OCI_INDEX), consumer="Lambda"),))),
    (3, "linux/arm64", failed(JOB, images=(image(platform="linux/arm64"),))),
    (3, "architecture", failed(JOB, "AlgorithmError: , exit code: 1", "standard_init_linux.go: exec format error")),
    (4, "host image", failed(ENDPOINT, images=(image("13.0"),), variants=variant(host_image=OLD_HOST))),
    (4, "driver", failed(ENDPOINT, PING, "RuntimeError: CUDA driver version is insufficient for CUDA runtime")),
    (5, "stuck in Creating for 40 min", replace(ENDPOINT, status="Creating", since_s=2 * STUCK_S)),
    (6, "does not answer GET /ping", failed(ENDPOINT, PING, "ValueError: no model at /opt/ml/model")),
    (7, "has no entrypoint", failed(JOB, images=(image(entrypoint=()),))),
    (7, "accepts `train`", failed(JOB, 'exec: "train": executable file not found in $PATH')),
    (8, "quota ml.g5.xlarge for training", Facts(kind="unknown name", name="j", quotas=(SHORT,))),
    (8, "quota", failed(ENDPOINT, "ResourceLimitExceeded: The account-level service limit 'x' is 0 Instances")),
    (13, "reset the capacity of variant main", replace(ENDPOINT, changed=LATER, variants=variant(now=1))),
    (15, "older model", replace(ENDPOINT, variants=variant(artifact="s3://b/old"))),
    (16, "does not exist", failed(JOB, roles=(replace(GOOD_ROLE, exists=False),))),
    (16, "cannot be assumed by sagemaker", failed(JOB, roles=(replace(GOOD_ROLE, trusted=("ec2.amazonaws.com",)),))),
    (16, "too new", failed(JOB, "Could not assume role arn:…", roles=(replace(GOOD_ROLE, age_s=5),))),
    (20, "failed to start", replace(FUNCTION, function=warm(status="FAILED", available=0))),
    (20, "bound to a version", replace(FUNCTION, function=warm(qualifier="1"))),
    (20, "more than the 2 reserved", replace(FUNCTION, function=replace(GOOD_FUNCTION, reserved=2))),
    (20, "stuck between two versions", replace(FUNCTION, function=replace(GOOD_FUNCTION, moving=("live",)))),
]  # fmt: skip


@pytest.mark.parametrize(("pain", "cause", "facts"), PAINS)
def test_each_pain_is_diagnosed_first_with_its_evidence_and_the_next_command(
    pain: int, cause: str, facts: Facts
) -> None:
    first = diagnose(facts)[0]
    assert first.pain == pain
    assert cause in first.cause
    assert first.evidence
    assert first.command.startswith(("./inv", "set "))


@pytest.mark.parametrize("facts", [ENDPOINT, FUNCTION, JOB, replace(ENDPOINT, status="Creating", since_s=60)])
def test_a_healthy_or_starting_resource_has_no_diagnosis(facts: Facts) -> None:
    assert diagnose(facts) == []


WELL = [
    replace(ENDPOINT, quotas=(SHORT,)),  # it runs: a quota for more instances is not its fault
    replace(ENDPOINT, variants=variant(now=1, scaled_at=LATER)),  # scaled in since
    replace(ENDPOINT, variants=variant(now=1, scaled=0, scaled_at=None)),  # never scaled
    replace(ENDPOINT, changed=LATER, variants=variant(artifact="s3://b/old", newest_at=T)),  # put back on purpose
    replace(ENDPOINT, variants=variant(newest="", newest_at=None, artifact="s3://b/old")),  # nothing to compare with
    replace(
        FUNCTION, function=replace(warm(status="IN_PROGRESS", available=0), moving=("live",))
    ),  # it moves right now
    replace(FUNCTION, function=replace(GOOD_FUNCTION, reserved=None)),
    replace(JOB, lines=("exec format error was avoided",)),
]


@pytest.mark.parametrize("facts", WELL)
def test_facts_close_to_a_pain_are_no_diagnosis(facts: Facts) -> None:
    assert diagnose(facts) == []


def test_the_most_certain_comes_first_and_each_cause_once() -> None:
    lines = ("exec format error", "exec format error")
    diagnoses = diagnose(failed(JOB, "CapacityError: no such instance", *lines, quotas=(SHORT,)))
    assert [each.certainty for each in diagnoses] == ["certain", "likely", "possible"]
    assert [each.pain for each in diagnoses] == [3, 0, 8]


def test_an_image_that_does_not_exist_must_be_pushed() -> None:
    (diagnosis,) = diagnose(failed(JOB, images=(replace(GOOD_IMAGE, facts=None),)))
    assert (diagnosis.cause, diagnosis.command) == ("the image r/serve@sha256:1 does not exist", "./inv push")


def test_an_unrecognised_failure_shows_the_most_telling_lines_and_the_command_for_the_rest() -> None:
    (diagnosis,) = diagnose(failed(JOB, "AlgorithmError: , exit code: 3", "epoch 1", "KeyError: 'cat'", "bye"))
    assert diagnosis.certainty == "possible"
    assert "exit code: 3" in diagnosis.cause
    assert diagnosis.evidence == "KeyError: 'cat'"
    assert diagnosis.command == "./inv logs j"


def test_an_unknown_name_is_reported_as_such() -> None:
    (diagnosis,) = diagnose(Facts(kind="unknown name", name="nobody"))
    assert "no job, endpoint, function or instance has that name" in diagnosis.cause


@pytest.mark.parametrize(
    ("lines", "expected"),
    [(["a", "Error: b", "c"], ["Error: b"]), (["a", "b"], ["a", "b"]), ([], [])],
)
def test_the_lines_that_name_an_error_are_the_most_telling(lines: list[str], expected: list[str]) -> None:
    assert telling(lines) == expected
