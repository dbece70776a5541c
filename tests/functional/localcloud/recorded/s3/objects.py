"""S3's objects as AWS was recorded."""

from __future__ import annotations

from tests.functional.localcloud.recorded.case import answered, but, refused
from tests.functional.localcloud.recorded.s3.world import (
    API,
    BUCKET,
    LISTED,
    LISTS,
    NO_BUCKET,
    NO_CONDITION,
    NO_KEY,
    S3,
    UPLOADED,
    VERSIONED,
    after,
    case,
    emptied,
    nowhere,
    on,
    versioned,
)

CASES = (
    case(
        "PutObject",
        f"{S3}::test_put_and_get_object_with_utf8_key",
        on(BUCKET, "put_object", Key="put", Body=b"abc123"),
        answered(UPLOADED),
        here=but(answered(UPLOADED), without="ChecksumType ServerSideEncryption"),
    ),
    case(
        "PutObject",
        f"{API}::TestS3ObjectWritePrecondition::test_put_object_if_none_match",
        on(BUCKET, "put_object", Key="key", IfNoneMatch="*"),
        NO_CONDITION,
    ),
    case(
        "PutObject",
        f"{API}::TestS3ObjectWritePrecondition::test_put_object_if_none_match_validation",
        on(BUCKET, "put_object", Key="no-key-yet", IfNoneMatch="d41d8cd98f00b204e9800998ecf8427e"),
        refused("NotImplemented", 501, "A header you provided implies functionality that is not implemented"),
    ),
    case(
        "PutObject",
        f"{API}::TestS3ObjectWritePrecondition::test_put_object_if_match",
        on(BUCKET, "put_object", Key="key", IfMatch="d41d8cd98f00b204e9800998ecf8427e"),
        NO_CONDITION,
    ),
    case(
        "PutObject",
        f"{API}::TestS3ObjectWritePrecondition::test_put_object_if_match",
        on(BUCKET, "put_object", Key="no-key", IfMatch="d41d8cd98f00b204e9800998ecf8427e"),
        NO_KEY,
    ),
    case(
        "GetObject",
        f"{S3}::test_put_and_get_object_with_utf8_key",
        on(BUCKET, "get_object", Key="key", ChecksumMode="ENABLED"),
        answered(f"{UPLOADED} AcceptRanges Body ContentLength ContentType LastModified Metadata"),
        here=but(
            answered(f"{UPLOADED} AcceptRanges Body ContentLength ContentType LastModified Metadata"),
            without="ChecksumType ServerSideEncryption",
        ),
    ),
    case("GetObject", f"{S3}::test_get_object_no_such_bucket", nowhere("get_object", Key="key"), NO_BUCKET),
    case("GetObject", f"{S3}::test_range_key_not_exists", on(BUCKET, "get_object", Key="no-key"), NO_KEY),
    case(
        "GetObject",
        f"{S3}::test_invalid_range_error",
        on(BUCKET, "get_object", Key="key", Range="bytes=1024-4096"),
        refused("InvalidRange", 416, "The requested range is not satisfiable"),
    ),
    case(
        "GetObject",
        f"{S3}::test_precondition_failed_error",
        on(BUCKET, "get_object", Key="key", IfMatch='"no-such-etag"'),
        NO_CONDITION,
    ),
    case(
        "DeleteObject",
        f"{API}::TestS3BucketCRUD::test_delete_bucket_with_objects",
        on("object-deleted", "delete_object", Key="key"),
        answered(status=204),
    ),
    case(
        "DeleteObject",
        f"{API}::TestS3ObjectCRUD::test_delete_object_versioned",
        after(versioned, "object-version", "delete_object", Key="key", VersionId="badversion"),
        refused("InvalidArgument", 400, "Invalid version id specified"),
        here=answered("VersionId", status=204),
    ),
    case(
        "DeleteObjects",
        f"{S3}::test_delete_non_existing_keys",
        on(BUCKET, "delete_objects", Delete={"Objects": [{"Key": "dummy1"}, {"Key": "dummy2"}]}),
        answered("Deleted.Key"),
    ),
    case(
        "DeleteObjects",
        f"{S3}::test_delete_keys_in_versioned_bucket",
        after(versioned, "objects-versions", "delete_objects", Delete={"Objects": [{"Key": "key"}]}),
        answered("Deleted.DeleteMarker Deleted.DeleteMarkerVersionId Deleted.Key"),
    ),
    case(
        "DeleteObjects",
        f"{S3}::test_delete_non_existing_keys_in_non_existing_bucket",
        nowhere("delete_objects", Delete={"Objects": [{"Key": "dummy1"}]}),
        NO_BUCKET,
    ),
    case(
        "ListObjectsV2",
        f"{S3}::test_delete_keys_in_versioned_bucket",
        on("listed", "list_objects_v2"),
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
    case(
        "ListObjectsV2",
        f"{S3}::test_delete_keys_in_versioned_bucket",
        after(emptied, "listed-empty", "list_objects_v2"),
        answered(LISTED),
    ),
    case(
        "ListObjectsV2",
        f"{LISTS}::TestS3ListObjectsV2::test_list_objects_v2_continuation_start_after",
        on(BUCKET, "list_objects_v2", ContinuationToken=""),
        refused("InvalidArgument", 400, "The continuation token provided is incorrect"),
    ),
    case(
        "ListObjectVersions",
        f"{S3}::test_get_bucket_versioning_order",
        after(versioned, "versions", "list_object_versions"),
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
    case(
        "ListObjectVersions",
        f"{S3}::test_get_bucket_versioning_order",
        after(emptied, "no-versions", "list_object_versions"),
        answered(VERSIONED),
        here=but(answered(VERSIONED), without="EncodingType"),
    ),
    case(
        "ListObjectVersions",
        f"{LISTS}::TestS3ListObjectVersions::test_list_objects_versions_markers",
        on(BUCKET, "list_object_versions", VersionIdMarker="a-version"),
        refused("InvalidArgument", 400, "A version-id marker cannot be specified without a key marker."),
        here=answered(
            "IsTruncated KeyMarker MaxKeys Name Prefix VersionIdMarker Versions.ETag Versions.IsLatest "
            "Versions.Key Versions.LastModified Versions.Owner.DisplayName Versions.Owner.ID Versions.Size "
            "Versions.StorageClass Versions.VersionId"
        ),
    ),
)
