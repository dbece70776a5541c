"""How a transform job's input becomes requests and its answers become objects."""

from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.sagemaker.transform.request import (
    MEBIBYTE,
    Batching,
    InputError,
    assemble,
    parse,
    payloads,
    share,
)

MB = MEBIBYTE


def request(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "TransformJobName": "t-1",
        "ModelName": "m",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in/"}}},
        "TransformOutput": {"S3OutputPath": "s3://data/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    return made | changes


BY_LINE = {"TransformInput": {"SplitType": "Line", **request()["TransformInput"]}}


def source(kind: str, **more: str) -> dict[str, Any]:
    return {"DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": "s3://data/in/"}}, **more}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"TransformInput": source("AugmentedManifestFile")}, "no AugmentedManifestFile"),
        ({"TransformInput": source("S3Prefix", SplitType="RecordIO")}, "no RecordIO"),
        ({"BatchStrategy": "MultiRecord"}, "needs a SplitType"),
        ({"DataProcessing": {"JoinSource": "Input"}}, "neither filters nor joins"),
        ({"DataProcessing": {"OutputFilter": "$[0]"}}, "neither filters nor joins"),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://data/seen"}}, "does not capture"),
        ({"MaxPayloadInMB": 101}, "at most 100"),
        ({"MaxPayloadInMB": 20, "MaxConcurrentTransforms": 6}, "is 120 MB; at most 100"),
        ({"MaxConcurrentTransforms": 17}, "is 102 MB; at most 100"),
    ],
)
def test_what_cannot_be_done_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        parse(request(**changes))


def test_what_can_be_done_is_not_refused() -> None:
    parse(request(MaxPayloadInMB=0, MaxConcurrentTransforms=100, DataProcessing={"InputFilter": "$"}))
    parse(request(TransformInput=source("ManifestFile", SplitType="Line"), BatchStrategy="MultiRecord"))


def test_the_container_is_told_what_the_request_says_and_no_more() -> None:
    assert parse(request(Environment={"MINE": "1"})).environment == {"SAGEMAKER_BATCH": "true", "MINE": "1"}
    assert parse(request(MaxPayloadInMB=0, BatchStrategy="SingleRecord", MaxConcurrentTransforms=3)).environment == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
    }


@pytest.mark.parametrize(
    ("in_request", "in_container", "expected"),
    [
        ({}, {}, (6 * MB, 1, False)),
        ({}, {"MaxPayloadInMB": 2, "MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD"}, (2 * MB, 4, True)),
        ({"MaxPayloadInMB": 1, "BatchStrategy": "MultiRecord", **BY_LINE},
         {"MaxPayloadInMB": 2, "BatchStrategy": "SINGLE_RECORD"}, (MB, 1, False)),
        ({"MaxPayloadInMB": 0, "MaxConcurrentTransforms": 0}, {"MaxConcurrentTransforms": 5}, (None, 5, False)),
    ],
)  # fmt: skip
def test_the_request_goes_before_the_container_and_that_before_the_defaults(
    in_request: dict[str, Any], in_container: dict[str, Any], expected: tuple[int | None, int, bool]
) -> None:
    batching = parse(request(**in_request)).batching(in_container)
    assert (batching.payload, batching.concurrency, batching.single) == expected


@pytest.mark.parametrize(
    ("content", "by_line", "payload", "single", "expected"),
    [
        (b"a\nb\n", False, 100, False, [b"a\nb\n"]),
        (b"", False, 100, False, [b""]),
        (b"", True, 100, False, []),
        (b"a\nbb\nc\n", True, 5, False, [b"a\nbb\n", b"c\n"]),
        (b"a\nbb\nc", True, 100, True, [b"a\n", b"bb\n", b"c"]),
        (b"a\nbb\nc", True, None, False, [b"a\nbb\nc"]),
    ],
)
def test_an_object_becomes_payloads(
    content: bytes, by_line: bool, payload: int | None, single: bool, expected: list[bytes]
) -> None:
    batching = Batching(payload=payload, concurrency=1, single=single)
    assert list(payloads(content, by_line=by_line, batching=batching)) == expected


def test_a_record_larger_than_a_payload_is_a_fault_of_the_data() -> None:
    batching = Batching(payload=5, concurrency=1, single=True)
    with pytest.raises(InputError, match="Too much data for max payload size: 6 bytes of at most 5"):
        list(payloads(b"abcdef", by_line=False, batching=batching))


def test_answers_are_joined_as_asked() -> None:
    assert assemble([b"1", b"2"], with_line=False) == b"12"
    assert assemble([b"1", b"2"], with_line=True) == b"1\n2\n"


def test_an_output_lies_at_its_inputs_path_below_the_prefix() -> None:
    assert parse(request()).output.location("a/b.jpg").uri == "s3://data/out/a/b.jpg.out"


def test_every_object_goes_to_one_instance() -> None:
    keys = ["c", "a", "b"]
    assert [share(keys, index, 2) for index in range(2)] == [["a", "c"], ["b"]]
