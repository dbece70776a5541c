"""The floor: what the runtime client and the emulator cost without any handler's work."""

from __future__ import annotations


def handler(_event: object, _context: object) -> dict[str, object]:
    return {"statusCode": 200, "predictions": []}
