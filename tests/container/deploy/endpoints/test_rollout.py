"""Real serving containers behind endpoints that deploy moves: two models at once, new versions that must not stay."""

from __future__ import annotations

import io
import tarfile
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from contract import artifact, golden
from contract.golden import Golden
from deploy.commands.deploy import is_unproven, verify
from deploy.commands.rollback import rollback
from deploy.config.settings import choose, parse
from deploy.console import Screen
from deploy.endpoints.endpoint import Endpoint
from deploy.endpoints.invoke import Question, ask
from deploy.endpoints.resources import Serving, endpoint
from deploy.endpoints.spec import endpoint_spec
from deploy.errors import DeployError
from deploy.images.builder import ImageBuilder
from deploy.images.facts import ImageFacts
from deploy.session import Session
from deploy.stage.desired import foundation
from deploy.values import Request
from tests.clients import QUICK, connect
from tests.container.localcloud.sagemaker.hosting_support import REPOSITORY, Running, running
from tests.unit.serve.artifacts import manifest
from tests.unit.serve.onnx_bytes import IDENTITY, network
from tests.unit.serve.pictures import encoded

STAGE = (
    '[stages.local]\naccount = "123456789012"\nendpoint_url = "{url}"\ncredentials = "dummy"\nengine_images = true\n'
)
SWAPPED = (IDENTITY[1], IDENTITY[0], IDENTITY[2])  # takes red for green
CROP, WORK = 256, 12  # slow enough that requests meet
RED = Golden(label="red", picture=encoded("red"), probabilities=(1.0, 0.0, 0.0))


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("rollout"), KENNEL_LOCALCLOUD_MINUTE_S="2") as made:
        yield made


@pytest.fixture(scope="module")
def image() -> str:
    return ImageBuilder(repository=REPOSITORY, say=lambda _: None).build("serve")


class Deployment:
    """A stage of its own with artifacts in its bucket; `serve` is what deploy does with endpoints."""

    def __init__(self, cloud: Running, image: str, folder: Path, name: str) -> None:
        self.url, self.image, self.folder, self.name = cloud.endpoint_url, image, folder, name
        self.out = io.StringIO()
        self.main = f"{name}-local"
        session = self.session("")
        session.settle(foundation(session.settings))

    def session(self, toml: str) -> Session:
        text = f'[project]\nname = "{self.name}"\n{toml}\n{STAGE.format(url=self.url)}'
        settings = choose(parse(text), "local")
        return Session(
            settings=settings,
            call=connect(settings),
            build=lambda kind: kind,
            screen=Screen(out=self.out),
            clock=QUICK,
        )

    def artifact(self, name: str, rows: Any = IDENTITY) -> str:
        """A model whose golden picture is red: one with other rows answers it wrongly."""
        folder = self.folder / name
        folder.mkdir()
        (folder / artifact.NETWORK).write_bytes(network(CROP, rows=rows, work=WORK))
        (folder / artifact.WEIGHTS).write_bytes(b"\0" * 8)
        (folder / golden.FILE).write_text(golden.dumps([RED]))
        artifact.write(folder, replace(manifest(crop=CROP), files={}))
        session = self.session("")
        where = f"jobs/{name}/output"
        for key, root in (("model", ""), ("output", "data/")):
            body = packed(folder, root)
            params = {"Bucket": session.settings.bucket, "Key": f"{where}/{key}.tar.gz", "Body": body}
            session.call(Request(service="s3", operation="PutObject", params=params))
        return f"s3://{session.settings.bucket}/{where}/model.tar.gz"

    def serve(self, toml: str, **artifacts: str) -> None:
        """Brings the endpoints named (main is the main one) to these artifacts, then asks the golden pictures."""
        session = self.session(toml)
        for short, uri in artifacts.items():
            spec = endpoint_spec(session.settings, short)
            made = endpoint(Serving(spec=spec, image=self.image, facts=ImageFacts(), artifacts={"main": uri}))
            session.settle((*foundation(session.settings), *made))
            served = next(each for each in made if isinstance(each, Endpoint))
            if is_unproven(session, served):
                verify(session, served)

    def label(self, name: str = "") -> str:
        """What an endpoint takes a red picture for."""
        question = Question(endpoint=name or self.main, picture=encoded("red"))
        return str(ask(question, self.session("").call)["predictions"][0]["label"])

    def config(self) -> str:
        request = Request(service="sagemaker", operation="DescribeEndpoint", params={"EndpointName": self.main})
        return str(self.session("").call(request)["EndpointConfigName"])


