"""A plan holds data only, so that all of it can be printed, compared and kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

import pytest

from deploy.config.settings import Settings
from deploy.endpoints import rollback
from deploy.endpoints.resources import Serving
from deploy.endpoints.spec import endpoint_specs
from deploy.function.alias import Alias
from deploy.function.function import FunctionConfig
from deploy.iam.instance_profile import instance_profile
from deploy.iam.role import ec2_role, notebook_role
from deploy.images.facts import ImageFacts
from deploy.images.recipe import KINDS as IMAGE_KINDS
from deploy.images.repository import repository
from deploy.jobs.security_group import security_group
from deploy.notebook.resource import notebook
from deploy.planning.plan import plan, teardown
from deploy.planning.resource import Resource
from deploy.stage.desired import foundation, serving
from deploy.stage.kinds import BY_NAME
from deploy.storage.log_group import ec2_group
from deploy.values import Act, Check, EmptyBucket, Plan, Request, State, Wait
from tests.unit.deploy.endpoints.fixtures import TAGS, artifact, endpoint_of, running, settings_of

DATA = (str, int, float, bool, type(None), bytes, datetime)
EVERYTHING = """
[iam]
deployer_principal = "arn:aws:iam::123456789012:root"
[endpoint.rollout]
how = "canary"
max_error_percent = 1
max_latency_ms = 500
[endpoint.autoscaling]
max = 3
[endpoint.autoscaling.schedules.night]
at = "cron(0 20 * * ? *)"
min = 1
[endpoints.later]
kind = "async"
[endpoints.small]
kind = "serverless"
[lambda]
url = "public"
reserved_concurrency = 5
provisioned_concurrency = 1
[lambda.autoscaling]
max = 2
[training.ec2]
key_pair = "mine"
ssh_from = "192.0.2.1/32"
"""
SETTINGS = settings_of(EVERYTHING)
# These kinds are never desired: a job or an instance is started by a request of its own, and `down` deletes it.
ONLY_DELETED = {"instance", "tuning-job", "training-job", "transform-job"}


def resources(settings: Settings) -> tuple[Resource, ...]:
    """A resource of every kind that a plan can hold."""
    facts, artifacts = ImageFacts(), {"main": artifact("train-1")}
    specs = endpoint_specs(settings)
    endpoints = [Serving(spec=spec, image="kennel/serve:1", facts=facts, artifacts=artifacts) for spec in specs]
    return (
        *foundation(settings),
        *(repository(settings, kind) for kind in IMAGE_KINDS),
        *serving(settings, endpoints=endpoints, lambda_image="kennel/lambda:1"),
        *(notebook_role(settings), *notebook(settings)),
        *(ec2_role(settings), instance_profile(settings), security_group(settings), ec2_group(settings)),
    )


def changing() -> Plan:
    """Updates: an alias that moves to another version and back, an endpoint that moves and is rolled back."""
    config = FunctionConfig(image="fn:2", memory_mb=512, timeout_s=60, environment={})
    alias = Alias(function="f", name="live", config=config)
    versions = {"1": {**config.fields(), "image": "fn:1"}, "2": {**config.fields(), "image": "fn:0"}}
    live = State(fields={**versions["2"], "weights": {}, "version": "2", "previous": "1", "versions": versions})
    new, old = endpoint_of(EVERYTHING), endpoint_of(EVERYTHING, job="train-0")
    back = rollback.step(new.spec, running(new), old.config, serves=old.serves, reason="by hand")
    return Plan(steps=(alias.plan(live), alias.back(live), new.plan(running(old)), back))


def plans() -> dict[str, Plan]:
    names = {f"{kind}/kennel-local-x": State(tags=TAGS) for kind in BY_NAME}
    return {
        "create": plan(resources(SETTINGS), {}),
        "delete": teardown(SETTINGS, names, BY_NAME),
        "update": changing(),
    }


def not_data(value: Any, place: str) -> Iterator[str]:
    """The places in a value that hold something other than data."""
    if is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from not_data(getattr(value, each.name), f"{place}.{each.name}")
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from not_data(key, f"{place} key")
            yield from not_data(inner, f"{place}[{key!r}]")
    elif isinstance(value, tuple | list):
        for index, inner in enumerate(value):
            yield from not_data(inner, f"{place}[{index}]")
    elif not isinstance(value, DATA):
        yield f"{place}: {value!r}"


@pytest.mark.parametrize("name", ["create", "update", "delete"])
def test_every_value_of_a_plan_is_data(name: str) -> None:
    assert list(not_data(plans()[name], name)) == []


def test_these_plans_hold_every_kind_of_resource_and_every_kind_of_act() -> None:
    made = plans()
    assert {step.kind for step in made["delete"].steps} == set(BY_NAME)
    assert {step.kind for step in made["create"].changes} >= set(BY_NAME) - ONLY_DELETED
    acts = {type(act) for each in made.values() for step in each.steps for act in step.acts}
    assert acts == {Request, Wait, EmptyBucket, Check} == set(Act.__args__)


def test_the_walk_sees_a_callable_wherever_it_hides() -> None:
    hidden: Callable[[], str] = str
    check = Check(request=Request(service="lambda", operation="Invoke", params={"a": [{"b": hidden}]}), expect={})
    assert list(not_data((check,), "plan")) == ["plan[0].request.params['a'][0]['b']: <class 'str'>"]


def test_json_prints_every_act_and_what_a_check_expects() -> None:
    for made in plans().values():
        printed = json.loads(made.to_json())["steps"]
        assert [len(each["requests"]) for each in printed] == [len(step.acts) for step in made.steps]
    acts = [act for step in json.loads(changing().to_json())["steps"] for act in step["requests"]]
    assert {"EndpointConfigName"} in [set(act.get("expect", ())) for act in acts if "wait" in act]
    checks = [act for act in acts if "check" in act]
    assert len(checks) == 2
    assert checks[0]["expect"] == {"FunctionError": None, "Payload.statusCode": 200}
