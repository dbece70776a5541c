"""Pictures for tests, made in memory."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image


def encoded(colour: str | tuple[int, ...] = "red", size: tuple[int, int] = (64, 48), kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, colour).save(stream, kind)
    return stream.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG whose header says width × height pixels although it has almost no data, like a decompression bomb."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")
