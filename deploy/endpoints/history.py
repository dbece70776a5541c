"""The configurations that an endpoint ran, recorded in its own tags: rollback chooses from them (pure).

The tag holds the keys of configurations (the hash at the end of their names), oldest first; the last deploy's is last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

HISTORY_TAG = "kennel:history"
KEPT = 5  # configurations to choose from, including the running one


def history(tags: Mapping[str, str]) -> tuple[str, ...]:
    """The keys, oldest first."""
    return tuple(tags.get(HISTORY_TAG, "").split())


def extended(past: Sequence[str], *, running: str, new: str) -> tuple[str, ...]:
    """The history once `new` is deployed where `running` runs. Deploying the same configuration again adds nothing."""
    if past and past[-1] == new:
        return tuple(past)
    known = (*past, *((running,) if running and running not in past[-1:] else ()))
    return (*known, new)[-KEPT:]


def previous(past: Sequence[str]) -> str:
    """The key of the configuration before the last deploy's; "" when there was none."""
    return past[-2] if len(past) > 1 else ""


def tag(past: Sequence[str]) -> dict[str, str]:
    """The tag that records a history (rule 92: 256 characters; five keys take 54)."""
    return {"Key": HISTORY_TAG, "Value": " ".join(past)}
