"""Images for SageMaker and Lambda: what each service refuses, and which image the engine runs."""

import hashlib
import json
from collections.abc import Iterator

import pytest

from localcloud.containers.engine import EngineError
from localcloud.ecr.pull import Images
from localcloud.ecr.storage import DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST
from localcloud.errors import ApiError
from tests.functional.localcloud.ecr.fixtures import Fakes, opened
from tests.unit.localcloud.fakes import FakeEngine

REPOSITORY = "kennel/serve"


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fakes]:
    with opened(tmp_path_factory.mktemp("registry")) as made:
        made.ecr.create_repository(repositoryName=REPOSITORY)
        allow = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "ecr:BatchGetImage"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        made.ecr.set_repository_policy(repositoryName=REPOSITORY, policyText=policy)
        yield made


def put(fakes: Fakes, text: str, repository: str = REPOSITORY) -> str:
    """Pushes a manifest; returns its image by digest."""
    fakes.ecr.put_image(repositoryName=repository, imageManifest=text)
    return f"{fakes.registry.address()}/{repository}@sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def images(fakes: Fakes, *local: str) -> Images:
    """The registry's images, and `local` ones of the engine."""
    return Images(engine=FakeEngine(images=local), registry=fakes.registry)


def index(text: str) -> str:
    entry = {"mediaType": DOCKER_MANIFEST, "digest": f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"}
    entries = [{**entry, "size": len(text), "platform": {"os": "linux", "architecture": "amd64"}}]
    return json.dumps({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": entries})


def test_sagemaker_accepts_dockers_manifest_and_refuses_oci_and_indexes(fakes: Fakes) -> None:
    docker = fakes.manifest(REPOSITORY, b"one")
    images(fakes).check_sagemaker(put(fakes, docker))
    oci = put(fakes, fakes.manifest(REPOSITORY, b"two", kind=OCI_MANIFEST))
    for reference in (oci, put(fakes, index(docker))):
        with pytest.raises(ApiError, match="Unsupported manifest media type") as caught:
            images(fakes).check_sagemaker(reference)
        assert caught.value.code == "ValidationException"


def test_lambda_accepts_oci_and_refuses_indexes_other_architectures_and_images_it_may_not_pull(fakes: Fakes) -> None:
    docker = fakes.manifest(REPOSITORY, b"three")
    images(fakes).check_lambda(put(fakes, docker), "x86_64")
    images(fakes).check_lambda(put(fakes, fakes.manifest(REPOSITORY, b"four", kind=OCI_MANIFEST)), "x86_64")
    with pytest.raises(ApiError, match=r"media type for the source image .* is not supported"):
        images(fakes).check_lambda(put(fakes, index(docker)), "x86_64")
    arm = put(fakes, fakes.manifest(REPOSITORY, b"five", architecture="arm64"))
    with pytest.raises(ApiError, match="is for arm64, and the function for x86_64"):
        images(fakes).check_lambda(arm, "x86_64")
    images(fakes).check_lambda(arm, "arm64")
    fakes.ecr.create_repository(repositoryName="kennel/closed")
    closed = put(fakes, fakes.manifest("kennel/closed"), "kennel/closed")
    with pytest.raises(ApiError, match="does not have permission") as caught:
        images(fakes).check_lambda(closed, "x86_64")
    assert caught.value.code == "AccessDeniedException"


def test_a_missing_image_is_not_found(fakes: Fakes) -> None:
    gone = f"{fakes.registry.address()}/{REPOSITORY}@sha256:{64 * '0'}"
    for check in (images(fakes).check_sagemaker, images(fakes).exists, images(fakes).ensure_pulled):
        with pytest.raises(ApiError, match="not found"):
            check(gone)


def test_an_image_pushed_from_this_engine_runs_by_its_id_and_others_are_pulled(fakes: Fakes) -> None:
    text = fakes.manifest(REPOSITORY, b"six")
    reference, identity = put(fakes, text), json.loads(text)["config"]["digest"]
    assert images(fakes, identity).ensure_pulled(reference) == identity
    assert images(fakes, reference).ensure_pulled(reference) == reference
    with pytest.raises(EngineError, match="reaches no registry"):  # the in-memory engine tried to pull
        images(fakes).ensure_pulled(reference)


def test_an_image_that_only_the_engine_has_is_accepted(fakes: Fakes) -> None:
    local = images(fakes, "kennel/serve:1")
    local.check_sagemaker("kennel/serve:1")
    local.check_lambda("kennel/serve:1", "arm64")
    assert local.ensure_pulled("kennel/serve:1") == "kennel/serve:1"
    assert (local.exists("kennel/serve:1"), local.exists("kennel/serve:2")) == (True, False)


@pytest.mark.parametrize(
    ("reference", "resolved"),
    [("kennel/serve:1", "kennel/serve@sha256:0"), ("host:5000/serve", "host:5000/serve@sha256:0"),
     ("host:5000/serve:1", "host:5000/serve@sha256:0")],
)  # fmt: skip
def test_a_name_is_resolved_to_a_digest(fakes: Fakes, reference: str, resolved: str) -> None:
    local = images(fakes, reference)
    image = local.find(reference)
    assert image is not None
    assert local.resolved(reference, image) == resolved
