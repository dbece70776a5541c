"""The notebook: its requests, messages and refusals; each command against localcloud's states; when it is idle."""

from __future__ import annotations

import base64
import io
import json
import re
from typing import Any

import pytest

from deploy.commands import notebook as commands
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import AwsError, DeployError
from deploy.notebook.idle import idle_seconds, stop_command
from deploy.notebook.lifecycle import LIMIT, on_start
from deploy.notebook.resource import KINDS, notebook
from deploy.session import Session
from deploy.values import Plan, Request, State, Wait
from localcloud.errors import ApiError
from localcloud.gateway.protocol import serialize
from localcloud.gateway.validation import validate
from localcloud.sagemaker.notebooks import Notebooks
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeTime, refusal
from tests.unit.deploy.function.fakes import requests
from tests.unit.localcloud.sagemaker.hosting.fakes import Later, ServingEngine, serving_cloud

NAME = "kennel-local-notebook"


class Desk:
    """A session whose notebooks are localcloud's, and whose roles and bucket are always as they should be."""

    def __init__(self, settings: Settings) -> None:
        self.later, self.cloud = Later(), serving_cloud(ServingEngine())
        self.notebooks = Notebooks(cloud=self.cloud, spawn=self.later.spawn, pause=lambda _: None)
        self.out, self.sent = io.StringIO(), list[Request]()
        self.questions: list[str] = []
        self.session = Session(
            settings=settings, call=self, build=lambda _: "", screen=Screen(out=self.out), clock=FakeTime().clock()
        )

    def __call__(self, request: Request) -> dict[str, Any]:
        self.sent.append(request)
        if request.service == "iam":
            arn = "arn:aws:iam::123456789012:role/kennel-local-notebook"
            answers: dict[str, Any] = {"CreateRole": {"Role": {"Arn": arn}}}
            if request.operation in ("GetRole", "GetRolePolicy"):
                raise refusal("NoSuchEntity")
            return dict(answers.get(request.operation, {}))
        if request.service != "sagemaker":
            raise refusal("404" if request.service == "s3" else "AccessDenied")
        validate("sagemaker", request.operation, dict(request.params))
        if request.operation.startswith("Describe"):
            self.later.run()
        handlers = self.notebooks.handlers() | dict(self.cloud.tags.service().handlers)
        try:
            answer = dict(handlers[request.operation](dict(request.params)))
        except ApiError as error:
            raise AwsError(operation=request.operation, code=error.code, message=error.message) from error
        serialize("sagemaker", request.operation, answer)
        return answer

    def yes(self, _: str, lines: Any) -> bool:
        self.questions += lines
        return True

    def status(self) -> str:
        self.later.run()
        return KINDS[0].state(NAME, self.session.settings, self)


@pytest.fixture
def desk(settings: Settings) -> Desk:
    made = Desk(settings)
    made.session._is_locked = True
    return made


def test_it_is_created_after_its_cost_was_confirmed_and_without_root(desk: Desk) -> None:
    with pytest.raises(DeployError, match="not created"):
        commands.create(desk.session, lambda *_: False)
    assert not desk.notebooks.instances
    assert commands.create(desk.session, desk.yes) == NAME
    assert "ml.t3.medium: 0.050 USD an hour while it runs" in desk.out.getvalue()
    made = desk.notebooks.instances[NAME]
    assert (made["RootAccess"], made["InstanceType"], desk.status()) == ("Disabled", "ml.t3.medium", "InService")
    commands.create(desk.session, lambda *_: False)  # it is there: nothing is asked


def test_a_notebook_is_opened_stopped_started_and_deleted(desk: Desk) -> None:
    commands.create(desk.session, desk.yes)
    assert commands.address(desk.session).startswith(f"https://{NAME}.notebook.us-east-1.sagemaker.aws?authToken=")
    commands.stop(desk.session)
    commands.stop(desk.session)
    assert desk.status() == "Stopped"
    with pytest.raises(DeployError, match=r"is Stopped; ./inv notebook start"):
        commands.address(desk.session)
    commands.start(desk.session)
    commands.start(desk.session)
    assert desk.status() == "InService"
    commands.delete(desk.session, desk.yes)
    assert (desk.notebooks.instances, desk.notebooks.configs) == ({}, {})


@pytest.mark.parametrize("act", [commands.address, commands.stop, commands.start])
def test_a_missing_notebook_says_how_to_create_it(desk: Desk, act: Any) -> None:
    with pytest.raises(DeployError, match=r"does not exist; ./inv notebook create"):
        act(desk.session)


