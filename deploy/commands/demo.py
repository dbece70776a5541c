"""demo: trains, deploys and queries a classifier on one machine. A second run reuses what the first one made."""

from __future__ import annotations

import http.server
import json
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from deploy.commands.data import fetch, push, push_weights
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
PORT = 4570  # always the same, so that a second run finds the function's settings unchanged
NAME = "groceries"
# --compare: the same network from random weights. Fewer pixels save half a minute; the output says so.
RANDOM_START: Mapping[str, Scalar] = {
    "weights": "none",
    "resize": 112,
    "crop": 96,
    "engine": "onnxruntime",  # nothing serves it, so training need not choose an engine
    "serve_precision": "fp32",
}
T = TypeVar("T")


@dataclass(kw_only=True)
class Demo:
    """The demo's steps. `up` starts the local AWS and returns the host name by which containers reach this machine;
    `groceries` and `weights` download once and return paths; `page` returns the address of the endpoint's page.
    With `compare` the network is also trained from random weights."""

    session: Session
    up: Callable[[], str]
    groceries: Callable[[], Path]
    weights: Callable[[], Path]
    page: Callable[[], str]
    runs: Path
    screen: Screen
    compare: bool = False
    sent: Counter[str] = field(default_factory=Counter)

    def run(self) -> None:
        """Raises DeployError, and the errors of its parts. Everything stays, for the next run and for a look."""
        screen, began = self.screen, time.monotonic()
        jobs = Background(say=screen.say)
        with screen.stage("at the same time: images, pretrained weights, a local AWS with the pictures in its S3"):
            trainer = jobs.start("train image", lambda: self.session.build("train"))
            weights = jobs.start("pretrained weights", self.weights, after=trainer)  # its torchvision may have them
            servers = jobs.start("serve and lambda images", self._build_servers, after=trainer)
            pictures = jobs.start("pictures", self.groceries)
            host = self.up()
            folder = pictures.result()
            push(self.session, folder, NAME)
            push_weights(self.session, weights.result())
        scores = self._train(chance=1 / len(classes(folder / "test")))
        servers.result()
        with serving_files(held_out(folder / "test"), host) as served:
            with screen.stage("endpoint and Lambda"):
                session = replace(self.session, settings=allowing(self.session.settings, served.address))
                if not deploy(session):
                    screen.say("   already up to date")
            with screen.stage(f"{len(served.urls)} test pictures, sent as URLs to the Lambda"):
                answers = [self._ask(truth, url) for truth, url in served.urls]
        self._summarize(answers, scores, time.monotonic() - began)

    def _build_servers(self) -> None:
        for kind in ("serve", "lambda"):
            self.session.build(kind)

    def _train(self, *, chance: float) -> Scores:
        hosts = self.session.settings.training.instance_count
        with self.screen.stage(f"training on {hosts} hosts, starting from ImageNet weights"):
            trained = train(self.session, NAME, show_log=False)
        rows = [("trained from ImageNet weights", percent(top1(trained)))]
        if self.compare:
            title = f"trained from random weights, at {RANDOM_START['crop']} pixels"
            with self.screen.stage(f"for comparison: the same network {title}"):
                baseline = train(self.session, NAME, purpose="baseline", overrides=RANDOM_START, show_log=False)
            rows.append((title, percent(top1(baseline))))
        return Scores(rows=(*rows, ("chance", percent(chance))), report=self._report(trained))

    def _ask(self, truth: str, url: str) -> Answer:
        began = time.monotonic()
        answer = invoke(self.session, {"url": url})
        milliseconds = 1000 * (time.monotonic() - began)
        label, probability = top(answer)
        return truth, label, probability, milliseconds

    def _summarize(self, answers: Sequence[Answer], scores: Scores, seconds: float) -> None:
        screen = self.screen
        screen.say()
        rows = [(truth, label, f"{probability:.2f}", f"{took:.0f} ms", "✓" if truth == label else "✗")
                for truth, label, probability, took in answers]  # fmt: skip
        screen.table(("truth", "top-1", "probability", "latency", ""), rows)
        screen.say()
        screen.table(("classifier", "top-1 on the test split"), scores.rows)
        screen.say(f"\nreport: {scores.report}")
        screen.say(f"page to drop pictures on: {self.page()}")
        screen.say(f"\n{on_aws(self.session.settings, self.sent)}")
        screen.say(f"\n{seconds:.0f} s in all. ./inv status lists what runs; ./inv down deletes it.")

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


