"""Pictures to S3: which layouts are accepted, and that only changed files are sent."""

from __future__ import annotations

import pytest

from deploy.errors import DataError
from deploy.storage import dataset
from deploy.values import Request
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws


@pytest.mark.parametrize(
    "names",
    [
        ["train/a/1.jpg", "train/b/1.jpg", "test/a/2.jpg"],
        ["train/001.Affenpinscher/1.JPG", "train/002.Afghan/1.png"],
        ["a/1.jpg", "b/1.webp"],
    ],
)
def test_a_layout_that_training_reads_is_accepted(names: list[str]) -> None:
    dataset.check(names, where="d")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no pictures"),
        (["notes.txt"], "holds no pictures"),
        (["train/a/1.jpg"], "training needs two or more classes, found a"),
        (["train/1.jpg", "train/2.jpg"], "training needs two or more classes, found none"),
        (["1.jpg", "2.jpg"], "training needs two or more classes, found none"),
    ],
)
def test_a_layout_that_cannot_train_is_refused_before_it_is_sent(names: list[str], message: str) -> None:
    with pytest.raises(DataError, match=rf"^d: {message}"):
        dataset.check(names, where="d")


def test_only_changed_files_are_sent_and_removed_files_are_deleted() -> None:
    todo = dataset.compare({"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "old", "d": "4"})
    assert (todo.send, todo.delete, todo.same) == (("b", "c"), ("d",), 1)


def test_a_listing_reads_every_page_and_names_files_relative_to_the_prefix() -> None:
    first = {"Contents": [{"Key": "data/x/a", "ETag": '"1"'}], "NextContinuationToken": "t"}
    aws = FakeAws({"ListObjectsV2": [first, {"Contents": [{"Key": "data/x/b", "ETag": '"2"'}]}]})
    assert dataset.listing(aws, bucket="b", prefix="data/x/") == {"a": "1", "b": "2"}
    assert aws.sent[1].params["ContinuationToken"] == "t"


def test_the_same_files_have_the_same_hash_in_any_order_and_others_another() -> None:
    def named(**content: str) -> str:
        return dataset.describe(content, bucket="b", prefix="p/").hash

    assert named(a="1", b="2") == named(b="2", a="1") != named(a="1", b="3")


def test_every_request_about_the_pictures_is_recorded(golden: Golden) -> None:
    aws = FakeAws({"ListObjectsV2": {"Contents": []}})
    dataset.listing(aws, bucket="kennel-local-123456789012-us-east-1", prefix="data/x/")
    golden("data", aws.sent[0])
    golden("data", dataset.deletion("kennel-local-123456789012-us-east-1", ["data/x/a"]))


def test_deletions_are_one_request_for_many() -> None:
    request = dataset.deletion("b", ["x", "y"])
    assert isinstance(request, Request)
    assert request.params["Delete"]["Objects"] == [{"Key": "x"}, {"Key": "y"}]
