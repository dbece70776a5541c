"""Which events are understood, and how the others are answered."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_container.errors import RequestError
from lambda_container.event import Picture, StoredObject, Url, is_http, is_preflight, read_event

RAW = b"\xff\xd8\xff some bytes \x00"
BASE64 = base64.b64encode(RAW).decode()


def v2(method: str = "POST", **fields: Any) -> dict[str, Any]:
    """An event as a function URL or an HTTP API sends it."""
    http = {"method": method, "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "curl"}
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": http, "requestId": "id", "stage": "$default"},
        "isBase64Encoded": False,
        **fields,
    }


def v1(method: str = "POST", **fields: Any) -> dict[str, Any]:
    """An event as a REST API sends it: absent values are null."""
    return {
        "resource": "/",
        "path": "/",
        "httpMethod": method,
        "headers": {"Content-Type": "application/json"},
        "multiValueHeaders": None,
        "queryStringParameters": None,
        "requestContext": {"stage": "prod", "identity": {}},
        "body": None,
        "isBase64Encoded": False,
        **fields,
    }


def refused(event: object) -> RequestError:
    with pytest.raises(RequestError) as caught:
        read_event(event)
    return caught.value


def test_an_event_with_a_url_is_understood() -> None:
    event = {"url": "https://example.com/Carolina-Dog-standing-outdoors.jpg"}
    assert read_event(event) == Url("https://example.com/Carolina-Dog-standing-outdoors.jpg")
    assert not is_http(event)


def test_an_object_in_s3_is_understood() -> None:
    assert read_event({"s3": {"bucket": "dogs", "key": "a/b c.jpg"}}) == StoredObject("dogs", "a/b c.jpg")


@pytest.mark.parametrize("text", [BASE64, f"data:image/jpeg;base64,{BASE64}", f"{BASE64[:8]}\r\n{BASE64[8:]}\n"])
def test_a_base64_picture_is_understood_as_programs_and_browsers_write_it(text: str) -> None:
    assert read_event({"image": text}) == Picture(RAW)


@pytest.mark.parametrize(
    "event",
    [
        None,
        [],
        "https://example.com/",
        7,
        {},
        {"ulr": "https://example.com/"},
        {"url": "https://a.test/", "image": BASE64},
        {"url": ""},
        {"url": None},
        {"url": ["https://a.test/"]},
        {"image": 5},
        {"image": "not base64!"},
        {"image": "ÿØÿ"},
        {"image": "abc"},
        {"s3": "s3://bucket/key"},
        {"s3": {"bucket": "dogs"}},
        {"s3": {"bucket": "dogs", "key": 1}},
        {"s3": {"bucket": "dogs", "key": "a", "region": "us-east-1"}},
        {"Records": [{"eventSource": "aws:sqs"}]},
        v2(),
        v2(body="not json"),
        v2(body="[1]"),
        v2(body="[" * 100_000),
        v2(body='{"ulr": 1}'),
        v2("GET"),
        v2("GET", queryStringParameters={"ulr": "x"}),
        v1("GET"),
        v1(),
        v1(headers={"Content-Type": "image/jpeg"}, body="garbled \ufffd text"),
        v1(headers={"Content-Type": "image/jpeg"}, body="***", isBase64Encoded=True),
        v1(body={"url": "not a string"}),
    ],
)
def test_any_other_event_is_answered_400_with_the_valid_forms(event: object) -> None:
    error = refused(event)
    assert (error.status, error.code) == (400, "bad-event")
    if not (isinstance(event, dict) and len(event) == 1 and "s3" in event):
        assert '{"url": "https://…"}' in error.message


@pytest.mark.parametrize("make", [v1, v2])
def test_a_get_names_the_url_in_its_query(make: Any) -> None:
    event = make("GET", queryStringParameters={"url": "https://a.test/dog.jpg"})
    assert read_event(event) == Url("https://a.test/dog.jpg")
    assert is_http(event)


@pytest.mark.parametrize("make", [v1, v2])
@pytest.mark.parametrize("encoded", [False, True])
def test_a_posted_json_body_is_read_like_a_direct_event(make: Any, encoded: bool) -> None:
    for sent, expected in (
        ({"url": "https://a.test/"}, Url("https://a.test/")),
        ({"s3": {"bucket": "dogs", "key": "k"}}, StoredObject("dogs", "k")),
        ({"image": BASE64}, Picture(RAW)),
    ):
        body = json.dumps(sent)
        text = base64.b64encode(body.encode()).decode() if encoded else body
        assert read_event(make(body=text, isBase64Encoded=encoded)) == expected


@pytest.mark.parametrize("make", [v1, v2])
@pytest.mark.parametrize("kind", ["image/jpeg", "IMAGE/PNG", "application/x-image", "application/octet-stream"])
def test_a_posted_picture_is_taken_as_it_is(make: Any, kind: str) -> None:
    event = make(headers={"CONTENT-type": kind}, body=BASE64, isBase64Encoded=True)
    assert read_event(event) == Picture(RAW)


def test_a_body_without_a_type_is_read_as_json() -> None:
    assert read_event(v1(headers=None, body='{"url": "https://a.test/"}')) == Url("https://a.test/")


def test_a_content_type_may_carry_parameters() -> None:
    event = v2(headers={"content-type": "application/json; charset=utf-8"}, body='{"url": "https://a.test/"}')
    assert read_event(event) == Url("https://a.test/")


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "application/xml", "application/x-www-form-urlencoded"]
)
def test_a_body_of_another_type_is_answered_415(kind: str) -> None:
    assert refused(v2(headers={"content-type": kind}, body="x")).status == 415


@pytest.mark.parametrize("make", [v1, v2])
def test_another_method_is_answered_405(make: Any) -> None:
    assert refused(make("DELETE")).status == 405


@pytest.mark.parametrize("make", [v1, v2])
def test_a_browsers_preflight_request_is_recognised(make: Any) -> None:
    assert is_preflight(make("OPTIONS"))
    assert not is_preflight(make("POST"))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["url", "s3", "image", "body", "headers", "requestContext", "httpMethod", "http", "rawPath", "method"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_every_event_of_any_shape_gives_a_source_or_an_error_with_a_code(event: object) -> None:
    is_preflight(event)
    try:
        status = 200 if isinstance(read_event(event), Url | StoredObject | Picture) else 0
    except RequestError as error:
        status = error.status
    assert status in (200, 400, 405, 415)
