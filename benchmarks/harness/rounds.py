"""Contestants take turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

Measured = Mapping[str, float]


def interleaved(
    candidates: Mapping[str, Callable[[], Measured]],
    rounds: int,
    *,
    warm: int = 0,
    say: Callable[[str], None] = print,
) -> dict[str, list[Measured]]:
    """What each contestant measured in each round, A B A B. `warm` rounds before are not kept: they fill caches."""
    runs: dict[str, list[Measured]] = {name: [] for name in candidates}
    for number in range(-warm, rounds):
        for name, measure in candidates.items():
            measured = measure()
            if number < 0:
                continue
            runs[name].append(measured)
            numbers = ", ".join(f"{key} {value:.4g}" for key, value in measured.items())
            say(f"  round {number + 1}/{rounds}  {name:24} {numbers}")
    return runs


def column(measured: Sequence[Measured], name: str) -> list[float]:
    """One of the numbers, by round."""
    return [measured[name] for measured in measured]


def kept(file: Path, measure: Callable[[], Measured]) -> Measured:
    """What `measure` found, kept in `file`: a table of hours that was interrupted goes on where it was."""
    if file.exists():
        measured: Measured = json.loads(file.read_text())
        return measured
    measured = measure()
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(measured))
    part.rename(file)
    return measured


def fingerprint(folders: Iterable[Path]) -> str:
    """Of all Python files in `folders`: what was measured with other code is measured again."""
    measured = hashlib.sha256()
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        measured.update(file.read_bytes())
    return measured.hexdigest()[:12]
