"""S3's conditional requests, as AWS answered them (rule 105)."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.aws_client import client
from localcloud.gateway.server import Application, Listener, bind

BUCKET = "conditions"
OLD, SOON = datetime(2000, 1, 1, tzinfo=UTC), datetime.now(UTC) + timedelta(days=1)
FAILED, ABSENT, CONFLICT, UNIMPLEMENTED = (
    (412, "PreconditionFailed"), (404, "NoSuchKey"), (409, "ConditionalRequestConflict"), (501, "NotImplemented"),
)  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Iterator[Any]:
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application([], region="us-east-1", health=dict))
    listener.start()
    yield client("s3", f"http://127.0.0.1:{sockets[0].getsockname()[1]}", "us-east-1")
    listener.stop()


@pytest.fixture
def s3(made: Any) -> Iterator[Any]:
    made.create_bucket(Bucket=BUCKET)
    made.put_object(Bucket=BUCKET, Key="there", Body=b"test")
    yield made
    for found in made.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        made.delete_object(Bucket=BUCKET, Key=found["Key"])
    made.delete_bucket(Bucket=BUCKET)


def etag(s3: Any, key: str = "there") -> str:
    return str(s3.head_object(Bucket=BUCKET, Key=key)["ETag"])


def outcome(call: Callable[..., Any], **params: Any) -> tuple[int, str, dict[str, str]]:
    """Status, error code and the error's other members."""
    try:
        return call(Bucket=BUCKET, **params)["ResponseMetadata"]["HTTPStatusCode"], "", {}
    except ClientError as error:
        found = dict(error.response["Error"])
        code, _ = str(found.pop("Code")), found.pop("Message")
        return error.response["ResponseMetadata"]["HTTPStatusCode"], code, found  # type: ignore[return-value]


WRITES = [
    ("there", {"IfNoneMatch": "*"}, FAILED, {"Condition": "If-None-Match"}),
    ("there", {"IfMatch": "wrong"}, FAILED, {"Condition": "If-Match"}),
    ("gone", {"IfMatch": "abcdef"}, ABSENT, {"Key": "gone"}),
    ("there", {"IfNoneMatch": "abcdef"}, UNIMPLEMENTED, {"Header": "If-None-Match"}),
    ("gone", {"IfMatch": "*"}, UNIMPLEMENTED, {"Header": "If-Match"}),
    ("gone", {"IfMatch": "abcdef", "IfNoneMatch": "*"}, UNIMPLEMENTED, {"Header": "If-Match,If-None-Match"}),
    ("gone", {"IfNoneMatch": "*"}, (200, ""), {}),
]


@pytest.mark.parametrize("how", ["put", "copy", "multipart"])
@pytest.mark.parametrize("case", WRITES)
def test_a_conditional_write(s3: Any, how: str, case: tuple[str, dict[str, str], tuple[int, str], Any]) -> None:
    key, condition, expected, members = case
    s3.put_object(Bucket=BUCKET, Key="source", Body=b"source")
    if how == "put":
        status, code, found = outcome(s3.put_object, Key=key, Body=b"x", **condition)
    elif how == "copy":
        status, code, found = outcome(s3.copy_object, Key=key, CopySource=f"{BUCKET}/source", **condition)
    else:
        status, code, found = outcome(s3.complete_multipart_upload, **upload(s3, key), **condition)
    assert (status, code) == expected
    assert members.items() <= found.items()


def upload(s3: Any, key: str) -> dict[str, Any]:
    """A multipart upload of one part that waits to be completed."""
    identity = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
    part = s3.upload_part(Bucket=BUCKET, Key=key, UploadId=identity, Body=b"test", PartNumber=1)
    return {"Key": key, "UploadId": identity, "MultipartUpload": {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}}


def test_a_multipart_upload_that_another_write_overtook_must_begin_again(s3: Any) -> None:
    begun, before = upload(s3, "there"), etag(s3)
    s3.put_object(Bucket=BUCKET, Key="there", Body=b"during")
    complete = s3.complete_multipart_upload
    assert outcome(complete, **begun, IfMatch=before)[:2] == FAILED
    assert outcome(complete, **begun, IfMatch=etag(s3))[:2] == CONFLICT
    assert outcome(complete, **upload(s3, "there"), IfMatch=etag(s3))[:2] == (200, "")


