"""Who may pull and push: the registry asks for each request of a token's owner, by ECR's own actions."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from localcloud.authorization.access import OpenAccess
from localcloud.authorization.needs import Need
from tests.functional.deploy.local_aws import AnyImages
from tests.functional.localcloud.ecr.fixtures import Fakes, opened
from tests.unit.localcloud.sagemaker.hosting.fakes import serving_cloud

REPOSITORY = "arn:aws:ecr:us-east-1:123456789012:repository/dogs"


@dataclass
class Allows(OpenAccess):
    """Allows some actions, and remembers what was asked."""

    actions: set[str] = field(default_factory=set)
    asked: list[Need] = field(default_factory=list)

    def refusal(self, role: str, session: str, needs: Sequence[Need]) -> str:
        return self.refusal_of_key(f"{role} in {session}", needs)

    def refusal_of_key(self, key: str, needs: Sequence[Need]) -> str:
        self.asked += needs
        missing = [need.action for need in needs if need.action.removeprefix("ecr:") not in self.actions]
        return f"User: {key or 'nobody'} is not authorized to perform: {missing[0]}" if missing else ""


@pytest.fixture
def access() -> Allows:
    return Allows()


@pytest.fixture
def fakes(tmp_path: Path, access: Allows) -> Iterator[Fakes]:
    with opened(tmp_path / "registry", access) as fakes:
        fakes.ecr.create_repository(repositoryName="dogs")
        yield fakes
        fakes.ecr.delete_repository(repositoryName="dogs", force=True)


def test_a_push_needs_the_actions_that_ecr_names(fakes: Fakes, access: Allows) -> None:
    access.actions = {"InitiateLayerUpload", "CompleteLayerUpload", "PutImage"}
    manifest = fakes.manifest("dogs")
    token = fakes.token()
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    assert fakes.send("PUT", "/v2/dogs/manifests/v1", manifest.encode(), token=token, kind=kind)[0] == 201
    assert {need.action for need in access.asked} == {f"ecr:{each}" for each in access.actions}
    assert {need.resource for need in access.asked} == {REPOSITORY}
    status, _, body = fakes.send("GET", "/v2/dogs/manifests/v1", token=token)
    assert (status, "ecr:BatchGetImage" in body) == (403, True)


def test_a_push_without_the_right_is_denied_in_ecrs_words(fakes: Fakes) -> None:
    status, _, body = fakes.send("POST", "/v2/dogs/blobs/uploads/", token=fakes.token())
    assert status == 403
    assert '"code": "DENIED"' in body
    assert "is not authorized to perform: ecr:InitiateLayerUpload" in body


def test_sagemaker_pulls_with_the_role_that_it_is_given(fakes: Fakes, access: Allows) -> None:
    cloud = replace(serving_cloud(AnyImages()), registry=fakes.registry, access=access)
    image = f"{fakes.registry.address()}/dogs:v1"
    layers = {"BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"}
    access.actions = {"GetAuthorizationToken", *layers}
    assert cloud.may_pull(image, "role")
    access.actions -= {"BatchGetImage"}
    assert not cloud.may_pull(image, "role")
    assert cloud.may_pull("kennel/serve:1", "role")  # an image of the engine lies in no repository
