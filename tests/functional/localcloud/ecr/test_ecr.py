"""ECR over HTTP against a real registry: repositories, tokens, immutable tags, images."""

import base64
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.ecr.storage import DOCKER_LIST, DOCKER_MANIFEST
from tests.functional.localcloud.ecr.fixtures import Fakes, opened
from tests.processes import commands


@pytest.fixture(scope="module")
def fakes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fakes]:
    with opened(tmp_path_factory.mktemp("registry")) as made:
        yield made


@pytest.fixture
def repository(fakes: Fakes, request: pytest.FixtureRequest) -> str:
    """A fresh repository with immutable tags."""
    name = "kennel/" + hashlib.sha256(request.node.name.encode()).hexdigest()[:8]
    fakes.ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE",
        imageScanningConfiguration={"scanOnPush": True},
        tags=[{"Key": "kennel", "Value": "yes"}],
    )
    return name


def code(caught: Any) -> str:
    return str(caught.value.response["Error"]["Code"])


def test_a_repository_has_the_registrys_address_and_its_own_settings(fakes: Fakes, repository: str) -> None:
    described = fakes.ecr.describe_repositories(repositoryNames=[repository])["repositories"][0]
    assert described["repositoryUri"] == f"{fakes.registry.address()}/{repository}"
    assert described["imageTagMutability"] == "IMMUTABLE"
    assert described["imageScanningConfiguration"] == {"scanOnPush": True}
    assert described["encryptionConfiguration"] == {"encryptionType": "AES256"}
    arn = described["repositoryArn"]
    assert fakes.ecr.list_tags_for_resource(resourceArn=arn)["tags"] == [{"Key": "kennel", "Value": "yes"}]
    with pytest.raises(ClientError, match="already exists in the registry") as caught:
        fakes.ecr.create_repository(repositoryName=repository)
    assert code(caught) == "RepositoryAlreadyExistsException"
    with pytest.raises(ClientError, match="does not exist in the registry") as caught:
        fakes.ecr.describe_repositories(repositoryNames=["nobody/here"])
    assert code(caught) == "RepositoryNotFoundException"


def test_a_request_out_of_range_is_an_invalid_parameter(fakes: Fakes) -> None:
    with pytest.raises(ClientError, match="regular expression") as caught:
        fakes.ecr.create_repository(repositoryName="Upper Case")
    assert code(caught) == "InvalidParameterException"


def test_policies_are_kept_beside_the_images(fakes: Fakes, repository: str) -> None:
    allow = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": ["ecr:BatchGetImage"]}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    fakes.ecr.set_repository_policy(repositoryName=repository, policyText=policy)
    assert json.loads(fakes.ecr.get_repository_policy(repositoryName=repository)["policyText"]) == json.loads(policy)


def test_a_token_is_user_and_password_for_twelve_hours(fakes: Fakes) -> None:
    authorization = fakes.ecr.get_authorization_token()["authorizationData"][0]
    user, _, password = base64.b64decode(authorization["authorizationToken"]).decode().partition(":")
    assert (user, len(password) > 30) == ("AWS", True)
    assert authorization["proxyEndpoint"] == f"http://{fakes.registry.address()}"
    left = authorization["expiresAt"] - datetime.now(UTC)
    assert timedelta(hours=11, minutes=59) < left <= timedelta(hours=12)


def test_the_registry_refuses_unknown_and_expired_tokens_in_ecrs_words(fakes: Fakes) -> None:
    token = fakes.token()
    assert fakes.send("GET", "/v2/", token=token)[0] == 200
    status, headers, _ = fakes.send("GET", "/v2/", token="bm9ib2R5OmhlcmU=")
    assert (status, headers["WWW-Authenticate"].split()[0]) == (401, "Basic")
    fakes.clock.offset += timedelta(hours=12, seconds=1)
    status, _, body = fakes.send("GET", "/v2/", token=token)
    assert (status, json.loads(body)["errors"][0]["code"]) == (403, "DENIED")
    assert "authorization token has expired" in body
    assert fakes.send("GET", "/v2/", token=fakes.token())[0] == 200


def test_a_push_to_a_repository_that_does_not_exist_is_refused(fakes: Fakes) -> None:
    status, _, body = fakes.send("POST", "/v2/kennel/none/blobs/uploads/", token=fakes.token())
    assert (status, json.loads(body)["errors"][0]["code"]) == (404, "NAME_UNKNOWN")


def test_the_api_describes_the_image_that_was_pushed(fakes: Fakes, repository: str) -> None:
    text = fakes.manifest(repository)
    status, headers, _ = fakes.send(
        "PUT", f"/v2/{repository}/manifests/one", text.encode(), token=fakes.token(), kind=DOCKER_MANIFEST
    )
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    assert (status, headers["Docker-Content-Digest"]) == (201, digest)
    detail = fakes.ecr.describe_images(repositoryName=repository)["imageDetails"][0]
    assert (detail["imageDigest"], detail["imageTags"]) == (digest, ["one"])
    assert detail["imageManifestMediaType"] == DOCKER_MANIFEST
    assert detail["imageSizeInBytes"] == 5
    got = fakes.ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "one"}, {"imageTag": "two"}])
    assert got["images"][0]["imageManifest"] == text
    assert got["images"][0]["imageId"] == {"imageDigest": digest, "imageTag": "one"}
    assert got["failures"][0]["failureCode"] == "ImageNotFound"
    listed = fakes.ecr.list_images(repositoryName=repository, filter={"tagStatus": "TAGGED"})
    assert listed["imageIds"] == [{"imageDigest": digest, "imageTag": "one"}]
    scan = fakes.ecr.describe_image_scan_findings(repositoryName=repository, imageId={"imageTag": "one"})
    assert (scan["imageScanStatus"]["status"], scan["imageScanFindings"]["findings"]) == ("COMPLETE", [])


