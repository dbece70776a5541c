"""What a registry is given: SageMaker and Lambda refuse an index and OCI manifests (CONTRACTS 26, 63)."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.images import Kind
from deploy.workshop import Workshop
from localcloud.registry_process import program

REPOSITORY = Path(__file__).resolve().parents[3]
DOCKER_V2 = "application/vnd.docker.distribution.manifest.v2+json"
KNOWN = (
    DOCKER_V2,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
CONFIG = """
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {folder}}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a registry on loopback."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config.yml").write_text(CONFIG.format(folder=folder / "data", port=port))
    with subprocess.Popen([program(), "serve", folder / "config.yml"]) as process:
        _await(f"http://127.0.0.1:{port}/v2/")
        yield f"127.0.0.1:{port}"
        process.terminate()


def _await(url: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _get(url: str) -> tuple[str, Any]:
    request = urllib.request.Request(url, headers={"Accept": ", ".join(KNOWN)})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], json.load(answer)


@pytest.mark.parametrize("kind", ["lambda", "serve"])  # train's 3 GB would be pushed for the same answer
def test_what_is_pushed_is_one_docker_v2_manifest_for_amd64(registry: str, kind: Kind) -> None:
    image = Workshop(repository=REPOSITORY).build(kind)
    pushed = f"{registry}/{image}"
    subprocess.run(["docker", "tag", image, pushed], check=True)
    try:
        subprocess.run(["docker", "push", "--quiet", pushed], check=True, stdout=subprocess.DEVNULL)
    finally:
        subprocess.run(["docker", "rmi", pushed], check=True, stdout=subprocess.DEVNULL)
    name, _, tag = image.partition(":")
    media_type, manifest = _get(f"http://{registry}/v2/{name}/manifests/{tag}")
    assert media_type == manifest["mediaType"] == DOCKER_V2
    _, config = _get(f"http://{registry}/v2/{name}/blobs/{manifest['config']['digest']}")
    assert (config["architecture"], config["os"]) == ("amd64", "linux")
