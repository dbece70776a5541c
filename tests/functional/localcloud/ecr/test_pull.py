"""Images as SageMaker and Lambda take them from the registry: what each refuses, and what the engine runs."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from localcloud.containers.engine import EngineError
from localcloud.ecr.pull import Images
from localcloud.ecr.storage import DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST
from localcloud.errors import ApiError
from tests.functional.localcloud.ecr.fixtures import World, opened
from tests.unit.localcloud.fakes import FakeEngine

REPOSITORY = "kennel/serve"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(tmp_path_factory.mktemp("registry")) as made:
        made.ecr.create_repository(repositoryName=REPOSITORY)
        allow = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "ecr:BatchGetImage"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        made.ecr.set_repository_policy(repositoryName=REPOSITORY, policyText=policy)
        yield made


def put(world: World, text: str, repository: str = REPOSITORY) -> str:
    """Pushes a manifest; returns its image by digest."""
    world.ecr.put_image(repositoryName=repository, imageManifest=text)
    return f"{world.registry.address()}/{repository}@sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def images(world: World, *held: str) -> Images:
    return Images(engine=FakeEngine(images=held), registry=world.registry)


def index(text: str) -> str:
    entry = {"mediaType": DOCKER_MANIFEST, "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"}
    entries = [{**entry, "size": len(text), "platform": {"os": "linux", "architecture": "amd64"}}]
    return json.dumps({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries})


def test_sagemaker_takes_dockers_manifest_and_refuses_oci_and_indexes(world: World) -> None:
    docker = world.manifest(REPOSITORY, b"one")
    images(world).check_sagemaker(put(world, docker))
    oci = put(world, world.manifest(REPOSITORY, b"two", kind=OCI_MANIFEST))
    for reference in (oci, put(world, index(docker))):
        with pytest.raises(ApiError, match="Unsupported manifest media type") as caught:
            images(world).check_sagemaker(reference)
        assert caught.value.code == "ValidationException"


def test_lambda_takes_oci_and_refuses_indexes_other_architectures_and_what_it_may_not_pull(world: World) -> None:
    docker = world.manifest(REPOSITORY, b"three")
    images(world).check_lambda(put(world, docker), "x86_64")
    images(world).check_lambda(put(world, world.manifest(REPOSITORY, b"four", kind=OCI_MANIFEST)), "x86_64")
    with pytest.raises(ApiError, match=r"media type for the source image .* is not supported"):
        images(world).check_lambda(put(world, index(docker)), "x86_64")
    arm = put(world, world.manifest(REPOSITORY, b"five", architecture="arm64"))
    with pytest.raises(ApiError, match="is for arm64, and the function for x86_64"):
        images(world).check_lambda(arm, "x86_64")
    images(world).check_lambda(arm, "arm64")
    world.ecr.create_repository(repositoryName="kennel/closed")
    closed = put(world, world.manifest("kennel/closed"), "kennel/closed")
    with pytest.raises(ApiError, match="does not have permission") as caught:
        images(world).check_lambda(closed, "x86_64")
    assert caught.value.code == "AccessDeniedException"


def test_an_image_that_is_not_there_is_not_found(world: World) -> None:
    gone = f"{world.registry.address()}/{REPOSITORY}@sha256:{64 * '0'}"
    for check in (images(world).check_sagemaker, images(world).is_here, images(world).runnable):
        with pytest.raises(ApiError, match="not found"):
            check(gone)


def test_what_was_pushed_from_here_runs_under_its_own_id_and_the_rest_is_pulled(world: World) -> None:
    text = world.manifest(REPOSITORY, b"six")
    reference, identity = put(world, text), json.loads(text)["config"]["digest"]
    assert images(world, identity).runnable(reference) == identity
    assert images(world, reference).runnable(reference) == reference
    with pytest.raises(EngineError, match="reaches no registry"):  # the in-memory engine was asked to pull
        images(world).runnable(reference)


def test_an_image_of_the_engines_own_is_taken_as_it_is(world: World) -> None:
    shelf = images(world, "kennel/serve:1")
    shelf.check_sagemaker("kennel/serve:1")
    shelf.check_lambda("kennel/serve:1", "arm64")
    assert shelf.runnable("kennel/serve:1") == "kennel/serve:1"
    assert (shelf.is_here("kennel/serve:1"), shelf.is_here("kennel/serve:2")) == (True, False)


@pytest.mark.parametrize(
    ("reference", "resolved"),
    [("kennel/serve:1", "kennel/serve@sha256:0"), ("host:5000/serve", "host:5000/serve@sha256:0"),
     ("host:5000/serve:1", "host:5000/serve@sha256:0")],
)  # fmt: skip
def test_a_name_is_resolved_to_a_digest(world: World, reference: str, resolved: str) -> None:
    shelf = images(world, reference)
    found = shelf.find(reference)
    assert found is not None
    assert shelf.resolved(reference, found) == resolved
