"""Pushing an image to a real registry: tokens that really expire, uploads that break, layers that exist or not."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import random
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deploy.aws.client import Clock
from deploy.errors import PushError
from deploy.images.compression import LayerCache
from deploy.images.layers import Layers
from deploy.images.manifest import DOCKER_LAYER, DOCKER_MANIFEST
from deploy.images.push import Pusher, Target, registry_facts
from deploy.images.registry import Login, Registry
from localcloud.ecr.registry import Registry as Served
from localcloud.ecr.repositories import Records


def _tar(name: str, size: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = size
        tar.addfile(entry, io.BytesIO(bytes(range(256)) * (size // 256)))
    return buffer.getvalue()


@dataclass
class Picture:
    """An image in memory. `before` is called before a layer's second piece, to cause a failure there."""

    tars: tuple[bytes, ...] = (_tar("a", 3 << 20), _tar("b", 1 << 20))
    before: Callable[[int], None] = lambda _: None
    read: list[int] = field(default_factory=list)

    @property
    def config(self) -> bytes:
        hashes = [f"sha256:{hashlib.sha256(tar).hexdigest()}" for tar in self.tars]
        value = {"os": "linux", "architecture": "amd64", "config": {"Entrypoint": ["x"]}, "rootfs": {}}
        value["rootfs"] = {"type": "layers", "diff_ids": hashes}
        return json.dumps(value).encode()

    def layer(self, number: int) -> Iterator[bytes]:
        self.read.append(number)
        half = len(self.tars[number]) // 2
        yield self.tars[number][:half]
        self.before(number)
        yield self.tars[number][half:]


@dataclass
class FakeEngine:
    """An engine with images in memory, each readable in one or several ways."""

    readable: tuple[Layers, ...]

    def inspect(self, _: str) -> Mapping[str, Any]:
        return {"Size": 4 << 20, "Os": "linux", "Architecture": "amd64", "Config": {"Entrypoint": ["x"]}}

    @contextmanager
    def ways(self, _: str) -> Iterator[Iterator[Layers]]:
        yield iter(self.readable)


@dataclass
class Fakes:
    """A registry on this machine, and its client; counts the tokens and the waits."""

    served: Served
    folder: Path
    at: str = ""
    tokens: int = 0
    waits: list[float] = field(default_factory=list)

    def ask(self) -> Login:
        self.tokens += 1
        user, _, password = base64.b64decode(self.served.tokens.issue("local")[0]).decode().partition(":")
        return Login(url=self.at or f"http://{self.served.address()}", user=user, password=password, left=12 * 3600)

    def registry(self) -> Registry:
        return Registry(ask=self.ask, clock=Clock(now=lambda: 0.0, sleep=self.waits.append))

    def send(self, *ways: Layers, repository: str, tag: str = "tag") -> Registry:
        registry = self.registry()
        pusher = Pusher(engine=FakeEngine(ways), known=LayerCache(folder=self.folder))
        self.progress: list[tuple[int, int]] = []
        pusher.send(
            "any:tag",
            Target(registry=registry, repository=repository, tag=tag),
            progress=lambda *at: self.progress.append(at),
        )
        return registry


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    made = Served(
        folder=tmp_path_factory.mktemp("registry"),
        records=Records(account="123456789012", region="us-east-1"),
        now=lambda: datetime.now(UTC),
    )
    yield made
    made.close()


@pytest.fixture
def fakes(served: Served, tmp_path: Path) -> Fakes:
    return Fakes(served=served, folder=tmp_path)


@pytest.fixture
def repository(served: Served, request: pytest.FixtureRequest) -> str:
    name = f"r{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}/image"
    served.records.create({"repositoryName": name, "imageTagMutability": "IMMUTABLE"})
    return name


def test_the_pushed_image_has_dockers_media_types_and_its_layers_decompress_to_the_originals(
    fakes: Fakes, repository: str
) -> None:
    picture = Picture()
    registry = fakes.send(picture, repository=repository)
    manifest = registry.manifest(repository, "tag")
    assert manifest is not None
    assert manifest.media_type == DOCKER_MANIFEST
    assert registry.blob(repository, manifest.config.digest) == picture.config
    for layer, tar in zip(manifest.layers, picture.tars, strict=True):
        assert layer.media_type == DOCKER_LAYER
        assert gzip.decompress(registry.blob(repository, layer.digest)) == tar
    assert registry_facts(registry, repository, manifest).platform == "linux/amd64"
    assert fakes.progress[-1] == (4, 4)
    assert fakes.tokens == 1


