"""What the calls of S3 need: buckets, objects, uploads, and refusals that many of them share."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.functional.localcloud.recorded.case import Case, refused

S3 = "s3/test_s3.py::TestS3"
API = "s3/test_s3_api.py"
LISTS = "s3/test_s3_list_operations.py"
LIFECYCLE = "s3/test_s3.py::TestS3BucketLifecycle"
NO_BUCKET = refused("NoSuchBucket", 404, "The specified bucket does not exist")
NO_KEY = refused("NoSuchKey", 404, "The specified key does not exist.")
NO_UPLOAD = refused(
    "NoSuchUpload",
    404,
    "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
    "completed.",
)
NO_CONDITION = refused("PreconditionFailed", 412, "At least one of the pre-conditions you specified did not hold")
BAD_XML = refused(
    "MalformedXML",
    400,
    "The XML you provided was not well-formed or did not validate against our published schema",
)
UPLOADED = "ChecksumCRC32 ChecksumType ETag ServerSideEncryption"
LISTED = "EncodingType IsTruncated KeyCount MaxKeys Name Prefix"
VERSIONED = "EncodingType IsTruncated KeyMarker MaxKeys Name Prefix VersionIdMarker"
BUCKET = "recorded"


def made(s3: Any, name: str = BUCKET) -> str:
    """A bucket with the object `key`. Makes it once."""
    if name not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="key", Body=b"abc123")
    return name


def versioned(s3: Any, name: str) -> str:
    """A bucket with versions: two of the object `key`."""
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket=name, Key="key", Body=b"abc123")
    return name


def on(name: str, method: str, **parameters: Any) -> Callable[[Any], Any]:
    """A call on a bucket that exists, with one object."""
    return lambda s3: getattr(s3, method)(Bucket=made(s3, name), **parameters)


def nowhere(method: str, **parameters: Any) -> Callable[[Any], Any]:
    """A call on a bucket that does not exist."""
    return lambda s3: getattr(s3, method)(Bucket="nowhere", **parameters)


def begun(
    s3: Any, key: str, sizes: tuple[int, ...], bucket: str = BUCKET
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An upload of parts: the parameters that name it, and its parts."""
    upload = s3.create_multipart_upload(Bucket=made(s3, bucket), Key=key)["UploadId"]
    names = {"Bucket": bucket, "Key": key, "UploadId": upload}
    parts = []
    for number, size in enumerate(sizes, 1):
        etag = s3.upload_part(**names, PartNumber=number, Body=b"a" * size)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    return names, parts


def completed(key: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], *sizes: int) -> Any:
    def ask(s3: Any) -> Any:
        names, parts = begun(s3, key, sizes)
        return s3.complete_multipart_upload(**names, MultipartUpload={"Parts": change(parts)})

    return ask


def part_uploaded(s3: Any) -> Any:
    names, _ = begun(s3, "part", ())
    return s3.upload_part(**names, PartNumber=1, Body=b"upload-part-1" * 5)


def parts_listed(s3: Any) -> Any:
    names, _ = begun(s3, "parts", (65,))
    return s3.list_parts(**names)


def uploads_listed(s3: Any) -> Any:
    names, _ = begun(s3, "uploads", (), bucket="uploads")
    return s3.list_multipart_uploads(Bucket=names["Bucket"])


def aborted(s3: Any) -> Any:
    names, _ = begun(s3, "aborted", ())
    s3.abort_multipart_upload(**names)
    return s3.list_parts(**names)


def policy_text(s3: Any) -> str:
    statement = {
        "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"
    }  # fmt: skip
    made(s3)
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def policy_put(s3: Any) -> Any:
    return s3.put_bucket_policy(Bucket=BUCKET, Policy=policy_text(s3))


def policy_read(s3: Any) -> Any:
    policy_put(s3)
    return s3.get_bucket_policy(Bucket=BUCKET)


def tags_read(s3: Any) -> Any:
    on("tagged", "put_bucket_tagging", Tagging={"TagSet": [{"Key": "tag1", "Value": "tag1"}]})(s3)
    return s3.get_bucket_tagging(Bucket="tagged")


def after(prepare: Callable[[Any, str], Any], name: str, method: str, **parameters: Any) -> Callable[[Any], Any]:
    def ask(s3: Any) -> Any:
        prepare(s3, name)
        return getattr(s3, method)(Bucket=name, **parameters)

    return ask


def emptied(s3: Any, name: str) -> None:
    made(s3, name)
    s3.delete_object(Bucket=name, Key="key")


def with_lifecycle(s3: Any, name: str) -> None:
    rule = {"Expiration": {"Days": 7}, "ID": "wholebucket", "Filter": {"Prefix": ""}, "Status": "Enabled"}
    s3.put_bucket_lifecycle_configuration(Bucket=made(s3, name), LifecycleConfiguration={"Rules": [rule]})


def unblocked(s3: Any, name: str) -> None:
    s3.delete_public_access_block(Bucket=made(s3, name))


def blocked(s3: Any, name: str) -> None:
    allowed = dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), False
    )
    s3.put_public_access_block(Bucket=made(s3, name), PublicAccessBlockConfiguration=allowed)


def encryption(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"ServerSideEncryptionConfiguration": {"Rules": list(rules)}}


SSE = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
SSE_WITH_KEY = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "randomkeyid"}}
EXPIRY = {"Rules": [{"Expiration": {"Days": 7}, "Status": "Enabled"}]}
BLOCKS = " ".join(
    f"PublicAccessBlockConfiguration.{key}"
    for key in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
)


def case(operation: str, source: str, ask: Callable[[Any], Any], aws: Any, **more: Any) -> Case:
    return Case(operation=operation, source=source, ask=ask, aws=aws, **more)
