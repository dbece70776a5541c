"""An endpoint that left deploy.toml goes with all its resources; whatever a rollback needs, or others made, stays."""

from __future__ import annotations

from deploy.stage.obsolete import kept_configs, obsolete, obsolete_reasons
from deploy.values import State
from tests.unit.deploy.endpoints.fixtures import TAGS, settings_of
from tests.unit.deploy.fakes import FakeAws

SETTINGS = settings_of("[endpoints.multi]\n")


def config(endpoint: str) -> State:
    return State(tags={**TAGS, "kennel:endpoint": endpoint})


ALIAS = "scalable-target/function:kennel-local-classify:live"
FOUND = {
    "scalable-target/endpoint/kennel-local-old/variant/main": State(tags=TAGS),
    "scalable-target/endpoint/kennel-local/variant/main": State(tags=TAGS),
    ALIAS: State(tags=TAGS),
    "endpoint/kennel-local": State(tags={**TAGS, "kennel:history": "a b c"}),
    "endpoint/kennel-local-old": State(tags={**TAGS, "kennel:history": "o"}),
    "endpoint-config/kennel-local-a": config("kennel-local"),
    "endpoint-config/kennel-local-z": config("kennel-local"),
    "endpoint-config/kennel-local-old-o": config("kennel-local-old"),
    "endpoint-config/kennel-local-by-hand": State(tags=TAGS),
    "alarm/kennel-local-main-errors": State(tags=TAGS),
    "alarm/kennel-local-TargetTracking": State(tags=TAGS),
    "model/kennel-local-m": State(tags=TAGS),
    "model/kennel-local-n": State(tags=TAGS),
}


def test_only_resources_that_are_not_desired_and_that_no_rollback_needs_are_obsolete() -> None:
    kept = {*kept_configs(SETTINGS, FOUND), "endpoint/kennel-local", "model/kennel-local-m", ALIAS}
    assert set(obsolete_reasons(SETTINGS, FOUND, kept)) == {
        "scalable-target/endpoint/kennel-local-old/variant/main",
        "endpoint/kennel-local-old",
        "endpoint-config/kennel-local-z",
        "endpoint-config/kennel-local-old-o",
        "alarm/kennel-local-main-errors",
        "model/kennel-local-n",
    }


def test_an_endpoint_that_is_not_trained_yet_but_is_in_deploy_toml_stays() -> None:
    assert obsolete_reasons(SETTINGS, {"endpoint/kennel-local-multi": State(tags=TAGS)}, set()) == {}


def test_an_obsolete_resource_goes_before_the_ones_that_it_uses_and_says_why() -> None:
    arn = "arn:aws:sagemaker:us-east-1:123456789012"
    aws = FakeAws(
        {
            "ListEndpoints": {"Endpoints": [{"EndpointName": "kennel-local-old"}]},
            "ListEndpointConfigs": {"EndpointConfigs": [{"EndpointConfigName": "kennel-local-old-o"}]},
            "ListModels": {"Models": [{"ModelName": "kennel-local-n"}, {"ModelName": "other"}]},
            "DescribeScalableTargets": lambda params: {
                "ScalableTargets": [{
                    "ResourceId": "endpoint/kennel-local-old/variant/main", "ScalableTargetARN": f"{arn}:x",
                    "ServiceNamespace": "sagemaker", "ScalableDimension": "d",
                }] if params["ServiceNamespace"] == "sagemaker" else [],
            },
            "ListTagsForResource": {"Tags": TAGS},
            "ListTags": lambda params: {"Tags": [
                {"Key": key, "Value": value} for key, value in config("kennel-local-old").tags.items()
            ]},
        }
    )  # fmt: skip
    steps = [each.plan(each.read(aws)) for each in obsolete(SETTINGS, aws, (), say=lambda _: None)]
    assert [step.address for step in steps] == [
        "scalable-target/endpoint/kennel-local-old/variant/main",
        "endpoint/kennel-local-old",
        "endpoint-config/kennel-local-old-o",
        "model/kennel-local-n",
    ]
    assert {step.action for step in steps} == {"delete"}
    assert steps[1].reason == "is no longer in deploy.toml"
    assert steps[1].touches == "requests fail once it is deleted"
