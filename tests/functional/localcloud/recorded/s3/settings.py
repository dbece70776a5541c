"""The settings of S3's buckets as AWS was recorded."""

from __future__ import annotations

from tests.functional.localcloud.recorded.case import Crashed, answered, but, refused
from tests.functional.localcloud.recorded.s3.world import (
    API,
    BAD_XML,
    BLOCKS,
    BUCKET,
    EXPIRY,
    LIFECYCLE,
    NO_BUCKET,
    S3,
    SSE,
    SSE_WITH_KEY,
    after,
    blocked,
    case,
    encryption,
    nowhere,
    on,
    policy_put,
    policy_read,
    tags_read,
    unblocked,
    with_lifecycle,
)

CASES = (
    case(
        "GetBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        on(BUCKET, "get_bucket_versioning"),
        answered(),
    ),
    case(
        "GetBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        nowhere("get_bucket_versioning"),
        NO_BUCKET,
    ),
    case(
        "PutBucketVersioning",
        f"{S3}::test_get_bucket_versioning_order",
        on("versioned", "put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"}),
        answered(),
    ),
    case(
        "PutBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        on(BUCKET, "put_bucket_versioning", VersioningConfiguration={"Status": "enabled"}),
        BAD_XML,
        here=answered(""),
    ),
    case(
        "PutBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        on(BUCKET, "put_bucket_versioning", VersioningConfiguration={}),
        refused("IllegalVersioningConfigurationException", 400, "The Versioning element must be specified"),
        here=refused("NoSuchBucket", 404, "The specified bucket does not exist"),
    ),
    case(
        "PutBucketVersioning",
        f"{API}::TestS3BucketVersioning::test_bucket_versioning_crud",
        nowhere("put_bucket_versioning", VersioningConfiguration={"Status": "Suspended"}),
        NO_BUCKET,
    ),
    case(
        "GetBucketEncryption",
        f"{API}::TestS3BucketEncryption::test_s3_default_bucket_encryption",
        on("encrypted", "get_bucket_encryption"),
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
    case(
        "GetBucketEncryption",
        f"{API}::TestS3BucketEncryption::test_s3_default_bucket_encryption_exc",
        nowhere("get_bucket_encryption"),
        NO_BUCKET,
    ),
    case(
        "PutBucketEncryption",
        f"{S3}::test_s3_sse_bucket_key_default",
        on(BUCKET, "put_bucket_encryption", **encryption(SSE)),
        answered(),
    ),
    case(
        "PutBucketEncryption",
        f"{API}::TestS3BucketEncryption::test_s3_default_bucket_encryption_exc",
        on(BUCKET, "put_bucket_encryption", **encryption(SSE, SSE)),
        BAD_XML,
        here=Crashed(),
    ),
    case(
        "PutBucketEncryption",
        f"{API}::TestS3BucketEncryption::test_s3_default_bucket_encryption_exc",
        on(BUCKET, "put_bucket_encryption", **encryption(SSE_WITH_KEY)),
        refused(
            "InvalidArgument",
            400,
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        ),
        here=answered(""),
    ),
    case(
        "GetBucketLifecycleConfiguration",
        f"{LIFECYCLE}::test_delete_bucket_lifecycle_configuration",
        on("no-lifecycle", "get_bucket_lifecycle_configuration"),
        refused("NoSuchLifecycleConfiguration", 404, "The lifecycle configuration does not exist"),
    ),
    case(
        "GetBucketLifecycleConfiguration",
        f"{LIFECYCLE}::test_delete_bucket_lifecycle_configuration",
        after(with_lifecycle, "lifecycle", "get_bucket_lifecycle_configuration"),
        answered("Rules.Expiration.Days Rules.Filter.Prefix Rules.ID Rules.Status TransitionDefaultMinimumObjectSize"),
    ),
    case(
        "PutBucketLifecycleConfiguration",
        f"{LIFECYCLE}::test_put_bucket_lifecycle_conf_exc",
        on(BUCKET, "put_bucket_lifecycle_configuration", LifecycleConfiguration=EXPIRY),
        BAD_XML,
    ),
    case(
        "GetBucketPolicy",
        f"{S3}::test_get_bucket_policy",
        on("no-policy", "get_bucket_policy"),
        refused("NoSuchBucketPolicy", 404, "The bucket policy does not exist"),
    ),
    case("GetBucketPolicy", f"{S3}::test_get_bucket_policy", policy_read, answered("Policy")),
    case(
        "PutBucketPolicy",
        f"{API}::TestS3BucketPolicy::test_bucket_policy_crud",
        policy_put,
        answered(status=204),
        here=but(answered(status=204), status=200),
    ),
    case(
        "PutBucketPolicy",
        f"{API}::TestS3BucketPolicy::test_bucket_policy_exc",
        on(BUCKET, "put_bucket_policy", Policy="invalid json"),
        refused("MalformedPolicy", 400, "Policies must be valid JSON and the first byte must be '{'"),
        here=answered(""),
    ),
    case(
        "PutBucketPolicy",
        f"{API}::TestS3BucketPolicy::test_bucket_policy_exc",
        on(BUCKET, "put_bucket_policy", Policy="{}"),
        refused("MalformedPolicy", 400, "Missing required field Statement"),
        here=answered(""),
    ),
    case(
        "GetBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_bucket_tagging_crud",
        on("no-tags", "get_bucket_tagging"),
        refused("NoSuchTagSet", 404, "The TagSet does not exist"),
    ),
    case(
        "GetBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_bucket_tagging_crud",
        tags_read,
        answered("TagSet.Key TagSet.Value"),
    ),
    case(
        "GetBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_bucket_tagging_exc",
        nowhere("get_bucket_tagging"),
        NO_BUCKET,
    ),
    case(
        "PutBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_bucket_tagging_crud",
        on(BUCKET, "put_bucket_tagging", Tagging={"TagSet": [{"Key": "tag1", "Value": "tag1"}]}),
        answered(status=204),
    ),
    case(
        "PutBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_tagging_validation",
        on(
            BUCKET,
            "put_bucket_tagging",
            Tagging={"TagSet": [{"Key": "Key1", "Value": "Val1"}, {"Key": "Key1", "Value": "Val1"}]},
        ),
        refused("InvalidTag", 400, "Cannot provide multiple Tags with the same key"),
    ),
    case(
        "PutBucketTagging",
        f"{API}::TestS3BucketObjectTagging::test_tagging_validation",
        on(BUCKET, "put_bucket_tagging", Tagging={"TagSet": [{"Key": "aws:prefixed", "Value": "Val1"}]}),
        refused("InvalidTag", 400, "System tags cannot be added/updated by requester"),
    ),
    case(
        "GetPublicAccessBlock",
        f"{API}::TestS3PublicAccessBlock::test_crud_public_access_block",
        on("blocked-by-default", "get_public_access_block"),
        answered(BLOCKS),
        here=refused(
            "NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found"
        ),
    ),
    case(
        "GetPublicAccessBlock",
        f"{API}::TestS3PublicAccessBlock::test_crud_public_access_block",
        after(blocked, "blocked", "get_public_access_block"),
        answered(BLOCKS),
    ),
    case(
        "GetPublicAccessBlock",
        f"{API}::TestS3PublicAccessBlock::test_crud_public_access_block",
        after(unblocked, "unblocked", "get_public_access_block"),
        refused("NoSuchPublicAccessBlockConfiguration", 404, "The public access block configuration was not found"),
    ),
    case(
        "PutPublicAccessBlock",
        f"{API}::TestS3PublicAccessBlock::test_crud_public_access_block",
        on(BUCKET, "put_public_access_block", PublicAccessBlockConfiguration={"BlockPublicAcls": False}),
        answered(),
    ),
)
