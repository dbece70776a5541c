"""Runs the function's image under the real Runtime Interface Emulator (rules 60–62) as Lambda does: writable only in
/tmp, without privileges, with one handler and a timeout."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import requests
from docker.models.containers import Container

import docker
from localcloud.awslambda import emulator

ROOT = Path(__file__).parents[3]
LABEL = "kennel.test"


class Result(NamedTuple):
    """The function's answer, and the seconds that the caller waited for it."""

    answer: Any
    text: str
    seconds: float


class Function:
    """One execution environment of the function."""

    def __init__(self, container: Container, url: str) -> None:
        self.container = container
        self._url = url

    def invoke(self, event: object) -> Result:
        began = time.monotonic()
        response = requests.post(self._url, data=json.dumps(event), timeout=30)
        seconds = time.monotonic() - began
        try:
            answer = response.json()
        except ValueError:
            answer = None
        return Result(answer, response.text, seconds)

    def logs(self) -> str:
        return self.container.logs().decode(errors="replace")


@contextlib.contextmanager
def running(image: str, environment: Mapping[str, str], *, timeout: int) -> Iterator[Function]:
    """The function with Lambda's own variables and `environment`; `timeout` in seconds."""
    program = emulator.fetch(emulator.ARCHITECTURES[emulator.host_architecture()])
    client = docker.from_env()
    container = client.containers.run(
        image,
        ["python3", "-m", "awslambdaric", "lambda_container.handler.handler"],
        entrypoint="/rie",
        environment={
            "AWS_LAMBDA_FUNCTION_NAME": "kennel",
            "AWS_LAMBDA_FUNCTION_TIMEOUT": str(timeout),
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_SESSION_TOKEN": "token",
            "AWS_REGION": "us-east-1",
            **environment,
        },
        volumes={str(program): {"bind": "/rie", "mode": "ro"}},
        ports={"8080/tcp": ("127.0.0.1", 0)},
        labels={LABEL: "lambda"},
        read_only=True,
        tmpfs={"/tmp": "size=64m"},
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        user="12345:12345",
        mem_limit="256m",
        detach=True,
    )
    try:
        yield Function(container, _address(container))
    finally:
        container.remove(force=True, v=True)
        client.close()


def _address(container: Container) -> str:
    """Waits until the emulator listens. It starts the function only at the first event."""
    for _ in range(100):
        container.reload()
        if container.status == "exited":
            raise RuntimeError(container.logs().decode(errors="replace"))
        with contextlib.suppress(KeyError, IndexError, TypeError, requests.ConnectionError):
            port = (container.ports["8080/tcp"] or [])[0]["HostPort"]
            requests.get(f"http://127.0.0.1:{port}/", timeout=2)
            return f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
        time.sleep(0.05)
    raise RuntimeError("the emulator did not begin to listen within 5 s")
