"""The `docker` command of a container that acts as an EC2 instance: runs the real client on the host's engine.

Rewrites `docker run` in three ways. Mounts from the instance's /srv get the host's path, because the engine sees the
host's files. Labels mark containers as this instance's, so that they end with it. localcloud forwards the logs of the
awslogs driver, which would need AWS credentials of the engine.
"""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

CLIENT = "/opt/localcloud/docker"
SHARED = "/srv"


@dataclass(kw_only=True)
class Run:
    """A rewritten `docker run`: the words for the engine, and the awslogs options for localcloud."""

    words: list[str]
    awslogs: dict[str, str] = field(default_factory=dict)


class MountError(ValueError):
    """A mount from a folder that the engine does not see."""


def rewrite(words: Sequence[str], *, shared: str, labels: Sequence[str]) -> Run:
    """Rewrite the words after `docker run`. `shared` is the host's folder of /srv. Raises MountError."""
    run, rest = Run(words=[part for label in labels for part in ("--label", label)]), list(words)
    driver = ""
    while rest:
        word = rest.pop(0)
        name, joined, value = word.partition("=")
        if name not in ("-v", "--volume", "--mount", "--log-driver", "--log-opt"):
            run.words.append(word)
            continue
        value = value if joined else rest.pop(0)
        if name == "--log-driver":
            driver = value
            run.words += [] if value == "awslogs" else [name, value]
        elif name == "--log-opt" and value.startswith("awslogs-"):
            key, _, option = value.removeprefix("awslogs-").partition("=")
            run.awslogs[key] = option
        else:
            run.words += [name, value if name == "--log-opt" else _mount(name, value, shared)]
    if driver != "awslogs":
        run.awslogs = {}
    return run


def _mount(name: str, value: str, shared: str) -> str:
    """A mount with the host's path; named volumes stay."""
    if name != "--mount":
        source, _, target = value.partition(":")
        return f"{_on_host(source, shared)}:{target}" if source.startswith("/") else value
    parts = [part.partition("=") for part in value.split(",")]
    is_bind = ("type", "=", "bind") in parts
    return ",".join(
        f"{key}{sign}{_on_host(text, shared) if is_bind and key in ('source', 'src') else text}"
        for key, sign, text in parts
    )


def _on_host(path: str, shared: str) -> str:
    if path == SHARED or path.startswith(f"{SHARED}/"):
        return shared + path.removeprefix(SHARED)
    raise MountError(
        f"docker: localcloud's instances share {SHARED} with containers, not {path}: move the files to {SHARED}"
    )


def main(argv: Sequence[str]) -> int:
    words = list(argv)
    if words[:1] not in (["run"], ["create"]):
        os.execv(CLIENT, ["docker", *words])  # noqa: S606
    try:
        run = rewrite(words[1:], shared=os.environ["LOCALCLOUD_SHARED"], labels=os.environ["LOCALCLOUD_LABELS"].split())
    except MountError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 125
    if not run.awslogs:
        os.execv(CLIENT, ["docker", words[0], *run.words])  # noqa: S606
    done = subprocess.run([CLIENT, words[0], *run.words], stdout=subprocess.PIPE, check=False)
    container = done.stdout.decode().strip()
    if done.returncode == 0:
        query = urlencode({"container": container, **run.awslogs})
        url = f"{os.environ['LOCALCLOUD_METADATA'].rstrip('/')}/localcloud/awslogs?{query}"
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10):  # noqa: S310
            pass
    sys.stdout.write(done.stdout.decode())
    return done.returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
