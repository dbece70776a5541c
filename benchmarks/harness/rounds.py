"""Contestants take turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

Measured = Mapping[str, float]


def interleaved(
    contestants: Mapping[str, Callable[[], Measured]],
    rounds: int,
    *,
    warm: int = 0,
    say: Callable[[str], None] = print,
) -> dict[str, list[Measured]]:
    """What each contestant measured in each round, A B A B. `warm` rounds before are not kept: they fill caches."""
    taken: dict[str, list[Measured]] = {name: [] for name in contestants}
    for number in range(-warm, rounds):
        for name, measure in contestants.items():
            found = measure()
            if number < 0:
                continue
            taken[name].append(found)
            numbers = ", ".join(f"{key} {value:.4g}" for key, value in found.items())
            say(f"  round {number + 1}/{rounds}  {name:24} {numbers}")
    return taken


def column(measured: Sequence[Measured], name: str) -> list[float]:
    """One of the numbers, by round."""
    return [found[name] for found in measured]


def kept(file: Path, measure: Callable[[], Measured]) -> Measured:
    """What `measure` found, kept in `file`: a table of hours that was interrupted goes on where it was."""
    if file.exists():
        found: Measured = json.loads(file.read_text())
        return found
    found = measure()
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.rename(file)
    return found


def fingerprint(folders: Iterable[Path]) -> str:
    """Of all Python files in `folders`: what was measured with other code is measured again."""
    found = hashlib.sha256()
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        found.update(file.read_bytes())
    return found.hexdigest()[:12]
