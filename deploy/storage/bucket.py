"""The S3 bucket of a stage: data, weights, checkpoints, models. Private, encrypted, versioned, TLS only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deploy.aws.client import lookup
from deploy.aws.requests import s3
from deploy.aws.tags import tag_list, tags_of
from deploy.config.settings import Settings
from deploy.errors import AwsError
from deploy.planning.resource import ResourceKind, delete, require_ours, unchanged
from deploy.values import Act, Call, EmptyBucket, Request, State, Step, differences

BLOCK = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}

# Deletes what would be billed for ever: parts of uploads that were never completed, and overwritten checkpoints (the
# bucket is versioned).
LIFECYCLE: tuple[dict[str, Any], ...] = (
    {
        "ID": "unfinished-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
    },
    {
        "ID": "old-checkpoints",
        "Status": "Enabled",
        "Filter": {"Prefix": "checkpoints/"},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
    },
)


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """A desired bucket."""

    name: str
    region: str
    tags: Mapping[str, str]
    tls_only: bool = True  # False only for a stage whose own address has no TLS

    @property
    def address(self) -> str:
        return f"bucket/{self.name}"

    def desired(self) -> dict[str, Any]:
        policy = {"policy": self._policy()} if self.tls_only else {}
        fixed = {"public_access_block": BLOCK, "encryption": "AES256", "versioning": "Enabled"}
        return {**fixed, "lifecycle": list(LIFECYCLE), **policy}

    def read(self, call: Call) -> State | None:
        if lookup(call, self._s3("HeadBucket")) is None:
            return None
        rules = (
            self._setting(call, "GetBucketEncryption").get("ServerSideEncryptionConfiguration", {}).get("Rules", [{}])
        )
        policy = self._setting(call, "GetBucketPolicy").get("Policy")
        return State(
            fields={
                "public_access_block": self._setting(call, "GetPublicAccessBlock").get(
                    "PublicAccessBlockConfiguration"
                ),
                "encryption": rules[0].get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm"),
                "versioning": self._setting(call, "GetBucketVersioning").get("Status"),
                "lifecycle": _known(self._setting(call, "GetBucketLifecycleConfiguration").get("Rules", ())),
                "policy": json.loads(policy) if policy else None,
            },
            tags=tags_of(self._setting(call, "GetBucketTagging").get("TagSet", ())),
        )

    def plan(self, observed: State | None) -> Step:
        if observed is None:
            acts = (self._create(), *self._settle(self.desired()))
            return Step(action="create", address=self.address, reason="does not exist", acts=acts)
        # A bucket without tags is ours, made but not tagged yet: its name holds the account, so nobody else made it.
        if observed.tags:
            require_ours(self.address, observed, self.tags)
        changes = differences(observed.fields, self.desired())
        if not changes and observed.tags:
            return unchanged(self.address)
        acts = self._settle({change.field for change in changes})
        return Step(action="update", address=self.address, reason="differs", acts=acts, changes=changes)

    def remove(self) -> Step:
        return delete(
            self.address, EmptyBucket(bucket=self.name), self._s3("DeleteBucket"), touches="all data and models in it"
        )

    def _create(self) -> Request:
        elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": self.region}}
        return self._s3("CreateBucket", **({} if self.region == "us-east-1" else elsewhere))

    def _settle(self, names: Any) -> tuple[Act, ...]:
        """The requests for the fields in `names`. The tags come first, so that a half-made bucket is known as ours."""
        rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
        requests = {
            "public_access_block": self._s3("PutPublicAccessBlock", PublicAccessBlockConfiguration=BLOCK),
            "encryption": self._s3("PutBucketEncryption", ServerSideEncryptionConfiguration={"Rules": [rule]}),
            "versioning": self._s3("PutBucketVersioning", VersioningConfiguration={"Status": "Enabled"}),
            "lifecycle": self._s3("PutBucketLifecycleConfiguration", LifecycleConfiguration={"Rules": list(LIFECYCLE)}),
            "policy": self._s3("PutBucketPolicy", Policy=json.dumps(self._policy())),
        }
        tagging = self._s3("PutBucketTagging", Tagging={"TagSet": tag_list(self.tags)})
        return (tagging, *(request for name, request in requests.items() if name in names))

    def _policy(self) -> dict[str, Any]:
        arn = f"arn:aws:s3:::{self.name}"
        return {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "TlsOnly",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                }
            ],
        }

    def _s3(self, operation: str, **params: Any) -> Request:
        return s3(operation, Bucket=self.name, **params)

    def _setting(self, call: Call, operation: str) -> dict[str, Any]:
        """The answer; {} for a setting of the bucket that was never made (each has its own NoSuch… code)."""
        try:
            return call(self._s3(operation))
        except AwsError as error:
            if error.code.startswith(("NoSuch", "ServerSideEncryptionConfigurationNotFound")):
                return {}
            raise


def _known(rules: Any) -> list[dict[str, Any]]:
    """Rules with the keys that we write: S3 adds keys of its own."""
    keys = {key for rule in LIFECYCLE for key in rule}
    return [{key: value for key, value in rule.items() if key in keys} for rule in rules]


def bucket(settings: Settings) -> Bucket:
    """The stage's bucket."""
    tls_only = not settings.stage.endpoint_url.startswith("http://")
    return Bucket(name=settings.bucket, region=settings.stage.region, tags=settings.tags, tls_only=tls_only)


def _names(settings: Settings, call: Call) -> list[str]:
    """The stage has one bucket of a known name, so that the right to list all buckets is not needed."""
    name = settings.bucket
    return [] if lookup(call, s3("HeadBucket", Bucket=name)) is None else [name]


def _tags(name: str, _: Settings, call: Call) -> dict[str, str]:
    try:
        tagging = call(s3("GetBucketTagging", Bucket=name))
    except AwsError as error:
        if error.code in ("NoSuchTagSet", "NoSuchBucket"):
            return {}
        raise
    return tags_of(tagging.get("TagSet", ()))


def _remove(name: str, settings: Settings) -> Step:
    return Bucket(name=name, region=settings.stage.region, tags=settings.tags).remove()


KIND = ResourceKind(
    name="bucket",
    names=_names,
    tags=_tags,
    remove=_remove,
    keep="data",
)
