"""Many pictures through our server, beside a bare loop of decoding and forward passes with the same engine.

    .venv/bin/python -m benchmarks.batch_transform [--rounds N] [--model FOLDER] [--engines auto onnxruntime-fp32]

Our server gets the same 256 JPEGs in three ways: JSON bodies of 64 pictures from one caller, the same from two callers,
and one picture a request from as many callers as /execution-parameters names (as a SageMaker transform job sends
files). Time runs from the first byte sent to the last answer; client and server share the cores. The loop runs batches
of 16, once with one thread that decodes each batch first (the simplest way to write it) and once with all cores
decoding; loading the model is not counted. The target compares our server with the faster loop. The same run checks the
answers of both against torch in fp32.

Writes results/batch_transform.json.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.harness import Row, at_least, column, interleaved, machine, write
from benchmarks.harness.rounds import Measured
from benchmarks.serving import inputs
from benchmarks.serving.comparison import DEFAULT_MODEL
from benchmarks.serving.install import our_python
from benchmarks.serving.ours import OURS, environment
from benchmarks.serving.peer import Peer, Place, common_environment
from benchmarks.serving.server import Server, end_on_signals, running

TARGET = 0.95  # of the bare loop's pictures a second
COUNT, IN_A_BODY, LOOP_BATCH, CHECKED = 256, 64, 16, 16
WAYS = {
    "json": "JSON bodies of 64, one caller",
    "json_two": "JSON bodies of 64, two callers",
    "transform": "a picture a request, MaxConcurrentTransforms callers",
}
LOOPS = {"beside": "bare loop, decoding on all cores", "alone": "bare loop, decoding on one core"}
EXACT = ("onnxruntime-fp32", "openvino-fp32")


@dataclass(frozen=True, kw_only=True)
class Way:
    """How the pictures are sent: `bodies` of `content_type` over `callers` persistent connections."""

    bodies: tuple[bytes, ...]
    content_type: str
    callers: int


def json_bodies(pictures: Sequence[bytes], size: int) -> tuple[bytes, ...]:
    """{"images": [BASE64, …]} with `size` pictures each."""
    coded = [base64.b64encode(picture).decode("ascii") for picture in pictures]
    return tuple(json.dumps({"images": coded[at : at + size]}).encode() for at in range(0, len(coded), size))


def send(server: Server, way: Way) -> tuple[float, list[list[float]]]:
    """Seconds until the last answer, and the probabilities of each picture in order. Raises RuntimeError."""
    shares = [range(caller, len(way.bodies), way.callers) for caller in range(way.callers)]
    began = time.perf_counter()
    with ThreadPoolExecutor(way.callers) as pool:
        answered = list(pool.map(lambda share: list(_answers(server, way, share)), shares))
    seconds = time.perf_counter() - began
    by_place = {
        at: body for share, bodies in zip(shares, answered, strict=True) for at, body in zip(share, bodies, strict=True)
    }
    return seconds, [row for at in sorted(by_place) for row in json.loads(by_place[at])]


def _answers(server: Server, way: Way, share: range) -> Iterator[bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.place.port, timeout=120)
    for at in share:
        connection.request("POST", OURS.path(server.place), way.bodies[at], {"Content-Type": way.content_type})
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"ours answered {answer.status}: {body[:300]!r}")
        yield body
    connection.close()


def concurrency(server: Server) -> int:
    """MaxConcurrentTransforms of the server's /execution-parameters, which SageMaker also reads."""
    connection = http.client.HTTPConnection("127.0.0.1", server.place.port, timeout=10)
    connection.request("GET", "/execution-parameters")
    return int(json.loads(connection.getresponse().read())["MaxConcurrentTransforms"])


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Measures one engine."""

    engine: str
    model: Path
    pictures: tuple[bytes, ...]
    known: inputs.Reference
    cpus: int

    def ours(self) -> Measured:
        """Pictures a second for each way of sending."""
        with running(self._server(), "resnet50", python=our_python(), model=self.model, cpus=self.cpus) as server:
            bodies = json_bodies(self.pictures, IN_A_BODY)
            ways = {
                "json": Way(bodies=bodies, content_type="application/json", callers=1),
                "json_two": Way(bodies=bodies, content_type="application/json", callers=2),
                "transform": Way(bodies=self.pictures, content_type="image/jpeg", callers=concurrency(server)),
            }
            send(server, replace(ways["transform"], bodies=self.pictures[: 2 * LOOP_BATCH]))
            return {name: self._rate(server, way) for name, way in ways.items()}

    def bare(self) -> Measured:
        """Pictures a second of both loops."""
        with tempfile.TemporaryDirectory(prefix="kennel-loop-") as name:
            for index, picture in enumerate(self.pictures):
                (Path(name) / f"{index:04d}.jpg").write_bytes(picture)
            place = Place(
                kind="resnet50", python=our_python(), folder=Path(name), port=0, model=self.model.resolve(),
                cpus=self.cpus,
            )  # fmt: skip
            module = "benchmarks.serving.handlers.bare_loop"
            done = subprocess.run(
                [str(place.python), "-m", module, name, str(LOOP_BATCH), self.engine], env=common_environment(place),
                capture_output=True, text=True, check=False, timeout=300,
            )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"the bare loop failed: {done.stderr.strip()[-1000:]}")
        printed = json.loads(done.stdout.splitlines()[-1])
        self._check("the bare loop", printed["answers"])
        return {name: float(printed[name]) for name in LOOPS}

    def _rate(self, server: Server, way: Way) -> float:
        seconds, answers = send(server, way)
        if len(answers) != len(self.pictures):
            raise RuntimeError(f"ours gave {len(answers)} answers for {len(self.pictures)} pictures")
        self._check("ours", answers[:CHECKED])
        return len(self.pictures) / seconds

    def _check(self, who: str, answers: Sequence[Sequence[float]]) -> None:
        agreement = inputs.agreement(answers, self.known.probabilities)
        if agreement.wrong or (self.engine in EXACT and agreement.largest > inputs.FLOAT_TOLERANCE):
            raise RuntimeError(f"{who} does not answer as torch in fp32 does: {agreement}")

    def _server(self) -> Peer:
        """Our server as a transform job starts it."""
        job = {"SAGEMAKER_BATCH": "true", "SAGEMAKER_MAX_PAYLOAD_IN_MB": "100", "KENNEL_ENGINE": self.engine}
        return replace(OURS, environment=lambda place: {**environment(place), **job})


def rows(engine: str, runs: Mapping[str, Sequence[Measured]]) -> list[Row]:
    """Each way of sending beside each loop. Only the comparison with the faster loop has a target."""
    table = []
    for loop, peer in LOOPS.items():
        for way, description in WAYS.items():
            ours, bare = column(runs["ours"], way), column(runs["bare loop"], loop)
            target = TARGET if loop == "beside" else None
            table.append(at_least(f"{engine}: {description}, pictures/s", ours, bare, peer, target=target))
    return table


def main() -> None:
    end_on_signals()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="the artifact's folder")
    parser.add_argument("--engines", nargs="+", default=["auto", "onnxruntime-fp32"])
    options = parser.parse_args()
    model, pictures = inputs.check_model(options.model), inputs.pictures(COUNT)
    known = inputs.reference(model, pictures[:CHECKED])
    table: list[Row] = []
    runs: dict[str, list[Measured]] = {}
    for engine in options.engines:
        cpus = len(os.sched_getaffinity(0))
        bench = Bench(engine=engine, model=model, pictures=pictures, known=known, cpus=cpus)
        print(f"{engine}: pictures a second", flush=True)
        measured = interleaved({"ours": bench.ours, "bare loop": bench.bare}, options.rounds)
        table += rows(engine, measured)
        runs |= {f"{engine}, {who}": each for who, each in measured.items()}
    write("batch_transform", table, runs, machine(), title="Batches beside a bare loop of decode and forward")


if __name__ == "__main__":
    main()
