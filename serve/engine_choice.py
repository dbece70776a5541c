"""Chooses the engine that serves.

KENNEL_ENGINE names one. Otherwise it is the one that packaging measured as fastest; on a machine that differs from the
one where packaging measured, the candidates are measured again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from contract import engine, measure
from contract.artifact import ArtifactError, DamagedError, Manifest
from contract.engine import FALLBACK, Engine, EngineError, Network
from contract.machine import Machine

AUTO = "auto"
SECONDS = 0.2  # to measure each candidate

_log = logging.getLogger("kennel.serve")


class OpenNetwork(Protocol):
    """Opens a network as contract.engine.open_network does."""

    def __call__(self, source: Path, engine: Engine, *, threads: int) -> Network: ...


def choose_network(
    folder: Path,
    manifest: Manifest,
    machine: Machine,
    engine_name: str = AUTO,
    *,
    open_network: OpenNetwork = engine.open_network,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Network, str]:
    """The opened network, and the reason why it was chosen. Raises ArtifactError when no network can be opened, and
    DamagedError when the file of a candidate is damaged."""

    def opened(each: Engine) -> Network:
        try:
            return open_network(folder / each.network, each, threads=machine.threads)
        except EngineError as error:
            raise ArtifactError(str(error)) from error

    if engine_name != AUTO:
        return opened(_named_engine(manifest, machine, engine_name)), "chosen by KENNEL_ENGINE"
    engines, reason = candidates(manifest, machine)
    several = len(engines) > 1
    blank = measure.blank(1, manifest.preprocessing.crop)
    times: dict[Network, float] = {}
    for each in engines:
        try:
            network = opened(each)
            times[network] = measure.milliseconds(network, blank, seconds=SECONDS, clock=clock) if several else 0.0
        except DamagedError:
            raise
        except Exception as error:  # opening or computing failed; each engine raises its own types
            reason = f"{reason}; {each} fails: {error}"
    if not times:
        return opened(FALLBACK), f"{reason}; fell back to {FALLBACK}"
    if several:
        measured = ", ".join(f"{each.engine} {value:.1f} ms" for each, value in times.items())
        reason = f"{reason}; measured here: {measured}"
    return min(times, key=lambda each: times[each]), reason


def candidates(manifest: Manifest, machine: Machine) -> tuple[tuple[Engine, ...], str]:
    """The engines to choose from on this machine, at least one, and the reason. A single one need not be measured."""
    choice = manifest.serving
    missing = choice.engine.lacks(machine)
    if not missing and (not choice.candidates or choice.machine.flags == machine.flags):
        return (choice.engine,), f"as packaged: {choice.reason}"
    runnable = tuple(each.engine for each in choice.accepted() if not each.engine.lacks(machine))
    reason = f"{choice.engine} is {missing}" if missing else f"packaged on {choice.machine.cpu or 'another CPU'}"
    return runnable or (FALLBACK,), reason


def _named_engine(manifest: Manifest, machine: Machine, name: str) -> Engine:
    try:
        chosen = engine.named(name)
    except EngineError as error:
        raise ArtifactError(f"KENNEL_ENGINE: {error}") from error
    if missing := chosen.lacks(machine):
        raise ArtifactError(f"KENNEL_ENGINE={name}: {missing}; unset it or set it to {FALLBACK}")
    if chosen.network not in manifest.files:
        raise ArtifactError(f"KENNEL_ENGINE={name}: the artifact has no {chosen.network}; unset it or train again")
    for each in manifest.serving.candidates:
        if each.engine == chosen and not each.accepted:
            _log.warning("KENNEL_ENGINE=%s: packaging did not accept this engine: %s", name, each.reason)
    return chosen
