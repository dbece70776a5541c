"""A request as it comes over ASGI: whole, in parts, late, cut off, or refused."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from serve.asgi import CONNECTION, Answer, Request, send_answer
from serve.errors import BadRequestError

LIMIT = 10


class FakeCaller:
    """Sends `parts`, then leaves; with `stalls` it stays and sends nothing more."""

    def __init__(self, *parts: bytes, last: bool = True, stalls: bool = False) -> None:
        self.messages: list[dict[str, Any]] = [
            {"type": "http.request", "body": part, "more_body": True} for part in parts
        ]
        if last:
            self.messages.append({"type": "http.request", "body": b""})
        self._stalls = stalls

    async def receive(self) -> dict[str, Any]:
        if not self.messages and self._stalls:
            await asyncio.sleep(60)
        return self.messages.pop(0) if self.messages else {"type": "http.disconnect"}

    def request(self, *headers: tuple[bytes, bytes], seconds: float = 5.0, **extensions: Any) -> Request:
        scope = {"method": "POST", "path": "/", "query_string": b"", "headers": headers}
        return Request(scope | {"extensions": extensions}, self.receive, seconds=seconds)


def body(request: Request) -> bytes:
    return asyncio.run(request.body(LIMIT))


@pytest.mark.parametrize("parts", [[], [b"abc"], [b"a", b"", b"bc"], [b"0123456789"]])
def test_a_body_is_its_parts_in_order(parts: list[bytes]) -> None:
    assert body(FakeCaller(*parts).request()) == b"".join(parts)


def test_a_body_beyond_the_limit_is_refused_when_announced_or_when_it_is_there() -> None:
    announced, streamed = FakeCaller(b"x"), FakeCaller(b"x" * 6, b"x" * 6, b"x" * 6)
    for caller, headers in ((announced, [(b"content-length", b"11")]), (streamed, [])):
        with pytest.raises(BadRequestError, match="larger than 10 bytes") as refused:
            body(caller.request(*headers))
        assert (refused.value.status, refused.value.code) == (413, "body-too-large")
        assert caller.messages, "it is not read to its end"


@pytest.mark.parametrize(("stalls", "when"), [(True, "within 0.05 s"), (False, "before the caller left")])
def test_a_body_that_does_not_arrive_says_how_much_did(stalls: bool, when: str) -> None:
    caller = FakeCaller(b"abc", last=False, stalls=stalls)
    with pytest.raises(BadRequestError, match=f"3 of 9 bytes {when}") as refused:
        body(caller.request((b"content-length", b"9"), seconds=0.05))
    assert (refused.value.status, refused.value.code) == (400, "incomplete")


def test_what_a_refused_caller_still_sends_is_read_but_no_caller_gets_100_continue() -> None:
    sends, waits, leaves = FakeCaller(b"x" * 99, b"y" * 99), FakeCaller(b"x"), FakeCaller(b"x", last=False)
    for caller, headers in ((sends, []), (waits, [(b"expect", b"100-continue")]), (leaves, [])):
        asyncio.run(caller.request(*headers).discard())
    assert (sends.messages, len(waits.messages), leaves.messages) == ([], 2, [])


def test_a_refused_caller_that_got_100_continue_is_read_to_the_end_too() -> None:
    async def refused(request: Request) -> None:
        with pytest.raises(BadRequestError):
            await request.body(LIMIT)
        await request.discard()

    caller = FakeCaller(b"x" * 11, b"x" * 99)
    asyncio.run(refused(caller.request((b"expect", b"100-continue"))))
    assert caller.messages == []


def test_a_header_that_came_twice_is_one_list() -> None:
    request = FakeCaller().request(
        (b"accept", b"a/b"), (b"accept", b"c/d;q=0.1"), (b"content-type", b"Image/JPEG ; x=y")
    )
    assert (request.headers["accept"], request.content_type) == ("a/b,c/d;q=0.1", "Image/JPEG ; x=y")


def test_an_answer_tells_its_type_its_length_and_what_it_is_given() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(send_answer(send, Answer(status=404, body=b"abc", headers={"retry-after": "1"}), {"x-a": "b"}))
    assert sent[0]["status"] == 404
    assert dict(sent[0]["headers"]) == {
        b"content-type": b"application/json",
        b"content-length": b"3",
        b"retry-after": b"1",
        b"x-a": b"b",
    }
    assert sent[1] == {"type": "http.response.body", "body": b"abc"}


def test_a_request_carries_its_caller_who_waits_until_the_deadline_and_while_the_connection_is_open() -> None:
    connection = SimpleNamespace(has_left=False)
    caller = FakeCaller().request(seconds=5, **{CONNECTION: connection}).caller
    assert (caller.has_left, caller.waits) == (False, True)
    assert 4 < caller.seconds_left() <= 5
    connection.has_left = True
    assert (caller.has_left, caller.waits) == (True, False)
    late = FakeCaller().request(seconds=0).caller
    assert (late.has_left, late.waits, late.seconds_left()) == (False, False, 0)


def test_a_caller_whose_request_failed_waits_no_longer() -> None:
    caller = FakeCaller().request().caller
    caller.request_failed()
    assert (caller.has_left, caller.waits) == (False, False)
