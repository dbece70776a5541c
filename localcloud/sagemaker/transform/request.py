"""CreateTransformJob, parsed once; and how objects become payloads and answers become outputs. Pure.

Rule 43, and "Use batch transform to run inference" in the developer guide.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.s3 import Location
from localcloud.sagemaker.records import invalid, s3

MEBIBYTE = 1024 * 1024
PAYLOAD_MB, LARGEST_MB = 6, 100
TIMEOUT_S, RETRIES = 600, 3
STRATEGIES = {"SingleRecord": "SINGLE_RECORD", "MultiRecord": "MULTI_RECORD"}


class InputError(Exception):
    """One input object cannot be transformed; the message is for the job's data log."""


@dataclass(frozen=True, kw_only=True)
class Batching:
    """How objects are sent: payload size in bytes (None: any), requests at once, one record per request or many."""

    payload: int | None
    concurrency: int
    single: bool


@dataclass(frozen=True, kw_only=True)
class Input:
    """What is transformed. `uri` is S3Uri as the request has it, `where` the same parsed."""

    uri: str
    where: Location
    is_manifest: bool
    content_type: str | None
    is_gzipped: bool
    by_line: bool


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where answers go. `uri` is S3OutputPath as the request has it, `where` the same parsed."""

    uri: str
    where: Location
    accept: str | None
    with_line: bool

    def location(self, below: str) -> Location:
        """Where the answer to an object goes: the object's path below the input's prefix, with .out."""
        return self.where / f"{below}.out"


@dataclass(frozen=True, kw_only=True)
class TransformRequest:
    """A valid CreateTransformJob request. None (for `concurrency` also 0) leaves a value to the container.

    `timeout_s` is for one answer, `retries` for a request that failed. `described` is the request as it came; only
    Describe reads it, to echo it.
    """

    name: str
    model: str
    input: Input
    output: Output
    instance_type: str
    instance_count: int
    payload_mb: int | None
    concurrency: int | None
    strategy: str | None
    variables: Mapping[str, str]
    timeout_s: float
    retries: int
    tags: tuple[Mapping[str, str], ...]
    described: Mapping[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        """The platform's variables (rule 43) and the request's own. A value that the request leaves out has none."""
        variables = {"SAGEMAKER_BATCH": "true"}
        if self.payload_mb is not None:
            variables["SAGEMAKER_MAX_PAYLOAD_IN_MB"] = str(self.payload_mb)
        if self.strategy is not None:
            variables["SAGEMAKER_BATCH_STRATEGY"] = STRATEGIES[self.strategy]
        if self.concurrency:
            variables["SAGEMAKER_MAX_CONCURRENT_TRANSFORMS"] = str(self.concurrency)
        return variables | dict(self.variables)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request to the container."""
        headers = {"Content-Type": self.input.content_type, "Accept": self.output.accept}
        return {name: value for name, value in headers.items() if value}

    def batching(self, parameters: Mapping[str, Any]) -> Batching:
        """The request's values, else those of the container's /execution-parameters, else the defaults."""
        megabytes = self.payload_mb
        if megabytes is None:
            megabytes = int(parameters.get("MaxPayloadInMB", PAYLOAD_MB))
        strategy = STRATEGIES.get(self.strategy or "", parameters.get("BatchStrategy", "MULTI_RECORD"))
        return Batching(
            payload=megabytes * MEBIBYTE or None,
            concurrency=max(1, int(self.concurrency or parameters.get("MaxConcurrentTransforms") or 1)),
            single=strategy == "SINGLE_RECORD",
        )


def parse(params: Mapping[str, Any]) -> TransformRequest:
    """Parse a request that fits botocore's model. Raises ApiError ValidationException if localcloud cannot run it."""
    source, target = _input(params["TransformInput"]), params["TransformOutput"]
    if not source.by_line and params.get("BatchStrategy") == "MultiRecord":
        raise invalid("BatchStrategy MultiRecord needs a SplitType: set TransformInput.SplitType to Line.")
    _check_processing(params)
    _check_payload(params)
    resources, client = params["TransformResources"], params.get("ModelClientConfig", {})
    return TransformRequest(
        name=params["TransformJobName"],
        model=params["ModelName"],
        input=source,
        output=Output(
            uri=target["S3OutputPath"],
            where=s3(target["S3OutputPath"]),
            accept=target.get("Accept"),
            with_line=target.get("AssembleWith") == "Line",
        ),
        instance_type=resources["InstanceType"],
        instance_count=resources["InstanceCount"],
        payload_mb=params.get("MaxPayloadInMB"),
        concurrency=params.get("MaxConcurrentTransforms"),
        strategy=params.get("BatchStrategy"),
        variables=dict(params.get("Environment", {})),
        timeout_s=float(client.get("InvocationsTimeoutInSeconds", TIMEOUT_S)),
        retries=int(client.get("InvocationsMaxRetries", RETRIES)),
        tags=tuple(params.get("Tags") or ()),
        described=params,
    )


def _input(member: Mapping[str, Any]) -> Input:
    source, split = member["DataSource"]["S3DataSource"], member.get("SplitType", "None")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise invalid(f"localcloud transforms S3Prefix and ManifestFile, no {source['S3DataType']}.")
    if split not in ("None", "Line"):
        raise invalid(f"localcloud splits by Line or not at all, no {split}.")
    return Input(
        uri=source["S3Uri"],
        where=s3(source["S3Uri"]),
        is_manifest=source["S3DataType"] == "ManifestFile",
        content_type=member.get("ContentType"),
        is_gzipped=member.get("CompressionType") == "Gzip",
        by_line=split == "Line",
    )


def _check_processing(params: Mapping[str, Any]) -> None:
    processing = params.get("DataProcessing", {})
    filters = [name for name in ("InputFilter", "OutputFilter") if processing.get(name, "$") != "$"]
    if filters or processing.get("JoinSource", "None") != "None":
        raise invalid("localcloud neither filters nor joins: leave DataProcessing out.")
    if "DataCaptureConfig" in params:
        raise invalid("localcloud does not capture data: leave DataCaptureConfig out.")


def _check_payload(params: Mapping[str, Any]) -> None:
    payload, concurrency = params.get("MaxPayloadInMB", PAYLOAD_MB), params.get("MaxConcurrentTransforms", 0)
    if payload > LARGEST_MB:
        raise invalid(f"MaxPayloadInMB {payload} must be at most {LARGEST_MB}.")
    if concurrency and payload * concurrency > LARGEST_MB:
        raise invalid(f"MaxConcurrentTransforms × MaxPayloadInMB is {payload * concurrency} MB; at most {LARGEST_MB}.")


def payloads(content: bytes, *, by_line: bool, batching: Batching) -> Iterator[bytes]:
    """The bodies that one object becomes. Raises InputError for a record that is larger than a payload may be."""
    records = content.splitlines(keepends=True) if by_line else [content]
    body = b""
    for record in records:
        if batching.payload is not None and len(record) > batching.payload:
            raise InputError(f"Too much data for max payload size: {len(record)} bytes of at most {batching.payload}")
        full = batching.payload is not None and len(body) + len(record) > batching.payload
        if body and (batching.single or not by_line or full):
            yield body
            body = b""
        body += record
    if body or not by_line:
        yield body


def assemble(answers: Iterable[bytes], *, with_line: bool) -> bytes:
    """One object's answers as its output: as they are, or each ended by a line feed."""
    return b"".join(answer + (b"\n" if with_line else b"") for answer in answers)


def share(keys: Sequence[str], instance: int, instances: int) -> list[str]:
    """The objects of one instance: each goes to one instance."""
    return list(sorted(keys)[instance::instances])
