"""Autoscaling by deploy.toml: its targets and requests, and what is refused before any call."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.autoscaling.scalable_target import KIND, ScalableTarget
from deploy.config.endpoint import Endpoint
from deploy.config.function import Function
from deploy.config.settings import Settings
from deploy.endpoints.checks import check
from deploy.endpoints.scaling import release, scalable_targets
from deploy.endpoints.spec import EndpointSpec, endpoint_spec, endpoint_specs
from deploy.errors import DeployError
from deploy.function.scaling import function_targets
from deploy.stage.targets import all_targets
from deploy.values import Request
from tests.unit.deploy.conftest import Golden

NAME = "kennel-local"


def scaled(settings: Settings, *, endpoint: dict[str, Any] | None = None, **autoscaling: Any) -> Settings:
    section = {**(endpoint or {}), "autoscaling": {"max": 4, **autoscaling}}
    return settings.model_copy(update={"endpoint": Endpoint.model_validate(section)})


def main(settings: Settings) -> EndpointSpec:
    return endpoint_spec(settings, "main")


def target(settings: Settings) -> ScalableTarget:
    return scalable_targets(main(settings))[0]


@pytest.mark.parametrize(
    ("endpoint", "autoscaling", "message"),
    [
        ({"instance_type": "ml.t2.medium"}, {}, "ml.t2.medium, a burstable type, which cannot scale; choose another"),
        ({"instance_type": "ml.t3.large"}, {}, "burstable"),
        ({"kind": "serverless"}, {}, "AWS scales a serverless endpoint, up to max_concurrency .5.; leave max out"),
        ({"kind": "async"}, {}, "publishes no invocations; use backlog"),
        ({"kind": "async"}, {"metric": "concurrency"}, "publishes no concurrency; use backlog"),
        ({}, {"metric": "backlog"}, "only an async endpoint .*; use invocations or concurrency"),
        ({}, {"min": 0}, 'autoscaling.min: a real-time endpoint keeps at least 1 instance; kind = "async" can go to 0'),
        ({"instance_count": 9}, {}, "starts with 9 instances, outside 1 to 4"),
        (
            {},
            {"schedules": {"day": {"at": "cron(0 8 * * *)", "min": 2}}},
            "schedules.day.at: .* is not a schedule; write at",
        ),
        ({}, {"schedules": {"day": {"at": "rate(0 hours)", "min": 2}}}, "is not a schedule"),
        ({}, {"schedules": {"day": {"at": "rate(1 hour)"}}}, "schedules.day: changes nothing"),
        ({}, {"schedules": {"day": {"at": "rate(1 hour)", "min": 5}}}, "schedules.day.min: 5 is more than max, 4"),
        ({}, {"schedules": {"night": {"at": "rate(1 hour)", "min": 0}}}, "keeps at least 1 instance"),
    ],
)
def test_what_cannot_scale_is_refused_with_the_fix(
    settings: Settings, endpoint: dict[str, Any], autoscaling: dict[str, Any], message: str
) -> None:
    section = scaled(settings, endpoint=endpoint, **autoscaling).endpoint
    further = settings.model_copy(update={"endpoints": {"further": section}})  # the main one may not be async
    with pytest.raises(DeployError, match=message):
        check(endpoint_specs(further))


def test_what_does_not_scale_has_no_target_and_nothing_is_refused(settings: Settings) -> None:
    burstable = settings.model_copy(update={"endpoint": Endpoint(instance_type="ml.t2.medium")})
    check([main(burstable)])
    assert all_targets(burstable) == ()


def test_each_variant_is_a_target_in_the_stages_own_name(settings: Settings) -> None:
    two = scaled(settings, endpoint={"variants": {"single": {}, "multi": {"instance_type": "ml.c5.large"}}})
    targets = scalable_targets(main(two))
    assert [each.resource for each in targets] == [f"endpoint/{NAME}/variant/{name}" for name in ("single", "multi")]
    assert [each.form for each in targets] == ["real-time ml.m5.large", "real-time ml.c5.large"]
    assert release(main(two)).forms == {each.resource: each.form for each in targets}


def test_every_request_of_scaling_is_one_that_aws_takes(settings: Settings, golden: Golden) -> None:
    day = {"at": "cron(0 8 ? * MON-FRI *)", "min": 2, "max": 6}
    made = target(scaled(settings, cooldown_in_seconds=300, cooldown_out_seconds=60, schedules={"day": day}))
    _, register, policy, action = made.plan(None).acts
    for act, name, rules in (
        (register, "variant", (47, 50)),
        (policy, "invocations", (48, 49)),
        (action, "day", (49,)),
    ):
        assert isinstance(act, Request)
        golden(name, act, rules=rules)
    remove, _ = KIND.remove(made.resource, settings).acts
    assert isinstance(remove, Request)
    golden("variant", remove, rules=(54,))
    assert not made.from_zero


@pytest.mark.parametrize(
    ("autoscaling", "wakes"),
    [
        ({"min": 0}, True),
        ({"min": 1}, False),
        ({"min": 1, "schedules": {"night": {"at": "rate(1 day)", "min": 0}}}, True),
    ],
)
def test_only_a_variant_that_may_go_to_0_is_started_again_from_0(
    settings: Settings, autoscaling: dict[str, Any], wakes: bool
) -> None:
    chosen = scaled(settings, endpoint={"kind": "async"}, metric="backlog", **autoscaling)
    assert target(chosen).from_zero is wakes


@pytest.mark.parametrize(
    ("endpoint", "autoscaling", "name"),
    [({}, {"metric": "concurrency", "target": 4}, "concurrency"),
     ({"kind": "async"}, {"metric": "backlog", "target": 5, "min": 0}, "backlog")],
)  # fmt: skip
def test_the_metric_of_a_policy_is_one_that_the_endpoint_publishes(
    settings: Settings, golden: Golden, endpoint: dict[str, Any], autoscaling: dict[str, Any], name: str
) -> None:
    policy = target(scaled(settings, endpoint=endpoint, **autoscaling)).plan(None).acts[2]
    assert isinstance(policy, Request)
    golden(name, policy, rules=(48,))


def test_the_functions_alias_scales_by_its_utilization(settings: Settings, golden: Golden) -> None:
    function = Function.model_validate({"provisioned_concurrency": 2, "autoscaling": {"max": 5}})
    made = function_targets(settings.model_copy(update={"function": function}))[0]
    register, policy = made.plan(None).acts
    for act in (register, policy):
        assert isinstance(act, Request)
        golden("alias", act, rules=(68,))
    (remove,) = KIND.remove(made.resource, settings).acts
    assert isinstance(remove, Request)
    golden("alias", remove, rules=(54, 68))
    assert function_targets(settings) == ()
