"""Which engine serves here: the one that packaging measured as fastest, another where this machine differs from the
one it was measured on, or the one that KENNEL_ENGINE names."""

from __future__ import annotations

import logging
from pathlib import Path

from contract import engine, measure
from contract.artifact import ArtifactError, Manifest
from contract.engine import FALLBACK, Engine, EngineError, Network
from contract.machine import Machine

AUTO = "auto"
SECONDS = 0.2  # of measuring, for each candidate

_log = logging.getLogger("kennel.serve")


def network(folder: Path, manifest: Manifest, machine: Machine, wanted: str = AUTO) -> tuple[Network, str]:
    """The opened network and why it is this one. Raises ArtifactError when none can be opened."""
    if wanted != AUTO:
        return _open(folder, _asked(manifest, machine, wanted), machine), "asked for by KENNEL_ENGINE"
    found, reason = candidates(manifest, machine)
    opened: list[Network] = []
    for each in found:
        try:
            opened.append(_open(folder, each, machine))
        except ArtifactError as error:
            reason = f"{reason}; {error}"
    if not opened:
        return _open(folder, FALLBACK, machine), f"{reason}; so the one that always can"
    if len(opened) == 1:
        return opened[0], reason
    crop = manifest.preprocessing.crop
    taken = {each: measure.milliseconds(each, measure.blank(1, crop), seconds=SECONDS) for each in opened}
    told = ", ".join(f"{each.engine} {value:.1f} ms" for each, value in taken.items())
    return min(taken, key=lambda each: taken[each]), f"{reason}; measured here: {told}"


def candidates(manifest: Manifest, machine: Machine) -> tuple[tuple[Engine, ...], str]:
    """The engines to choose from on this machine, at least one, and why these: one alone needs no measuring."""
    choice = manifest.serving
    lack = choice.engine.lacks(machine)
    if not choice.candidates or (choice.machine.flags == machine.flags and not lack):
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


def _open(folder: Path, chosen: Engine, machine: Machine) -> Network:
    try:
        return engine.open_network(folder / chosen.network, chosen, threads=machine.threads)
    except EngineError as error:
        raise ArtifactError(str(error)) from error
