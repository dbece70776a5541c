"""The guarded fetch against real servers on loopback, plain and under TLS."""

from __future__ import annotations

import contextlib
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from lambda_container.address import Policy
from lambda_container.deadline import Deadline
from lambda_container.errors import RequestError
from lambda_container.fetch import fetch
from lambda_container.network import SystemNetwork
from tests.functional.lambda_container.servers import Certificate, Received, Reply, certificate, serving

PICTURE = b"\xff\xd8\xff" + bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def identity(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"), "pictures.test")


def loopback(host: str, port: int) -> Sequence[tuple[Any, ...]]:
    """Resolves every name to this machine."""
    return socket.getaddrinfo("127.0.0.1", port, type=socket.SOCK_STREAM)


def network(identity: Certificate | None = None) -> SystemNetwork:
    return SystemNetwork(tls=lambda: identity.client if identity else ssl.create_default_context(), lookup=loopback)


def get(url: str, *, port: int, via: SystemNetwork, seconds: float = 5, limit: int = 10**6) -> bytes:
    hosts = frozenset({("pictures.test", port), ("127.0.0.1", port), ("other.test", port)})
    policy = Policy(allow_http=True, allow_hosts=hosts)
    return fetch(url, policy=policy, network=via, deadline=Deadline(seconds), limit=limit)


def refused(url: str, **options: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        get(url, **options)
    return caught.value


def test_a_picture_comes_over_tls_verified_against_the_urls_name(identity: Certificate) -> None:
    with serving(lambda _: Reply(body=PICTURE), tls=identity.server) as server:
        url = f"https://pictures.test:{server.port}/dog.jpg"
        assert get(url, port=server.port, via=network(identity)) == PICTURE
        assert server.requests[0].headers["Host"] == f"pictures.test:{server.port}"


def test_a_certificate_for_another_name_is_refused_though_the_address_is_right(identity: Certificate) -> None:
    with serving(lambda _: Reply(body=PICTURE), tls=identity.server) as server:
        error = refused(f"https://other.test:{server.port}/", port=server.port, via=network(identity))
        assert (error.status, error.code) == (502, "fetch-failed")
        assert "certificate" in error.message.lower()
        assert server.requests == []


def test_a_certificate_of_an_unknown_authority_is_refused(identity: Certificate) -> None:
    with serving(lambda _: Reply(body=PICTURE), tls=identity.server) as server:
        error = refused(f"https://pictures.test:{server.port}/", port=server.port, via=network())
        assert error.status == 502
        assert server.requests == []


@pytest.mark.parametrize("how", ["the folder", "a folder without hashes", "the file", "the file before the folder"])
def test_certificate_authorities_come_from_the_paths_that_openssl_is_given(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity, folder = certificate(tmp_path, "pictures.test"), tmp_path / "certs"
    folder.mkdir()
    shutil.copy(tmp_path / "cert.pem", folder)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    if how != "a folder without hashes":
        subprocess.run(["openssl", "rehash", folder], check=True)
    if how != "the file":
        monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    if how == "the file":
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "cert.pem"))
    if how == "the file before the folder":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    system = SystemNetwork(lookup=loopback)
    with serving(lambda _: Reply(body=PICTURE), tls=identity.server) as server:
        url = f"https://pictures.test:{server.port}/dog.jpg"
        if how == "a folder without hashes":
            assert "certificate" in refused(url, port=server.port, via=system).message.lower()
        else:
            assert get(url, port=server.port, via=system) == PICTURE


def test_a_server_on_this_machine_is_never_contacted_unless_its_pair_is_allowed() -> None:
    with serving(lambda _: Reply(body=PICTURE)) as server:
        for host in ("127.0.0.1", "localhost.", "pictures.test", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1"):
            policy = Policy(allow_http=True, allow_hosts=frozenset({("elsewhere.test", server.port)}))
            url = f"http://{host}:{server.port}/"
            with pytest.raises(RequestError) as caught:
                fetch(url, policy=policy, network=network(), deadline=Deadline(5), limit=100)
            assert caught.value.status == 403
        assert server.requests == []


def test_a_redirect_into_this_machine_is_refused_before_it_is_contacted() -> None:
    with serving(lambda _: Reply(body=b"secret")) as inside:

        def lead(request: Received) -> Reply:
            return Reply(302, {"Location": f"http://127.0.0.1:{inside.port}/latest/meta-data/"})

        with serving(lead) as server:
            url = f"http://pictures.test:{server.port}/"
            assert refused(url, port=server.port, via=network()).status == 403
        assert inside.requests == []


def test_redirects_are_followed_and_chunks_put_together() -> None:
    def answer(request: Received) -> Reply:
        if request.path == "/":
            return Reply(301, {"Location": "/dog.jpg"}, b"moved")
        chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(PICTURE), PICTURE)
        return Reply(200, {"Transfer-Encoding": "chunked", "Content-Length": ""}, chunk)

    with serving(answer) as server:
        assert get(f"http://pictures.test:{server.port}/", port=server.port, via=network()) == PICTURE


def test_a_picture_over_the_limit_is_left_unread() -> None:
    with serving(lambda _: Reply(body=PICTURE)) as server:
        error = refused(f"http://127.0.0.1:{server.port}/", port=server.port, via=network(), limit=1000)
        assert error.status == 413


@contextlib.contextmanager
def dripping(first: bytes, drop: bytes) -> Iterator[int]:
    """A server that sends `first`, then `drop` ten times a second without end."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(first)
                while not stop.wait(0.1):
                    connection.sendall(drop)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        stop.set()
        listener.close()
        thread.join()


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"HTTP/1.1 200 O", b"K"),
        (b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", b""),
    ],
)
def test_a_server_that_sends_byte_by_byte_is_left_at_the_deadline(first: bytes, drop: bytes) -> None:
    with dripping(first, drop) as port:
        began = time.monotonic()
        error = refused(f"http://127.0.0.1:{port}/", port=port, via=network(), seconds=0.6)
        assert (error.status, error.code) == (504, "fetch-timeout")
        assert time.monotonic() - began < 2


def test_a_server_that_never_completes_the_tls_handshake_is_left_at_the_deadline(identity: Certificate) -> None:
    with dripping(b"", b"") as port:
        error = refused(f"https://pictures.test:{port}/", port=port, via=network(identity), seconds=0.4)
        assert error.status == 504


def test_a_resolver_that_hangs_is_left_at_the_deadline() -> None:
    release = threading.Event()

    def hang(host: str, port: int) -> Sequence[tuple[Any, ...]]:
        release.wait(10)
        return []

    began = time.monotonic()
    try:
        error = refused("https://slow.test/", port=1, via=SystemNetwork(lookup=hang), seconds=0.3)
    finally:
        release.set()
    assert error.status == 504
    assert time.monotonic() - began < 2


def test_the_systems_own_resolver_resolves_names() -> None:
    system = SystemNetwork()
    assert {"127.0.0.1", "::1"} & set(system.resolve("localhost", 80, Deadline(5)))
    with pytest.raises(OSError, match=r".+"):
        system.resolve("no-such-name.invalid", 80, Deadline(20))
