"""S3 as AWS was recorded."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.functional.localcloud.recorded.case import Case, Crashed, answered, but, refused

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


def _bucket(s3: Any, name: str = BUCKET) -> str:
    """A bucket with the object `key`. Makes it once."""
    if name not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket=name)
        s3.put_object(Bucket=name, Key="key", Body=b"abc123")
    return name


def _versioned(s3: Any, name: str) -> str:
    """A bucket with versions: two of the object `key`."""
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for _ in range(2):
        s3.put_object(Bucket=name, Key="key", Body=b"abc123")
    return name


def _in(name: str, method: str, **parameters: Any) -> Callable[[Any], Any]:
    """A call on a bucket that exists, with one object."""
    return lambda s3: getattr(s3, method)(Bucket=_bucket(s3, name), **parameters)


def _nowhere(method: str, **parameters: Any) -> Callable[[Any], Any]:
    """A call on a bucket that does not exist."""
    return lambda s3: getattr(s3, method)(Bucket="nowhere", **parameters)


def _upload(
    s3: Any, key: str, sizes: tuple[int, ...], bucket: str = BUCKET
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An upload of parts: the parameters that name it, and its parts."""
    upload = s3.create_multipart_upload(Bucket=_bucket(s3, bucket), Key=key)["UploadId"]
    names = {"Bucket": bucket, "Key": key, "UploadId": upload}
    parts = []
    for number, size in enumerate(sizes, 1):
        etag = s3.upload_part(**names, PartNumber=number, Body=b"a" * size)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    return names, parts


def _completed(key: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]], *sizes: int) -> Any:
    def ask(s3: Any) -> Any:
        names, parts = _upload(s3, key, sizes)
        return s3.complete_multipart_upload(**names, MultipartUpload={"Parts": change(parts)})

    return ask


def _part(s3: Any) -> Any:
    names, _ = _upload(s3, "part", ())
    return s3.upload_part(**names, PartNumber=1, Body=b"upload-part-1" * 5)


def _parts(s3: Any) -> Any:
    names, _ = _upload(s3, "parts", (65,))
    return s3.list_parts(**names)


def _uploads(s3: Any) -> Any:
    names, _ = _upload(s3, "uploads", (), bucket="uploads")
    return s3.list_multipart_uploads(Bucket=names["Bucket"])


def _aborted(s3: Any) -> Any:
    names, _ = _upload(s3, "aborted", ())
    s3.abort_multipart_upload(**names)
    return s3.list_parts(**names)


def _policy(s3: Any) -> str:
    statement = {
        "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"
    }  # fmt: skip
    _bucket(s3)
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _policy_put(s3: Any) -> Any:
    return s3.put_bucket_policy(Bucket=BUCKET, Policy=_policy(s3))


def _policy_read(s3: Any) -> Any:
    _policy_put(s3)
    return s3.get_bucket_policy(Bucket=BUCKET)


def _tags_read(s3: Any) -> Any:
    _in("tagged", "put_bucket_tagging", Tagging={"TagSet": [{"Key": "tag1", "Value": "tag1"}]})(s3)
    return s3.get_bucket_tagging(Bucket="tagged")


def _after(prepare: Callable[[Any, str], Any], name: str, method: str, **parameters: Any) -> Callable[[Any], Any]:
    def ask(s3: Any) -> Any:
        prepare(s3, name)
        return getattr(s3, method)(Bucket=name, **parameters)

    return ask


def _emptied(s3: Any, name: str) -> None:
    _bucket(s3, name)
    s3.delete_object(Bucket=name, Key="key")


def _with_lifecycle(s3: Any, name: str) -> None:
    rule = {"Expiration": {"Days": 7}, "ID": "wholebucket", "Filter": {"Prefix": ""}, "Status": "Enabled"}
    s3.put_bucket_lifecycle_configuration(Bucket=_bucket(s3, name), LifecycleConfiguration={"Rules": [rule]})


def _unblocked(s3: Any, name: str) -> None:
    s3.delete_public_access_block(Bucket=_bucket(s3, name))


def _blocked(s3: Any, name: str) -> None:
    allowed = dict.fromkeys(
        ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), False
    )
    s3.put_public_access_block(Bucket=_bucket(s3, name), PublicAccessBlockConfiguration=allowed)


