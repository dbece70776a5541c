"""S3's buckets as AWS was recorded."""

from __future__ import annotations

from tests.functional.localcloud.recorded.case import answered, but, refused
from tests.functional.localcloud.recorded.s3.world import (
    API,
    BUCKET,
    NO_BUCKET,
    S3,
    after,
    case,
    emptied,
    nowhere,
    on,
    versioned,
)

CASES = (
    case(
        "CreateBucket",
        f"{S3}::test_create_bucket_head_bucket",
        lambda s3: s3.create_bucket(Bucket="created"),
        answered("BucketArn Location"),
        here=but(answered("BucketArn Location"), without="BucketArn"),
    ),
    case(
        "CreateBucket",
        f"{S3}::test_different_location_constraint",
        lambda s3: s3.create_bucket(Bucket="constraint", CreateBucketConfiguration={"LocationConstraint": "us-east-1"}),
        refused("InvalidLocationConstraint", 400, "The specified location-constraint is not valid"),
    ),
    case(
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
    case(
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
    case(
        "HeadBucket",
        f"{S3}::test_create_bucket_head_bucket",
        on(BUCKET, "head_bucket"),
        answered("AccessPointAlias BucketArn BucketRegion"),
        here=but(answered("AccessPointAlias BucketArn BucketRegion"), without="AccessPointAlias BucketArn"),
    ),
    case(
        "HeadBucket", f"{S3}::test_create_bucket_head_bucket", nowhere("head_bucket"), refused("404", 404, "Not Found")
    ),
    case(
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
    case(
        "DeleteBucket",
        f"{API}::TestS3BucketCRUD::test_delete_bucket_with_objects",
        after(emptied, "deleted", "delete_bucket"),
        answered(status=204),
    ),
    case("DeleteBucket", f"{S3}::test_delete_bucket_no_such_bucket", nowhere("delete_bucket"), NO_BUCKET),
    case(
        "DeleteBucket",
        f"{API}::TestS3BucketCRUD::test_delete_bucket_with_objects",
        on(BUCKET, "delete_bucket"),
        refused("BucketNotEmpty", 409, "The bucket you tried to delete is not empty"),
    ),
    case(
        "DeleteBucket",
        f"{API}::TestS3BucketCRUD::test_delete_versioned_bucket_with_objects",
        after(versioned, "versions-left", "delete_bucket"),
        refused(
            "BucketNotEmpty",
            409,
            "The bucket you tried to delete is not empty. You must delete all versions in the bucket.",
        ),
        here=refused("BucketNotEmpty", 409, "The bucket you tried to delete is not empty"),
    ),
    case(
        "GetBucketAcl",
        f"{S3}::test_bucket_exists",
        on(BUCKET, "get_bucket_acl"),
        answered("Grants.Grantee.ID Grants.Grantee.Type Grants.Permission Owner.ID"),
        here=but(
            answered("Grants.Grantee.ID Grants.Grantee.Type Grants.Permission Owner.ID"), more="Owner.DisplayName"
        ),
    ),
    case("GetBucketAcl", f"{S3}::test_bucket_exists", nowhere("get_bucket_acl"), NO_BUCKET),
)
