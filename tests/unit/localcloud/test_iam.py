"""Who may take a role: services that it trusts, on the terms of its conditions."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.config.settings import Settings, choose, parse
from deploy.iam.document import Document
from deploy.iam.policies import endpoint, function, training
from localcloud.errors import ApiError, LocalcloudError
from localcloud.iam import (
    DELAY_VARIABLE,
    require_instance_profile,
    require_lambda_role,
    require_sagemaker_role,
    role_delay,
    trusts,
)
from tests.unit.deploy.conftest import TOML

SAGEMAKER, LAMBDA = "sagemaker.amazonaws.com", "lambda.amazonaws.com"
ARN = "arn:aws:iam::123456789012:role/one"
JOB = "arn:aws:sagemaker:us-east-1:123456789012:training-job/j"
INFERENCE = "arn:aws:sagemaker:us-east-1:123456789012:*"


def trust(principal: Any = SAGEMAKER, **conditions: Any) -> Document:
    statement = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
    return {"Statement": [statement | ({"Condition": conditions} if conditions else {})]}


def known(source: str) -> dict[str, str]:
    return {"aws:SourceAccount": "123456789012", "aws:SourceArn": source}


@pytest.mark.parametrize(
    ("document", "taken"),
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
def test_a_role_is_taken_by_whom_it_trusts_on_its_conditions(document: Document, taken: bool) -> None:
    assert trusts(document, SAGEMAKER, known(JOB)) is taken


@pytest.fixture
def settings() -> Settings:
    return choose(parse(TOML.read_text()), "local")


def test_the_products_own_roles_are_taken_by_their_services_and_by_no_other(settings: Settings) -> None:
    assert trusts(training.trust(settings), SAGEMAKER, known(JOB))
    assert trusts(endpoint.trust(settings), SAGEMAKER, known(INFERENCE))
    assert trusts(function.trust(settings), LAMBDA, known("arn:any"))
    assert not trusts(training.trust(settings), SAGEMAKER, known(INFERENCE))
    assert not trusts(training.trust(settings), SAGEMAKER, known(JOB.replace("123456789012", "999999999999")))
    assert not trusts(function.trust(settings), SAGEMAKER, known(JOB))


class NoRole:
    def can_assume(self, arn: str, service: str, source: str) -> bool:
        return False

    def has_profile(self, name: str) -> bool:
        return False


def test_a_role_that_cannot_be_taken_is_refused_in_the_words_of_the_service() -> None:
    with pytest.raises(ApiError, match=f"Could not assume role {ARN}. Please ensure that the role exists") as refused:
        require_sagemaker_role(NoRole(), ARN, JOB)
    assert refused.value.code == "ValidationException"
    with pytest.raises(ApiError, match=r"The role defined for the function cannot be assumed by Lambda\.") as refused:
        require_lambda_role(NoRole(), ARN, JOB)
    assert refused.value.code == "InvalidParameterValueException"
    with pytest.raises(ApiError, match=r"Value \(p\) for .* is invalid\. Invalid IAM Instance Profile name") as refused:
        require_instance_profile(NoRole(), "p")
    assert refused.value.code == "InvalidParameterValue"


def test_how_long_a_new_role_is_unknown_is_told_in_seconds() -> None:
    assert role_delay({}) == 0
    assert role_delay({DELAY_VARIABLE: "2.5"}) == 2.5
    for wrong in ("soon", "-1", "61"):
        with pytest.raises(LocalcloudError, match=DELAY_VARIABLE):
            role_delay({DELAY_VARIABLE: wrong})
