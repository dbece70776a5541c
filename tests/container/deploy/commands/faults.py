"""Fault injection: each call of a command fails once, at its first time, and the command runs again."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from botocore import xform_name
from botocore.exceptions import ClientError, ReadTimeoutError

from deploy.aws.client import Client
from deploy.values import Request, printable

Fault = Literal["denied", "throttled", "timeout", "kill"]
READS = ("BatchGet", "Get", "Describe", "List", "Head")
TOLERATED = "tolerated: "
LIMIT = 200  # runs within which a command must succeed


def is_change(request: Request) -> bool:
    return not request.operation.startswith(READS)


def name_of(request: Request, fault: Fault) -> str:
    """The name under which a call fails once. A refusal is handled alike for all calls of an operation, so its name is
    the operation. A call that took effect differs by resource, so its name includes the parameters."""
    operation = f"{request.service}.{request.operation}"
    if fault in ("denied", "throttled"):
        return operation
    text = json.dumps(printable(request.params), sort_keys=True)
    return f"{operation}:{hashlib.sha256(text.encode()).hexdigest()[:12]}"


@dataclass(kw_only=True)
class FaultyClient:
    """A client that fails each call once with `fault`. `file` lists the failed calls, a line each.

    A refusal replaces the call; a timeout and a kill follow the call, after it took effect. A throttled call is refused
    at its first try only, and the client tries it again.
    """

    client: Client
    fault: Fault
    file: Path
    failing: list[str] = field(default_factory=list)

    def __call__(self, request: Request) -> dict[str, Any]:
        name = name_of(request, self.fault)
        if name in self.failed or (self.fault != "denied" and not is_change(request)):
            return self.client(request)
        with self.file.open("a", encoding="utf-8") as file:
            file.write(f"{name}\n")
        self.failing.append(name)
        return _Failing(inner=self.client, fault=self.fault)(request)

    @property
    def failed(self) -> list[str]:
        return self.file.read_text(encoding="utf-8").split() if self.file.exists() else []


@dataclass(kw_only=True)
class _Failing:
    """One call through the real client, whose boto3 client fails."""

    inner: Client
    fault: Fault
    _made: dict[str, Any] = field(default_factory=dict)

    def __call__(self, request: Request) -> dict[str, Any]:
        self.inner._client(request.service)
        clients = self.inner._clients
        real = clients[request.service]
        clients[request.service] = _Client(real, request.operation, self.fault)
        try:
            return self.inner(request)
        finally:
            clients[request.service] = real


class _Client:
    """A boto3 client with one failing operation."""

    def __init__(self, real: Any, operation: str, fault: Fault) -> None:
        self._real, self._operation, self._fault = real, operation, fault
        self._is_throttled = fault == "throttled"

    def __getattr__(self, name: str) -> Any:
        send = getattr(self._real, name)
        return partial(self._send, send) if name == xform_name(self._operation) else send

    def _send(self, send: Callable[..., Any], **params: Any) -> Any:
        if self._fault == "denied":
            raise self._refusal("AccessDeniedException", "is not authorized")
        if self._is_throttled:
            self._is_throttled = False
            raise self._refusal("ThrottlingException", "Rate exceeded")
        answer = send(**params)
        if self._fault == "throttled":
            return answer
        if self._fault == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise ReadTimeoutError(endpoint_url="the service")

    def _refusal(self, code: str, message: str) -> ClientError:
        return ClientError({"Error": {"Code": code, "Message": message}}, self._operation)


def walk(command: Callable[[Callable[[Client], Any]], None], fault: Fault, file: Path) -> list[str]:
    """Runs a command until it succeeds, while each of its calls fails once. Returns the message of each failure.

    `command` gets a function that wraps its client; for "kill" it runs in a process of its own.
    """
    messages: list[str] = []
    for _ in range(LIMIT):
        outcome = _in_own_process(command, file) if fault == "kill" else _in_this_process(command, fault, file)
        if outcome is None:
            return messages
        messages.append(outcome)
    raise AssertionError(f"still failing after {LIMIT} runs: {messages[-3:]}")


def _in_this_process(command: Callable[[Callable[[Client], Any]], None], fault: Fault, file: Path) -> str | None:
    from deploy.errors import DeployError

    clients: list[FaultyClient] = []

    def faulty(client: Client) -> FaultyClient:
        clients.append(FaultyClient(client=client, fault=fault, file=file))
        return clients[-1]

    try:
        command(faulty)
    except DeployError as error:
        return str(error)
    tolerated = [name for client in clients for name in client.failing]
    return f"{TOLERATED}{' '.join(tolerated)}" if tolerated else None


def _faulty(file: Path, client: Client) -> FaultyClient:
    return FaultyClient(client=client, fault="kill", file=file)


def _in_own_process(command: Callable[[Callable[[Client], Any]], None], file: Path) -> str | None:
    context = multiprocessing.get_context("forkserver")
    process = context.Process(target=command, args=(partial(_faulty, file),))
    process.start()
    process.join(120)
    if process.exitcode == -signal.SIGKILL:
        return "killed"
    assert process.exitcode == 0, f"ended with {process.exitcode}"
    return None
