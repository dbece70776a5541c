"""The guarded fetch over a network in memory: which addresses it connects to, and what it returns."""

from __future__ import annotations

import pytest

from lambda_container.address import Policy
from lambda_container.deadline import Deadline
from lambda_container.errors import RequestError
from lambda_container.fetch import fetch
from tests.unit.lambda_container.fakes import JPEG, FakeClock, FakeNetwork, http_reply

PUBLIC = "93.184.216.34"
ELSEWHERE = "1.1.1.1"


def get(network: FakeNetwork, url: str, *, policy: Policy | None = None, limit: int = 1000) -> bytes:
    deadline = Deadline(10, FakeClock())
    return fetch(url, policy=policy or Policy(), network=network, deadline=deadline, limit=limit)


def refused(network: FakeNetwork, url: str, *, policy: Policy | None = None, limit: int = 1000) -> RequestError:
    with pytest.raises(RequestError) as caught:
        get(network, url, policy=policy, limit=limit)
    assert all(stream.hung_up for stream in network.streams)
    return caught.value


def redirect(location: str) -> bytes:
    return http_reply(b"", status="302 Found", headers={"Location": location})


def test_the_connection_goes_to_the_checked_address_under_the_urls_name() -> None:
    network = FakeNetwork({"example.com": [[PUBLIC]]}, [http_reply()])
    assert get(network, "https://example.com/dog.jpg?x=1") == JPEG
    assert network.connected == [(PUBLIC, 443, "example.com")]
    sent = network.streams[0].sent
    assert sent.startswith(b"GET /dog.jpg?x=1 HTTP/1.1\r\n")
    assert b"\r\nHost: example.com\r\n" in sent
    assert b"\r\nAccept-Encoding: identity\r\n" in sent
    assert network.streams[0].hung_up


def test_a_name_that_answers_differently_the_second_time_gains_nothing() -> None:
    network = FakeNetwork({"rebind.test": [[PUBLIC], ["127.0.0.1"]]}, [http_reply()])
    assert get(network, "https://rebind.test/") == JPEG
    assert network.looked_up == ["rebind.test"]
    assert network.connected == [(PUBLIC, 443, "rebind.test")]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        [PUBLIC, "10.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:10.0.0.1"],
        ["64:ff9b::a00:1"],
        ["fd00:ec2::254"],
    ],
)
def test_nothing_is_connected_to_when_a_name_has_an_address_that_is_not_public(addresses: list[str]) -> None:
    network = FakeNetwork({"evil.test": [addresses]}, [])
    assert refused(network, "https://evil.test/").status == 403
    assert network.connected == []


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://0x7f.1/", "https://127.1/"]
)
def test_nothing_is_looked_up_or_connected_to_for_a_private_address_in_any_notation(url: str) -> None:
    network = FakeNetwork({}, [])
    assert refused(network, url).status == 403
    assert (network.looked_up, network.connected) == ([], [])


def test_redirects_are_followed_each_with_its_own_resolution() -> None:
    network = FakeNetwork(
        {"a.test": [[PUBLIC]], "b.test": [[ELSEWHERE]]},
        [redirect("https://b.test/x"), redirect("/y?z=1"), http_reply()],
    )
    assert get(network, "https://a.test/") == JPEG
    assert network.connected == [(PUBLIC, 443, "a.test"), (ELSEWHERE, 443, "b.test"), (ELSEWHERE, 443, "b.test")]
    assert network.streams[2].sent.startswith(b"GET /y?z=1 ")


@pytest.mark.parametrize(
    "location",
    [
        "https://inside.test/",
        "https://169.254.169.254/latest/meta-data/",
        "//127.0.0.1/",
        "https://a.test:22/",
        "file:///etc/passwd",
        "https://0177.0.0.1/",
    ],
)
def test_a_redirect_is_checked_like_the_first_address(location: str) -> None:
    network = FakeNetwork({"a.test": [[PUBLIC]], "inside.test": [["10.0.0.1"]]}, [redirect(location)])
    assert refused(network, "https://a.test/").status == 403
    assert len(network.connected) == 1


