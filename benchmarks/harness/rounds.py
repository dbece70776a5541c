"""Contestants take turns, so that what else the machine does falls on all alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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
