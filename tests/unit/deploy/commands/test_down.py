"""`down` among neighbours: what is ours goes, what may not be read is told and stays."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from deploy.commands.down import down
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import DeployError
from deploy.session import Session
from deploy.values import Request
from tests.unit.deploy.fakes import FakeTime, refusal
from tests.unit.deploy.stage.account import NEIGHBOUR, OURS, PREFIX, Account

CHANGES = ("Delete", "Stop", "Deregister", "Terminate", "Remove", "Detach")


@dataclass(kw_only=True)
class Emptied(Account):
    """An account whose resources are gone once `down` has begun to delete: it asks in order, and deletes at the end."""

    changed: list[Request] = field(default_factory=list)
    stays: bool = False

    def __call__(self, request: Request) -> dict[str, Any]:
        if request.operation.startswith(CHANGES):
            self.changed.append(request)
            return {}
        if not self.changed or (self.stays and request.operation.startswith("ListModels")):
            return super().__call__(request)
        if self.stays and request.operation == "ListTags":
            return super().__call__(request)
        return self.after(request)

    def after(self, request: Request) -> dict[str, Any]:
        """Nothing of ours is there; an instance, a notebook and a job have ended."""
        if request.operation == "DescribeInstances" and "InstanceIds" in request.params:
            return {"Reservations": [{"Instances": [{"State": {"Name": "terminated"}}]}]}
        if request.operation.endswith("Job") and request.operation.startswith("Describe"):
            return {f"{request.operation.removeprefix('Describe')}Status": "Stopped"}
        if request.operation == "DescribeNotebookInstance" and "DeleteNotebookInstance" not in self.changes():
            return {"NotebookInstanceStatus": "Stopped"}
        if request.operation.startswith(("Describe", "Head", "Get")) and _names_one(request.params):
            raise refusal("ResourceNotFoundException")
        return {"MetricAlarms": [], "ScalableTargets": [], "logGroups": [], "Reservations": [], "SecurityGroups": []}

    def changes(self) -> set[str]:
        return {each.operation for each in self.changed}


def _names_one(params: Mapping[str, Any]) -> bool:
    return any(key.endswith(("Name", "Names", "Bucket", "repositoryNames")) for key in params)


def session(settings: Settings, account: Account) -> Session:
    screen = Screen(out=io.StringIO())
    return Session(settings=settings, call=account, build=str, screen=screen, clock=FakeTime().clock())


def test_everything_of_ours_goes_and_nothing_of_a_neighbour(settings: Settings) -> None:
    account = Emptied()
    desk = session(settings, account)
    result = down(desk, lambda _: True, also=("data", "images", "deployer"))
    assert [step.address for step in result.gone] == list(OURS)
    assert [each for each in account.changed if NEIGHBOUR in str(each.params)] == []
    assert "StopTrainingJob" in account.changes()
    shown: str = desk.screen.out.getvalue()  # type: ignore[attr-defined]
    told = [line for line in shown.splitlines() if "may not be read" in line]
    assert told
    assert len(told) == len(set(told))


def test_what_is_left_is_named(settings: Settings) -> None:
    with pytest.raises(DeployError, match=f"not deleted: model/{PREFIX}-m; run ./inv down again"):
        down(session(settings, Emptied(stays=True)), lambda _: True, also=("data", "images", "deployer"))