def test_a_redirect_from_https_to_http_is_refused_even_where_http_is_allowed() -> None:
    network = FakeNetwork({"a.test": [[PUBLIC]]}, [redirect("http://a.test/")])
    problem = refused(network, "https://a.test/", policy=Policy(allow_http=True))
    assert (problem.status, problem.code) == (403, "scheme-not-allowed")


def test_the_fourth_redirect_is_one_too_many() -> None:
    network = FakeNetwork({"a.test": [[PUBLIC]]}, [redirect("/")] * 9)
    problem = refused(network, "https://a.test/")
    assert (problem.status, problem.code) == (502, "too-many-redirects")
    assert len(network.connected) == 4


@pytest.mark.parametrize("location", ["", "https://[bad/", "https://user@a.test/"])
def test_a_redirect_to_an_invalid_url_is_answered_with_an_error(location: str) -> None:
    network = FakeNetwork({"a.test": [[PUBLIC]]}, [redirect(location)])
    assert refused(network, "https://a.test/").status in (400, 502)


def test_a_body_over_the_limit_is_refused_by_its_stated_length_without_reading_it() -> None:
    network = FakeNetwork({"a.test": [[PUBLIC]]}, [http_reply(b"", length=1001)])
    assert refused(network, "https://a.test/").status == 413


def test_a_body_over_the_limit_is_refused_while_it_streams() -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + (b"1f4\r\n" + b"x" * 500 + b"\r\n") * 100
    network = FakeNetwork({"a.test": [[PUBLIC]]}, [chunked])
    assert refused(network, "https://a.test/").status == 413


def test_a_body_of_exactly_the_limit_is_taken() -> None:
    network = FakeNetwork({"a.test": [[PUBLIC]]}, [http_reply(b"x" * 1000)])
    assert len(get(network, "https://a.test/")) == 1000


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70000 + b"\r\n\r\n",
        http_reply(b"half", length=100),
        http_reply(status="404 Not Found"),
        http_reply(status="500 Oops"),
        http_reply(b"", status="204 No Content"),
        http_reply(headers={"Content-Encoding": "gzip"}),
        ConnectionRefusedError("refused"),
    ],
)
def test_a_server_that_fails_is_answered_502(reply: bytes | OSError) -> None:
    network = FakeNetwork({"a.test": [[PUBLIC]]}, [reply])
    assert refused(network, "https://a.test/").status == 502


def test_the_servers_own_status_is_in_the_error() -> None:
    network = FakeNetwork({"a.test": [[PUBLIC]]}, [http_reply(status="404 Not Found")])
    assert refused(network, "https://a.test/").original_status == 404


def test_a_name_that_is_not_found_is_answered_502() -> None:
    problem = refused(FakeNetwork({}, []), "https://nowhere.test/")
    assert (problem.status, problem.code) == (502, "fetch-failed")


def test_the_next_address_is_tried_when_the_first_does_not_answer() -> None:
    network = FakeNetwork({"a.test": [["2606:4700:4700::1111", PUBLIC]]}, [OSError("no route"), http_reply()])
    assert get(network, "https://a.test/") == JPEG
    assert [address for address, _, _ in network.connected] == ["2606:4700:4700::1111", PUBLIC]


def test_a_trickle_of_bytes_does_not_gain_time() -> None:
    clock = FakeClock()
    network = FakeNetwork({"a.test": [[PUBLIC]]}, [http_reply(b"x" * 900_000)], clock=clock, slow=3)
    with pytest.raises(RequestError) as caught:
        fetch("https://a.test/", policy=Policy(), network=network, deadline=Deadline(10, clock), limit=10**6)
    assert (caught.value.status, caught.value.code) == (504, "fetch-timeout")
    assert network.streams[0].hung_up
