"""The answers of Lambda's List operations. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from localcloud.awslambda.configuration import Params


def listed(config: Params) -> Params:
    """A configuration as the List operations return it: without its state."""
    return {key: value for key, value in config.items() if not key.startswith(("State", "LastUpdateStatus"))}


def page(rows: Iterable[Params], params: Mapping[str, Any], out: str) -> Params:
    """One page of a listing: MaxItems rows, 50 at most. The marker is an offset."""
    all_rows = list(rows)
    start, size = int(params.get("Marker") or 0), min(int(params.get("MaxItems") or 50), 50)
    answer: Params = {out: all_rows[start : start + size]}
    if start + size < len(all_rows):
        answer["NextMarker"] = str(start + size)
    return answer
