"""demo: the whole path on one machine, from pictures to answers, shown step by step. A second run reuses the first."""

from __future__ import annotations

import http.server
import json
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deploy.commands.data import fetch, push
from deploy.commands.deploy import deploy
from deploy.commands.invoke import invoke
from deploy.commands.train import train
from deploy.config.section import Scalar
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import DeployError
from deploy.jobs.request import JobResult
from deploy.session import Session

PICTURES = 5
PORT = 4570  # always the same, so that a second run need not change the function
NAME = "groceries"
# The same network with random weights, for comparison; with fewer pixels, to save half a minute.
BASELINE: Mapping[str, Scalar] = {
    "weights": "none",
    "resize": 112,
    "crop": 96,
    "engine": "onnxruntime",  # it is never served, so there is no engine to choose
    "serve_precision": "fp32",
}


@dataclass(kw_only=True)
class Demo:
    """The demo's steps. `build` builds the images; `up` starts the local AWS and returns the host name by which
    containers reach this machine; `groceries` and `weights` fetch once and return paths; `page` returns the endpoint's
    address for a browser. `sent` counts the requests by operation."""

    session: Session
    build: Callable[[], None]
    up: Callable[[], str]
    groceries: Callable[[], Path]
    weights: Callable[[], Path]
    page: Callable[[], str]
    runs: Path
    screen: Screen
    sent: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Runs all steps. Raises DeployError; what was made stays, for inspection and for the next run."""
        screen, began = self.screen, time.monotonic()
        with screen.stage("images: train, serve, lambda"):
            self.build()
        with screen.stage("a local AWS"):
            host = self.up()
        with screen.stage("pictures and pretrained weights into S3"):
            folder = self.groceries()
            push(self.session, folder, NAME, weights=self.weights())
        hosts = self.session.settings.training.instance_count
        with screen.stage(f"training on {hosts} hosts, starting from ImageNet"):
            trained = train(self.session, NAME, show_log=False)
        with screen.stage(
            f"for comparison: the same network starting from random weights, at {BASELINE['crop']} pixels"
        ):
            baseline = train(self.session, NAME, purpose="baseline", overrides=BASELINE, show_log=False)
        with serving_files(held_out(folder / "test"), host) as served:
            with screen.stage("endpoint and Lambda"):
                session = replace(self.session, settings=allowing(self.session.settings, served.address))
                if not deploy(session):
                    screen.say("   nothing to change")
            with screen.stage(f"{len(served.urls)} pictures of the test split, by URL through the Lambda"):
                answers = [self._ask(truth, url) for truth, url in served.urls]
        self._show(answers, trained, baseline, time.monotonic() - began)

    def _ask(self, truth: str, url: str) -> tuple[str, str, float, float]:
        """The true class, the predicted one, its probability, and milliseconds."""
        began = time.monotonic()
        answer = invoke(self.session, {"url": url})
        milliseconds = 1000 * (time.monotonic() - began)
        label, probability = top(answer)
        return truth, label, probability, milliseconds

    def _show(
        self, answers: Sequence[tuple[str, str, float, float]], trained: JobResult, baseline: JobResult, seconds: float
    ) -> None:
        screen = self.screen
        screen.say()
        rows = [(truth, label, f"{probability:.2f}", f"{milliseconds:.0f} ms", "✓" if truth == label else "✗")
                for truth, label, probability, milliseconds in answers]  # fmt: skip
        screen.table(("truth", "top-1", "probability", "latency", ""), rows)
        report = self._report(trained)
        scores = [
            f"{self._top1(result):.1%} {start}"
            for result, start in (
                (trained, "from ImageNet"),
                (baseline, f"from random weights (at {BASELINE['crop']} pixels)"),
            )
        ]
        screen.say(f"\ntop-1 on the test split: {', '.join(scores)}")
        screen.say(f"report: {report}")
        screen.say(f"page to try your own pictures: {self.page()}")
        screen.say(f"\n{on_aws(self.session.settings, self.sent)}")
        screen.say(f"\n{seconds:.0f} s in all. ./inv status shows what is running; ./inv down deletes it.")

    def _report(self, result: JobResult) -> Path:
        """The path of the job's report.html, fetched to this machine."""
        folder = self.runs / result.name
        if not (folder / "report.html").is_file():
            archive = fetch(self.session, result.reports, folder / "output.tar.gz")
            with tarfile.open(archive) as tar:
                for member in tar:
                    if stream := tar.extractfile(member):
                        (folder / Path(member.name).name).write_bytes(stream.read())
        return next(iter(sorted(folder.rglob("report.html"))), folder)

    def _top1(self, result: JobResult) -> float:
        return float(result.metrics.get("test_top1", float("nan")))


