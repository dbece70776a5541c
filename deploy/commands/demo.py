"""The whole path on one machine, told as it goes. What is done already is found, not done again."""

from __future__ import annotations

import http.server
import json
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
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
PORT = 4570  # the same each time, so that a second run finds the function as it should be
NAME = "groceries"
# The same network from chance, for comparison; on fewer pixels, which the stage says, to save half a minute.
BASELINE: Mapping[str, Scalar] = {
    "weights": "none",
    "resize": 112,
    "crop": 96,
    "engine": "onnxruntime",  # it is compared, not served: nothing is to be chosen
    "serve_precision": "fp32",
}


@dataclass(kw_only=True)
class Demo:
    """The stages' doors. `up` starts the local AWS and returns the host name by which containers reach this machine;
    `groceries` and `weights` return what is fetched once; `page` is the endpoint's address for a browser."""

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
        """Raises DeployError and its kin; what was made stays for a look, and for the next run."""
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
            trained = train(self.session, NAME, verbose=False)
        with screen.stage(f"for comparison: the same network starting from chance, at {BASELINE['crop']} pixels"):
            baseline = train(self.session, NAME, purpose="baseline", overrides=BASELINE, verbose=False)
        with serving_files(held_out(folder / "test"), host) as served:
            with screen.stage("endpoint and Lambda"):
                self.session.settings = allowing(self.session.settings, served.address)
                if not deploy(self.session):
                    screen.say("   as it should be already")
            with screen.stage(f"{len(served.urls)} pictures that it never saw, by URL through the Lambda"):
                answers = [self._ask(truth, url) for truth, url in served.urls]
        self._tell(answers, trained, baseline, time.monotonic() - began)

    def _ask(self, truth: str, url: str) -> tuple[str, str, float, float]:
        """Truth, top-1, its probability, and milliseconds."""
        began = time.monotonic()
        answer = invoke(self.session, {"url": url})
        took = 1000 * (time.monotonic() - began)
        label, probability = top(answer)
        return truth, label, probability, took

    def _tell(
        self, answers: Sequence[tuple[str, str, float, float]], trained: JobResult, baseline: JobResult, seconds: float
    ) -> None:
        screen = self.screen
        screen.say()
        rows = [(truth, label, f"{chance:.2f}", f"{took:.0f} ms", "✓" if truth == label else "✗")
                for truth, label, chance, took in answers]  # fmt: skip
        screen.table(("truth", "top-1", "probability", "latency", ""), rows)
        report = self._report(trained)
        scores = [
            f"{self._top1(result):.1%} {start}"
            for result, start in ((trained, "from ImageNet"), (baseline, f"from chance (at {BASELINE['crop']} pixels)"))
        ]
        screen.say(f"\ntop-1 on the test split: {', '.join(scores)}")
        screen.say(f"report: {report}")
        screen.say(f"page to drop pictures on: {self.page()}")
        screen.say(f"\n{on_aws(self.session.settings, self.sent)}")
        screen.say(f"\n{seconds:.0f} s in all. ./inv status shows what runs; ./inv down takes it away.")

    def _report(self, result: JobResult) -> Path:
        """The job's report.html on this machine."""
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
    """The first label and its probability out of the Lambda's answer. Raises DeployError for a typed error."""
    body = answer.get("body", "")
    if answer.get("statusCode") != 200:
        raise DeployError(f"the Lambda answered {answer.get('statusCode')}: {body}")
    found = answer.get("predictions") or json.loads(body).get("predictions", [])
    return str(found[0]["label"]), float(found[0]["probability"])


def allowing(settings: Settings, address: str) -> Settings:
    """The settings with this machine's pictures allowed, which are private and without TLS; the demo's only."""
    function = settings.function.model_copy(update={"allow_http": True, "allow_hosts": (address,)})
    return settings.model_copy(update={"function": function})


def held_out(test: Path, count: int = PICTURES) -> list[tuple[str, Path]]:
    """Pictures of the test split with their classes: the first of each of `count` classes spread over all."""
    classes = sorted(folder for folder in test.iterdir() if folder.is_dir())
    step = max(1, len(classes) // count)
    return [(folder.name, min(folder.iterdir())) for folder in classes[::step][:count]]


def on_aws(settings: Settings, sent: Counter[str]) -> str:
    """What the same run would have been on AWS."""
    training, endpoint, function = settings.training, settings.endpoint, settings.function
    calls = sum(sent.values())
    work = ("CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "CreateEndpoint", "CreateFunction", "Invoke")
    shown = ", ".join(f"{count} × {name}" for name in work if (count := sent.get(name, 0)))
    return "\n".join(
        [
            f"on AWS: the same {calls} calls{f' ({shown})' if shown else ''}, for",
            f"  training   {training.instance_count} × {training.instance_type}, billed by the second while a job runs",
            f"  endpoint   {endpoint.instance_count} × {endpoint.instance_type}, billed until ./inv down",
            f"  Lambda     {function.memory_mb} MB, billed by the call",
            f"  S3         one private bucket, {settings.bucket}",
            "  write your account into deploy.toml [stages.prod]; ./inv on prod plan shows what it would make",
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Served:
    """Pictures behind addresses: (class, URL) each, all at `address` (host:port)."""

    address: str
    urls: tuple[tuple[str, str], ...]


@contextmanager
def serving_files(files: Sequence[tuple[str, Path]], host: str, port: int = PORT) -> Iterator[Served]:
    """Serves just these files on `host` (the Docker gateway, or a name that leads to the loopback) while it lasts."""
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
    except OSError:  # taken: any other will do
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
            """Quiet."""

    return Handler
