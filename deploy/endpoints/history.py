"""Which configurations an endpoint was moved to, as its own tags tell: what rollback goes by (pure).

The tag holds the keys of configurations (the hash at the end of their names), oldest first, the last deploy's last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

HISTORY_TAG = "kennel:history"
KEPT = 5  # configurations that can be gone back to, the running one among them


def history(tags: Mapping[str, str]) -> tuple[str, ...]:
    """The keys, oldest first."""
    return tuple(tags.get(HISTORY_TAG, "").split())


def extended(past: Sequence[str], *, running: str, wanted: str) -> tuple[str, ...]:
    """The history once `wanted` is deployed where `running` runs. A deploy that is tried again does not count twice."""
    if past and past[-1] == wanted:
        return tuple(past)
    known = (*past, *((running,) if running and running not in past[-1:] else ()))
    return (*known, wanted)[-KEPT:]


def previous(past: Sequence[str]) -> str:
    """The key of what ran before the last deploy; "" when there was nothing."""
    return past[-2] if len(past) > 1 else ""


def tag(past: Sequence[str]) -> dict[str, str]:
    """The tag that records a history (rule 92: 256 characters; five keys take 54)."""
    return {"Key": HISTORY_TAG, "Value": " ".join(past)}
