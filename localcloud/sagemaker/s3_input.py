"""How SageMaker maps S3 keys to files: a key's path below its prefix, and the keys that a ManifestFile lists."""

import json
from pathlib import PurePosixPath

from localcloud.errors import ApiError
from localcloud.s3 import Location, location


def relative(prefix: str, key: str) -> str:
    """A key's path below a prefix. A prefix that is not a folder counts from its parent folder.

    Raises ApiError for a key whose path leads outside the folder.
    """
    if prefix.endswith("/") or not prefix:
        below = key[len(prefix) :]
    elif key.startswith(prefix + "/"):
        below = key[len(prefix) + 1 :]
    else:
        below = key[prefix.rfind("/") + 1 :]
    path = PurePosixPath(below.lstrip("/"))
    if ".." in path.parts or not path.parts:
        raise ApiError("ValidationException", f"S3 key {key} has no safe path below {prefix}")
    return str(path)


def manifest_keys(text: bytes, channel: str) -> tuple[Location, list[str]]:
    """A ManifestFile's prefix and the relative keys that it lists. Raises ApiError for any other text."""
    try:
        first, *rest = json.loads(text)
        return location(first["prefix"]), [str(entry) for entry in rest]
    except (ValueError, KeyError, TypeError):
        raise ApiError(
            "ValidationException", f'Channel {channel}: a manifest is [{{"prefix": "s3://…"}}, "key", …]'
        ) from None