def packed(folder: Path, root: str) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, f"{root}{path.name}")
    return stream.getvalue()


@pytest.fixture
def stage(cloud: Running, image: str, tmp_path: Path, request: pytest.FixtureRequest) -> Deployment:
    return Deployment(cloud, image, tmp_path, f"roll{zlib.crc32(request.node.name.encode())}")


def test_two_endpoints_of_two_models_answer_at_once_and_rollback_returns_one(stage: Deployment) -> None:
    other = "[endpoints.other]\nrollout = {golden = false}"
    stage.serve(other, main=stage.artifact("right"), other=stage.artifact("swapped", SWAPPED))
    assert (stage.label(), stage.label(f"{stage.main}-other")) == ("red", "green")
    before = stage.config()
    stage.serve(f"[endpoint]\nrollout = {{golden = false}}\n{other}", main=stage.artifact("swapped2", SWAPPED))
    assert (stage.label(), stage.config() == before) == ("green", False)
    assert rollback(stage.session(other)).config == before
    assert (stage.label(), stage.config()) == ("red", before)
    assert rollback(stage.session(other)).is_there


def test_a_model_that_does_not_repeat_its_golden_pictures_never_takes_a_request(stage: Deployment) -> None:
    stage.serve("", main=stage.artifact("right"))
    before, labels, stop = stage.config(), set[str](), threading.Event()

    def load() -> None:
        while not stop.is_set():
            labels.add(stage.label())

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(load)
        message = r"(?s)rolled back: .*did not pass the ping health check.*golden picture of red.*./inv logs"
        with pytest.raises(DeployError, match=message):
            stage.serve("", main=stage.artifact("wrong", SWAPPED))
        stop.set()
        future.result(30)
    assert labels == {"red"}
    assert stage.config() == before


def test_a_wrong_answer_after_the_update_rolls_the_endpoint_back(stage: Deployment) -> None:
    stage.serve("", main=stage.artifact("right"))
    before = stage.config()
    lenient = 'environment = {KENNEL_GOLDEN_TOLERANCE = "1"}'  # as an image that checks nothing would be
    with pytest.raises(DeployError, match=rf"(?s)golden picture of red.*rolled back: .* runs {before} again"):
        stage.serve(f"[endpoint]\n{lenient}", main=stage.artifact("wrong", SWAPPED))
    assert (stage.label(), stage.config()) == ("red", before)


def test_a_canary_that_fails_under_load_is_rolled_back_when_its_alarm_goes_off(stage: Deployment) -> None:
    rollout = 'rollout = {how = "canary", percent = 50, wait_seconds = 60, max_error_percent = 2}'
    right = stage.artifact("right")
    stage.serve(f"[endpoint]\n{rollout}", main=right)
    before, stop = stage.config(), threading.Event()

    def load() -> int:
        failed = 0
        while not stop.is_set():
            try:
                stage.label()
            except DeployError:
                failed += 1
        return failed

    began = time.monotonic()
    with ThreadPoolExecutor(6) as pool:
        loaders = [pool.submit(load) for _ in range(6)]
        with pytest.raises(DeployError, match=r"rolled back: .*configured alarms are in ALARM state: .*-main-errors"):
            stage.serve(f'[endpoint]\n{rollout}\nenvironment = {{KENNEL_MAX_REQUESTS = "1"}}', main=right)
        stop.set()
        failed = sum(future.result(30) for future in loaders)
    assert failed > 0, "the canary had a share of the traffic"
    assert time.monotonic() - began < 55, "it went back before its time was over"
    assert (stage.label(), stage.config()) == ("red", before)