Answer = tuple[str, str, float, float]  # truth, top-1, its probability, milliseconds


@dataclass(frozen=True, kw_only=True)
class Scores:
    """(classifier, top-1) rows, and the path of the training's report."""

    rows: tuple[tuple[str, str], ...]
    report: Path


@dataclass(frozen=True, kw_only=True)
class Background:
    """Runs functions at the same time, and prints a line as each one ends.

    Daemon threads: after an error or Ctrl-C the command ends without waiting for a download.
    """

    say: Callable[[str], None]
    now: Callable[[], float] = time.monotonic

    def start(self, title: str, work: Callable[[], T], *, after: Future[Any] | None = None) -> Future[T]:
        """The result of `work`, which starts now, or as soon as `after` has its own; an error of `after` is its too."""
        future: Future[T] = Future()

        def run() -> None:
            try:
                if after is not None:
                    after.result()
                began = self.now()
                result = work()
                self.say(f"   {title}: ready after {self.now() - began:.0f} s")
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=run, name=title, daemon=True).start()
        return future


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def top1(result: JobResult) -> float:
    """The job's top-1 on the test split, between 0 and 1."""
    return float(result.metrics.get("test_top1", float("nan")))


def top(answer: Mapping[str, Any]) -> tuple[str, float]:
    """The first label of the Lambda's answer, and its probability. Raises DeployError for any status but 200."""
    body = answer.get("body", "")
    if answer.get("statusCode") != 200:
        raise DeployError(f"the Lambda answered {answer.get('statusCode')}: {body}")
    predictions = answer.get("predictions") or json.loads(body).get("predictions", [])
    return str(predictions[0]["label"]), float(predictions[0]["probability"])


def allowing(settings: Settings, address: str) -> Settings:
    """The settings, with a Lambda that may fetch from `address`, a private host without TLS. Only for the demo."""
    function = settings.function.model_copy(update={"allow_http": True, "allow_hosts": (address,)})
    return settings.model_copy(update={"function": function})


def held_out(test: Path, count: int = PICTURES) -> list[tuple[str, Path]]:
    """(class, picture) of `count` classes spread evenly over the test split: the first picture of each."""
    folders = classes(test)
    step = max(1, len(folders) // count)
    return [(folder.name, min(folder.iterdir())) for folder in folders[::step][:count]]


def classes(split: Path) -> list[Path]:
    """The folders of a split, one for each class."""
    return sorted(folder for folder in split.iterdir() if folder.is_dir())


def on_aws(settings: Settings, sent: Counter[str]) -> str:
    """What the same run takes on AWS."""
    training, endpoint, function = settings.training, settings.endpoint, settings.function
    calls = sum(sent.values())
    work = ("CreateTrainingJob", "CreateModel", "CreateEndpointConfig", "CreateEndpoint", "CreateFunction", "Invoke")
    shown = ", ".join(f"{count} × {name}" for name in work if (count := sent.get(name, 0)))
    return "\n".join(
        [
            f"On AWS the demo makes the same {calls} calls{f' ({shown})' if shown else ''}:",
            f"  training   {training.instance_count} × {training.instance_type}, billed by the second while a job runs",
            f"  endpoint   {endpoint.instance_count} × {endpoint.instance_type}, billed until ./inv down",
            f"  Lambda     {function.memory_mb} MB, billed by the call",
            f"  S3         one private bucket, {settings.bucket}",
            "  Write your account into [stages.prod] of deploy.toml; ./inv on prod plan shows what deploy will create.",
        ]
    )


@dataclass(frozen=True, kw_only=True)
class Served:
    """(class, URL) of each picture that is served at `address` (host:port)."""

    address: str
    urls: tuple[tuple[str, str], ...]


@contextmanager
def serving_files(files: Sequence[tuple[str, Path]], host: str, port: int = PORT) -> Iterator[Served]:
    """Serves these files, and no others, on `host`: the Docker gateway, or a name of the loopback address."""
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
    except OSError:  # the port is taken; any other will do
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
