"""A CreateTransformJob request turned into what its containers get: environment, payloads, where answers go. Pure.

rule 43, and "Use batch transform to run inference" in the developer guide.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.s3 import Location, location
from localcloud.sagemaker.records import Params, invalid

MEBIBYTE = 1024 * 1024
PAYLOAD_MB, LARGEST_MB = 6, 100
TIMEOUT_S, RETRIES = 600, 3
STRATEGIES = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}


class InputError(Exception):
    """One input object cannot be transformed; the message is for the job's data log."""


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How an instance is fed: payload size in bytes (None: any), requests at once, one record a request or many."""

    payload: int | None
    concurrency: int
    single: bool


def check(request: Mapping[str, Any]) -> None:
    """Rules between members, and what localcloud has not. Raises ApiError ValidationException."""
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise invalid(f"localcloud transforms S3Prefix and ManifestFile, no {source['S3DataType']}.")
    split = request["TransformInput"].get("SplitType", "None")
    if split not in ("None", "Line"):
        raise invalid(f"localcloud splits by Line or not at all, no {split}.")
    if split == "None" and request.get("BatchStrategy") == "MultiRecord":
        raise invalid("BatchStrategy MultiRecord needs a SplitType: set TransformInput.SplitType to Line.")
    processing = request.get("DataProcessing", {})
    wanted = [name for name in ("InputFilter", "OutputFilter") if processing.get(name, "$") != "$"]
    if wanted or processing.get("JoinSource", "None") != "None":
        raise invalid("localcloud neither filters nor joins: leave DataProcessing out.")
    if "DataCaptureConfig" in request:
        raise invalid("localcloud does not capture data: leave DataCaptureConfig out.")
    payload, concurrency = request.get("MaxPayloadInMB", PAYLOAD_MB), request.get("MaxConcurrentTransforms", 0)
    if payload > LARGEST_MB:
        raise invalid(f"MaxPayloadInMB {payload} must be at most {LARGEST_MB}.")
    if concurrency and payload * concurrency > LARGEST_MB:
        raise invalid(f"MaxConcurrentTransforms × MaxPayloadInMB is {payload * concurrency} MB; at most {LARGEST_MB}.")


def environment(request: Mapping[str, Any]) -> dict[str, str]:
    """What the platform tells the container; what the request leaves open it is not told (rule 43)."""
    found = {"SAGEMAKER_BATCH": "true"}
    if "MaxPayloadInMB" in request:
        found["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(request["MaxPayloadInMB"])
    if "BatchStrategy" in request:
        found["SAGEMAKER_BATCH_STRATEGY"] = STRATEGIES[request["BatchStrategy"]]
    if request.get("MaxConcurrentTransforms"):
        found["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(request["MaxConcurrentTransforms"])
    return found | dict(request.get("Environment", {}))


def pace(request: Mapping[str, Any], parameters: Mapping[str, Any]) -> Pace:
    """The request's own word, else the container's /execution-parameters, else the default."""
    megabytes = request.get("MaxPayloadInMB", parameters.get("MaxPayloadInMB", PAYLOAD_MB))
    concurrency = request.get("MaxConcurrentTransforms") or parameters.get("MaxConcurrentTransforms") or 1
    asked = STRATEGIES.get(request.get("BatchStrategy", ""), parameters.get("BatchStrategy", "MULTI_RECORD"))
    return Pace(
        payload=int(megabytes) * MEBIBYTE or None, concurrency=max(1, int(concurrency)), single=asked == "SINGLE_RECORD"
    )


def payloads(content: bytes, *, split: str, pace: Pace) -> Iterator[bytes]:
    """The bodies that one object becomes. Raises InputError for a record that is larger than a payload may be."""
    records = content.splitlines(keepends=True) if split == "Line" else [content]
    body = b""
    for record in records:
        if pace.payload is not None and len(record) > pace.payload:
            raise InputError(f"Too much data for max payload size: {len(record)} bytes of at most {pace.payload}")
        full = pace.payload is not None and len(body) + len(record) > pace.payload
        if body and (pace.single or split == "None" or full):
            yield body
            body = b""
        body += record
    if body or split == "None":
        yield body


def assemble(answers: Iterable[bytes], *, with_line: bool) -> bytes:
    """One object's answers as its output: as they are, or each ended by a line feed."""
    return b"".join(answer + (b"\n" if with_line else b"") for answer in answers)


def output(request: Mapping[str, Any], below: str) -> Location:
    """Where the answer to an object goes: its path below the input's prefix, with .out."""
    return location(request["TransformOutput"]["S3OutputPath"]) / f"{below}.out"


def share(keys: Sequence[str], instance: int, instances: int) -> list[str]:
    """The objects of one instance: each goes to one instance."""
    return list(sorted(keys)[instance::instances])


def headers(request: Mapping[str, Any]) -> dict[str, str]:
    """The headers of every request to the container."""
    asked = {
        "Content-Type": request["TransformInput"].get("ContentType"),
        "Accept": request["TransformOutput"].get("Accept"),
    }
    return {name: value for name, value in asked.items() if value}


def client(request: Mapping[str, Any]) -> tuple[float, int]:
    """Seconds that an answer may take, and how often a failed request is sent again."""
    config: Params = request.get("ModelClientConfig", {})
    timeout = config.get("InvocationsTimeoutInSeconds", TIMEOUT_S)
    return float(timeout), int(config.get("InvocationsMaxRetries", RETRIES))
