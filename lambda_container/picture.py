"""What a picture's first bytes say it is. Decoding is the endpoint's work."""

from __future__ import annotations

from lambda_container.errors import RequestError

# The serving contract names three types; application/x-image is "some picture, see for yourself".
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
    """The content type to send. Raises RequestError 422 for nothing at all, 415 for what is not of a known kind."""
    if not picture:
        raise RequestError(422, "empty-picture", "the picture is empty")
    if picture[:4] == b"RIFF" and picture[8:12] == b"WEBP":
        return "image/webp"
    for signature, name in SIGNATURES:
        if picture.startswith(signature):
            return name
    raise RequestError(415, "unsupported-type", "this is not a JPEG, PNG, WebP, GIF, BMP or TIFF picture")


def check_size(picture: bytes, limit: int) -> None:
    """Raises RequestError 413."""
    if len(picture) > limit:
        raise RequestError(413, "picture-too-large", f"the picture has {len(picture)} bytes; at most {limit} are taken")