@pytest.mark.parametrize("status", ["InService", "Stopped", "Failed"])
def test_down_deletes_it_whatever_its_state(desk: Desk, status: str) -> None:
    commands.create(desk.session, desk.yes)
    desk.later.run()
    desk.notebooks.instances[NAME]["NotebookInstanceStatus"] = status
    _, instance = notebook(desk.session.settings)
    desk.session.apply(Plan(steps=(instance.remove(),)))
    assert desk.notebooks.instances == {}


def test_another_type_is_refused_since_its_disk_would_be_lost(settings: Settings) -> None:
    config, instance = notebook(settings)
    tags = settings.tags
    with pytest.raises(DeployError, match=r"exists with instance_type ml\.m5\.large; save the files on its disk"):
        instance.plan(State(fields={**instance.desired(), "instance_type": "ml.m5.large"}, tags=tags, status="Stopped"))
    with pytest.raises(DeployError, match="does not carry the tags"):
        instance.plan(State(fields=instance.desired(), status="InService"))
    assert config.plan(State(fields={"on_start": "old"}, tags=tags)).action == "update"


def test_the_start_script_holds_the_check_and_fits(settings: Settings) -> None:
    script = on_start(45)
    assert "IDLE_MINUTES=45" in script
    assert "def idle_seconds" in script
    assert "@" not in re.sub(r"@[a-z]", "", script)
    config, _ = notebook(settings)
    content = str(requests(config.plan(None))[0].params["OnStart"][0]["Content"])
    assert len(content) <= LIMIT
    assert "IDLE_MINUTES=60" in base64.b64decode(content).decode()


def test_the_requests_of_status_and_down_are_ones_that_sagemaker_takes(desk: Desk, golden: Golden) -> None:
    commands.create(desk.session, desk.yes)
    desk.sent.clear()
    for kind in KINDS:
        assert list(kind.names(desk.session.settings, desk)) == [NAME]
        assert kind.tags(NAME, desk.session.settings, desk) == desk.session.settings.tags
    for request in desk.sent:
        golden("notebook-config" if "config/" in str(request.params) else "notebook", request)


def test_every_request_is_as_sagemaker_takes_it(settings: Settings, golden: Golden) -> None:
    config, instance = notebook(settings)
    steps = [instance.plan(None), instance.start(), instance.stop(), instance.remove(), config.remove()]
    for step in steps:
        for act in step.acts:
            golden("notebook", act.request if isinstance(act, Wait) else act)
    golden("notebook", instance.ask("CreatePresignedNotebookInstanceUrl", SessionExpirationDurationInSeconds=1800))
    for state in (None, State(fields={"on_start": ""}, tags=settings.tags)):
        made = requests(config.plan(state))[0]
        short = {**made.params, "OnStart": [{"Content": "c2NyaXB0"}]}
        golden("notebook", Request(service="sagemaker", operation=made.operation, params=short))


NOW = 1_795_240_800.0  # 2026-11-21T06:00:00Z


@pytest.mark.parametrize(
    ("kernels", "terminals", "idle"),
    [
        ([], [], 7200),
        ([("idle", "05:30")], [], 1800),
        ([("idle", "05:30"), ("busy", "05:00")], [], 0),
        ([("idle", "05:30")], ["05:50"], 600),
        ([("idle", "06:10")], [], 0),
    ],
)
def test_idle_is_the_time_since_a_kernel_or_terminal_did_something(
    kernels: list[tuple[str, str]], terminals: list[str], idle: float
) -> None:
    def at(clock: str) -> str:
        return f"2026-11-21T{clock}:00.123456Z"

    used_kernels = [{"execution_state": state, "last_activity": at(clock)} for state, clock in kernels]
    used = [{"last_activity": at(clock)} for clock in terminals]
    assert idle_seconds(used_kernels, [*used, {"name": "1"}], up=7200.0, now=NOW) == idle


def test_the_instance_stops_itself_by_name_in_its_own_region() -> None:
    arn = f"arn:aws:sagemaker:eu-west-1:123456789012:notebook-instance/{NAME}"
    command = stop_command({"ResourceArn": arn, "ResourceName": NAME})
    assert json.dumps(command[-4:]) == json.dumps(["--notebook-instance-name", NAME, "--region", "eu-west-1"])
