"""Ours and the peers on the same pictures: installed, run in turns, and dropped with their reason when they fail."""

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
    """Who takes part in a table, and what they did beside their times.

    `part` is an even share of the pictures with as many of each split as `timed` says.
    """

    def __init__(self, name: str, timed: Mapping[str, int], *, frozen: bool, rate: float, batch: int) -> None:
        self.data, self.weights = pictures.whole(), pictures.starting_weights()
        self.part = pictures.share(name, timed)
        self.outcomes: dict[str, Outcome] = {}
        self.failed: dict[str, str] = {}
        self._name, self._frozen, self._rate, self._batch = name, frozen, rate, batch

    def ready(self) -> None:
        """Installs and imports everybody; who cannot be, has failed."""
        ours.ready()
        for one in PEERS:
            try:
                one.ready()
            except RuntimeError as error:
                self.failed |= dict.fromkeys((one.name, called(one, fast=True)), str(error))

    def theirs(
        self, one: Peer, measured_by: Callable[[Ran], Measured], *, epochs: int, fast: bool = False
    ) -> Callable[[], Measured]:
        """What is `found` in a peer's run on the part; nothing once it has failed."""
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
            return measured_by(ran)

        return measure

    def job(self, one: Peer, data: Path, epochs: int, *, fast: bool = False) -> Job:
        """A peer's job on `data`."""
        return Job(
            data=data, weights=self.weights, output=RUNS / f"{self._name}-{one.script}", epochs=epochs,
            frozen=self._frozen, rate=self._rate, batch=self._batch, fast=fast,
        )  # fmt: skip

    def trained_alike(self) -> int:
        """Parameters that each peer trained, on the same pictures. Raises CheckError."""
        return checks.peers_alike(self.outcomes, files=digest((self.part / "train").glob("*/*.jpg")))
