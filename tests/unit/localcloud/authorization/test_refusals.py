"""Refusals in AWS's words, in each protocol's form."""

import json

import pytest

from localcloud.authorization import refusals
from localcloud.authorization.needs import Need
from localcloud.authorization.simulator import Decision, Kind, Verdict

CALLER = "arn:aws:sts::123456789012:assumed-role/deployer/ann"
MODEL = "arn:aws:sagemaker:us-east-1:123456789012:model/m"
CREATE = Need(action="sagemaker:CreateModel", resource=MODEL)
SAID = f"User: {CALLER} is not authorized to perform: sagemaker:CreateModel on resource: {MODEL}"


@pytest.mark.parametrize(
    ("decision", "by", "reason"),
    [
        ("ImplicitlyDenied", "identity", " because no identity-based policy allows the sagemaker:CreateModel action"),
        ("ImplicitlyDenied", "boundary", " because no permissions boundary allows the sagemaker:CreateModel action"),
        ("ImplicitlyDenied", "session", " because no session policy allows the sagemaker:CreateModel action"),
        ("ExplicitlyDenied", "identity", " with an explicit deny in an identity-based policy"),
        ("ExplicitlyDenied", "resource", " with an explicit deny in a resource-based policy"),
        ("ExplicitlyDenied", "boundary", " with an explicit deny in a permissions boundary"),
    ],
)
def test_the_words_name_the_kind_of_policy(decision: Decision, by: Kind, reason: str) -> None:
    assert refusals.words(CALLER, CREATE, Verdict(decision=decision, by=by)) == SAID + reason


def test_s3_quotes_the_resource_and_names_none_for_the_list_of_buckets() -> None:
    get = refusals.words(CALLER, Need(action="s3:GetObject", resource="arn:aws:s3:::b/k"), Verdict())
    assert ' on resource: "arn:aws:s3:::b/k" because' in get
    buckets = refusals.words(CALLER, Need(action="s3:ListAllMyBuckets"), Verdict())
    assert "perform: s3:ListAllMyBuckets because" in buckets


def test_sts_gives_no_reason() -> None:
    assume = Need(action="sts:AssumeRole", resource="arn:aws:iam::123456789012:role/r")
    assert refusals.words(CALLER, assume, Verdict()).endswith(
        "sts:AssumeRole on resource: arn:aws:iam::123456789012:role/r"
    )


@pytest.mark.parametrize(
    ("speaks", "denied", "unknown", "expired"),
    [
        ("json", ("AccessDeniedException", 400), "UnrecognizedClientException", "ExpiredTokenException"),
        ("rest-json", ("AccessDeniedException", 403), "UnrecognizedClientException", "ExpiredTokenException"),
        ("query", ("AccessDenied", 403), "InvalidClientTokenId", "ExpiredToken"),
        ("ec2", ("UnauthorizedOperation", 403), "AuthFailure", "RequestExpired"),
        ("rest-xml", ("AccessDenied", 403), "InvalidAccessKeyId", "ExpiredToken"),
    ],
)
def test_each_protocol_has_its_codes(speaks: str, denied: tuple[str, int], unknown: str, expired: str) -> None:
    refused = refusals.denied(speaks, SAID)
    assert (refused.code, refused.status) == denied
    assert SAID in refused.message
    assert refusals.unknown_key(speaks).code == unknown
    assert refusals.expired(speaks).code == expired


def test_ec2_puts_a_sentence_before_and_an_encoded_message_behind() -> None:
    message = refusals.denied("ec2", SAID).message
    assert message.startswith(
        f"You are not authorized to perform this operation. {SAID}. Encoded authorization failure"
    )


def test_a_refusal_has_the_protocols_form() -> None:
    for speaks in ("json", "rest-json"):
        answer = refusals.response(speaks, refusals.denied(speaks, SAID))
        assert isinstance(answer.body, bytes)
        assert json.loads(answer.body)["message"] == SAID
        assert answer.headers["x-amzn-ErrorType"] == "AccessDeniedException"
    query = refusals.response("query", refusals.denied("query", "a < b"))
    assert query.body.startswith(b"<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>")  # type: ignore[union-attr]
    assert b"a &lt; b" in query.body
    head = refusals.response("rest-xml", refusals.denied("rest-xml", SAID), head=True)
    assert (head.status, head.body) == (403, b"")


def test_cloudwatch_names_the_code_of_its_older_protocol_too() -> None:
    answer = refusals.response("json", refusals.denied("json", SAID), signing_name="monitoring")
    assert answer.headers["x-amzn-query-error"] == "AccessDenied;Sender"
    assert "x-amzn-query-error" not in refusals.response("json", refusals.denied("json", SAID)).headers
