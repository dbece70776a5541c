"""Which engine serves here: the one that packaging measured as fastest, another where this machine differs from the
one it was measured on, or the one that KENNEL_ENGINE names."""

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
SECONDS = 0.2  # of measuring, for each candidate

_log = logging.getLogger("kennel.serve")


class Opening(Protocol):
    """As contract.engine.open_network."""

    def __call__(self, source: Path, engine: Engine, *, threads: int) -> Network: ...


def network(
    folder: Path,
    manifest: Manifest,
    machine: Machine,
    wanted: str = AUTO,
    *,
    opening: Opening = engine.open_network,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[Network, str]:
    """The opened network and why it is this one. Raises ArtifactError when none can be opened, DamagedError when a file
    that may serve is damaged."""

    def opened(each: Engine) -> Network:
        try:
            return opening(folder / each.network, each, threads=machine.threads)
        except EngineError as error:
            raise ArtifactError(str(error)) from error

    if wanted != AUTO:
        return opened(_asked(manifest, machine, wanted)), "asked for by KENNEL_ENGINE"
    found, reason = candidates(manifest, machine)
    blank = measure.blank(1, manifest.preprocessing.crop)
    taken: dict[Network, float] = {}
    for each in found:
        try:
            able = opened(each)
            taken[able] = measure.milliseconds(able, blank, seconds=SECONDS, clock=clock) if len(found) > 1 else 0.0
        except DamagedError:
            raise
        except Exception as error:  # it cannot be opened or does not compute here; each engine has its own types
            reason = f"{reason}; {each} fails: {error}"
    if not taken:
        return opened(FALLBACK), f"{reason}; so the one that always can"
    if len(found) > 1:
        told = ", ".join(f"{each.engine} {value:.1f} ms" for each, value in taken.items())
        reason = f"{reason}; measured here: {told}"
    return min(taken, key=lambda each: taken[each]), reason


def candidates(manifest: Manifest, machine: Machine) -> tuple[tuple[Engine, ...], str]:
    """The engines to choose from on this machine, at least one, and why these: one alone needs no measuring."""
    choice = manifest.serving
    lack = choice.engine.lacks(machine)
    if not lack and (not choice.candidates or choice.machine.flags == machine.flags):
        return (choice.engine,), f"as packaged: {choice.reason}"
    able = tuple(each.engine for each in choice.accepted() if not each.engine.lacks(machine))
    differs = f"{choice.engine} is {lack}" if lack else f"packaged on {choice.machine.cpu or 'another CPU'}"
    return able or (FALLBACK,), differs


def _asked(manifest: Manifest, machine: Machine, wanted: str) -> Engine:
    try:
        asked = engine.named(wanted)
    except EngineError as error:
        raise ArtifactError(f"KENNEL_ENGINE: {error}") from error
    if lack := asked.lacks(machine):
        raise ArtifactError(f"KENNEL_ENGINE={wanted}: {lack}; leave it out, or choose {FALLBACK}")
    if asked.network not in manifest.files:
        raise ArtifactError(
            f"KENNEL_ENGINE={wanted}: this artifact has no {asked.network}; leave it out, or train again"
        )
    for each in manifest.serving.candidates:
        if each.engine == asked and not each.accepted:
            _log.warning("KENNEL_ENGINE=%s: packaging did not accept it: %s", wanted, each.reason)
    return asked
