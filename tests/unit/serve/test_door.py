"""The door before Flask: it refuses what admission would refuse, says the same, and lets all else through."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from serve.admission import Admission
from serve.door import Door, Environ
from serve.metrics import Metrics

INSIDE = b"inside"


def inside(_: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [])
    return [INSIDE]


@pytest.fixture
def full() -> Iterator[Admission]:
    """Room for one picture, which is taken."""
    admission = Admission(max_requests=9, max_pictures=1, max_wait=1.0, always=1)
    with admission.pictures(1):
        yield admission


def asked(
    door: Door, path: str = "/invocations", method: str = "POST", body: io.BytesIO | None = None, **headers: str
) -> tuple[str, dict[str, str], bytes]:
    said: list[Any] = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method, "wsgi.input": body or io.BytesIO(b"a picture"), **headers}
    answer = b"".join(door(environ, lambda status, headers: said.extend((status, dict(headers)))))
    return said[0], said[1], answer


def test_what_has_no_room_is_refused_with_its_reason_and_when_to_ask_again(full: Admission) -> None:
    metrics = Metrics()
    status, headers, body = asked(Door(inside, full, metrics))
    assert status.startswith("503 ")
    assert json.loads(body)["error"]["code"] == "queue-full"
    assert (headers["Retry-After"], headers["Content-Length"]) == ("1", str(len(body)))
    text = metrics.text().decode()
    assert 'kennel_requests_total{code="503",path="/invocations"} 1.0' in text
    assert 'kennel_refused_total{kind="queue-full"} 1.0' in text


def test_its_body_is_read_since_a_caller_that_still_sends_would_see_a_reset(full: Admission) -> None:
    stream = io.BytesIO(bytes(200_000))
    asked(Door(inside, full, Metrics()), body=stream)
    assert stream.read() == b""


@pytest.mark.parametrize(
    ("given", "back"), [("c000;trace=1", "c000;trace=1"), ("", None), ("é", None), ("x" * 1025, None)]
)
def test_a_callers_attributes_return_as_from_inside(full: Admission, given: str, back: str | None) -> None:
    key = "X-Amzn-SageMaker-Custom-Attributes"
    _, headers, _ = asked(Door(inside, full, Metrics()), HTTP_X_AMZN_SAGEMAKER_CUSTOM_ATTRIBUTES=given)
    assert (headers.get(key), headers["X-Content-Type-Options"]) == (back, "nosniff")


@pytest.mark.parametrize(("path", "method"), [("/ping", "GET"), ("/metrics", "GET"), ("/invocations", "GET")])
def test_all_but_pictures_go_in_however_full_it_is(full: Admission, path: str, method: str) -> None:
    assert asked(Door(inside, full, Metrics()), path, method)[2] == INSIDE


def test_pictures_go_in_while_there_is_room() -> None:
    admission = Admission(max_requests=9, max_pictures=1, max_wait=1.0, always=1)
    assert asked(Door(inside, admission, Metrics()))[2] == INSIDE
