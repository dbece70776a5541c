"""Our server beside a bare loop in one process and beside peers, all with the same engine: ONNX Runtime in fp32.

    .venv/bin/python -m benchmarks.serve_same_engine [--rounds N] [--model FOLDER] [--peers NAME …]

The bare loop only decodes pictures and runs the network, one picture at a time or eight, with the versions and thread
counts of our server. The servers get requests over 8 persistent connections in a closed loop for 8 s, after their
answers were checked against torch in fp32. Writes results/serve_same_engine.json.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.harness import Row, alone, at_least, column, interleaved, write
from benchmarks.harness.rounds import Measured
from benchmarks.serving import comparison, inputs, load
from benchmarks.serving.install import k6, our_python
from benchmarks.serving.peer import ROOT
from benchmarks.serving.server import Server

TARGET = 0.95  # of the bare loop's throughput
SECONDS, CONNECTIONS, PICTURES = 8.0, 8, 12
BARE = {"a bare loop, 1 at a time": 1, "a bare loop, 8 at a time": 8}
WHAT = "pictures a second, ONNX Runtime fp32"


def bare(pictures: Sequence[bytes], model: Path, cpus: int, batch: int) -> Measured:
    """Pictures a second of the bare loop."""
    variables = {"PYTHONPATH": str(ROOT), "BENCHMARK_MODEL": str(model.resolve()), "BENCHMARK_CPUS": str(cpus)}
    with tempfile.TemporaryDirectory(prefix="kennel-bare-") as name:
        for index, picture in enumerate(pictures):
            (Path(name) / f"{index:04d}.jpg").write_bytes(picture)
        command = [str(our_python()), "-m", "benchmarks.serving.handlers.bare", name, str(SECONDS), str(batch)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True, timeout=120)
    return {"rate": float(json.loads(done.stdout)["rate"])}


def served(known: inputs.Reference) -> Callable[[Server], Measured]:
    """A function that measures pictures a second through a server."""

    def measure(server: Server) -> Measured:
        same = inputs.checked(server, known, exact=True)
        load.drive(server, k6(), known.pictures, {"main": load.closed(4, requests=32)})
        full = load.drive(server, k6(), known.pictures, {"main": load.closed_for(CONNECTIONS, seconds=SECONDS)})
        return {
            "rate": full.main.accepted / full.main.seconds,
            "cpu": full.cpu_per_request,
            "driver_share": full.driver_share,
            "difference": same.largest,
        }

    return measure


def rows(runs: Mapping[str, Sequence[Measured]]) -> list[Row]:
    """Our server beside both bare loops, which have the target, and beside the peers, which have none."""
    ours = column(runs["ours"], "rate")
    names = [*BARE, *(name for name in runs if name != "ours" and name not in BARE)]
    table = [
        at_least(WHAT, ours, column(runs[name], "rate"), name, target=TARGET if name in BARE else None)
        for name in names
        if name in runs
    ]
    return [*table, alone("largest difference of a probability from torch", column(runs["ours"], "difference"))]


def main() -> None:
    options = comparison.arguments(__doc__, rounds=5, peers=("litserve",))
    model = inputs.check_model(options.model)
    compared = comparison.prepare("onnx", model, options.peers)
    print(comparison.setup(compared), comparison.tunings(compared), sep="\n", flush=True)
    known = inputs.reference(model, inputs.pictures(PICTURES))
    turns: dict[str, Callable[[], Measured]] = dict(compared.each(served(known)))
    for name, batch in BARE.items():
        turns[name] = lambda batch=batch: bare(known.pictures, model, compared.cpus, batch)  # type: ignore[misc]
    runs = compared.surviving(interleaved(turns, options.rounds))
    setup = comparison.setup(compared)
    write("serve_same_engine", [*rows(runs), *compared.missing(WHAT)], runs, setup, title="The same engine, fp32")


if __name__ == "__main__":
    main()
