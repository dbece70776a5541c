"""Pushing to a real registry: from no repository to models and functions by digest, refusals, and repairs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from deploy.commands.push import push
from deploy.config.settings import Settings, choose, parse
from deploy.console import Screen
from deploy.errors import AwsError, ImageRefusedError
from deploy.images.builder import ImageBuilder
from deploy.images.compression import LayerCache
from deploy.images.engine import execute
from deploy.images.layers import Engine
from deploy.images.manifest import DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from deploy.images.push import Pusher
from deploy.images.recipe import ImageKind
from deploy.images.registry import Login, Registry, login
from deploy.session import Session
from deploy.values import Request
from localcloud import daemon
from tests.clients import connect
from tests.container.localcloud.roles import make_roles

ROOT = Path(__file__).resolve().parents[4]
ROLE = "arn:aws:iam::123456789012:role/any"


class Desk:
    """A session of its own project with one localcloud, and its output."""

    def __init__(self, url: str, project: str, folder: Path) -> None:
        text = (ROOT / "deploy.toml").read_text()
        chosen = choose(parse(text), "local")
        stage = chosen.stage.model_copy(update={"endpoint_url": url})
        named = chosen.project.model_copy(update={"name": project})
        self.settings: Settings = chosen.model_copy(update={"stage": stage, "project": named})
        self.output, self.folder = io.StringIO(), folder
        self.passwords: list[str] = []
        builder = ImageBuilder(repository=ROOT, say=lambda _: None, progress=False)
        self.session = Session(
            settings=self.settings,
            call=connect(self.settings),
            build=builder.build,  # type: ignore[arg-type]
            screen=Screen(out=self.output),
        )
        self.engine = Engine(scratch=folder)

    def push(self, *kinds: ImageKind, repair: bool = False) -> dict[ImageKind, str]:
        self.output.truncate(0)
        return push(self.session, kinds, self._connect, repair=repair)

    def _connect(self, session: Session) -> tuple[Pusher, Registry]:
        def ask() -> Login:
            token = login(session.call, time.time)
            self.passwords.append(token.password)
            return token

        registry = Registry(ask=ask)
        return Pusher(engine=self.engine, known=LayerCache(folder=self.folder / "layers")), registry

    def ask(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return self.session.call(Request(service=service, operation=operation, params=params))

    def model(self, name: str, image: str) -> None:
        self.ask("sagemaker", "CreateModel", ModelName=name, PrimaryContainer={"Image": image}, ExecutionRoleArn=ROLE)

    def manifest(self, kind: ImageKind, tag: str) -> dict[str, Any]:
        """A pushed image as ECR describes it."""
        name = self.settings.repository_name(kind)
        images = self.ask("ecr", "BatchGetImage", repositoryName=name, imageIds=[{"imageTag": tag}])["images"]
        return dict(images[0])

    def tag(self, kind: ImageKind) -> str:
        return self.session.build(kind).rpartition(":")[2]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    state_dir = tmp_path_factory.mktemp("localcloud")
    endpoint_url = daemon.start_background(port=0, state_dir=state_dir).endpoint_url
    make_roles(endpoint_url, "any")
    yield endpoint_url
    daemon.stop(state_dir)


@pytest.fixture
def desk(url: str, request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return Desk(url, "t" + hashlib.sha256(request.node.name.encode()).hexdigest()[:8], tmp_path)


def test_images_are_pushed_once_and_then_used_by_digest(desk: Desk) -> None:
    pushed = desk.push("serve", "lambda")
    assert "@sha256:" in pushed["serve"]
    image = desk.manifest("serve", desk.tag("serve"))
    assert image["imageManifestMediaType"] == DOCKER_MANIFEST
    assert pushed["serve"].endswith(image["imageId"]["imageDigest"])
    assert desk.push("serve", "lambda") == pushed
    assert " MB " not in desk.output.getvalue()  # nothing was sent
    assert {kind: desk.session.image(kind).uri for kind in pushed} == pushed

    desk.model("by-digest", pushed["serve"])
    desk.ask("lambda", "CreateFunction", FunctionName=desk.settings.function_name, PackageType="Image",
             Code={"ImageUri": pushed["lambda"]}, Role=ROLE)  # fmt: skip
    code = desk.ask("lambda", "GetFunction", FunctionName=desk.settings.function_name)["Code"]
    assert code["ResolvedImageUri"] == pushed["lambda"]
    with pytest.raises(AwsError, match="not found"):
        desk.model("nothing", pushed["serve"][:-64] + 64 * "0")


def test_no_token_is_written_anywhere(desk: Desk, url: str) -> None:
    own = Path.home() / ".docker" / "config.json"
    before = own.read_bytes() if own.exists() else None
    desk.push("lambda")
    assert desk.passwords
    written = [path.read_bytes() for path in desk.folder.rglob("*") if path.is_file()]
    for password in desk.passwords:
        assert password not in desk.output.getvalue()
        assert not any(password.encode() in content for content in written)
    assert (own.read_bytes() if own.exists() else None) == before


def test_lambda_may_pull_from_its_own_repository_only(desk: Desk) -> None:
    pushed = desk.push("lambda")
    policy = desk.ask("ecr", "GetRepositoryPolicy", repositoryName=desk.settings.repository_name("lambda"))
    assert "lambda.amazonaws.com" in policy["policyText"]
    desk.ask("ecr", "DeleteRepositoryPolicy", repositoryName=desk.settings.repository_name("lambda"))
    with pytest.raises(AwsError, match="Lambda does not have permission to access the ECR image"):
        desk.ask("lambda", "CreateFunction", FunctionName="no-right", PackageType="Image",
                 Code={"ImageUri": pushed["lambda"]}, Role=ROLE)  # fmt: skip
    desk.push("lambda")  # restores the missing policy
    assert desk.ask("ecr", "GetRepositoryPolicy", repositoryName=desk.settings.repository_name("lambda"))


def _as_oci(manifest: str) -> str:
    value = json.loads(manifest)
    value["mediaType"], value["config"]["mediaType"] = OCI_MANIFEST, OCI_CONFIG
    for layer in value["layers"]:
        layer["mediaType"] = OCI_LAYER
    return json.dumps(value)


def _as_index(entry: str) -> str:
    digest = f"sha256:{hashlib.sha256(entry.encode()).hexdigest()}"
    platform = {"os": "linux", "architecture": "amd64"}
    described = {"mediaType": OCI_MANIFEST, "digest": digest, "size": len(entry), "platform": platform}
    attestation = {**described, "platform": {"os": "unknown", "architecture": "unknown"}}
    return json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [described, attestation]})


@pytest.mark.parametrize("kind", ["serve", "lambda"])
@pytest.mark.parametrize("form", ["oci", "index"])
def test_images_that_other_tools_pushed_are_refused_and_then_repaired_without_a_rebuild(
    desk: Desk, kind: ImageKind, form: str
) -> None:
    desk.push(kind)
    name, tag = desk.settings.repository_name(kind), desk.tag(kind)
    docker = desk.manifest(kind, tag)["imageManifest"]
    desk.ask("ecr", "BatchDeleteImage", repositoryName=name, imageIds=[{"imageTag": tag}])
    texts = [_as_oci(docker), *([_as_index(_as_oci(docker))] if form == "index" else [])]
    for text in texts[:-1]:
        desk.ask("ecr", "PutImage", repositoryName=name, imageManifest=text)
    desk.ask("ecr", "PutImage", repositoryName=name, imageManifest=texts[-1], imageTag=tag)
    uri = desk.session.image(kind).uri
    if (kind, form) == ("lambda", "oci"):  # Lambda accepts OCI
        assert desk.push(kind)[kind] == uri
        return
    if kind == "serve":
        with pytest.raises(AwsError, match="Unsupported manifest media type"):
            desk.model("refused", uri)
    with pytest.raises(ImageRefusedError, match="--repair"):
        desk.push(kind)
    repaired = desk.push(kind, repair=True)[kind]
    assert repaired != uri
    assert desk.manifest(kind, f"{tag}-docker")["imageManifestMediaType"] == DOCKER_MANIFEST
    assert desk.push(kind) == {kind: repaired}  # from now on the repaired one
    assert desk.session.image(kind).uri == repaired
    if kind == "serve":
        desk.model(f"repaired-{form}", repaired)


def test_docker_save_gives_the_same_image_when_the_engines_store_is_unreadable(desk: Desk) -> None:
    pushed = desk.push("lambda")["lambda"]

    def elsewhere(command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]:
        return (0, "vfs /nowhere") if command[1] == "info" else execute(command, timeout=timeout)

    other = Desk(desk.settings.stage.endpoint_url, f"{desk.settings.project.name}-s", desk.folder / "other")
    other.folder.mkdir()
    other.engine = Engine(run=elsewhere, scratch=other.folder)
    assert other.push("lambda")["lambda"].partition("@")[2] == pushed.partition("@")[2]
    assert not list(other.folder.glob("kennel-save-*"))


def test_a_killed_push_leaves_no_tag_and_the_next_one_succeeds(desk: Desk, url: str) -> None:
    script = (
        "import itertools, sys, pathlib\n"
        "from deploy.console import Screen\n"
        "from tests.container.deploy.images.test_push import Desk\n"
        "desk = Desk(sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3]))\n"
        "minutes = itertools.count(0.0, 60.0).__next__\n"  # so that the first progress prints a line
        "desk.session.screen = Screen(out=sys.stdout, now=minutes)\n"
        "desk.push('serve')\n"
    )
    command = [sys.executable, "-c", script, url, desk.settings.project.name, str(desk.folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if "serve MB:" in line:
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    listed = desk.ask("ecr", "ListImages", repositoryName=desk.settings.repository_name("serve"))
    assert listed["imageIds"] == []
    pushed = desk.push("serve")["serve"]
    desk.model("after-all", pushed)


def test_docker_itself_pushes_and_pulls_but_cannot_move_a_tag(desk: Desk) -> None:
    pushed = desk.push("lambda")["lambda"]
    repository, tag = pushed.partition("@")[0], desk.tag("lambda")
    token = desk.ask("ecr", "GetAuthorizationToken")["authorizationData"][0]["authorizationToken"]
    config = desk.folder / "docker"
    config.mkdir()
    (config / "config.json").write_text(json.dumps({"auths": {repository.partition("/")[0]: {"auth": token}}}))
    base = ImageBuilder(repository=ROOT, say=lambda _: None, progress=False).base()

    def docker(*command: str) -> tuple[int, str]:
        return execute(["docker", "--config", str(config), *command], timeout=120)

    for name in (f"{repository}:{tag}", f"{repository}:other"):
        assert docker("tag", base, name)[0] == 0
    try:
        status, output = docker("push", f"{repository}:{tag}")
        assert status != 0
        assert "cannot be overwritten because the tag is immutable" in output
        assert docker("push", f"{repository}:other")[0] == 0
        status, output = docker("pull", pushed)
        assert status == 0, output
    finally:
        docker("rmi", f"{repository}:{tag}", f"{repository}:other")
        docker("rmi", pushed)
