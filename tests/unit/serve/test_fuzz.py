"""Any bytes get a 200 or a clear 4xx, never a 5xx."""

import base64
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve.environment import Settings
from tests.unit.serve.pictures import encoded
from tests.unit.serve.services import client

TYPES = [
    "image/jpeg",
    "application/json",
    "multipart/form-data; boundary=x",
    "multipart/form-data",
    "",
    "a/b;c",
    ";;",
    "image",
]
SEEDS = [
    encoded("red"),
    encoded("blue", kind="PNG"),
    encoded("green", kind="WEBP"),
    encoded(kind="GIF"),
    encoded(kind="TIFF"),
    encoded(kind="BMP"),
]
few = settings(max_examples=120, deadline=None, database=None, suppress_health_check=list(HealthCheck))
printable = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)


@pytest.fixture(scope="module")
def web() -> Any:
    return client(Settings(max_body_bytes=50_000, max_pixels=100_000))


def answered(response: Any) -> None:
    assert response.status < 500, response.body
    if response.status != 200:
        assert response.json()["error"]["code"]


@few
@given(body=st.binary(max_size=400), content_type=st.sampled_from(TYPES))
def test_random_bytes_of_any_type_give_no_5xx(web: Any, body: bytes, content_type: str) -> None:
    answered(web.post("/invocations", body, content_type))


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid picture with bytes changed, cut out, doubled or cut off."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(data)))
        data[start : start + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@settings(few, max_examples=400)
@given(body=damaged())
def test_damaged_pictures_give_no_5xx(web: Any, body: bytes) -> None:
    answered(web.post("/invocations", body, "application/x-image"))


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=9) | st.just(base64.b64encode(SEEDS[0]).decode()),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["image", "images", "instances", "b64", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@few
@given(value=json_values)
def test_json_of_any_shape_gives_no_5xx(web: Any, value: Any) -> None:
    answered(web.post("/invocations", json.dumps(value).encode(), "application/json"))


@few
@given(accept=printable, attributes=printable, encoding=printable, query=printable)
def test_headers_and_queries_of_any_text_give_no_5xx(
    web: Any, accept: str, attributes: str, encoding: str, query: str
) -> None:
    headers = {"Accept": accept, "X-Amzn-SageMaker-Custom-Attributes": attributes, "Content-Encoding": encoding}
    answered(web.post(f"/invocations?{query}", SEEDS[0], accept, **headers))