def top(answer: Mapping[str, Any]) -> tuple[str, float]:
    """The first label and its probability in the Lambda's answer. Raises DeployError for an error answer."""
    body = answer.get("body", "")
    if answer.get("statusCode") != 200:
        raise DeployError(f"the Lambda answered {answer.get('statusCode')}: {body}")
    first = (answer.get("predictions") or json.loads(body).get("predictions", []))[0]
    return str(first["label"]), float(first["probability"])


def allowing(settings: Settings, address: str) -> Settings:
    """The settings, changed to let the function fetch from this machine: a private address without TLS (demo only)."""
    function = settings.function.model_copy(update={"allow_http": True, "allow_hosts": (address,)})
    return settings.model_copy(update={"function": function})


def held_out(test: Path, count: int = PICTURES) -> list[tuple[str, Path]]:
    """Pictures of the test split with their classes: the first picture of `count` evenly spread classes."""
    classes = sorted(folder for folder in test.iterdir() if folder.is_dir())
    step = max(1, len(classes) // count)
    return [(folder.name, min(folder.iterdir())) for folder in classes[::step][:count]]


def on_aws(settings: Settings, sent: Counter[str]) -> str:
    """What the same run would use on AWS, and how AWS bills it."""
    training, endpoint, function = settings.training, settings.endpoint, settings.function
    calls = sum(sent.values())
    work = ("CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "CreateEndpoint", "CreateFunction", "Invoke")
    shown = ", ".join(f"{count} × {name}" for name in work if (count := sent.get(name, 0)))
    return "\n".join(
        [
            f"on AWS: the same {calls} requests{f' ({shown})' if shown else ''}, for",
            f"  training   {training.instance_count} × {training.instance_type}, billed by the second while a job runs",
            f"  endpoint   {endpoint.instance_count} × {endpoint.instance_type}, billed until ./inv down",
            f"  Lambda     {function.memory_mb} MB, billed by the call",
            f"  S3         one private bucket, {settings.bucket}",
            "  write your account into [stages.prod] of deploy.toml; ./inv on prod plan shows what deploy would create",
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Served:
    """Pictures served by HTTP: (class, URL) each, all at `address` (host:port)."""

    address: str
    urls: tuple[tuple[str, str], ...]


@contextmanager
def serving_files(files: Sequence[tuple[str, Path]], host: str, port: int = PORT) -> Iterator[Served]:
    """Serves these files only, inside the `with`. `host` is the Docker gateway, or a name for the loopback."""
    named = {f"/{index}{path.suffix}": path for index, (_, path) in enumerate(files)}
    server = _listen(_handler(named), host, port)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    address = f"{host}:{server.server_address[1]}"
    try:
        urls = tuple((label, f"http://{address}{name}") for (label, _), name in zip(files, named, strict=True))
        yield Served(address=address, urls=urls)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _listen(handler: type[http.server.BaseHTTPRequestHandler], host: str, port: int) -> http.server.ThreadingHTTPServer:
    bind = host if host.replace(".", "").isdigit() else "127.0.0.1"
    try:
        return http.server.ThreadingHTTPServer((bind, port), handler)
    except OSError:  # the port is taken: any other works too
        return http.server.ThreadingHTTPServer((bind, 0), handler)


def _handler(files: Mapping[str, Path]) -> type[http.server.BaseHTTPRequestHandler]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = files.get(self.path)
            if path is None:
                self.send_error(404)
                return
            content = path.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """No access log."""

    return Handler
