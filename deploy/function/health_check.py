"""The health check of a version of the function: it must classify a small picture, which its endpoint answers."""

from __future__ import annotations

import base64
import json
import struct
import zlib

from deploy.function.function import function_request
from deploy.values import Check, Ref, Request

SIDE = 32  # pixels


def answers(function: str, version: str | Ref) -> Check:
    """That a version answers the picture with statusCode 200. It answers 429 or 503 while its endpoint is busy."""
    return Check(
        request=wake(function, version),
        body="Payload",
        expect={"FunctionError": None, "Payload.statusCode": 200},
        busy={"Payload.statusCode": (429, 503)},
        problem="version {ExecutedVersion} is not healthy",
        reasons=(
            "{Payload.errorType}: {Payload.errorMessage}",
            "{Payload.error.code}: {Payload.error.message}",
        ),
        fix=f"the alias stays where it is; ./inv logs {function} shows what the version wrote",
    )


def wake(function: str, qualifier: str | Ref) -> Request:
    """Asks a version or an alias for the picture. One that was idle for weeks refuses the call and gets ready; the
    client repeats the call until it is answered (rule 93)."""
    return function_request(function, "Invoke", Qualifier=qualifier, Payload=event())


def event() -> bytes:
    """The event of a direct invocation that carries the picture; nothing outside is needed."""
    return json.dumps({"image": base64.b64encode(picture()).decode()}).encode()


def picture() -> bytes:
    """A grey ramp of 32 by 32 pixels as PNG, the same each time."""
    rows = b"".join(b"\0" + bytes(8 * (column + row) // 2 % 256 for column in range(SIDE)) for row in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
