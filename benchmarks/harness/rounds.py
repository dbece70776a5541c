"""Candidates are measured in turns, so that other load on the machine affects all of them equally."""

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
    """Measures the candidates in turns (A B A B) and returns each one's results by round.

    The first `warm` rounds fill caches; their results are discarded.
    """
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
    return [numbers[name] for numbers in measured]


def kept(file: Path, measure: Callable[[], Measured]) -> Measured:
    """The result of `measure`, stored in `file`, so that an interrupted benchmark of hours resumes where it ended."""
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
    """A hash of all Python files in `folders`: results measured with other code are not reused."""
    digest = hashlib.sha256()
    for file in sorted(file for folder in folders for file in folder.rglob("*.py")):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:12]
