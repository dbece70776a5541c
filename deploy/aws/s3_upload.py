"""Uploads one file to S3, a large one in parts. S3 checks each checksum; an interrupted upload resumes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from deploy.aws.client import pages
from deploy.aws.requests import s3
from deploy.values import Call, Request

MIB = 1024**2
PART = 16 * MIB  # larger files are sent in parts; S3 takes 5 MiB or more a part, and 10,000 parts
MOST_PARTS = 10_000
PART_WORKERS = 8

Sent = Callable[[int], None]


@dataclass(frozen=True, kw_only=True)
class Part:
    """One part of a file. S3 counts `number` from 1."""

    number: int
    offset: int
    size: int


def parts(size: int) -> tuple[Part, ...]:
    """The parts of a file of `size` bytes; none for a file that is sent in one piece."""
    if size <= PART:
        return ()
    length = max(PART, MIB * ceil(size / MOST_PARTS / MIB))
    return tuple(
        Part(number=index + 1, offset=offset, size=min(length, size - offset))
        for index, offset in enumerate(range(0, size, length))
    )


def etag(path: Path) -> str:
    """The ETag that S3 gives this file in our buckets (AES256): its MD5, or the MD5 of its parts' MD5s."""
    cut = parts(path.stat().st_size)
    with path.open("rb") as stream:
        if not cut:
            return hashlib.file_digest(stream, _md5).hexdigest()
        digests = b"".join(_md5(stream.read(part.size)).digest() for part in cut)
    return f"{_md5(digests).hexdigest()}-{len(cut)}"


def upload(call: Call, *, bucket: str, key: str, path: Path, sent: Sent = lambda _: None) -> None:
    """Uploads a file; `sent` gets the number of bytes of each request that arrived. S3 checks the SHA-256.

    A large file is sent in parts: when it is interrupted, the next upload of the same file sends the missing parts.
    """
    size = path.stat().st_size
    cut = parts(size)
    if not cut:
        content = path.read_bytes()  # not a stream, which would be at its end when the request is sent again
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        call(_s3("PutObject", bucket, key, Body=content, ChecksumSHA256=checksum))
        sent(size)
        return
    number, arrived = _resume(call, bucket, key)
    uploader = _PartUpload(call=call, bucket=bucket, key=key, path=path, upload=number, arrived=arrived)
    with ThreadPoolExecutor(PART_WORKERS) as pool:
        going = {pool.submit(uploader.send, part): part for part in cut}
        done = {}
        for future in finished(list(going)):
            done[going[future].number] = future.result()
            sent(going[future].size)
    complete = {"Parts": [{"PartNumber": part, **done[part]} for part in sorted(done)]}
    call(_s3("CompleteMultipartUpload", bucket, key, UploadId=number, MultipartUpload=complete))


def finished(futures: list[Future[Any]]) -> Iterator[Future[Any]]:
    """Yields each future as it ends. The first failure, or Ctrl-C, cancels those that have not begun."""
    try:
        for future in as_completed(futures):
            future.result()
            yield future
    except BaseException:
        for each in futures:
            each.cancel()
        raise


def unfinished(call: Call, bucket: str, key: str) -> list[str]:
    """The uploads of an object that were started and not completed, newest first."""
    listing = s3("ListMultipartUploads", Bucket=bucket, Prefix=key)
    uploads = pages(call, listing, items="Uploads", token=("NextKeyMarker", "KeyMarker"))
    started = sorted((each for each in uploads if each["Key"] == key), key=lambda each: each["Initiated"], reverse=True)
    return [str(each["UploadId"]) for each in started]


def abort(bucket: str, key: str, number: str) -> Request:
    """Gives up an upload, whose parts are billed until then."""
    return _s3("AbortMultipartUpload", bucket, key, UploadId=number)


def _resume(call: Call, bucket: str, key: str) -> tuple[str, dict[int, Mapping[str, Any]]]:
    """The newest unfinished upload, or a new one, and its parts by number. Older uploads are given up."""
    numbers = unfinished(call, bucket, key)
    for old in numbers[1:]:
        call(abort(bucket, key, old))
    if not numbers:
        begun = call(_s3("CreateMultipartUpload", bucket, key, ChecksumAlgorithm="SHA256"))
        return str(begun["UploadId"]), {}
    listing = _s3("ListParts", bucket, key, UploadId=numbers[0])
    sent = pages(call, listing, items="Parts", token=("NextPartNumberMarker", "PartNumberMarker"))
    return numbers[0], {int(each["PartNumber"]): each for each in sent}


@dataclass(frozen=True, kw_only=True)
class _PartUpload:
    """Sends the parts of one upload. `arrived` holds the parts that S3 has, by number."""

    call: Call
    bucket: str
    key: str
    path: Path
    upload: str
    arrived: Mapping[int, Mapping[str, Any]]

    def send(self, part: Part) -> dict[str, str]:
        """Sends a part unless S3 has it. Returns the part's entry for CompleteMultipartUpload."""
        with self.path.open("rb") as stream:
            stream.seek(part.offset)
            content = stream.read(part.size)
        checksum = base64.b64encode(hashlib.sha256(content).digest()).decode()
        tag = str(self.arrived.get(part.number, {}).get("ETag", ""))
        if tag.strip('"') != _md5(content).hexdigest():
            place = {"UploadId": self.upload, "PartNumber": part.number}
            request = _s3("UploadPart", self.bucket, self.key, **place, Body=content, ChecksumSHA256=checksum)
            tag = str(self.call(request)["ETag"])
        return {"ETag": tag, "ChecksumSHA256": checksum}


def _s3(operation: str, bucket: str, key: str, **params: Any) -> Request:
    return s3(operation, Bucket=bucket, Key=key, **params)


def _md5(content: bytes = b"") -> Any:
    return hashlib.md5(content, usedforsecurity=False)
