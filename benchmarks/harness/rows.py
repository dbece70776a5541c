"""A row of a table: our figure, a peer's figure, their ratio, and whether the ratio meets the target."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

Direction = Literal["at most", "at least"]
DIGITS = 4  # significant ones; more would be noise


@dataclass(frozen=True, kw_only=True)
class Row:
    """`ratio` is the ratio of the medians; `met` says whether it is "at most" or "at least" (`direction`) the `target`.

    `target` and `met` are None for a row without a target. `ratio` and `peer` are None when the peer did not run;
    `note` says why. `rounds` holds the ratio of each round; `worst_ratio` is the worst of them.
    """

    what: str
    ours: float | None
    peer: float | None
    peer_name: str
    ratio: float | None
    worst_ratio: float | None
    target: float | None
    direction: Direction
    met: bool | None
    rounds: tuple[float, ...] = ()
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def __str__(self) -> str:
        if self.ratio is None and self.ours is not None:
            return f"{self.what}: {self.ours}" + (f"; {self.note}" if self.note else "")
        if self.ratio is None:
            return f"{self.what} / {self.peer_name}: {self.note or 'not measured'}"
        verdict = "" if self.met is None else f" (target {self.direction} {self.target}: {_verdict(self.met)})"
        worst = "" if self.worst_ratio is None else f", worst {self.worst_ratio}"
        more = f"; {self.note}" if self.note else ""
        return f"{self.what} / {self.peer_name}: {self.ours} and {self.peer}, ratio {self.ratio}{worst}{verdict}{more}"


def at_most(
    what: str,
    ours: Sequence[float],
    peer: Sequence[float],
    peer_name: str,
    *,
    target: float | None = None,
    note: str = "",
) -> Row:
    """A row whose ours / peer should be at most `target`: for costs, such as CPU or bytes. One number a round."""
    facts = _Facts(what=what, peer_name=peer_name, target=target, direction="at most", note=note)
    return _row(facts, ours, peer)


def at_least(
    what: str,
    ours: Sequence[float],
    peer: Sequence[float],
    peer_name: str,
    *,
    target: float | None = None,
    note: str = "",
) -> Row:
    """A row whose ours / peer should be at least `target`: for rates, such as pictures a second."""
    facts = _Facts(what=what, peer_name=peer_name, target=target, direction="at least", note=note)
    return _row(facts, ours, peer)


def speedup(
    what: str,
    ours: Sequence[float],
    peer: Sequence[float],
    peer_name: str,
    *,
    target: float | None = None,
    note: str = "",
) -> Row:
    """A row whose peer / ours should be at least `target`: for times, given as how many times faster ours is."""
    facts = _Facts(what=what, peer_name=peer_name, target=target, direction="at least", note=note)
    return _row(facts, ours, peer, inverse=True)


def alone(what: str, ours: Sequence[float], note: str = "") -> Row:
    """A row with our number only, compared with nothing."""
    value = _short(statistics.median(ours))
    return Row(
        what=what, ours=value, peer=None, peer_name="", ratio=None, worst_ratio=None, target=None,
        direction="at most", met=None, note=note,
    )  # fmt: skip


def not_measured(what: str, peer_name: str, why: str, *, target: float | None = None) -> Row:
    """A row for a comparison that was not possible here, with the reason."""
    return Row(
        what=what, ours=None, peer=None, peer_name=peer_name, ratio=None, worst_ratio=None, target=target,
        direction="at least", met=None, note=why,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _Facts:
    what: str
    peer_name: str
    target: float | None
    direction: Direction
    note: str


def _row(facts: _Facts, ours: Sequence[float], peer: Sequence[float], *, inverse: bool = False) -> Row:
    over, under = (peer, ours) if inverse else (ours, peer)
    us, them = statistics.median(ours), statistics.median(peer)
    ratio = statistics.median(over) / statistics.median(under)
    each = [a / b for a, b in zip(over, under, strict=False)]
    worst = max(each) if facts.direction == "at most" else min(each)
    met = None
    if facts.target is not None:
        met = ratio <= facts.target if facts.direction == "at most" else ratio >= facts.target
    return Row(
        **vars(facts),
        ours=_short(us),
        peer=_short(them),
        ratio=_short(ratio),
        worst_ratio=_short(worst),
        met=met,
        rounds=tuple(_short(value) for value in each),
    )


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _verdict(met: bool) -> str:
    return "met" if met else "MISSED"
