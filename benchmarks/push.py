"""Seconds to push an image into an empty registry: `./inv push` beside `docker push`.

    .venv/bin/python -m benchmarks.push [--rounds N] [--images serve lambda train]

Both push the same image from this machine's Docker into a real registry on loopback, one after the other. Each push
gets a new, empty registry, so no layer exists and none can be mounted from another repository. `./inv push` starts
without its record of compressed layers, so it compresses all of them. The image ids of both results must be equal.

Writes results/push.json, .runs.json and .svg.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness import Row, at_most, column, interleaved, machine, write
from benchmarks.harness.rounds import Measured
from deploy.aws.client import connect
from deploy.config.settings import choose, parse
from deploy.images.builder import ImageBuilder
from deploy.images.compression import LayerCache
from deploy.images.layers import Engine
from deploy.images.push import Pusher, Target
from deploy.images.recipe import kind_named
from deploy.images.registry import Login, Registry, login
from deploy.values import Call, Request
from localcloud import daemon

ROOT = Path(__file__).parents[1]
TARGET = 0.5  # of docker push's time
REPOSITORY = "kennel-local/benchmark"
STAGE = """
[stages.local]
account = "123456789012"
endpoint_url = "{url}"
credentials = "dummy"
engine_images = true
"""


@contextmanager
def empty_registry(folder: Path) -> Iterator[tuple[Call, str]]:
    """A client for a local AWS with one empty repository, and the repository's address."""
    cloud = daemon.start_background(port=0, state_dir=folder)
    try:
        call = connect(choose(parse(STAGE.format(url=cloud.endpoint_url)), "local"))
        made = call(Request(service="ecr", operation="CreateRepository", params={"repositoryName": REPOSITORY}))
        yield call, str(made["repository"]["repositoryUri"])
    finally:
        daemon.stop(folder)


def ours(reference: str, call: Call, folder: Path) -> float:
    """Seconds."""

    def ask() -> Login:
        return login(call, time.time)

    pusher = Pusher(engine=Engine(scratch=folder), known=LayerCache(folder=folder / "layers"))
    target = Target(registry=Registry(ask=ask), repository=REPOSITORY, tag="pushed")
    began = time.monotonic()
    pusher.send(reference, target, progress=lambda *_: None)
    return time.monotonic() - began


def dockers(reference: str, call: Call, uri: str, folder: Path) -> float:
    """Seconds, without the login."""
    given = login(call, time.time)
    environment = {**os.environ, "DOCKER_CONFIG": str(folder / "docker")}
    command = ["docker", "login", "--username", given.user, "--password-stdin", uri.partition("/")[0]]
    subprocess.run(command, input=given.password, text=True, env=environment, capture_output=True, check=True)
    subprocess.run(["docker", "tag", reference, f"{uri}:pushed"], check=True)
    try:
        began = time.monotonic()
        subprocess.run(["docker", "push", "--quiet", f"{uri}:pushed"], env=environment, capture_output=True, check=True)
        return time.monotonic() - began
    finally:
        subprocess.run(["docker", "rmi", f"{uri}:pushed"], capture_output=True, check=True)


def identity(call: Call) -> str:
    """The image's id in the manifest that was pushed."""
    params = {"repositoryName": REPOSITORY, "imageIds": [{"imageTag": "pushed"}]}
    [image] = call(Request(service="ecr", operation="BatchGetImage", params=params))["images"]
    return str(json.loads(image["imageManifest"])["config"]["digest"])


def measure(reference: str, rounds: int) -> dict[str, list[Measured]]:
    """Seconds of both pushes, measured in turns. Raises RuntimeError when they push different images."""
    identities = set()

    def pushed(send: Callable[[Call, str, Path], float]) -> Measured:
        with tempfile.TemporaryDirectory() as name, empty_registry(Path(name) / "state") as (call, uri):
            seconds = send(call, uri, Path(name))
            identities.add(identity(call))
        if len(identities) != 1:
            raise RuntimeError(f"{reference}: the two pushed different images: {identities}")
        return {"seconds": seconds}

    return interleaved(
        {
            "ours": lambda: pushed(lambda call, _, folder: ours(reference, call, folder)),
            "docker push": lambda: pushed(lambda call, uri, folder: dockers(reference, call, uri, folder)),
        },
        rounds,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", nargs="+", default=["serve", "lambda"], choices=["serve", "lambda", "train"])
    options = parser.parse_args()
    command = ["docker", "version", "--format={{.Server.Version}}"]
    engine = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    builder = ImageBuilder(repository=ROOT, say=lambda _: None)
    rows: list[Row] = []
    runs: dict[str, list[Measured]] = {}
    for name in options.images:
        measured = measure(builder.build(kind_named(name)), options.rounds)
        mine, theirs = (column(measured[who], "seconds") for who in ("ours", "docker push"))
        rows.append(at_most(f"{name} into an empty registry, s", mine, theirs, "docker push", target=TARGET))
        runs |= {f"{name}, {who}": each for who, each in measured.items()}
    write("push", rows, runs, machine({"Docker": engine}), title="Push into an empty registry")


if __name__ == "__main__":
    main()