def _rules(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"ServerSideEncryptionConfiguration": {"Rules": list(rules)}}


SSE = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
SSE_WITH_KEY = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256", "KMSMasterKeyID": "randomkeyid"}}
EXPIRY = {"Rules": [{"Expiration": {"Days": 7}, "Status": "Enabled"}]}
BLOCKS = " ".join(
    f"PublicAccessBlockConfiguration.{key}"
    for key in ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
)


def _case(operation: str, source: str, ask: Callable[[Any], Any], aws: Any, **more: Any) -> Case:
    return Case(operation=operation, source=source, ask=ask, aws=aws, **more)


OBJECTS = (
    _case(
        "PutObject",
        f"{S3}::test_put_and_get_object_with_utf8_key",
        _in(BUCKET, "put_object", Key="put", Body=b"abc123"),
        answered(UPLOADED),
        here=but(answered(UPLOADED), without="ChecksumType ServerSideEncryption"),
    ),
    _case(
        "PutObject",
        f"{API}::TestS3ObjectWritePrecondition::test_put_object_if_none_match",
        _in(BUCKET, "put_object", Key="key", IfNoneMatch="*"),
        NO_CONDITION,
    ),
    _case(
        "PutObject",
        f"{API}::TestS3ObjectWritePrecondition::test_put_object_if_none_match_validation",
        _in(BUCKET, "put_object", Key="no-key-yet", IfNoneMatch="d41d8cd98f00b204e9800998ecf8427e"),
        refused("NotImplemented", 501, "A header you provided implies functionality that is not implemented"),
        here=answered("ChecksumCRC32 ETag"),
    ),
    _case(
        "PutObject",
        f"{API}::TestS3ObjectWritePrecondition::test_put_object_if_match",
        _in(BUCKET, "put_object", Key="key", IfMatch="d41d8cd98f00b204e9800998ecf8427e"),
        NO_CONDITION,
    ),
    _case(
        "PutObject",
        f"{API}::TestS3ObjectWritePrecondition::test_put_object_if_match",
        _in(BUCKET, "put_object", Key="no-key", IfMatch="d41d8cd98f00b204e9800998ecf8427e"),
        NO_KEY,
    ),
    _case(
        "GetObject",
        f"{S3}::test_put_and_get_object_with_utf8_key",
        _in(BUCKET, "get_object", Key="key", ChecksumMode="ENABLED"),
        answered(f"{UPLOADED} AcceptRanges Body ContentLength ContentType LastModified Metadata"),
        here=but(
            answered(f"{UPLOADED} AcceptRanges Body ContentLength ContentType LastModified Metadata"),
            without="ChecksumType ServerSideEncryption",
        ),
    ),
    _case("GetObject", f"{S3}::test_get_object_no_such_bucket", _nowhere("get_object", Key="key"), NO_BUCKET),
    _case("GetObject", f"{S3}::test_range_key_not_exists", _in(BUCKET, "get_object", Key="no-key"), NO_KEY),
    _case(
        "GetObject",
        f"{S3}::test_invalid_range_error",
        _in(BUCKET, "get_object", Key="key", Range="bytes=1024-4096"),
        refused("InvalidRange", 416, "The requested range is not satisfiable"),
    ),
    _case(
        "GetObject",
        f"{S3}::test_precondition_failed_error",
        _in(BUCKET, "get_object", Key="key", IfMatch='"no-such-etag"'),
        NO_CONDITION,
    ),
    _case(
        "DeleteObject",
        f"{API}::TestS3BucketCRUD::test_delete_bucket_with_objects",
        _in("object-deleted", "delete_object", Key="key"),
        answered(status=204),
    ),
    _case(
        "DeleteObject",
        f"{API}::TestS3ObjectCRUD::test_delete_object_versioned",
        _after(_versioned, "object-version", "delete_object", Key="key", VersionId="badversion"),
        refused("InvalidArgument", 400, "Invalid version id specified"),
        here=answered("VersionId", status=204),
    ),
    _case(
        "DeleteObjects",
        f"{S3}::test_delete_non_existing_keys",
        _in(BUCKET, "delete_objects", Delete={"Objects": [{"Key": "dummy1"}, {"Key": "dummy2"}]}),
        answered("Deleted.Key"),
    ),
    _case(
        "DeleteObjects",
        f"{S3}::test_delete_keys_in_versioned_bucket",
        _after(_versioned, "objects-versions", "delete_objects", Delete={"Objects": [{"Key": "key"}]}),
        answered("Deleted.DeleteMarker Deleted.DeleteMarkerVersionId Deleted.Key"),
    ),
    _case(
        "DeleteObjects",
        f"{S3}::test_delete_non_existing_keys_in_non_existing_bucket",
        _nowhere("delete_objects", Delete={"Objects": [{"Key": "dummy1"}]}),
        NO_BUCKET,
    ),
    _case(
        "ListObjectsV2",
        f"{S3}::test_delete_keys_in_versioned_bucket",
        _in("listed", "list_objects_v2"),
        answered(
            f"{LISTED} Contents.ChecksumAlgorithm Contents.ChecksumType Contents.ETag Contents.Key "
            "Contents.LastModified Contents.Size Contents.StorageClass"
        ),
        here=but(
            answered(
                f"{LISTED} Contents.ChecksumAlgorithm Contents.ChecksumType Contents.ETag Contents.Key "
                "Contents.LastModified Contents.Size Contents.StorageClass"
            ),
            without="Contents.ChecksumType",
        ),
    ),
    _case(
        "ListObjectsV2",
        f"{S3}::test_delete_keys_in_versioned_bucket",
        _after(_emptied, "listed-empty", "list_objects_v2"),
        answered(LISTED),
    ),
    _case(
        "ListObjectsV2",
        f"{LISTS}::TestS3ListObjectsV2::test_list_objects_v2_continuation_start_after",
        _in(BUCKET, "list_objects_v2", ContinuationToken=""),
        refused("InvalidArgument", 400, "The continuation token provided is incorrect"),
    ),
    _case(
        "ListObjectVersions",
        f"{S3}::test_get_bucket_versioning_order",
        _after(_versioned, "versions", "list_object_versions"),
        answered(
            f"{VERSIONED} Versions.ChecksumAlgorithm Versions.ChecksumType Versions.ETag Versions.IsLatest "
            "Versions.Key "
            "Versions.LastModified Versions.Owner.ID Versions.Size Versions.StorageClass Versions.VersionId"
        ),
        here=but(
            answered(
                f"{VERSIONED} Versions.ChecksumAlgorithm Versions.ChecksumType Versions.ETag Versions.IsLatest "
                "Versions.Key "
                "Versions.LastModified Versions.Owner.ID Versions.Size Versions.StorageClass Versions.VersionId"
            ),
            without="EncodingType Versions.ChecksumAlgorithm Versions.ChecksumType",
            more="Versions.Owner.DisplayName",
        ),
    ),
    _case(
        "ListObjectVersions",
        f"{S3}::test_get_bucket_versioning_order",
        _after(_emptied, "no-versions", "list_object_versions"),
        answered(VERSIONED),
        here=but(answered(VERSIONED), without="EncodingType"),
    ),
    _case(
        "ListObjectVersions",
        f"{LISTS}::TestS3ListObjectVersions::test_list_objects_versions_markers",
        _in(BUCKET, "list_object_versions", VersionIdMarker="a-version"),
        refused("InvalidArgument", 400, "A version-id marker cannot be specified without a key marker."),
        here=answered(
            "IsTruncated KeyMarker MaxKeys Name Prefix VersionIdMarker Versions.ETag Versions.IsLatest "
            "Versions.Key Versions.LastModified Versions.Owner.DisplayName Versions.Owner.ID Versions.Size "
            "Versions.StorageClass Versions.VersionId"
        ),
    ),
)
UPLOADS = (
    _case(
        "CreateMultipartUpload",
        f"{S3}::test_multipart_and_list_parts",
        _in(BUCKET, "create_multipart_upload", Key="upload"),
        answered("Bucket Key ServerSideEncryption UploadId"),
        here=but(answered("Bucket Key ServerSideEncryption UploadId"), without="ServerSideEncryption"),
    ),
    _case(
        "CreateMultipartUpload",
        f"{S3}::test_put_object_storage_class_outposts",
        _in(BUCKET, "create_multipart_upload", Key="upload", StorageClass="OUTPOSTS"),
        refused("InvalidStorageClass", 400, "The storage class you specified is not valid"),
        here=answered("Bucket Key UploadId"),
    ),
    _case(
        "UploadPart",
        f"{S3}::test_multipart_and_list_parts",
        _part,
        answered("ChecksumCRC32 ETag ServerSideEncryption"),
        here=but(answered("ChecksumCRC32 ETag ServerSideEncryption"), without="ServerSideEncryption"),
    ),
    _case(
        "UploadPart",
        f"{S3}::test_multipart_no_such_upload",
        _in(BUCKET, "upload_part", Key="upload", UploadId="fakeid", PartNumber=1, Body=b"a"),
        NO_UPLOAD,
        here=Crashed(),
    ),
    _case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_and_list_parts",
        _completed("whole", lambda parts: parts, 65),
        answered("Bucket ChecksumCRC64NVME ChecksumType ETag Key Location ServerSideEncryption"),
        here=but(
            answered("Bucket ChecksumCRC64NVME ChecksumType ETag Key Location ServerSideEncryption"),
            without="ChecksumCRC64NVME ChecksumType ServerSideEncryption",
            more="VersionId",
        ),
    ),
    _case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_complete_multipart_too_small",
        _completed("too-small", lambda parts: parts, 4, 4),
        refused("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed size"),
        here=refused("EntityTooSmall", 400, "Your proposed upload is smaller than the minimum allowed object size."),
    ),
    _case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_complete_multipart_too_small",
        _completed("no-parts", lambda _: [], 4),
        refused("InvalidRequest", 400, "You must specify at least one part"),
        here=refused(
            "MalformedXML",
            400,
            "The XML you provided was not well-formed or did not validate against our published schema",
        ),
    ),
    _case(
        "CompleteMultipartUpload",
        f"{S3}::test_complete_multipart_parts_order",
        _completed("order", lambda parts: parts[::-1], 5 << 20, 5 << 20),
        refused(
            "InvalidPartOrder",
            400,
            "The list of parts was not in ascending order. Parts must be ordered by part number.",
        ),
        here=answered("Bucket ETag Key Location VersionId"),
    ),
    _case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_complete_multipart_wrong_part",
        _completed("wrong-part", lambda parts: [parts[0] | {"PartNumber": 2}], 4),
        refused(
            "InvalidPart",
            400,
            "One or more of the specified parts could not be found.  The part may not have been uploaded, or the "
            "specified entity tag may not match the part's entity tag.",
        ),
        here=refused(
            "InvalidPart",
            400,
            "One or more of the specified parts could not be found. The part might not have been uploaded, or "
            "the specified entity tag might not have matched the part's entity tag.",
        ),
    ),
    _case(
        "CompleteMultipartUpload",
        f"{S3}::test_multipart_no_such_upload",
        _in(
            BUCKET,
            "complete_multipart_upload",
            Key="upload",
            UploadId="fakeid",
            MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": "a"}]},
        ),
        NO_UPLOAD,
        here=Crashed(),
    ),
    _case(
        "AbortMultipartUpload",
        f"{S3}::test_multipart_no_such_upload",
        _in(BUCKET, "abort_multipart_upload", Key="upload", UploadId="fakeid"),
        NO_UPLOAD,
    ),
    _case(
        "ListParts",
        f"{S3}::test_multipart_and_list_parts",
        _parts,
        answered(
            "Bucket Initiator.DisplayName Initiator.ID IsTruncated Key MaxParts NextPartNumberMarker Owner.ID "
            "PartNumberMarker Parts.ETag Parts.LastModified Parts.PartNumber Parts.Size StorageClass UploadId"
        ),
        here=but(
            answered(
                "Bucket Initiator.DisplayName Initiator.ID IsTruncated Key MaxParts NextPartNumberMarker Owner.ID "
                "PartNumberMarker Parts.ETag Parts.LastModified Parts.PartNumber Parts.Size StorageClass UploadId"
            ),
            more="Owner.DisplayName",
        ),
    ),
    _case("ListParts", f"{S3}::test_multipart_and_list_parts", _aborted, NO_UPLOAD),
    _case(
        "ListMultipartUploads",
        f"{S3}::test_multipart_and_list_parts",
        _uploads,
        answered(
            "Bucket IsTruncated KeyMarker MaxUploads NextKeyMarker NextUploadIdMarker UploadIdMarker "
            "Uploads.Initiated "
            "Uploads.Initiator.DisplayName Uploads.Initiator.ID Uploads.Key Uploads.Owner.ID Uploads.StorageClass "
            "Uploads.UploadId"
        ),
        here=but(
            answered(
                "Bucket IsTruncated KeyMarker MaxUploads NextKeyMarker NextUploadIdMarker UploadIdMarker "
                "Uploads.Initiated "
                "Uploads.Initiator.DisplayName Uploads.Initiator.ID Uploads.Key Uploads.Owner.ID "
                "Uploads.StorageClass "
                "Uploads.UploadId"
            ),
            without="NextKeyMarker NextUploadIdMarker",
            more="Uploads.Owner.DisplayName",
        ),
    ),
)
BUCKETS = (
    _case(
        "CreateBucket",
        f"{S3}::test_create_bucket_head_bucket",
        lambda s3: s3.create_bucket(Bucket="created"),
        answered("BucketArn Location"),
        here=but(answered("BucketArn Location"), without="BucketArn"),
    ),
    _case(
        "CreateBucket",
        f"{S3}::test_different_location_constraint",
        lambda s3: s3.create_bucket(Bucket="constraint", CreateBucketConfiguration={"LocationConstraint": "us-east-1"}),
        refused("InvalidLocationConstraint", 400, "The specified location-constraint is not valid"),
    ),
    _case(
        "CreateBucket",
        f"{S3}::test_different_location_constraint",
        lambda s3: s3.create_bucket(Bucket="constraint"),
        refused(
            "IllegalLocationConstraintException",
            400,
            "The unspecified location constraint is incompatible for the region specific endpoint this request was "
            "sent to.",
        ),
        region="us-east-2",
    ),
    _case(
        "CreateBucket",
        f"{S3}::test_different_location_constraint",
        lambda s3: s3.create_bucket(Bucket="constraint", CreateBucketConfiguration={"LocationConstraint": "us-west-1"}),
        refused(
            "IllegalLocationConstraintException",
            400,
            "The us-west-1 location constraint is incompatible for the region specific endpoint this request was "
            "sent "
            "to.",
        ),
        region="us-east-2",
    ),
    _case(
        "HeadBucket",
        f"{S3}::test_create_bucket_head_bucket",
        _in(BUCKET, "head_bucket"),
        answered("AccessPointAlias BucketArn BucketRegion"),
        here=but(answered("AccessPointAlias BucketArn BucketRegion"), without="AccessPointAlias BucketArn"),
    ),
    _case(
        "HeadBucket", f"{S3}::test_create_bucket_head_bucket", _nowhere("head_bucket"), refused("404", 404, "Not Found")
    ),
    _case(
        "ListBuckets",
        f"{S3}::test_delete_bucket_with_content",
        lambda s3: s3.list_buckets(),
        answered("Buckets.BucketArn Buckets.CreationDate Buckets.Name Owner.ID"),
        here=but(
            answered("Buckets.BucketArn Buckets.CreationDate Buckets.Name Owner.ID"),
            without="Buckets.BucketArn",
            more="Owner.DisplayName",
        ),
    ),
    _case(
        "DeleteBucket",
        f"{API}::TestS3BucketCRUD::test_delete_bucket_with_objects",
        _after(_emptied, "deleted", "delete_bucket"),
        answered(status=204),
    ),
    _case("DeleteBucket", f"{S3}::test_delete_bucket_no_such_bucket", _nowhere("delete_bucket"), NO_BUCKET),
    _case(
        "DeleteBucket",
        f"{API}::TestS3BucketCRUD::test_delete_bucket_with_objects",
        _in(BUCKET, "delete_bucket"),
        refused("BucketNotEmpty", 409, "The bucket you tried to delete is not empty"),
    ),
    _case(
        "DeleteBucket",
        f"{API}::TestS3BucketCRUD::test_delete_versioned_bucket_with_objects",
        _after(_versioned, "versions-left", "delete_bucket"),
        refused(
            "BucketNotEmpty",
            409,
            "The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
        ),
        here=refused("BucketNotEmpty", 409, "The bucket you tried to delete is not empty"),
    ),
    _case(
        "GetBucketAcl",
        f"{S3}::test_bucket_exists",
        _in(BUCKET, "get_bucket_acl"),
        answered("Grants.Grantee.ID Grants.Grantee.Type Grants.Permission Owner.ID"),
        here=but(
            answered("Grants.Grantee.ID Grants.Grantee.Type Grants.Permission Owner.ID"), more="Owner.DisplayName"
        ),
    ),
    _case("GetBucketAcl", f"{S3}::test_bucket_exists", _nowhere("get_bucket_acl"), NO_BUCKET),
)
SETTINGS = (
    _case(
        "GetBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        _in(BUCKET, "get_bucket_versioning"),
        answered(),
    ),
    _case(
        "GetBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        _nowhere("get_bucket_versioning"),
        NO_BUCKET,
    ),
    _case(
        "PutBucketVersioning",
        f"{S3}::test_get_bucket_versioning_order",
        _in("versioned", "put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"}),
        answered(),
    ),
    _case(
        "PutBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        _in(BUCKET, "put_bucket_versioning", VersioningConfiguration={"Status": "enabled"}),
        BAD_XML,
        here=answered(""),
    ),
    _case(
        "PutBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        _in(BUCKET, "put_bucket_versioning", VersioningConfiguration={}),
        refused("IllegalVersioningConfigurationException", 400, "The Versioning element must be specified"),
        here=refused("404", 404, "Not Found"),
    ),
    _case(
        "PutBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        _nowhere("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}),
        NO_BUCKET,
    ),
    _case(
        "GetBucketEncryption",
        f"{API}::TestS3BucketEncryption::test_s3_default_bucket_encryption",
        _in("encrypted", "get_bucket_encryption"),
        answered(
            "ServerSideEncryptionConfiguration.Rules.ApplyServerSideEncryptionByDefault.SSEAlgorithm "
            "ServerSideEncryptionConfiguration.Rules.BucketKeyEnabled"
        ),
        here=refused(
            "ServerSideEncryptionConfigurationNotFoundError",
            404,
            "The server side encryption configuration was not found",
        ),
    ),
    _case(
        "GetBucketEncryption",
        f"{API}::TestS3BucketEncryption::test_s3_default_bucket_encryption_exc",
        _nowhere("get_bucket_encryption"),
        NO_BUCKET,
    ),
    _case(
        "PutBucketEncryption",
        f"{S3}::test_s3_sse_bucket_key_default",
        _in(BUCKET, "put_bucket_encryption", **_rules(SSE)),
        answered(),
    ),
    _case(
        "PutBucketEncryption",
        f"{API}::TestS3BucketEncryption::test_s3_default_bucket_encryption_exc",
        _in(BUCKET, "put_bucket_encryption", **_rules(SSE, SSE)),
        BAD_XML,
        here=Crashed(),
    ),
    _case(
        "PutBucketEncryption",
        f"{API}::TestS3BucketEncryption::test_s3_default_bucket_encryption_exc",
        _in(BUCKET, "put_bucket_encryption", **_rules(SSE_WITH_KEY)),
        refused(
            "InvalidArgument",
            400,
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        ),
        here=answered(""),
    ),
    _case(
        "GetBucketLifecycleConfiguration",
        f"{LIFECYCLE}::test_delete_bucket_lifecycle_configuration",
        _in("no-lifecycle", "get_bucket_lifecycle_configuration"),
        refused("NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"),
    ),
    _case(
        "GetBucketLifecycleConfiguration",
        f"{LIFECYCLE}::test_delete_bucket_lifecycle_configuration",
        _after(_with_lifecycle, "lifecycle", "get_bucket_lifecycle_configuration"),
        answered(
            "Rules.Expiration.Days Rules.Filter.Prefix Rules.ID Rules.Status TransitionDefaultMinimumObjectSize"
        ),
    ),
    _case(
        "PutBucketLifecycleConfiguration",
        f"{LIFECYCLE}::test_put_bucket_lifecycle_conf_exc",
        _in(BUCKET, "put_bucket_lifecycle_configuration", LifecycleConfiguration=EXPIRY),
        BAD_XML,
    ),
    _case(
        "GetBucketPolicy",
        f"{S3}::test_get_bucket_policy",
        _in("no-policy", "get_bucket_policy"),
        refused("NoSuchBucketPolicy", 404, "The bucket policy does not exist"),
    ),
    _case("GetBucketPolicy", f"{S3}::test_get_bucket_policy", _policy_read, answered("Policy")),
    _case(
        "PutBucketPolicy",
        f"{API}::TestS3BucketPolicy::test_bucket_policy_crud",
        _policy_put,
        answered(status=204),
        here=but(answered(status=204), status=200),
    ),
    _case(
        "PutBucketPolicy",
        f"{API}::TestS3BucketPolicy::test_bucket_policy_exc",
        _in(BUCKET, "put_bucket_policy", Policy="invalid json"),
        refused("MalformedPolicy", 400, "Policies must be valid JSON and the first byte must be '{'"),
        here=answered(""),
    ),
    _case(
        "PutBucketPolicy",
        f"{API}::TestS3BucketPolicy::test_bucket_policy_exc",
        _in(BUCKET, "put_bucket_policy", Policy="{}"),
        refused("MalformedPolicy", 400, "Missing required field Statement"),
        here=answered(""),
    ),
    _case(
        "GetBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_bucket_tagging_crud",
        _in("no-tags", "get_bucket_tagging"),
        refused("NoSuchTagSet", 404, "The TagSet does not exist"),
    ),
    _case(
        "GetBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_bucket_tagging_crud",
        _tags_read,
        answered("TagSet.Key TagSet.Value"),
    ),
    _case(
        "GetBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_bucket_tagging_exc",
        _nowhere("get_bucket_tagging"),
        NO_BUCKET,
    ),
    _case(
        "PutBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_bucket_tagging_crud",
        _in(BUCKET, "put_bucket_tagging", Tagging={"TagSet": [{"Key": "tag1", "Value": "tag1"}]}),
        answered(status=204),
    ),
    _case(
        "PutBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_tagging_validation",
        _in(
            BUCKET,
            "put_bucket_tagging",
            Tagging={"TagSet": [{"Key": "Key1", "Value": "Val1"}, {"Key": "Key1", "Value": "Val1"}]},
        ),
        refused("InvalidTag", 400, "Cannot provide multiple Tags with the same key"),
    ),
    _case(
        "PutBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_tagging_validation",
        _in(BUCKET, "put_bucket_tagging", Tagging={"TagSet": [{"Key": "aws:prefixed", "Value": "Val1"}]}),
        refused("InvalidTag", 400, "System tags cannot be added/updated by requester"),
    ),
    _case(
        "GetPublicAccessBlock",
        f"{API}::TestS3PublicAccessBlock::test_crud_public_access_block",
        _in("blocked-by-default", "get_public_access_block"),
        answered(BLOCKS),
        here=refused(
            "NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found"
        ),
    ),
    _case(
        "GetPublicAccessBlock",
        f"{API}::TestS3PublicAccessBlock::test_crud_public_access_block",
        _after(_blocked, "blocked", "get_public_access_block"),
        answered(BLOCKS),
    ),
    _case(
        "GetPublicAccessBlock",
        f"{API}::TestS3PublicAccessBlock::test_crud_public_access_block",
        _after(_unblocked, "unblocked", "get_public_access_block"),
        refused("NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found"),
    ),
    _case(
        "PutPublicAccessBlock",
        f"{API}::TestS3PublicAccessBlock::test_crud_public_access_block",
        _in(BUCKET, "put_public_access_block", PublicAccessBlockConfiguration={"BlockPublicAcls": False}),
        answered(),
    ),
)
CASES = (*OBJECTS, *UPLOADS, *BUCKETS, *SETTINGS)
