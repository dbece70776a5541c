"""Tells a picture's format by its first bytes. The endpoint decodes it."""

from __future__ import annotations

from lambda_container.errors import RequestError

# The endpoint tells the format of an application/x-image from its bytes.
OTHER = "application/x-image"
SIGNATURES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", OTHER),
    (b"GIF89a", OTHER),
    (b"BM", OTHER),
    (b"II*\x00", OTHER),
    (b"MM\x00*", OTHER),
)


def media_type(picture: bytes) -> str:
    """The picture's content type. Raises RequestError: 422 if it is empty, 415 if its format is unknown."""
    if not picture:
        raise RequestError("empty-picture", "the picture is empty: send one with content")
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    for signature, name in SIGNATURES:
        if picture.startswith(signature):
            return name
    raise RequestError("unsupported-type", "the bytes are not a picture: send JPEG, PNG, WebP, GIF, BMP or TIFF")


def check_size(picture: bytes, limit: int) -> None:
    """Raises RequestError 413."""
    if len(picture) > limit:
        raise RequestError("picture-too-large", f"the picture has {len(picture)} bytes: send at most {limit}")
