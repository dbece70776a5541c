"""Which services can assume a role: those that it trusts, under its conditions."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.config.settings import Settings, choose, parse
from deploy.iam.document import Document
from deploy.iam.policies import endpoint, function, training
from localcloud.errors import ApiError
from localcloud.iam import require_instance_profile, require_lambda_role, require_sagemaker_role, trusts
from tests.unit.deploy.conftest import TOML

SAGEMAKER, LAMBDA = "sagemaker.amazonaws.com", "lambda.amazonaws.com"
ARN = "arn:aws:iam::123456789012:role/one"
JOB = "arn:aws:sagemaker:us-east-1:123456789012:training-job/j"
INFERENCE = "arn:aws:sagemaker:us-east-1:123456789012:*"


def trust(principal: Any = SAGEMAKER, **conditions: Any) -> Document:
    statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    return {"Statement": [statement | ({"Condition": conditions} if conditions else {})]}


def context(source: str) -> dict[str, str]:
    return {"aws:SourceAccount": "123456789012", "aws:SourceArn": source}


@pytest.mark.parametrize(
    ("document", "can_assume"),
    [
        (trust(), True),
        (trust([LAMBDA, SAGEMAKER]), True),
        (trust(LAMBDA), False),
        ({"Statement": []}, False),
        ({"Statement": {**trust()["Statement"][0], "Effect": "Deny"}}, False),
        ({"Statement": [*trust()["Statement"], {**trust()["Statement"][0], "Effect": "Deny"}]}, False),
        ({"Statement": {**trust()["Statement"][0], "Action": ["sts:TagSession"]}}, False),
        ({"Statement": {**trust()["Statement"][0], "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}}, False),
        (trust(StringEquals={"aws:SourceAccount": "123456789012"}), True),
        (trust(StringEquals={"aws:SourceAccount": "999999999999"}), False),
        (trust(ArnLike={"aws:SourceArn": ["arn:aws:sagemaker:us-east-1:123456789012:training-job/*"]}), True),
        (trust(ArnLike={"aws:SourceArn": "arn:aws:sagemaker:us-east-1:123456789012:notebook-instance/*"}), False),
        (trust(StringEquals={"sts:ExternalId": "secret"}), False),
        (trust(NumericLessThan={"aws:SourceAccount": "123456789012"}), False),
    ],
)
def test_services_that_a_role_trusts_can_assume_it_under_its_conditions(document: Document, can_assume: bool) -> None:
    assert trusts(document, SAGEMAKER, context(JOB)) is can_assume


@pytest.fixture
def settings() -> Settings:
    return choose(parse(TOML.read_text()), "local")


def test_only_its_own_service_can_assume_each_role_that_kennel_creates(settings: Settings) -> None:
    assert trusts(training.trust(settings), SAGEMAKER, context(JOB))
    assert trusts(endpoint.trust(settings), SAGEMAKER, context(INFERENCE))
    assert trusts(function.trust(settings), LAMBDA, context("arn:any"))
    assert not trusts(training.trust(settings), SAGEMAKER, context(INFERENCE))
    assert not trusts(training.trust(settings), SAGEMAKER, context(JOB.replace("123456789012", "999999999999")))
    assert not trusts(function.trust(settings), SAGEMAKER, context(JOB))


class NoRole:
    def can_assume(self, arn: str, service: str, source: str) -> bool:
        return False

    def has_profile(self, name: str) -> bool:
        return False


def test_a_role_that_cannot_be_assumed_is_refused_in_the_words_of_the_service() -> None:
    with pytest.raises(ApiError, match=f"Could not assume role {ARN}. Please ensure that the role exists") as refused:
        require_sagemaker_role(NoRole(), ARN, JOB)
    assert refused.value.code == "ValidationException"
    with pytest.raises(ApiError, match=r"The role defined for the function cannot be assumed by Lambda\.") as refused:
        require_lambda_role(NoRole(), ARN, JOB)
    assert refused.value.code == "InvalidParameterValueException"
    with pytest.raises(ApiError, match=r"Value \(p\) for .* is invalid\. Invalid IAM Instance Profile name") as refused:
        require_instance_profile(NoRole(), "p")
    assert refused.value.code == "InvalidParameterValue"
