"""Pruning deletes old images, and never one in use."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.commands.prune import NEWEST, PushedImage, delete_images, old_digests, old_tags, prune, tags_of
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import DeployError
from deploy.images.recipe import ImageKind
from deploy.images.referenced import referenced
from deploy.session import Session
from deploy.values import Request
from tests.unit.deploy.fakes import FakeAws, refusal

Golden = Callable[..., None]
CURRENT: dict[ImageKind, str] = {kind: f"kennel/{kind}:now" for kind in ("train", "serve", "lambda")}


def image(number: int, *tags: str) -> PushedImage:
    return PushedImage(digest=f"sha256:{number}", tags=tags, pushed=float(number))


def test_in_the_engine_an_image_neither_current_nor_in_use_is_old() -> None:
    local = ["kennel/serve:now", "kennel/serve:old", "kennel/serve:live", "kennel/base:1"]
    assert old_tags(local, {"kennel/serve:now", "kennel/base:1"}, {"kennel/serve:live"}) == ["kennel/serve:old"]


def test_the_engine_keeps_the_tags_of_digests_in_use() -> None:
    lists: dict[ImageKind, Sequence[PushedImage]] = {"serve": [image(1, "a"), image(2, "b-docker"), image(3, "c")]}
    assert tags_of(lists, {"there/serve@sha256:1", "there/serve@sha256:2"}) == {"kennel/serve:a", "kennel/serve:b"}


def test_in_ecr_the_newest_the_current_and_images_in_use_stay() -> None:
    there = [image(number, f"t{number}") for number in range(1, 13)]
    live = {"there/serve@sha256:2", "there/serve:t3"}
    stay = {2, 3, 4, *range(13 - NEWEST, 13)}
    gone = [f"sha256:{number}" for number in range(1, 13) if number not in stay]
    assert old_digests(there, "t4", live) == gone


def test_a_repaired_image_stays_with_its_content() -> None:
    there = [image(1, "now-docker"), *(image(number) for number in range(2, 3 + NEWEST))]
    assert old_digests(there, "now", ()) == ["sha256:2"]


def names(*held: str) -> list[str]:
    """`held` beside the names of neighbours, which AWS lists too."""
    return [*held, "other", "kennel-prod-1", "kennel-locally-1", "x-kennel-local-1"]


def test_images_in_use_are_those_of_our_models_function_of_any_version_and_running_jobs(
    settings: Settings, golden: Golden
) -> None:
    aws = FakeAws(
        {
            "ListModels": {"Models": [{"ModelName": name} for name in names("kennel-local-1", "kennel-local-2")]},
            "DescribeModel": [{"PrimaryContainer": {"Image": "a@sha256:1"}}, {"Containers": [{"Image": "b"}, {}]}],
            "ListVersionsByFunction": {
                "Versions": [{"Version": "7", "PackageType": "Image"}, {"Version": "1", "PackageType": "Zip"}]
            },
            "GetFunction": {"Code": {"ImageUri": "c:tag", "ResolvedImageUri": "c@sha256:3"}},
            "ListTrainingJobs": {
                "TrainingJobSummaries": [{"TrainingJobName": name} for name in names("kennel-local-train-1")]
            },
            "DescribeTrainingJob": {"AlgorithmSpecification": {"TrainingImage": "d@sha256:4"}},
        }
    )
    assert referenced(settings, aws) == {"a@sha256:1", "b", "c:tag", "c@sha256:3", "d@sha256:4"}
    for request in aws.sent:
        is_second = request.params == {"ModelName": "kennel-local-2"}
        golden("referenced-two" if is_second else "referenced", request)
    asked = [next(iter(request.params.values())) for request in aws.sent if request.operation.startswith("Describe")]
    assert asked == ["kennel-local-1", "kennel-local-2", "kennel-local-train-1"]


def test_what_goes_between_the_list_and_the_look_uses_nothing(settings: Settings) -> None:
    gone = refusal("ValidationException", "Could not find model")
    aws = FakeAws(
        {
            "ListModels": {"Models": [{"ModelName": "kennel-local-1"}]},
            "DescribeModel": gone,
            "ListVersionsByFunction": refusal("ResourceNotFoundException"),
            "ListTrainingJobs": {"TrainingJobSummaries": [{"TrainingJobName": "kennel-local-train-1"}]},
            "DescribeTrainingJob": gone,
        }
    )
    assert referenced(settings, aws) <= {""}


class Docker:
    """An engine with three images; it records its commands."""

    def __init__(self) -> None:
        self.commands: list[str] = []

    def __call__(self, command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]:
        self.commands.append(" ".join(command[1:]))
        if command[1] == "images":
            return 0, "kennel/serve:now\nkennel/serve:old\nkennel/serve:busy\nkennel/serve:<none>\n"
        return (1, "conflict: a container uses it") if "busy" in command[-1] else (0, "Untagged")


def desk(settings: Settings, aws: FakeAws) -> Session:
    return Session(settings=settings, call=aws, build=str, screen=Screen(out=io.StringIO()))


def replies(there: Any) -> dict[str, Any]:
    return {
        "ListModels": {"Models": []},
        "ListVersionsByFunction": refusal("ResourceNotFoundException"),
        "ListTrainingJobs": {"TrainingJobSummaries": []},
        "DescribeImages": there,
        "HeadBucket": refusal("404"),
    }


def test_without_pushed_only_the_engine_is_pruned(settings: Settings) -> None:
    aws, docker = FakeAws(replies(refusal("RepositoryNotFoundException"))), Docker()
    session = desk(settings, aws)
    prune(session, docker, CURRENT, (), pushed=False, confirm=lambda _: True)
    assert docker.commands[1:] == ["rmi kennel/serve:busy", "rmi kennel/serve:old"]
    assert "BatchDeleteImage" not in aws.operations
    shown = session.screen.out.getvalue()  # type: ignore[attr-defined]
    assert "kennel/serve:busy not deleted: conflict" in shown
    assert "kennel/serve:old deleted" in shown


def test_old_digests_go_a_hundred_at_a_time(settings: Settings, golden: Golden) -> None:
    detail = [
        {"imageDigest": f"sha256:{number:064x}", "imagePushedAt": datetime.fromtimestamp(number, UTC)}
        for number in range(NEWEST + 101)
    ]
    empty = refusal("RepositoryNotFoundException")
    aws = FakeAws(replies([{"imageDetails": detail}, {"imageDetails": detail}, empty, empty]))
    prune(desk(settings, aws), Docker(), CURRENT, (), pushed=True, confirm=lambda _: True)
    sent = [request for request in aws.sent if request.operation == "BatchDeleteImage"]
    assert [len(request.params["imageIds"]) for request in sent] == [100, 1]
    golden("prune", Request(service="ecr", operation="DescribeImages", params={"repositoryName": "kennel-local/serve"}))
    golden("prune", delete_images("kennel-local/serve", ["sha256:" + 64 * "a"]))


def test_nothing_is_deleted_without_confirmation(settings: Settings) -> None:
    docker = Docker()
    with pytest.raises(DeployError, match="nothing was deleted"):
        prune(
            desk(settings, FakeAws(replies(refusal("RepositoryNotFoundException")))), docker, CURRENT, (),
            pushed=True, confirm=lambda _: False,
        )  # fmt: skip
    assert len(docker.commands) == 1
