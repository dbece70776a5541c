"""A handler that does nothing, which shows the cost of the runtime client and the emulator alone."""

from __future__ import annotations


def handler(_event: object, _context: object) -> dict[str, object]:
    return {"statusCode": 200, "predictions": []}
