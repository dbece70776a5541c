"""The stage's bucket: every request about it, and the lifecycle rules that keep it from filling up."""

from __future__ import annotations

from dataclasses import replace

from deploy.aws.s3_empty import empty_bucket
from deploy.config.settings import Settings
from deploy.storage.bucket import bucket
from deploy.values import Request, State
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws


def test_every_request_that_makes_it_is_recorded(settings: Settings, golden: Golden) -> None:
    desired = replace(bucket(settings), tls_only=True)
    for act in desired.plan(None).acts:
        assert isinstance(act, Request)
        golden("bucket", act)
    elsewhere = replace(desired, region="eu-central-1").plan(None).acts[0]
    assert isinstance(elsewhere, Request)
    golden("bucket-elsewhere", elsewhere)


def test_every_request_that_reads_it_is_recorded(settings: Settings, golden: Golden) -> None:
    aws = FakeAws()
    bucket(settings).read(aws)
    for request in aws.sent:
        golden("bucket", request)


def test_unfinished_uploads_and_overwritten_checkpoints_are_not_kept_for_ever(settings: Settings) -> None:
    rules = {rule["ID"]: rule for rule in bucket(settings).desired()["lifecycle"]}
    assert rules["unfinished-uploads"]["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}
    assert rules["old-checkpoints"]["Filter"] == {"Prefix": "checkpoints/"}


def test_lifecycle_rules_to_which_s3_adds_keys_are_unchanged(settings: Settings) -> None:
    desired = bucket(settings)
    answered = [{**rule, "Prefix": ""} for rule in desired.desired()["lifecycle"]]
    aws = FakeAws({"GetBucketLifecycleConfiguration": {"Rules": answered}})
    observed = desired.read(aws)
    assert observed is not None
    changed = {change.field for change in desired.plan(State(fields=observed.fields, tags=settings.tags)).changes}
    assert "lifecycle" not in changed


def test_every_request_that_empties_and_deletes_it_is_recorded(settings: Settings, golden: Golden) -> None:
    aws = FakeAws({"ListObjectVersions": [{"Versions": [{"Key": "a", "VersionId": "1"}]}, {}]})
    empty_bucket(bucket(settings).name, aws)
    assert aws.operations == ["ListObjectVersions", "DeleteObjects", "ListObjectVersions"]
    for request in aws.sent:
        golden("every-version", request)
    last = bucket(settings).remove().acts[-1]
    assert isinstance(last, Request)
    golden("bucket", last)