def test_a_multipart_upload_that_a_delete_overtook_must_begin_again(s3: Any) -> None:
    begun, before = upload(s3, "there"), etag(s3)
    complete = s3.complete_multipart_upload
    assert outcome(complete, **begun, IfNoneMatch="*")[:2] == FAILED
    s3.delete_object(Bucket=BUCKET, Key="there")
    assert outcome(complete, **begun, IfMatch=before)[:2] == ABSENT
    assert outcome(complete, **begun, IfNoneMatch="*")[:2] == CONFLICT
    assert outcome(complete, **upload(s3, "there"), IfNoneMatch="*")[:2] == (200, "")


@pytest.mark.parametrize(
    ("condition", "expected", "members"),
    [
        ({"IfMatch": "wrong"}, FAILED, {"Condition": "If-Match"}),
        ({"IfMatchSize": 10}, UNIMPLEMENTED, {"Header": "x-amz-if-match-size"}),
        ({"IfMatchLastModifiedTime": OLD}, UNIMPLEMENTED, {"Header": "x-amz-if-match-last-modified-time"}),
        (
            {"IfMatch": "wrong", "IfMatchSize": 10, "IfMatchLastModifiedTime": OLD},
            UNIMPLEMENTED,
            {"Header": "x-amz-if-match-last-modified-time"},
        ),
    ],
)
def test_a_conditional_delete(
    s3: Any, condition: dict[str, Any], expected: tuple[int, str], members: dict[str, str]
) -> None:
    assert outcome(s3.delete_object, Key="there", **condition) == (*expected, members)


@pytest.mark.parametrize(
    ("names", "expected", "failed"),
    [
        (("Match", "Unmodified", "None", "Modified"), FAILED, "If-Match"),
        (("Unmodified", "None", "Modified"), FAILED, "If-Unmodified-Since"),
        (("None", "Modified"), FAILED, "If-None-Match"),
        (("Future",), (200, ""), None),
        (("Quotes",), FAILED, "If-None-Match"),
        (("All",), (200, ""), None),
    ],
)
def test_a_copy_with_conditions_on_its_source(
    s3: Any, names: tuple[str, ...], expected: tuple[int, str], failed: str | None
) -> None:
    own, now = etag(s3), datetime.now(UTC)
    conditions: dict[str, dict[str, Any]] = {
        "Match": {"CopySourceIfMatch": "wrong"},
        "Unmodified": {"CopySourceIfUnmodifiedSince": OLD},
        "None": {"CopySourceIfNoneMatch": own},
        "Modified": {"CopySourceIfModifiedSince": now},
        "Future": {"CopySourceIfModifiedSince": SOON},
        "Quotes": {"CopySourceIfNoneMatch": own.strip('"')},
        "All": {"CopySourceIfMatch": own.strip('"'), "CopySourceIfNoneMatch": "other",
                "CopySourceIfModifiedSince": OLD, "CopySourceIfUnmodifiedSince": SOON},
    }  # fmt: skip
    chosen = {name: value for each in names for name, value in conditions[each].items()}
    status, code, found = outcome(s3.copy_object, Key="copy", CopySource=f"{BUCKET}/there", **chosen)
    assert (status, code) == expected
    assert found.get("Condition") == (f"x-amz-copy-source-{failed}" if failed else None)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"IfMatch": "wrong"}, FAILED),
        ({"IfUnmodifiedSince": OLD}, FAILED),
        ({"IfNoneMatch": "own"}, (304, "304")),
        ({"IfModifiedSince": SOON}, (200, "")),
        ({"IfModifiedSince": OLD}, (200, "")),
    ],
)
def test_a_conditional_read(s3: Any, condition: dict[str, Any], expected: tuple[int, str]) -> None:
    condition = {name: etag(s3) if value == "own" else value for name, value in condition.items()}
    assert outcome(s3.get_object, Key="there", **condition)[:2] == expected
