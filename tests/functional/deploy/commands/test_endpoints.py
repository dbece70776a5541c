"""Several endpoints over real HTTP: each with its own training; removed ones are deleted, untrained ones stay."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deploy.commands.data import push
from deploy.commands.deploy import deploy
from deploy.commands.plan import plan
from deploy.commands.train import train
from deploy.config.endpoint import Endpoint
from deploy.errors import DeployError
from tests.functional.deploy.commands.test_commands import Desk, desk, pictures

__all__ = ["desk", "pictures"]  # the fixtures


def with_endpoints(desk: Desk, **tables: Mapping[str, Any]) -> None:
    further = {name: Endpoint.model_validate(table) for name, table in tables.items()}
    desk.session.settings = desk.session.settings.model_copy(update={"endpoints": further})


def test_endpoints_of_several_trainings_exist_side_by_side_until_deploy_toml_drops_them(
    desk: Desk, pictures: Path
) -> None:
    push(desk.session, pictures, "pets")
    train(desk.session, "pets")
    with_endpoints(desk, multi={"training": "multi"}, small={"kind": "serverless"})
    reasons = {step.address: step.reason for step in plan(desk.session).steps}
    assert (
        reasons["endpoint/kennel-local-multi"] == "no model of training multi yet; run ./inv train --name multi first"
    )
    with pytest.raises(DeployError, match=r"kennel-local-multi: no model of training multi yet"):
        deploy(desk.session)
    assert desk.sent["CreateEndpoint"] == 0, "no endpoint is created before all have a model"

    train(desk.session, "pets", purpose="multi")
    deploy(desk.session)
    names = [each["EndpointName"] for each in desk.ask("sagemaker", "ListEndpoints")["Endpoints"]]  # type: ignore[attr-defined]
    assert sorted(names) == ["kennel-local", "kennel-local-multi", "kennel-local-small"]
    assert len(desk.ask("sagemaker", "ListModels")["Models"]) == 2  # type: ignore[arg-type]
    assert deploy(desk.session) == ()

    with_endpoints(desk)
    gone = [step.address.partition("/") for step in deploy(desk.session) if step.action == "delete"]
    assert [kind for kind, _, _ in gone] == ["endpoint", "endpoint", "endpoint-config", "endpoint-config", "model"]
    assert deploy(desk.session) == ()
