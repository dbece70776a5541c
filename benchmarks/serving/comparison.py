"""Compares our server with the peers: installs them, starts one for each turn, and drops a peer that fails."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import Row, interleaved, machine, not_measured
from benchmarks.harness.rounds import Measured
from benchmarks.serving import install
from benchmarks.serving.load import LoadError
from benchmarks.serving.ours import OURS
from benchmarks.serving.peer import NAMES, TORCH, NetworkKind, Peer, named
from benchmarks.serving.server import Server, ServerError, end_on_signals, running

Measure = Callable[[Server], Measured]
DEFAULT_MODEL = Path(".kennel/benchmarks/model")
_FAILURES = (ServerError, LoadError, RuntimeError, ValueError, OSError, subprocess.TimeoutExpired)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The servers compared at one kind of work, and the errors of those that failed. Ours comes first and must run."""

    kind: NetworkKind
    model: Path
    cpus: int
    pythons: Mapping[str, Path]
    peers: Mapping[str, Peer]
    failures: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def started(self, name: str) -> Iterator[Server]:
        """Starts the named server."""
        with running(
            self.peers[name], self.kind, python=self.pythons[name], model=self.model, cpus=self.cpus
        ) as server:
            yield server

    def each(self, measure: Measure) -> dict[str, Callable[[], Measured]]:
        """A turn for each server, by name: starts the server and measures it."""
        return {name: self._turn(name, measure) for name in self.peers if name not in self.failures}

    def turns(self, measure: Measure, rounds: int, *, warm: int = 0) -> dict[str, list[Measured]]:
        """Each server's results by round, without servers that failed."""
        return self.surviving(interleaved(self.each(measure), rounds, warm=warm))

    def surviving(self, runs: Mapping[str, list[Measured]]) -> dict[str, list[Measured]]:
        """The runs of servers that did not fail."""
        return {name: measured for name, measured in runs.items() if name not in self.failures}

    def notes(self) -> dict[str, str]:
        """How each server is set up, as notes for a table."""
        return {name: f"{name}: {peer.tuning}" for name, peer in self.peers.items()}

    def missing(self, what: str, *, target: float | None = None) -> list[Row]:
        """A row for each peer that failed."""
        return [not_measured(what, name, why, target=target) for name, why in self.failures.items()]

    def _turn(self, name: str, measure: Measure) -> Callable[[], Measured]:
        def turn() -> Measured:
            if name in self.failures:
                return {}
            try:
                with self.started(name) as server:
                    return measure(server)
            except _FAILURES as error:
                if name == OURS.name:
                    raise
                self.failures[name] = short(error)
                print(f"  {name} failed and is left out: {error}", flush=True)
                return {}

        return turn


def prepare(kind: NetworkKind, model: Path, names: Sequence[str]) -> Comparison:
    """Installs our server and the named peers that support `kind`."""
    failures: dict[str, str] = {}
    peers: dict[str, Peer] = {OURS.name: OURS}
    pythons = {OURS.name: install.our_python()}
    for name in names:
        try:
            peer = named(name, kind)
            if kind in peer.kinds:
                pythons[name] = install.peer_python(peer)
                peers[name] = peer
        except (*_FAILURES, ImportError) as error:
            failures[name] = short(error)
            print(f"  {name} is left out: {error}", flush=True)
    cpus = len(os.sched_getaffinity(0))
    return Comparison(kind=kind, model=model, cpus=cpus, pythons=pythons, peers=peers, failures=failures)


def arguments(description: str | None, *, rounds: int, peers: Sequence[str] = NAMES) -> argparse.Namespace:
    """Parses the options that all serving benchmarks share. Also makes signals end the servers."""
    end_on_signals()
    parser = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="the artifact's folder")
    parser.add_argument("--peers", nargs="*", default=list(peers), choices=list(NAMES))
    return parser.parse_args()


def setup(compared: Comparison) -> str:
    """The machine, and the versions of all compared servers."""
    versions = {name: _version(peer) for name, peer in compared.peers.items() if name != OURS.name}
    return machine({**versions, "torch": TORCH[0].partition("==")[2], "k6": "1.1.0"})


def engine_of(model: Path) -> str:
    """The engine that the artifact is served with, for a table."""
    manifest = json.loads((model / "model.json").read_text(encoding="utf-8"))
    engine = manifest.get("serving", {}).get("engine", {"name": "onnxruntime", "precision": "fp32"})
    return f"{manifest['architecture']}, ours by {engine['name']} {engine['precision']}"


def tunings(compared: Comparison) -> str:
    """How each server is set up, one line each."""
    return "\n".join(f"  {note}" for note in compared.notes().values())


def short(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def _version(peer: Peer) -> str:
    return next((text.partition("==")[2] for text in peer.requirements if "==" in text), "?")
