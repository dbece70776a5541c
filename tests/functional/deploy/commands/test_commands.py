"""The commands over real HTTP, with moto as AWS: requests, created resources, and that down leaves nothing of ours."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.aws import lock
from deploy.aws.client import Client
from deploy.commands import notebook
from deploy.commands.data import push
from deploy.commands.deploy import deploy
from deploy.commands.down import down
from deploy.commands.logs import logs
from deploy.commands.plan import plan
from deploy.commands.rollback import rollback_function
from deploy.commands.status import status
from deploy.commands.train import train
from deploy.config.settings import Settings, choose, parse
from deploy.console import Screen
from deploy.errors import DataError, DeployError
from deploy.session import Session
from deploy.values import Request
from tests.clients import connect
from tests.functional.deploy.local_aws import local_aws

TOML = Path(__file__).parents[4] / "deploy.toml"


class Desk:
    """A session on its own moto; counts the requests and keeps the output."""

    def __init__(self, settings: Settings) -> None:
        self.sent: Counter[str] = Counter()
        self.output = io.StringIO()
        self.images = {"train": "kennel/train:1", "serve": "kennel/serve:1", "lambda": "kennel/lambda:1"}
        self.client: Client = connect(settings, log=self._log)
        self.session = Session(
            settings=settings,
            call=self.client,
            build=lambda kind: self.images[kind],
            screen=Screen(out=self.output),
            check_account=self.client.check_account,
        )

    def _log(self, request: Request) -> None:
        if request.params.get("Key") != lock.KEY:
            self.sent[request.operation] += 1

    def ask(self, service: str, operation: str, **params: object) -> dict[str, object]:
        return self.client(Request(service=service, operation=operation, params=params))


@pytest.fixture
def desk() -> Iterator[Desk]:
    with local_aws() as url:
        chosen = choose(parse(TOML.read_text()), "local")
        stage = chosen.stage.model_copy(update={"endpoint_url": url})
        yield Desk(chosen.model_copy(update={"stage": stage}))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name in ("train/cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg"):
        path = tmp_path / "pets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (tmp_path / "pets" / ".DS_Store").write_bytes(b"hidden")
    return tmp_path / "pets"


def test_a_push_sends_all_and_the_next_one_only_differences(desk: Desk, pictures: Path) -> None:
    first = push(desk.session, pictures, "pets")
    assert (first.count, desk.sent["PutObject"]) == (3, 3)
    desk.sent.clear()
    assert push(desk.session, pictures, "pets") == first
    assert desk.sent["PutObject"] == 0
    (pictures / "train/cat/1.jpg").write_bytes(b"another")
    (pictures / "test/cat/2.jpg").unlink()
    second = push(desk.session, pictures, "pets")
    assert (desk.sent["PutObject"], desk.sent["DeleteObjects"]) == (1, 1)
    assert (second.count, second.hash == first.hash) == (2, False)


def test_a_weights_file_becomes_a_channel(desk: Desk, pictures: Path, tmp_path: Path) -> None:
    weights = tmp_path / "resnet.safetensors"
    weights.write_bytes(b"w")
    push(desk.session, pictures, "pets", weights=weights)
    assert train(desk.session, "pets").status == "Completed"
    jobs = desk.ask("sagemaker", "ListTrainingJobs")["TrainingJobSummaries"]
    name = jobs[0]["TrainingJobName"]  # type: ignore[index]
    channels = desk.ask("sagemaker", "DescribeTrainingJob", TrainingJobName=name)["InputDataConfig"]
    assert [channel["ChannelName"] for channel in channels] == ["training", "weights"]  # type: ignore[attr-defined]


def test_an_archive_is_one_object(desk: Desk, tmp_path: Path) -> None:
    archive = tmp_path / "pets.zip"
    archive.write_bytes(b"PK")
    assert push(desk.session, archive, "pets").count == 1


@pytest.mark.parametrize("name", ["nowhere", "notes.txt"])
def test_a_source_without_pictures_is_refused_before_the_first_request(desk: Desk, tmp_path: Path, name: str) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match=name):
        push(desk.session, tmp_path / name, name)
    assert not desk.sent


def test_training_before_data_says_what_to_do(desk: Desk) -> None:
    with pytest.raises(DataError, match=r"no pictures yet; run ./inv data --source pets"):
        train(desk.session, "pets")


def test_a_trained_model_is_not_trained_again(desk: Desk, pictures: Path) -> None:
    push(desk.session, pictures, "pets")
    first, second = train(desk.session, "pets"), train(desk.session, "pets")
    assert first.name == second.name
    assert desk.sent["CreateTrainingJob"] == 1
    desk.images["train"] = "kennel/train:2"
    assert train(desk.session, "pets").name != first.name


def test_deploying_before_training_says_what_to_do(desk: Desk) -> None:
    with pytest.raises(DeployError, match=r"no model is trained yet; run ./inv data train first"):
        deploy(desk.session)
    assert {step.kind for step in plan(desk.session).changes} == {"bucket", "role"}


def test_a_deploy_follows_its_plan_and_a_second_changes_nothing(desk: Desk, pictures: Path) -> None:
    push(desk.session, pictures, "pets")
    train(desk.session, "pets")
    planned = [step.address for step in plan(desk.session).changes]
    assert [step.address for step in deploy(desk.session)] == planned
    assert [address.partition("/")[0] for address in planned] == [
        "log-group", "model", "endpoint-config", "endpoint", "log-group", "function", "alias", "concurrency",
    ]  # fmt: skip
    desk.sent.clear()
    assert deploy(desk.session) == ()
    assert not [name for name in desk.sent if name.startswith(("Create", "Update", "Put", "Delete"))]


def test_status_lists_everything(desk: Desk, pictures: Path) -> None:
    push(desk.session, pictures, "pets")
    train(desk.session, "pets")
    deploy(desk.session)
    rows, bill = status(desk.session)
    kinds = Counter(row.kind for row in rows)
    assert kinds == {
        "bucket": 1, "role": 3, "log-group": 2, "model": 1, "endpoint-config": 1, "endpoint": 1, "function": 1,
        "job": 1,
    }  # fmt: skip
    endpoint = next(row for row in rows if row.kind == "endpoint")
    assert (endpoint.name, endpoint.state, endpoint.usd) == ("kennel-local", "InService", 0.115)
    assert endpoint.detail.startswith("main 1 × ml.m5.large, weight 1")
    assert bill.startswith("0.1")


def test_down_deletes_everything_of_ours_and_nothing_else(desk: Desk, pictures: Path) -> None:
    desk.ask("s3", "CreateBucket", Bucket="kennel-local-of-another")
    trust = plan(desk.session).steps[1].acts[0].params["AssumeRolePolicyDocument"]  # type: ignore[union-attr]
    desk.ask("iam", "CreateRole", RoleName="kennel-local-of-another", AssumeRolePolicyDocument=trust)
    push(desk.session, pictures, "pets")
    train(desk.session, "pets")
    deploy(desk.session)
    kept = down(desk.session, lambda _: True)
    assert (len(kept.gone), kept.kept) == (9, (f"bucket/{desk.session.settings.bucket}",))
    assert len(down(desk.session, lambda _: True, also={"data"}).gone) == 1
    assert down(desk.session, lambda _: True, also={"data"}).gone == ()
    buckets = desk.ask("s3", "ListBuckets")["Buckets"]
    assert [bucket["Name"] for bucket in buckets] == ["kennel-local-of-another"]  # type: ignore[attr-defined]
    roles = desk.ask("iam", "ListRoles")["Roles"]
    assert [role["RoleName"] for role in roles] == ["kennel-local-of-another"]  # type: ignore[attr-defined]


def test_down_asks_first_and_a_no_deletes_nothing(desk: Desk, pictures: Path) -> None:
    push(desk.session, pictures, "pets")
    with pytest.raises(DeployError, match="nothing was deleted"):
        down(desk.session, lambda _: False)
    assert len(status(desk.session)[0]) == 4


def test_another_account_is_refused_before_anything_is_made(desk: Desk, pictures: Path) -> None:
    stage = desk.session.settings.stage.model_copy(update={"account": "999999999999"})
    other = Desk(desk.session.settings.model_copy(update={"stage": stage}))
    with pytest.raises(DeployError, match="account 123456789012"):
        push(other.session, pictures, "pets")
    assert not [name for name in other.sent if name.startswith(("Create", "Put"))]


def test_an_address_where_nothing_answers_says_how_to_start_it(desk: Desk, pictures: Path) -> None:
    stage = desk.session.settings.stage.model_copy(update={"endpoint_url": "http://127.0.0.1:9"})
    with pytest.raises(DeployError, match=r"nothing answers at http://127.0.0.1:9: run ./inv up"):
        push(Desk(desk.session.settings.model_copy(update={"stage": stage})).session, pictures, "pets")


def test_a_name_without_a_log_is_an_error(desk: Desk) -> None:
    with pytest.raises(DeployError, match="nobody: no log"):
        logs(desk.session, "nobody")


def test_the_function_rolls_back_and_forward_and_down_deletes_a_notebook_with_its_role(
    desk: Desk, pictures: Path
) -> None:
    push(desk.session, pictures, "pets")
    train(desk.session, "pets")
    deploy(desk.session)
    desk.images["lambda"] = "kennel/lambda:2"
    assert [step.kind for step in deploy(desk.session)] == ["function", "alias"]
    assert rollback_function(desk.session) == "1"
    assert [step.kind for step in deploy(desk.session)] == ["alias"]
    assert notebook.create(desk.session, lambda *_: True) == "kennel-local-notebook"
    assert notebook.address(desk.session).startswith("https://kennel-local-notebook.")
    gone = down(desk.session, lambda _: True, also={"data"}).gone
    assert {"notebook", "notebook-config", "log-group", "function"} <= {step.kind for step in gone}
