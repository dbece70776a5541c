"""How a transform job's input becomes requests and its answers become objects."""

from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.sagemaker.transform import request as plan

MB = plan.MEBIBYTE


def request(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "TransformJobName": "t-1",
        "ModelName": "m",
        "TransformInput": {"DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://data/in/"}}},
        "TransformOutput": {"S3OutputPath": "s3://data/out"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
    }
    return made | changes


def source(kind: str, **more: str) -> dict[str, Any]:
    return {"DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": "s3://data/in/"}}, **more}


@pytest.mark.parametrize(
    ("changes", "said"),
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
def test_what_cannot_be_done_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ApiError, match=said):
        plan.check(request(**changes))


def test_what_can_be_done_is_not_refused() -> None:
    plan.check(request(MaxPayloadInMB=0, MaxConcurrentTransforms=100, DataProcessing={"InputFilter": "$"}))
    plan.check(request(TransformInput=source("ManifestFile", SplitType="Line"), BatchStrategy="MultiRecord"))


def test_the_container_is_told_what_the_request_says_and_no_more() -> None:
    assert plan.environment(request(Environment={"MINE": "1"})) == {"SAGEMAKER_BATCH": "true", "MINE": "1"}
    assert plan.environment(request(MaxPayloadInMB=0, BatchStrategy="SingleRecord", MaxConcurrentTransforms=3)) == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "3",
    }


@pytest.mark.parametrize(
    ("asked", "said", "expected"),
    [
        ({}, {}, (6 * MB, 1, False)),
        ({}, {"MaxPayloadInMB": 2, "MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD"}, (2 * MB, 4, True)),
        ({"MaxPayloadInMB": 1, "BatchStrategy": "MultiRecord"}, {"MaxPayloadInMB": 2, "BatchStrategy": "SINGLE_RECORD"},
         (MB, 1, False)),
        ({"MaxPayloadInMB": 0, "MaxConcurrentTransforms": 0}, {"MaxConcurrentTransforms": 5}, (None, 5, False)),
    ],
)  # fmt: skip
def test_the_request_goes_before_the_container_and_that_before_the_defaults(
    asked: dict[str, Any], said: dict[str, Any], expected: tuple[int | None, int, bool]
) -> None:
    found = plan.pace(request(**asked), said)
    assert (found.payload, found.concurrency, found.single) == expected


@pytest.mark.parametrize(
    ("content", "split", "payload", "single", "expected"),
    [
        (b"a\nb\n", "None", 100, False, [b"a\nb\n"]),
        (b"", "None", 100, False, [b""]),
        (b"", "Line", 100, False, []),
        (b"a\nbb\nc\n", "Line", 5, False, [b"a\nbb\n", b"c\n"]),
        (b"a\nbb\nc", "Line", 100, True, [b"a\n", b"bb\n", b"c"]),
        (b"a\nbb\nc", "Line", None, False, [b"a\nbb\nc"]),
    ],
)
def test_an_object_becomes_payloads(
    content: bytes, split: str, payload: int | None, single: bool, expected: list[bytes]
) -> None:
    pace = plan.Pace(payload=payload, concurrency=1, single=single)
    assert list(plan.payloads(content, split=split, pace=pace)) == expected


def test_a_record_larger_than_a_payload_is_a_fault_of_the_data() -> None:
    with pytest.raises(plan.InputError, match="Too much data for max payload size: 6 bytes of at most 5"):
        list(plan.payloads(b"abcdef", split="None", pace=plan.Pace(payload=5, concurrency=1, single=True)))


def test_answers_are_joined_as_asked() -> None:
    assert plan.assemble([b"1", b"2"], with_line=False) == b"12"
    assert plan.assemble([b"1", b"2"], with_line=True) == b"1\n2\n"


def test_an_output_lies_at_its_inputs_path_below_the_prefix() -> None:
    assert plan.output(request(), "a/b.jpg").uri == "s3://data/out/a/b.jpg.out"


def test_every_object_goes_to_one_instance() -> None:
    keys = ["c", "a", "b"]
    assert [plan.share(keys, index, 2) for index in range(2)] == [["a", "c"], ["b"]]
