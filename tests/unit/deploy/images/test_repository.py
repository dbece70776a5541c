"""Repositories: what is made, what is mended, what is left alone; and what is asked of ECR about images."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.images import pushed
from deploy.images.manifest import DOCKER_MANIFEST, OCI_MANIFEST
from deploy.images.recipe import KINDS, ImageKind
from deploy.images.registry import TOKEN
from deploy.images.repository import KIND, LIFECYCLE, Repository, repository
from deploy.values import Request, State
from tests.unit.deploy.fakes import FakeAws, refusal

Golden = Callable[..., None]
GONE = refusal("RepositoryNotFoundException")


def state(wanted: Repository, **changes: Any) -> State:
    return State(fields=wanted.desired() | changes, tags=wanted.tags, attributes={"uri": "registry/name"})


def operations(acts: Any) -> list[str]:
    return [act.operation for act in acts]


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_repository_is_tagged_immutable_scanned_and_encrypted_from_its_first_moment(
    settings: Settings, golden: Golden, kind: ImageKind
) -> None:
    step = repository(settings, kind).plan(None)
    assert step.action == "create"
    create, *later = step.acts
    assert isinstance(create, Request)
    golden(f"repository-{kind}", create, rules=(73, 75))
    assert operations(later) == ["PutLifecyclePolicy", *(["SetRepositoryPolicy"] if kind == "lambda" else [])]
    for act in later:
        assert isinstance(act, Request)
        golden(f"repository-{kind}", act, rules=(74,) if act.operation == "PutLifecyclePolicy" else (64,))


def test_only_lambda_is_let_in_and_for_the_one_function(settings: Settings) -> None:
    policy = repository(settings, "lambda").desired()["policy"]["Statement"]
    assert [each["Principal"] for each in policy] == [{"Service": "lambda.amazonaws.com"}]
    arns = policy[0]["Condition"]["ArnLike"]["aws:SourceArn"]
    assert [arn.partition(":function:")[2] for arn in arns] == [settings.function_name, f"{settings.function_name}:*"]
    assert "policy" not in repository(settings, "serve").desired()


def test_the_lifecycle_is_within_ecrs_rules() -> None:
    """rule 74: 100 to 30,720 characters, at most 50 rules, priorities apart, `any` last, `tagged` with a list."""
    assert 100 <= len(json.dumps(LIFECYCLE)) <= 30720
    rules: list[dict[str, Any]] = LIFECYCLE["rules"]
    assert 1 <= len(rules) <= 50
    priorities = [rule["rulePriority"] for rule in rules]
    assert sorted(set(priorities)) == priorities
    assert all(rule["selection"]["tagStatus"] == "untagged" for rule in rules), "what is tagged may be live"


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({"tag_mutability": "MUTABLE"}, ["PutImageTagMutability"]),
        ({"scan_on_push": False}, ["PutImageScanningConfiguration"]),
        ({"lifecycle": None}, ["PutLifecyclePolicy"]),
        ({"policy": None}, ["SetRepositoryPolicy"]),
    ],
)
def test_what_differs_is_mended_and_nothing_else(
    settings: Settings, golden: Golden, changes: dict[str, Any], sent: list[str]
) -> None:
    wanted = repository(settings, "lambda")
    step = wanted.plan(state(wanted, **changes))
    assert (step.action, operations(step.acts)) == ("update", sent)
    if sent[0].startswith("PutImage"):
        golden("repository-mended", step.acts[0], rules=(73,) if "Tag" in sent[0] else ())


def test_what_is_as_it_should_be_is_left_alone(settings: Settings) -> None:
    wanted = repository(settings, "lambda")
    assert wanted.plan(state(wanted)).action == "none"


def test_a_repository_of_somebody_else_is_not_touched(settings: Settings) -> None:
    wanted = repository(settings, "serve")
    with pytest.raises(DeployError, match="does not carry the tags"):
        wanted.plan(State(fields={}, tags={"owner": "another"}))


def test_a_repository_is_read_with_its_policies_which_may_be_missing(settings: Settings, golden: Golden) -> None:
    wanted = repository(settings, "serve")
    described = {"imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": True}}
    aws = FakeAws(
        {
            "DescribeRepositories": {"repositories": [{"repositoryUri": "there/serve", **described}]},
            "GetLifecyclePolicy": {"lifecyclePolicyText": json.dumps(LIFECYCLE)},
            "GetRepositoryPolicy": refusal("RepositoryPolicyNotFoundException"),
            "ListTagsForResource": {"tags": [{"Key": key, "Value": value} for key, value in wanted.tags.items()]},
        }
    )
    seen = wanted.read(aws)
    assert seen is not None
    assert wanted.plan(seen).action == "none"
    assert seen.attributes == {"uri": "there/serve"}
    for request in aws.sent:
        golden("repository-read", request)
    assert wanted.read(FakeAws({"DescribeRepositories": GONE})) is None


def test_down_takes_a_repository_with_its_images_only_when_asked(settings: Settings, golden: Golden) -> None:
    assert KIND.keep == "images"
    step = KIND.remove("kennel-local/serve", settings)
    golden("repository", step.acts[0])
    assert step.touches == "every image in it"


@pytest.mark.parametrize(("count", "said"), [(0, "0 images"), (1, "1 image"), (12, "12 images")])
def test_status_tells_how_many_images_there_are(settings: Settings, count: int, said: str) -> None:
    aws = FakeAws({"DescribeImages": {"imageDetails": [{}] * count}})
    assert KIND.state("kennel-local/serve", settings, aws) == said


def test_a_token_is_asked_for_without_parameters(golden: Golden) -> None:
    golden("token", TOKEN, rules=(72,))


def image(tag: str, media_type: str = DOCKER_MANIFEST) -> dict[str, Any]:
    text = json.dumps({"schemaVersion": 2, "mediaType": media_type, "tag": tag})
    return {"imageId": {"imageTag": tag}, "imageManifest": text, "imageManifestMediaType": media_type}


def test_an_image_is_found_by_its_contents_tag_and_named_by_its_digest(settings: Settings, golden: Golden) -> None:
    there = {"repositories": [{"repositoryUri": "123.dkr/kennel-local/serve"}]}
    aws = FakeAws({"BatchGetImage": {"images": [image("abc")]}, "DescribeRepositories": there})
    digest = pushed.uri(settings, aws, "serve", "abc")
    assert digest.startswith("123.dkr/kennel-local/serve@sha256:")
    golden("pushed", aws.sent[0])


def test_a_repaired_image_goes_before_the_one_that_it_was_made_from(settings: Settings) -> None:
    aws = FakeAws({"BatchGetImage": {"images": [image("abc", OCI_MANIFEST), image("abc-docker")]}})
    found = pushed.manifest(settings, aws, "serve", "abc")
    assert found is not None
    assert found.media_type == DOCKER_MANIFEST


@pytest.mark.parametrize("answer", [GONE, {"images": [], "failures": [{"failureCode": "ImageNotFound"}]}])
def test_what_was_not_pushed_has_no_address(settings: Settings, answer: Any) -> None:
    assert pushed.uri(settings, FakeAws({"BatchGetImage": answer}), "serve", "abc") == ""


def test_an_image_without_a_repository_says_to_push(settings: Settings) -> None:
    with pytest.raises(DeployError, match=r"run \./inv push --image serve"):
        pushed.repository_uri(settings, FakeAws({"DescribeRepositories": GONE}), "serve")
