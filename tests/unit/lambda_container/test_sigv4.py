"""Compares signatures with botocore's own signer, for many requests."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambda_container.exchange import Request
from lambda_container.sigv4 import Credentials, sign

NOW = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)


def theirs(request: Request, service: str, region: str, credentials: Credentials) -> str:
    """The Authorization header that botocore gives the same request at the same moment."""
    kind: Any = botocore.auth.S3SigV4Auth if service == "s3" else botocore.auth.SigV4Auth
    signer = kind(
        botocore.credentials.Credentials(credentials.access_key, credentials.secret_key, credentials.token or None),
        service,
        region,
    )
    headers = {name: value for name, value in request.headers.items() if name != "Host"}
    url = f"https://{request.headers['Host']}{request.path}"
    aws = botocore.awsrequest.AWSRequest(method=request.method, url=url, headers=headers, data=request.body)
    aws.context["timestamp"] = NOW.strftime("%Y%m%dT%H%M%SZ")
    aws.headers["X-Amz-Date"] = aws.context["timestamp"]
    if credentials.token:
        aws.headers["X-Amz-Security-Token"] = credentials.token
    if service == "s3":
        aws.headers["X-Amz-Content-SHA256"] = hashlib.sha256(request.body).hexdigest()
    canonical = signer.canonical_request(aws)
    text = signer.string_to_sign(aws, canonical)
    signer._inject_signature_to_request(aws, signer.signature(text, aws))
    return str(aws.headers["Authorization"])


def ours(request: Request, service: str, region: str, credentials: Credentials) -> str:
    signed = sign(request, service=service, region=region, credentials=credentials, now=NOW)
    return signed.headers["Authorization"]


PLAIN = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
ROLE = PLAIN._replace(token="IQoJb3JpZ2luX2VjE//////////wEaCXVzLWVhc3Qt+==")
HOST = {"Host": "runtime.sagemaker.us-east-1.amazonaws.com"}


@pytest.mark.parametrize("credentials", [PLAIN, ROLE])
@pytest.mark.parametrize("service", ["sagemaker", "s3"])
@pytest.mark.parametrize(
    "request_",
    [
        Request("POST", "/endpoints/dogs/invocations", {**HOST, "Content-Type": "image/jpeg"}, b"\xff\xd8"),
        Request("GET", "/", HOST),
        Request("GET", "/a%20b/c%2Bd/%C3%BC~x", HOST),
        Request("GET", "/bucket/a-b_c.d~e/f%3Dg%26h", HOST),
        Request("GET", "/x?b=2&a=1&a=0&c", HOST),
        Request("GET", "/x?prefix=a%2Fb&marker=%E2%82%AC", HOST),
        Request("PUT", "/x", {**HOST, "X-Spaces": "  a   b  ", "User-Agent": "kennel", "Expect": "100"}, b""),
        Request("POST", "/x", {"Host": "localhost:4566", "Accept": "application/json;form=full"}, b"{}"),
    ],
)
def test_the_signature_is_botocores(request_: Request, service: str, credentials: Credentials) -> None:
    assert ours(request_, service, "us-east-1", credentials) == theirs(request_, service, "us-east-1", credentials)


@settings(max_examples=100, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=st.lists(
        st.text("abcXYZ019-_.~", min_size=3, max_size=8) | st.sampled_from(["%20x", "a%25b", "%C3%A9", "=,;@"])
    ),
    query=st.lists(
        st.tuples(st.text("abz09-_~", min_size=1, max_size=4), st.text("aZ9%-.", max_size=0) | st.just("%2F"))
    ),
    body=st.binary(max_size=100),
    service=st.sampled_from(["sagemaker", "s3", "execute-api"]),
    region=st.sampled_from(["us-east-1", "eu-central-1", "cn-north-1"]),
    token=st.text("abcXYZ/+=", max_size=30),
)
def test_the_signature_is_botocores_for_any_request(
    *,
    method: str,
    path: list[str],
    query: list[tuple[str, str]],
    body: bytes,
    service: str,
    region: str,
    token: str,
) -> None:
    text = "/" + "/".join(part.replace("..", "x") for part in path)
    if query:
        text += "?" + "&".join(f"{name}={value}" for name, value in query)
    request = Request(method, text, {**HOST, "Content-Type": "image/png"}, body)
    credentials = PLAIN._replace(token=token)
    assert ours(request, service, region, credentials) == theirs(request, service, region, credentials)


def test_a_signed_request_keeps_its_own_headers_and_body() -> None:
    request = Request("POST", "/x", {**HOST, "Accept": "a"}, b"body")
    signed = sign(request, service="s3", region="us-east-1", credentials=ROLE, now=NOW)
    assert signed.body == b"body"
    assert signed.headers["Accept"] == "a"
    assert signed.headers["X-Amz-Date"] == "20260203T040506Z"
    assert signed.headers["X-Amz-Security-Token"] == ROLE.token
    assert signed.headers["X-Amz-Content-SHA256"] == hashlib.sha256(b"body").hexdigest()