def test_a_second_image_sends_new_layers_only(fakes: Fakes, repository: str) -> None:
    fakes.send(Picture(), repository=repository)
    second = Picture(tars=(*Picture().tars, _tar("c", 1 << 20)))
    fakes.send(second, repository=repository, tag="two")
    assert second.read == [2]


def test_a_layer_that_the_cache_knows_but_the_registry_lacks_is_sent(
    fakes: Fakes, repository: str, served: Served
) -> None:
    fakes.send(Picture(), repository=repository)
    served.records.create({"repositoryName": f"{repository}-elsewhere"})
    elsewhere = Picture()
    fakes.send(elsewhere, repository=f"{repository}-elsewhere")
    assert sorted(elsewhere.read) == [0, 1]


def test_a_token_that_expires_during_an_upload_is_renewed_and_the_push_succeeds(
    fakes: Fakes, repository: str, served: Served
) -> None:
    expired: list[int] = []

    def expire(number: int) -> None:
        if number == 0 and not expired:
            expired.append(served.tokens.expire())

    picture = Picture(before=expire)
    registry = fakes.send(picture, repository=repository)
    assert registry.manifest(repository, "tag") is not None
    assert expired
    assert fakes.tokens > 1


def test_a_token_that_has_expired_between_two_requests_is_renewed(
    fakes: Fakes, repository: str, served: Served
) -> None:
    registry = fakes.send(Picture(), repository=repository)
    before = fakes.tokens
    served.tokens.expire()
    assert registry.manifest(repository, "tag") is not None
    assert fakes.tokens == before + 1


def test_a_registry_that_refuses_every_token_is_an_error_that_says_so_and_shows_none(
    fakes: Fakes, repository: str, served: Served
) -> None:
    given: list[str] = []

    def ask() -> Login:
        made = fakes.ask()
        served.tokens.expire()
        given.append(made.password)
        return made

    registry = Registry(ask=ask, clock=Clock(sleep=fakes.waits.append))
    with pytest.raises(PushError, match="authorization token has expired") as caught:
        registry.manifest(repository, "tag")
    assert not any(password in f"{caught.value} {registry!r}" for password in given)


class Relay:
    """A proxy to the registry that breaks one connection, after `limit` bytes of an upload."""

    def __init__(self, address: str, limit: int) -> None:
        host, _, port = address.partition(":")
        self.target, self.limit, self.cuts = (host, int(port)), limit, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            far = socket.create_connection(self.target)
            threading.Thread(target=self._pump, args=(near, far, True), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, False), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, up: bool) -> None:
        count = 0
        with source, target, suppress(OSError):
            while piece := source.recv(1 << 16):
                count += len(piece)
                if up and count > self.limit and not self.cuts:
                    self.cuts += 1
                    target.shutdown(socket.SHUT_RDWR)
                    source.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(piece)


def test_an_upload_whose_connection_breaks_starts_again(fakes: Fakes, repository: str, served: Served) -> None:
    noise = Picture(tars=(random.Random(1).randbytes(3 << 20),))
    relay = Relay(served.address(), limit=1 << 20)
    fakes.at = relay.url
    fakes.send(noise, repository=repository)
    relay.listener.close()
    assert relay.cuts == 1
    assert noise.read == [0, 0]
    assert fakes.waits
    fakes.at = ""
    assert fakes.registry().manifest(repository, "tag") is not None


def test_a_way_whose_layers_do_not_match_their_hashes_is_left_for_the_next(fakes: Fakes, repository: str) -> None:
    honest = Picture()

    class Liar(Picture):
        def layer(self, number: int) -> Iterator[bytes]:
            yield b"something else"

    registry = fakes.send(Liar(), honest, repository=repository)
    assert registry.manifest(repository, "tag") is not None
    assert sorted(honest.read) == [0, 1]


def test_without_a_readable_way_the_error_says_what_to_check(fakes: Fakes, repository: str) -> None:
    class Unreadable(Picture):
        def layer(self, number: int) -> Iterator[bytes]:
            raise PermissionError("not for you")

    with pytest.raises(PushError, match="cannot read its layers"):
        fakes.send(Unreadable(), repository=repository)


def test_a_tag_of_another_image_is_refused_with_ecrs_message(fakes: Fakes, repository: str) -> None:
    fakes.send(Picture(), repository=repository)
    with pytest.raises(PushError, match="cannot be overwritten because the tag is immutable"):
        fakes.send(Picture(tars=(_tar("z", 1 << 20),)), repository=repository)
    with pytest.raises(PushError, match="does not exist in the registry"):
        fakes.send(Picture(), repository="nobody/here")
