"""AWS's Runtime Interface Emulator: fetches it, and runs a function's containers under it (rules 61, 62, 65).

The binary comes from the wheel of aws-sam-cli, fetched once with a pinned hash.
"""

import fcntl
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from localcloud.cloud import Cloud
from localcloud.cloudwatch.logs import LogForwarder
from localcloud.containers.engine import ContainerSpec, Image, Mount
from localcloud.containers.http import BrokenError, HttpClient, PooledHttpClient, TimedOutError, UnreachableError
from localcloud.errors import LocalcloudError

PORT = 8080
PATH = "/2015-03-31/functions/function/invocations"
USER = "993:990"  # Lambda ignores the image's USER and runs it as its own unprivileged user
START_SECONDS = 10.0
CACHE = Path(__file__).resolve().parents[2] / ".kennel" / "cache" / "rie"


@dataclass(frozen=True, kw_only=True)
class Binary:
    """The emulator for one architecture: its name in the wheel and its checksum."""

    name: str
    sha256: str


PACKAGE = "aws-sam-cli==1.170.0"
WHEEL_SHA256 = ("24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf",
                "5fbaadba4beada832ad6fba1edeb8a1b32bb7a8fcff28168e47f788064e4f878")  # fmt: skip
BINARIES = {
    "amd64": Binary(
        name="aws-lambda-rie-x86_64", sha256="6b1e686e62ab2baf5759c412c4864276ef2a88b094fca53ec070637ccba9b9a5"
    ),
    "arm64": Binary(
        name="aws-lambda-rie-arm64", sha256="ec2e5d09633d853834c008b1ef264bf834b258a94d551d2b2074966494b39a21"
    ),
}
ARCHITECTURES = {"x86_64": "amd64", "arm64": "arm64"}  # Lambda's word → Docker's
MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "arm64": "arm64", "aarch64": "arm64"}


def host_architecture() -> str:
    """This machine's architecture by Lambda's name."""
    return MACHINES.get(platform.machine().lower(), "x86_64")


def fetch(architecture: str, cache: Path = CACHE) -> Path:
    """The emulator's path for Docker's `architecture`; the first call downloads it. Raises LocalcloudError.

    A lock makes concurrent processes wait for the first.
    """
    binary = BINARIES[architecture]
    target = cache / binary.name
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _install(binary, target)
    return target


