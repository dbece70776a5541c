"""How long an image takes to a registry that holds nothing of it: ./inv push's way against `docker push`.

    .venv/bin/python -m benchmarks.push [--rounds N] [--images serve lambda train]

Both push the same image of this machine's engine into a real registry on loopback, one after the other, each into a
registry of its own that was just started, so that nothing is there and nothing is mounted from elsewhere. Ours packs
anew: what it remembers of packed layers is kept apart. Both results are then compared by the image's id.

Writes results/push.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.aws import connect
from deploy.images.build import kind_named
from deploy.images.layers import Engine
from deploy.images.packing import KnownLayers
from deploy.images.registry import Login, Registry, login
from deploy.images.sender import Sender, Target
from deploy.images.workshop import Workshop
from deploy.models import Call, Request
from deploy.settings import choose, parse
from localcloud import daemon

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "push.json"
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
    """A door to a local AWS with one repository, which is empty, and the repository's address."""
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

    sender = Sender(engine=Engine(scratch=folder), known=KnownLayers(folder=folder / "layers"))
    target = Target(registry=Registry(ask=ask), repository=REPOSITORY, tag="pushed")
    began = time.monotonic()
    sender.send(reference, target, progress=lambda *_: None)
    return time.monotonic() - began


def dockers(reference: str, call: Call, uri: str, folder: Path) -> float:
    """Seconds; the log-in is not counted."""
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
    """The image's id, as the manifest that was pushed names it."""
    params = {"repositoryName": REPOSITORY, "imageIds": [{"imageTag": "pushed"}]}
    [image] = call(Request(service="ecr", operation="BatchGetImage", params=params))["images"]
    return str(json.loads(image["imageManifest"])["config"]["digest"])


def measure(reference: str, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of ours and of docker's, in turns. Raises RuntimeError when the two images differ."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        identities = set()
        for who in (0, 1):
            with tempfile.TemporaryDirectory() as name, empty_registry(Path(name) / "state") as (call, uri):
                folder = Path(name)
                seconds = dockers(reference, call, uri, folder) if who else ours(reference, call, folder)
                taken[who].append(seconds)
                identities.add(identity(call))
        if len(identities) != 1:
            raise RuntimeError(f"{reference}: the two pushed different images: {identities}")
    return taken


def row(kind: str, mine: list[float], theirs: list[float]) -> dict[str, object]:
    us, them = statistics.median(mine), statistics.median(theirs)
    worst = max(a / b for a, b in zip(mine, theirs, strict=True))
    return {
        "what": f"{kind} into an empty registry, s", "ours": round(us, 2), "peer": round(them, 2),
        "peer_name": "docker push", "ratio": round(us / them, 3), "worst_ratio": round(worst, 3), "target": TARGET,
        "met": us / them <= TARGET,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", nargs="+", default=["serve", "lambda"], choices=["serve", "lambda", "train"])
    options = parser.parse_args()
    said = ["docker", "version", "--format={{.Server.Version}}"]
    engine = subprocess.run(said, capture_output=True, text=True, check=True).stdout.strip()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Docker {engine}, {time.strftime('%Y-%m-%d')}"
    print(f"{machine}; medians of {options.rounds} rounds, seconds")
    workshop, rows = Workshop(repository=ROOT, say=lambda _: None), []
    for name in options.images:
        kind = kind_named(name)
        found = row(kind, *measure(workshop.build(kind), options.rounds))
        verdict = "met" if found["met"] else "MISSED"
        print(f"  {found['what']}: {found['ours']} against {found['peer']}: {found['ratio']} ({verdict})", flush=True)
        rows.append(found)
    document = {"machine": machine, "rounds": options.rounds, "rows": rows}
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
