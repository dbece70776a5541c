"""Weighted choice of the endpoint variant, or of the version behind a Lambda alias, that gets a request."""

from collections.abc import Mapping


def choose_variant(weights: Mapping[str, float], point: float) -> str:
    """The variant at `point` in [0, 1), when each variant owns a part of that interval in proportion to its weight.

    Raises ValueError when every weight is 0: such variants get only requests that target them.
    """
    total = sum(weights.values())
    if total <= 0:
        raise ValueError("every variant has weight 0")
    remaining = point * total
    last = ""
    for name, weight in weights.items():
        if weight <= 0:
            continue
        last = name
        if remaining < weight:
            return name
        remaining -= weight
    return last