def _install(binary: Binary, target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        requirements = Path(scratch) / "requirements.txt"
        hashes = " ".join(f"--hash=sha256:{digest}" for digest in WHEEL_SHA256)
        requirements.write_text(f"{PACKAGE} {hashes}\n")
        command = [
            sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:",
            "--require-hashes", "--python", sys.executable, "--target", f"{scratch}/wheel", "-r", str(requirements),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            output = done.stderr.strip()[-500:]
            raise LocalcloudError(f"cannot fetch Lambda's Runtime Interface Emulator ({PACKAGE}): {output}")
        program = Path(scratch) / "wheel" / "samcli" / "local" / "rapid" / binary.name
        if hashlib.sha256(program.read_bytes()).hexdigest() != binary.sha256:
            raise LocalcloudError(f"{binary.name} of {PACKAGE} has another hash than localcloud expects")
        program.chmod(0o755)
        shutil.move(program, target)


def container_spec(
    cloud: Cloud, config: Mapping[str, Any], image: Image, *, emulator: Path, mark: str
) -> ContainerSpec:
    """The container of an execution environment: unprivileged, limited, read-only except /tmp (rules 62, 65)."""
    name, version, memory = config["FunctionName"], config["Version"], int(config["MemorySize"])
    logging = config["LoggingConfig"]
    override = config.get("ImageConfigResponse", {}).get("ImageConfig", {})
    entrypoint = tuple(override.get("EntryPoint") or image.entrypoint)
    command = tuple(override.get("Command") or image.command)
    environment = {
        "AWS_REGION": cloud.region,
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_ACCESS_KEY_ID": "localcloud",
        "AWS_SECRET_ACCESS_KEY": "localcloud",
        "AWS_SESSION_TOKEN": "localcloud",
        "AWS_ENDPOINT_URL": cloud.container_url,
        **config.get("Environment", {}).get("Variables", {}),
        "AWS_LAMBDA_FUNCTION_NAME": name,
        "AWS_LAMBDA_FUNCTION_VERSION": version,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(config["Timeout"]),
        "AWS_LAMBDA_LOG_GROUP_NAME": logging["LogGroup"],
        **_log_format(logging),
    }
    return ContainerSpec(
        image=image.id,
        name=f"{cloud.instance}-function-{name}-{mark}",
        entrypoint=("/rie",),
        command=("--log-level", "error", *entrypoint, *command),
        environment=environment,
        mounts=(Mount(source=str(emulator), target="/rie", read_only=True),),
        tmpfs={"/tmp": f"size={config['EphemeralStorage']['Size']}m,mode=1777"},  # noqa: S108 (the container's)
        publish=(PORT,),
        memory=memory * 1024 * 1024,
        read_only=True,
        user=USER,
        working_directory=override.get("WorkingDirectory"),
        labels={"kennel.function": name, "kennel.version": version},
    )


def _log_format(logging: Mapping[str, str]) -> dict[str, str]:
    """What tells Lambda's runtimes to write JSON, and from which level on."""
    if logging["LogFormat"] != "JSON":
        return {}
    return {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": logging["ApplicationLogLevel"]}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of an invocation: the payload, and `error` = "Unhandled" when the function failed."""

    payload: bytes
    error: str | None = None


def outcome(status: int, body: bytes) -> Outcome:
    """Distinguish a result from a failure, which the emulator does not mark.

    A time-out is plain text, the end of the runtime is a 502, and a raised error is an object with exactly the members
    that Lambda's runtimes send.
    """
    if status != 200:
        return Outcome(payload=body, error="Unhandled")
    if body.startswith(b"Task timed out after "):
        failure = {"errorType": "Sandbox.Timedout", "errorMessage": f"RequestId: {uuid.uuid4()} Error: {body.decode()}"}
        return Outcome(payload=json.dumps(failure).encode(), error="Unhandled")
    if body.startswith(b"{") and b'"errorMessage"' in body[:2_000_000]:
        try:
            keys = set(json.loads(body))
        except ValueError:
            keys = set()
        if {"errorMessage", "errorType"} <= keys <= {"errorMessage", "errorType", "stackTrace", "requestId"}:
            return Outcome(payload=body, error="Unhandled")
    return Outcome(payload=body)


@dataclass(kw_only=True, eq=False)
class Sandbox:
    """One execution environment: a container that runs one invocation at a time."""

    container: str
    http: HttpClient
    tail: "deque[str]"
    idle_since: float = 0.0
    reported: threading.Event = field(default_factory=threading.Event)

    def invoke(self, payload: bytes, timeout: float, context: str | None = None) -> Outcome | None:
        """Run one event; None when the container died. The emulator ends the event after `timeout` seconds."""
        self.tail.clear()
        self.reported.clear()
        try:
            headers = {"X-Amz-Client-Context": context} if context else {}
            response = self.http.request("POST", PATH, body=payload, headers=headers, timeout=timeout + 30)
        except (UnreachableError, BrokenError, TimedOutError):
            return None
        return outcome(response.status, response.body)

    def add_line(self, line: str) -> None:
        """Store a line of output for LogResult, which is the last 4 KB."""
        self.tail.append(line)
        if line.startswith("REPORT RequestId"):
            self.reported.set()


@dataclass(kw_only=True)
class Sandboxes:
    """Starts and ends execution environments. `direct`: reach containers by their own address too."""

    cloud: Cloud
    emulator: Callable[[str], Path] = fetch
    connect: Callable[[str, int], HttpClient] = PooledHttpClient
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    direct: bool = sys.platform == "linux"

    def start(self, config: Mapping[str, Any], image: Image) -> Sandbox:
        """Run a container and wait until the emulator answers. Raises EngineError or LocalcloudError."""
        mark = uuid.uuid4().hex
        emulator = self.emulator(image.architecture)
        state = self.cloud.engine.run(container_spec(self.cloud, config, image, emulator=emulator, mark=mark[:12]))
        stream = f"{self.cloud.now():%Y/%m/%d}/[{config['Version']}]{mark}"
        addresses = [(state.address, PORT)] if self.direct and state.address else []
        addresses += [("127.0.0.1", state.ports[PORT])] if PORT in state.ports else []
        clients = [self.connect(host, port) for host, port in addresses]
        deadline = self.clock() + START_SECONDS
        while (http := next((http for http in clients if _listens(http)), None)) is None:
            if self.clock() > deadline:
                output = b"".join(self.cloud.engine.logs(state.id, tail=5)).decode(errors="replace").strip()
                self.cloud.engine.remove(state.id)
                raise LocalcloudError(
                    f"function {config['FunctionName']} did not start; its output: {output or 'none'}"
                )
            self.sleep(0.02)
        sandbox = Sandbox(container=state.id, http=http, tail=deque(maxlen=200))
        LogForwarder(
            self.cloud.engine.logs(state.id, follow=True), self.cloud.logs, config["LoggingConfig"]["LogGroup"],
            stream, now=self.cloud.now, on_line=sandbox.add_line,
        ).start()  # fmt: skip
        return sandbox

    def end(self, sandbox: Sandbox) -> None:
        """Remove the container at once: Lambda too ends environments without notice."""
        sandbox.http.close()
        self.cloud.engine.remove(sandbox.container)


def _listens(http: HttpClient) -> bool:
    """Whether the emulator answers requests; any response counts."""
    try:
        http.request("GET", "/", body=None, headers={}, timeout=2)
    except (UnreachableError, BrokenError, TimedOutError):
        return False
    return True
