"""A weighted choice: which endpoint variant, or which version behind a Lambda alias, takes a request."""

from collections.abc import Mapping


def choose_variant(weights: Mapping[str, float], point: float) -> str:
    """Return the variant that owns `point` in [0, 1) when the unit line is cut in proportion to the weights.

    Raises ValueError when every weight is 0: then no variant takes traffic unless it is targeted.
    """
    total = sum(weights.values())
    if total <= 0:
        raise ValueError("every variant has weight 0")
    mark = point * total
    last = ""
    for name, weight in weights.items():
        if weight <= 0:
            continue
        last = name
        if mark < weight:
            return name
        mark -= weight
    return last
