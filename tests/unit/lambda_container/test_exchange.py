"""One request and its answer, byte by byte: which answers are valid, where they end, and what may follow."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lambda_container.deadline import Deadline
from lambda_container.exchange import (
    BrokenAnswerError,
    Request,
    Response,
    TooLargeError,
    UnansweredError,
    exchange,
)

REQUEST = Request("POST", "/a?b=1", {"Host": "a.test", "Content-Length": "2"}, b"hi")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA-Name: a value\r\n\r\nhello"


class Parts:
    """A connection that gives one part per read, and then its end."""

    def __init__(self, parts: Sequence[bytes | OSError]) -> None:
        self._parts = iter(parts)
        self.sent = b""

    def settimeout(self, value: float | None, /) -> None:
        assert value is not None
        assert value > 0

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def recv(self, size: int, /) -> bytes:
        part = next(self._parts, b"")
        if isinstance(part, OSError):
            raise part
        assert len(part) <= size
        return part

    def close(self) -> None:
        raise AssertionError("the connection belongs to who opened it")


def exchanged(*parts: bytes | OSError, limit: int = 1000) -> Response:
    return exchange(Parts(parts), REQUEST, Deadline(5), limit)


def test_the_request_goes_out_as_it_was_signed() -> None:
    stream = Parts([OK])
    exchange(stream, REQUEST, Deadline(5), 1000)
    assert stream.sent == b"POST /a?b=1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 2\r\n\r\nhi"


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST._replace(path="/a b"),
        REQUEST._replace(path="/a\r\nEvil: 1"),
        REQUEST._replace(headers={"Host": "a.test\r\nEvil: 1"}),
        REQUEST._replace(headers={"Evil: 1\nHost": "a.test"}),
        REQUEST._replace(headers={"Host": "a.test\0"}),
    ],
)
def test_nothing_is_sent_that_would_be_more_than_one_request(request_: Request) -> None:
    stream = Parts([OK])
    with pytest.raises(ValueError, match="control character"):
        exchange(stream, request_, Deadline(5), 1000)
    assert stream.sent == b""


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
def test_an_answer_is_the_same_however_its_bytes_are_split(size: int) -> None:
    parts = [OK[start : start + size] for start in range(0, len(OK), size)]
    assert exchanged(*parts) == Response(200, {"content-length": "5", "a-name": "a value"}, b"hello", reusable=True)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_chunks_are_put_together(size: int) -> None:
    whole = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: 1\r\n\r\n"
    response = exchanged(*[whole[start : start + size] for start in range(0, len(whole), size)])
    assert (response.body, response.reusable) == (b"hello", True)


@pytest.mark.parametrize("trailer", [b"A-Name: another", b"Location: /evil"])
def test_what_follows_the_chunks_changes_no_header(trailer: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nA-Name: a value\r\n\r\n"
    response = exchanged(head, b"5\r\nhello\r\n0\r\n" + trailer + b"\r\n\r\n")
    assert (response.headers, response.body) == ({"transfer-encoding": "chunked", "a-name": "a value"}, b"hello")


def test_a_body_of_no_announced_length_ends_with_its_connection() -> None:
    response = exchanged(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")
    assert (response.body, response.reusable) == (b"hello", False)
    response = exchanged(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    assert (response.body, response.reusable) == (b"hello", False)


@pytest.mark.parametrize("status", [b"204 No Content", b"304 Not Modified"])
def test_some_answers_have_no_body(status: bytes) -> None:
    assert exchanged(b"HTTP/1.1 " + status + b"\r\n\r\n", OSError("was read on")).body == b""


def test_interim_answers_are_skipped() -> None:
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    for parts in ([interim + OK], [interim, OK], [interim[:30], interim[30:] + OK[:9], OK[9:]]):
        assert exchanged(*parts) == exchanged(OK)


def test_a_redirect_is_answered_by_its_head() -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 9000\r\n\r\n"
    for first in (head, head + b"the first of its body"):
        response = exchanged(first, OSError("was read on"), limit=4)
        assert (response.status, response.headers["location"], response.body, response.reusable) == (
            302,
            "/x",
            b"",
            False,
        )


@pytest.mark.parametrize("more", [b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 2"])
def test_a_connection_that_sends_more_than_the_answer_is_not_used_again(more: bytes) -> None:
    assert exchanged(OK + more) == exchanged(OK)._replace(reusable=False)


@pytest.mark.parametrize("header", ["Connection: close", "Connection: Close", "Connection: x, close"])
def test_a_connection_that_will_be_closed_is_not_used_again(header: str) -> None:
    assert not exchanged(OK.replace(b"A-Name: a value", header.encode())).reusable


@pytest.mark.parametrize(
    "parts",
    [
        [b"SSH-2.0-OpenSSH_9\r\n"],
        [b"HTTP/1.1 abc\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nContent-Length: x\r\n\r\n"],
        [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\nhello"],
        [b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n"],
        [b"HTTP/1.1 200 OK\r\nA: ", *[b"b" * 60_000] * 9],
        [*[b"HTTP/1.1 100 Continue\r\nA: " + b"b" * 30_000 + b"\r\n\r\n"] * 9, OK],
    ],
)
def test_an_incomplete_or_invalid_answer_is_broken(parts: list[bytes]) -> None:
    with pytest.raises(BrokenAnswerError):
        exchanged(*parts)


PIECES = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.0 302 Found\r\n", b"Content-Length: 3\r\n",
        b"Content-Length:  3 \r\n", b"Content-Length: 99999999999999999999\r\n", b"Transfer-Encoding: chunked\r\n",
        b"Connection: Upgrade\r\nUpgrade: x\r\n", b" folded\r\n", b"\r\n", b"3\r\nabc\r\n",
        b"0\r\n\r\n", b"abc", b"\0", b"\n",
    ]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.binary(min_size=1, max_size=9))), st.integers(1, 9))
def test_any_bytes_are_an_answer_within_the_limit_or_a_known_error(pieces: list[bytes], size: int) -> None:
    whole = b"".join(pieces)
    try:
        response = exchanged(*[whole[start : start + size] for start in range(0, len(whole), size)], limit=4)
    except (UnansweredError, BrokenAnswerError, TooLargeError):
        return
    assert 200 <= response.status <= 999
    assert len(response.body) <= 4


def test_a_head_may_be_long_but_not_endless() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: "
    assert exchanged(head, b"b" * 60_000, b"\r\n\r\nhello").headers["a"] == "b" * 60_000


def test_a_body_over_the_limit_is_refused_unread_when_its_length_is_announced() -> None:
    assert exchanged(OK, limit=5).body == b"hello"
    with pytest.raises(TooLargeError):
        exchanged(OK.partition(b"hello")[0], OSError("was read on"), limit=4)
    with pytest.raises(TooLargeError):
        exchanged(b"HTTP/1.1 200 OK\r\n\r\n", b"hel", b"lo", OSError("was read on"), limit=4)
    with pytest.raises(TooLargeError):
        exchanged(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", OSError("was read on"), limit=4
        )


def test_only_silence_counts_as_unanswered() -> None:
    for parts in ([], [ConnectionResetError("reset")]):
        with pytest.raises(UnansweredError):
            exchanged(*parts)
    with pytest.raises(ConnectionResetError):
        exchanged(b"HTTP/1.1", ConnectionResetError("reset"))
    with pytest.raises(TimeoutError):
        exchanged(TimeoutError("timed out"))
