"""Is a version of the function healthy? It is asked once what a small picture of ours shows, by way of its endpoint."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any

SIDE = 32  # pixels


def event() -> bytes:
    """The event of a direct invocation that carries the picture; nothing outside is needed."""
    return json.dumps({"image": base64.b64encode(picture()).decode()}).encode()


def picture() -> bytes:
    """A grey ramp of 32 by 32 pixels as PNG, the same each time."""
    rows = b"".join(b"\0" + bytes(8 * (column + row) // 2 % 256 for column in range(SIDE)) for row in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def fault(answer: Mapping[str, Any]) -> str:
    """What is wrong with the answer of an Invoke, in words; nothing when it names what the picture shows."""
    text = answer["Payload"].read()
    try:
        said = json.loads(text)
    except ValueError:
        said = {}
    said = said if isinstance(said, dict) else {}
    if answer.get("FunctionError"):
        return f"it failed: {said.get('errorType')}: {said.get('errorMessage')}"
    if said.get("statusCode") != 200:
        return f"it answered {said.get('statusCode', 'nothing that can be read')}: {_reason(said, text)}"
    return ""


def _reason(said: Mapping[str, Any], text: bytes) -> str:
    error = said.get("error")
    if isinstance(error, dict):
        return f"{error.get('code')}: {error.get('message')}"
    return text[:300].decode("utf-8", "replace")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
