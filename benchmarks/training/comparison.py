"""Runs our trainer and the peers on the same pictures. A peer that fails is left out; the table shows its error."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.harness import environments
from benchmarks.training import checks, ours, peer, pictures
from benchmarks.training.job import Job, Outcome, digest
from benchmarks.training.peer import PEERS, Peer, Ran, called

RUNS = environments.HOME / "runs"
Measured = Mapping[str, float]


class Comparison:
    """The trainers of one table and their outcomes.

    data: all pictures. part: an even part of them, with `timed[split]` pictures of each split. failed: errors by name.
    """

    def __init__(self, name: str, timed: Mapping[str, int], *, frozen: bool, rate: float, batch: int) -> None:
        self.data, self.weights = pictures.whole(), pictures.starting_weights()
        self.part = pictures.share(name, timed)
        self.outcomes: dict[str, Outcome] = {}
        self.failed: dict[str, str] = {}
        self._name, self._frozen, self._rate, self._batch = name, frozen, rate, batch

    def ready(self) -> None:
        """Installs and imports every trainer. A peer for which this fails is entered in `failed`."""
        ours.ready()
        for one in PEERS:
            try:
                one.ready()
            except RuntimeError as error:
                self.failed |= dict.fromkeys((one.name, called(one, fast=True)), str(error))

    def theirs(
        self, one: Peer, figures: Callable[[Ran], Measured], *, epochs: int, fast: bool = False
    ) -> Callable[[], Measured]:
        """A function that runs a peer on `part` and returns `figures(run)`, or {} once the peer has failed."""
        name = called(one, fast=fast)

        def measure() -> Measured:
            if name in self.failed:
                return {}
            try:
                ran = peer.train(one, self.job(one, self.part, epochs, fast=fast))
                checks.peer_learns(name, ran.outcome.losses)
            except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
                self.failed[name] = str(error)
                return {}
            self.outcomes[name] = ran.outcome
            return figures(ran)

        return measure

    def job(self, one: Peer, data: Path, epochs: int, *, fast: bool = False) -> Job:
        """A peer's job on `data`."""
        return Job(
            data=data, weights=self.weights, output=RUNS / f"{self._name}-{one.script}", epochs=epochs,
            frozen=self._frozen, rate=self._rate, batch=self._batch, fast=fast,
        )  # fmt: skip

    def trained_alike(self) -> int:
        """The number of parameters that every peer trained, on the same pictures. Raises CheckError."""
        return checks.peers_alike(self.outcomes, files=digest((self.part / "train").glob("*/*.jpg")))