def test_neither_the_api_nor_a_push_moves_an_immutable_tag(fakes: Fakes, repository: str) -> None:
    first, second = fakes.manifest(repository, b"one"), fakes.manifest(repository, b"two")
    fakes.ecr.put_image(repositoryName=repository, imageManifest=first, imageTag="tag")
    with pytest.raises(ClientError, match="cannot be overwritten") as caught:
        fakes.ecr.put_image(repositoryName=repository, imageManifest=second, imageTag="tag")
    assert code(caught) == "ImageTagAlreadyExistsException"
    with pytest.raises(ClientError) as caught:
        fakes.ecr.put_image(repositoryName=repository, imageManifest=first, imageTag="tag")
    assert code(caught) == "ImageAlreadyExistsException"
    path = f"/v2/{repository}/manifests/tag"
    status, _, body = fakes.send("PUT", path, second.encode(), token=fakes.token(), kind=DOCKER_MANIFEST)
    assert (status, json.loads(body)["errors"][0]["code"]) == (400, "TAG_INVALID")
    status, _, _ = fakes.send("PUT", path, first.encode(), token=fakes.token(), kind=DOCKER_MANIFEST)
    assert status == 201  # the same again is no change


def test_a_manifest_may_leave_its_media_type_to_the_request(fakes: Fakes, repository: str) -> None:
    manifest = json.loads(fakes.manifest(repository))
    del manifest["mediaType"]
    text = json.dumps(manifest)
    fakes.ecr.put_image(
        repositoryName=repository, imageManifest=text, imageManifestMediaType=DOCKER_MANIFEST, imageTag="plain"
    )
    [image] = fakes.ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "plain"}])["images"]
    assert (image["imageManifest"], image["imageManifestMediaType"]) == (text, DOCKER_MANIFEST)


def test_a_manifest_whose_layers_are_missing_is_refused(fakes: Fakes, repository: str) -> None:
    absent = json.loads(fakes.manifest(repository))
    absent["layers"][0]["digest"] = f"sha256:{'0' * 64}"
    with pytest.raises(ClientError) as caught:
        fakes.ecr.put_image(repositoryName=repository, imageManifest=json.dumps(absent), imageTag="broken")
    assert code(caught) == "LayersNotFoundException"
    assert caught.value.response["Error"]["Message"] == (
        f"Layers with digests '[sha256:{'0' * 64}]' required for pushing image into repository with name "
        f"'{repository}' in the registry with id '123456789012' do not exist"
    )
    with pytest.raises(ClientError) as caught:
        fakes.ecr.put_image(repositoryName=repository, imageManifest='{"mediaType": "text/plain"}', imageTag="broken")
    assert code(caught) == "InvalidParameterException"
    assert caught.value.response["Error"]["Message"].startswith("Invalid parameter at 'ImageManifest' failed to")
    with pytest.raises(ClientError) as caught:
        fakes.ecr.put_image(repositoryName=repository, imageManifest="{", imageTag="broken")
    assert caught.value.response["Error"]["Message"] == (
        "Invalid parameter at 'ImageManifest' failed to satisfy constraint: 'Invalid JSON syntax'"
    )
    assert fakes.ecr.list_images(repositoryName=repository)["imageIds"] == []


def test_images_are_deleted_by_tag_and_by_digest(fakes: Fakes, repository: str) -> None:
    text = fakes.manifest(repository)
    for tag in ("one", "two"):
        fakes.ecr.put_image(repositoryName=repository, imageManifest=text, imageTag=tag)
    with pytest.raises(ClientError) as caught:
        fakes.ecr.delete_repository(repositoryName=repository)
    assert code(caught) == "RepositoryNotEmptyException"
    fakes.ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "one"}])
    assert [each["imageTag"] for each in fakes.ecr.list_images(repositoryName=repository)["imageIds"]] == ["two"]
    digest = fakes.ecr.describe_images(repositoryName=repository)["imageDetails"][0]["imageDigest"]
    fakes.ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    assert fakes.ecr.list_images(repositoryName=repository)["imageIds"] == []
    fakes.ecr.put_image(repositoryName=repository, imageManifest=text, imageTag="again")
    fakes.ecr.delete_repository(repositoryName=repository, force=True)
    fakes.ecr.create_repository(repositoryName=repository)
    assert fakes.ecr.list_images(repositoryName=repository)["imageIds"] == []


def test_an_image_that_a_manifest_list_references_cannot_be_deleted(fakes: Fakes, repository: str) -> None:
    text = fakes.manifest(repository)
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    fakes.ecr.put_image(repositoryName=repository, imageManifest=text, imageTag="one")
    entry = {
        "mediaType": DOCKER_MANIFEST,
        "digest": digest,
        "size": len(text),
        "platform": {"architecture": "amd64", "os": "linux"},
    }
    index = json.dumps({"schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [entry]})
    fakes.ecr.put_image(repositoryName=repository, imageManifest=index, imageTag="all")
    answer = fakes.ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])
    assert answer["failures"][0]["failureCode"] == "ImageReferencedByManifestList"


def test_the_registry_ends_when_the_process_that_started_it_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys, pathlib\n"
        "from localcloud.ecr.process import RegistryProcess\n"
        "made = RegistryProcess(folder=pathlib.Path(sys.argv[1]))\n"
        "made.start()\n"
        "print(made.socket, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).resolve().parents[4]
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=root, capture_output=True, text=True, check=False
    )
    socket = Path(done.stdout.strip())
    until = time.monotonic() + 10
    while (socket.parent.exists() or commands(str(tmp_path))) and time.monotonic() < until:
        time.sleep(0.05)
    assert not socket.parent.exists()
    assert commands(str(tmp_path)) == []
