"""Notebook instances: which status allows which operation, in SageMaker's words."""

from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.sagemaker.notebooks import Notebooks
from tests.unit.localcloud.sagemaker.hosting.fakes import Later, ServingEngine, serving_cloud

ROLE = "arn:aws:iam::123456789012:role/kennel"
CONFIG = {"NotebookInstanceLifecycleConfigName": "start"}


class Fakes:
    """Notebooks whose settling waits for `later.run()`."""

    def __init__(self) -> None:
        self.later = Later()
        cloud = serving_cloud(ServingEngine())
        self.notebooks = Notebooks(cloud=cloud, spawn=self.later.spawn, pause=lambda _: None)

    def do(self, operation: str, **params: Any) -> dict[str, Any]:
        return self.notebooks.handlers()[operation]({"NotebookInstanceName": "n", **params})

    def create(self, **params: Any) -> None:
        self.do("CreateNotebookInstance", InstanceType="ml.t3.medium", RoleArn=ROLE, **params)

    def status(self) -> str:
        return str(self.do("DescribeNotebookInstance")["NotebookInstanceStatus"])

    def refused(self, operation: str, **params: Any) -> str:
        with pytest.raises(ApiError) as caught:
            self.do(operation, **params)
        assert caught.value.code == "ValidationException"
        return caught.value.message


def test_an_instance_goes_from_pending_to_in_service_to_stopped_to_gone() -> None:
    fakes = Fakes()
    fakes.create()
    statuses = [fakes.status()]
    for operation in ("StopNotebookInstance", "StartNotebookInstance", "StopNotebookInstance"):
        fakes.later.run()
        statuses.append(fakes.status())
        fakes.do(operation)
        statuses.append(fakes.status())
    assert statuses == ["Pending", "InService", "Stopping", "Stopped", "Pending", "InService", "Stopping"]
    fakes.later.run()
    fakes.do("DeleteNotebookInstance")
    assert fakes.status() == "Deleting"
    fakes.later.run()
    assert fakes.refused("DescribeNotebookInstance") == "RecordNotFound"


@pytest.mark.parametrize(
    ("operation", "message"),
    [
        (
            "DeleteNotebookInstance",
            "Status (InService) not in ([Stopped, Failed]). Unable to transition to ",
        ),
        ("StartNotebookInstance", "Status (InService) not in ([Stopped]). Unable to transition to (Pending)"),
        ("UpdateNotebookInstance", "Status (InService) not in ([Stopped]). Unable to transition to (Updating)"),
        ("CreateNotebookInstance", "Cannot create a duplicate Notebook Instance"),
    ],
)
def test_what_cannot_be_done_in_a_state_is_refused(operation: str, message: str) -> None:
    fakes = Fakes()
    fakes.create()
    fakes.later.run()
    assert fakes.refused(operation, RoleArn=ROLE).startswith(message)


def test_a_stopped_one_is_updated_and_opens_only_in_service() -> None:
    fakes = Fakes()
    fakes.create(VolumeSizeInGB=10)
    assert "is not InService" in fakes.refused("CreatePresignedNotebookInstanceUrl")
    fakes.later.run()
    fakes.do("StopNotebookInstance")
    fakes.later.run()
    fakes.do("UpdateNotebookInstance", InstanceType="ml.t3.large")
    fakes.later.run()
    assert fakes.do("DescribeNotebookInstance")["InstanceType"] == "ml.t3.large"
    assert "only be made larger" in fakes.refused("UpdateNotebookInstance", VolumeSizeInGB=5)
    assert "does not exist" in fakes.refused("UpdateNotebookInstance", LifecycleConfigName="gone")
    assert fakes.status() == "Stopped"


def test_a_configuration_must_be_there_to_be_named() -> None:
    fakes = Fakes()
    with pytest.raises(ApiError, match="does not exist"):
        fakes.create(LifecycleConfigName="start")
    fakes.do("CreateNotebookInstanceLifecycleConfig", **CONFIG, OnStart=[{"Content": "YQ=="}])
    assert "already exists" in fakes.refused("CreateNotebookInstanceLifecycleConfig", **CONFIG)
    fakes.create(LifecycleConfigName="start")
    fakes.do("UpdateNotebookInstanceLifecycleConfig", **CONFIG, OnStart=[{"Content": "Yg=="}])
    assert fakes.do("DescribeNotebookInstanceLifecycleConfig", **CONFIG)["OnStart"] == [{"Content": "Yg=="}]
    listed = fakes.do("ListNotebookInstanceLifecycleConfigs", NameContains="sta")
    assert len(listed["NotebookInstanceLifecycleConfigs"]) == 1
    fakes.do("DeleteNotebookInstanceLifecycleConfig", **CONFIG)
    assert "does not exist" in fakes.refused("DescribeNotebookInstanceLifecycleConfig", **CONFIG)
