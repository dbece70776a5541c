"""autoscale against Application Auto Scaling over HTTP: made so once, kept through a redeploy, and taken away."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from deploy.aws.client import Clock
from deploy.aws.tags import tag_list
from deploy.commands.autoscale import autoscale, report
from deploy.config.settings import Settings, choose, parse
from deploy.console import Screen
from deploy.endpoints.endpoint import Endpoint
from deploy.endpoints.scaling import release, scalable_targets
from deploy.endpoints.spec import endpoint_spec
from deploy.planning.apply import apply
from deploy.planning.plan import teardown
from deploy.planning.resource import Resource
from deploy.session import Session
from deploy.stage.inventory import inventory
from deploy.stage.kinds import BY_NAME, KINDS
from deploy.values import Request
from tests.clients import connect
from tests.functional.localcloud.applicationautoscaling.fixtures import ScalingAws, scaling_aws
from tests.unit.localcloud.sagemaker.hosting.fixtures import one

TOML = """
[endpoint]
instance_type = "{kind}"
[endpoint.autoscaling]
max = {most}
target = 10
schedules.night = {{at = "cron(0 20 ? * * *)", max = 1}}
[stages.local]
account = "123456789012"
credentials = "dummy"
endpoint_url = "{url}"
"""
NAME = "kennel-local"


@dataclass
class Stage:
    """A stage whose endpoint serves, and what was asked of its autoscaler."""

    aws: ScalingAws
    sent: list[Request]

    def settings(self, kind: str = "ml.m5.large", most: int = 3) -> Settings:
        return choose(parse(TOML.format(kind=kind, most=most, url=self.aws.url)), "local")

    def session(self, settings: Settings) -> Session:
        client = connect(settings, log=self.sent.append)
        clock = Clock(sleep=lambda _: self.aws.settle())  # what is waited for happens
        return Session(settings=settings, call=client, build=str, screen=Screen(out=io.StringIO()), clock=clock)

    def changes(self) -> list[str]:
        """The changing requests since the last call."""
        operations = [each.operation for each in self.sent if each.service == "application-autoscaling"]
        self.sent.clear()
        return [each for each in operations if not each.startswith(("Describe", "List"))]

    def settle(self, settings: Settings, resources: Sequence[Resource]) -> None:
        self.session(settings).settle(resources)


@pytest.fixture
def stage() -> Iterator[Stage]:
    tags = tag_list({"kennel:project": "kennel", "kennel:stage": "local"})
    with scaling_aws(one("main"), name=NAME, tags=tags) as aws:
        yield Stage(aws=aws, sent=[])


def test_scaling_is_set_once_works_survives_a_redeploy_and_goes_with_down(stage: Stage) -> None:
    settings = stage.settings()
    result = autoscale(stage.session(settings))
    assert stage.changes() == ["RegisterScalableTarget", "PutScalingPolicy", "PutScheduledAction"]
    assert result.states[0].row[1:] == ("1", "1", "1", "3", "10 invocations per instance and minute")
    autoscale(stage.session(settings))
    assert stage.changes() == []

    for _ in range(4):
        stage.aws.minute(15)
    result = report(settings, connect(settings))
    assert (result.states[0].now, result.activities[0].status, result.activities[0].cause) == (
        2,
        "successful",
        "above the target",
    )

    larger = stage.settings(kind="ml.c5.large")
    stage.aws.fakes.config("other", one("main", InstanceType="ml.c5.large"))
    spec = endpoint_spec(larger, "main")
    moved = Endpoint(spec=spec, config="other")
    stage.settle(larger, (release(spec), moved, *scalable_targets(spec)))
    assert stage.changes() == [
        "DeregisterScalableTarget", "RegisterScalableTarget", "PutScalingPolicy", "PutScheduledAction",
    ]  # fmt: skip
    assert stage.aws.running == 2  # what was scaled out stays
    stage.settle(larger, (release(spec), moved, *scalable_targets(spec)))
    assert stage.changes() == []

    kinds = [kind for kind in KINDS if kind.name == "scalable-target"]
    gone = teardown(larger, inventory(larger, connect(larger), kinds, say=print), BY_NAME)
    apply(gone, connect(larger))
    assert report(larger, connect(larger)).states[0].target == "does not scale"


def test_scaling_that_is_switched_off_is_deregistered(stage: Stage) -> None:
    autoscale(stage.session(stage.settings()))
    stage.changes()
    autoscale(stage.session(stage.settings(most=0)))
    assert stage.changes() == ["DeregisterScalableTarget"]
