"""Repositories: creation, updates, removal; and the requests to ECR about images."""

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


def state(desired: Repository, **changes: Any) -> State:
    return State(fields=desired.desired() | changes, tags=desired.tags, attributes={"uri": "registry/name"})


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


def test_only_lambda_may_pull_and_for_the_one_function_only(settings: Settings) -> None:
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
def test_only_differences_are_updated(
    settings: Settings, golden: Golden, changes: dict[str, Any], sent: list[str]
) -> None:
    desired = repository(settings, "lambda")
    step = desired.plan(state(desired, **changes))
    assert (step.action, operations(step.acts)) == ("update", sent)
    if sent[0].startswith("PutImage"):
        golden("repository-mended", step.acts[0], rules=(73,) if "Tag" in sent[0] else ())


def test_a_repository_as_desired_needs_no_change(settings: Settings) -> None:
    desired = repository(settings, "lambda")
    assert desired.plan(state(desired)).action == "none"


def test_a_repository_of_somebody_else_is_not_touched(settings: Settings) -> None:
    desired = repository(settings, "serve")
    with pytest.raises(DeployError, match="does not carry the tags"):
        desired.plan(State(fields={}, tags={"owner": "another"}))


def test_a_repository_is_read_with_its_policies_which_may_be_missing(settings: Settings, golden: Golden) -> None:
    desired = repository(settings, "serve")
    described = {"imageTagMutability": "IMMUTABLE", "imageScanningConfiguration": {"scanOnPush": True}}
    aws = FakeAws(
        {
            "DescribeRepositories": {"repositories": [{"repositoryUri": "there/serve", **described}]},
            "GetLifecyclePolicy": {"lifecyclePolicyText": json.dumps(LIFECYCLE)},
            "GetRepositoryPolicy": refusal("RepositoryPolicyNotFoundException"),
            "ListTagsForResource": {"tags": [{"Key": key, "Value": value} for key, value in desired.tags.items()]},
        }
    )
    observed = desired.read(aws)
    assert observed is not None
    assert desired.plan(observed).action == "none"
    assert observed.attributes == {"uri": "there/serve"}
    for request in aws.sent:
        golden("repository-read", request)
    assert desired.read(FakeAws({"DescribeRepositories": GONE})) is None


LAMBDAS_OWN: dict[str, Any] = {
    "Sid": "LambdaECRImageRetrievalPolicy",
    "Effect": "Allow",
    "Principal": {"Service": "lambda.amazonaws.com"},
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    "Condition": {"StringLike": {"aws:sourceArn": "arn:aws:lambda:us-east-1:123456789012:function:*"}},
}


def read_with(desired: Repository, *statements: dict[str, Any]) -> State:
    """The state of a repository whose policy has these statements."""
    observed = desired.read(
        FakeAws(
            {
                "DescribeRepositories": {
                    "repositories": [{
                        "repositoryUri": "there", "imageTagMutability": "IMMUTABLE",
                        "imageScanningConfiguration": {"scanOnPush": True},
                    }]
                },
                "GetLifecyclePolicy": {"lifecyclePolicyText": json.dumps(LIFECYCLE)},
                "GetRepositoryPolicy": {"policyText": json.dumps({"Version": "2012-10-17", "Statement": statements})},
                "ListTagsForResource": {"tags": [{"Key": key, "Value": value} for key, value in desired.tags.items()]},
            }
        )
    )  # fmt: skip
    assert observed is not None
    return observed


def test_the_statement_that_lambda_adds_itself_is_no_drift(settings: Settings) -> None:
    desired = repository(settings, "lambda")
    ours = desired.desired()["policy"]["Statement"]
    assert desired.plan(read_with(desired, *ours)).action == "none"
    assert desired.plan(read_with(desired, *ours, LAMBDAS_OWN)).action == "none"
    assert desired.plan(read_with(desired, *ours, {**LAMBDAS_OWN, "Action": "ecr:BatchGetImage"})).action == "none"
    assert [change.field for change in desired.plan(read_with(desired, LAMBDAS_OWN)).changes] == ["policy"]


@pytest.mark.parametrize(
    "wider",
    [{"Principal": "*"}, {"Action": ["ecr:*"]}, {"Action": "ecr:PutImage"}, {"Sid": "other"}, {"Effect": "Deny"}],
)
def test_any_other_statement_is_drift_whatever_its_name(settings: Settings, wider: dict[str, Any]) -> None:
    desired = repository(settings, "lambda")
    ours = desired.desired()["policy"]["Statement"]
    step = desired.plan(read_with(desired, *ours, {**LAMBDAS_OWN, **wider}))
    assert [change.field for change in step.changes] == ["policy"]


def test_down_deletes_a_repository_with_its_images_only_with_the_option(settings: Settings, golden: Golden) -> None:
    assert KIND.keep == "images"
    step = KIND.remove("kennel-local/serve", settings)
    golden("repository", step.acts[0])
    assert step.touches == "every image in it"


@pytest.mark.parametrize(("count", "text"), [(0, "0 images"), (1, "1 image"), (12, "12 images")])
def test_status_shows_the_number_of_images(settings: Settings, count: int, text: str) -> None:
    aws = FakeAws({"DescribeImages": {"imageDetails": [{}] * count}})
    assert KIND.state("kennel-local/serve", settings, aws) == text


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


def test_a_repaired_image_is_preferred_to_its_original(settings: Settings) -> None:
    aws = FakeAws({"BatchGetImage": {"images": [image("abc", OCI_MANIFEST), image("abc-docker")]}})
    image_manifest = pushed.manifest(settings, aws, "serve", "abc")
    assert image_manifest is not None
    assert image_manifest.media_type == DOCKER_MANIFEST


@pytest.mark.parametrize("answer", [GONE, {"images": [], "failures": [{"failureCode": "ImageNotFound"}]}])
def test_an_image_that_is_not_pushed_has_no_uri(settings: Settings, answer: Any) -> None:
    assert pushed.uri(settings, FakeAws({"BatchGetImage": answer}), "serve", "abc") == ""


def test_an_image_without_a_repository_says_to_push(settings: Settings) -> None:
    with pytest.raises(DeployError, match=r"run \./inv push --image serve"):
        pushed.repository_uri(settings, FakeAws({"DescribeRepositories": GONE}), "serve")
