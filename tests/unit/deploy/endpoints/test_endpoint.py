"""From the observed endpoint to the step of a plan: what is sent, what changes and what stays, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from deploy.endpoints.endpoint import read
from deploy.errors import DeployError
from deploy.planning.apply import apply
from deploy.values import Plan, State, Wait
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.endpoints.fixtures import ARN, IMAGE, TAGS, artifact, endpoint_of, operations, requests, running
from tests.unit.deploy.fakes import FakeAws, FakeTime, refusal

CANARY = '[endpoint.rollout]\nhow = "canary"\nmax_error_percent = 1\nmax_latency_ms = 500\nkeep_old_seconds = 60'
LINEAR = '[endpoint.rollout]\nhow = "linear"\npercent = 25\nwait_seconds = 120'
PAIR = "[endpoint.variants.a]\nweight = 3\n[endpoint.variants.b]\ninstance_count = 2"
UPDATE = ["AddTags", "UpdateEndpoint", "(DescribeEndpoint)"]
SHARE = ["UpdateEndpointWeightsAndCapacities", "(DescribeEndpoint)", "AddTags"]


@pytest.mark.parametrize(
    ("name", "text", "contracts"),
    [("all-at-once", "", (53, 55)), ("canary", CANARY, (53, 55, 56)), ("linear", LINEAR, (53, 55, 56))],
)
def test_each_rollout_is_a_request_that_aws_takes(
    name: str, text: str, contracts: tuple[int, ...], golden: Golden
) -> None:
    step = endpoint_of(text, image="kennel/serve:2").plan(running(endpoint_of(text)))
    past, update = requests(step)
    golden(f"update-{name}", update, rules=contracts)
    if name == "all-at-once":
        golden("history", past)


def test_creating_an_endpoint_and_changing_its_weights_are_requests_that_aws_takes(golden: Golden) -> None:
    golden("endpoint", requests(endpoint_of("").plan(None))[0])
    other = PAIR.replace("3", "1").replace("instance_count = 2", "instance_count = 4")
    golden("shares", requests(endpoint_of(other).plan(running(endpoint_of(PAIR))))[0])


@pytest.mark.parametrize(
    ("before", "after", "status", "sent"),
    [
        ("", "", "InService", []),
        ("", "", "Creating", ["(DescribeEndpoint)"]),
        (PAIR, PAIR.replace("3", "1"), "InService", SHARE),
        (PAIR, PAIR.replace("3", "1"), "Updating", ["(DescribeEndpoint)", *SHARE]),
        ("", "[endpoint]\nstartup_timeout_s = 600", "InService", UPDATE),
        ("", "[endpoint]\nstartup_timeout_s = 600", "Updating", ["(DescribeEndpoint)", *UPDATE]),
        ("", "[endpoint]\nstartup_timeout_s = 600\ninstance_count = 3", "InService", [*UPDATE, *SHARE]),
        (PAIR, PAIR.split("[endpoint.variants.b]", maxsplit=1)[0], "InService", [*UPDATE, "AddTags"]),
        ("", '[endpoint]\nkind = "async"', "InService",
         ["DeleteEndpoint", "(DescribeEndpoint)", "CreateEndpoint", "(DescribeEndpoint)"]),
        ("", "", "Failed", ["DeleteEndpoint", "(DescribeEndpoint)", "CreateEndpoint", "(DescribeEndpoint)"]),
        ("", "", "Deleting", ["(DescribeEndpoint)", "CreateEndpoint", "(DescribeEndpoint)"]),
    ],
)  # fmt: skip
def test_what_is_sent_depends_on_the_observed_endpoint(before: str, after: str, status: str, sent: list[str]) -> None:
    assert operations(endpoint_of(after).plan(running(endpoint_of(before), status=status))) == sent


def test_an_update_under_way_to_the_right_version_is_waited_for_and_not_repeated() -> None:
    desired = endpoint_of("", image="kennel/serve:2")
    observed = running(endpoint_of(""), status="Updating", pending=desired.config)
    assert operations(desired.plan(observed)) == ["(DescribeEndpoint)"]


def test_scaled_out_capacity_stays_and_the_plan_says_so() -> None:
    observed = running(endpoint_of(""))
    scaled = replace(observed, fields={**observed.fields, "shares": {"main": {"weight": 1.0, "instances": 4}}})
    assert endpoint_of("").plan(scaled).action == "none"
    step = endpoint_of("", image="kennel/serve:2").plan(scaled)
    assert operations(step) == UPDATE
    assert step.touches.endswith("the capacity stays (main 4)")


def test_where_autoscaling_is_on_a_deploy_leaves_the_count_alone() -> None:
    text = "[endpoint]\ninstance_count = 3\n[endpoint.autoscaling]\nmax = 4"
    step = endpoint_of(text).plan(running(endpoint_of("[endpoint.autoscaling]\nmax = 4")))
    assert step.action == "none"


def test_a_plan_says_field_by_field_what_changes_and_how_traffic_moves() -> None:
    step = endpoint_of(CANARY, image="kennel/serve:2", job="train-2").plan(running(endpoint_of(CANARY)))
    changed = {change.field: (change.before, change.after) for change in step.changes}
    assert changed["main.Image"] == (IMAGE, "kennel/serve:2")
    assert changed["main.ModelDataUrl"] == (artifact("train-1"), artifact("train-2"))
    assert set(changed) == {"config", "main.Image", "main.ModelDataUrl"}
    assert step.touches == (
        "10 % of the traffic moves when the new instances are healthy, the rest after 300 s; the old version stays "
        "60 s longer; AWS rolls back when an alarm goes off (kennel-local-main-errors, kennel-local-main-latency); "
        "main has one instance, and AWS does not say what a part of one is; the capacity stays (main 1)"
    )


def test_a_plan_shows_why_a_version_was_rolled_back_before() -> None:
    desired = endpoint_of("", image="kennel/serve:2")
    key = desired.config.rpartition("-")[2]
    tried = running(endpoint_of(""), tags={"kennel:history": f"37a27b66b9 {key}"}, reason="alarm e-main-errors")
    reason = "another version; the last deploy tried it and AWS rolled it back: alarm e-main-errors"
    assert desired.plan(tried).reason == reason
    assert desired.plan(running(endpoint_of(""), reason="of another version")).reason == "another version"


def test_a_plan_shows_new_weights() -> None:
    step = endpoint_of(PAIR.replace("3", "1")).plan(running(endpoint_of(PAIR)))
    assert [(change.field, change.before, change.after) for change in step.changes] == [("a.weight", 3.0, 1.0)]
    assert step.touches == "in place: the instances that stay keep serving"


def test_traffic_does_not_shift_step_by_step_between_variants_of_other_names() -> None:
    text = '[endpoint.rollout]\nhow = "canary"\n'
    with pytest.raises(DeployError, match=r"canary needs the same variants .*main become a, b; .*all-at-once"):
        endpoint_of(text + PAIR).plan(running(endpoint_of(text)))


ONE = PAIR.split("[endpoint.variants.b]", maxsplit=1)[0]


@pytest.mark.parametrize(
    ("before", "after", "retains", "capacity"),
    [
        ("", "", True, "the capacity stays (main 1)"),
        ("", PAIR, None, "the capacity begins anew"),
        (PAIR, ONE, True, "the capacity stays (a 1)"),
    ],
)
def test_variants_of_other_names_change_without_a_blue_green_policy_and_the_plan_says_so(
    before: str, after: str, retains: bool | None, capacity: str
) -> None:
    guard = "[endpoint.rollout]\nmax_error_percent = 1\nkeep_old_seconds = 60\n"
    step = endpoint_of(guard + after, image="kennel/serve:2").plan(running(endpoint_of(guard + before)))
    update = next(each for each in requests(step) if each.operation == "UpdateEndpoint")
    is_same = before == after
    assert update.params.get("RetainAllVariantProperties") is retains
    assert ("DeploymentConfig" in update.params) is is_same
    assert ("no alarm watches, because the variants have other names" in step.touches) is not is_same
    assert step.touches.endswith(capacity)


def test_a_serverless_endpoint_has_no_capacity_to_retain(golden: Golden) -> None:
    text = '[endpoints.small]\nkind = "serverless"\n'
    before = running(endpoint_of(text, "kennel-local-small"))
    step = endpoint_of(f"{text}memory_mb = 2048", "kennel-local-small").plan(before)
    update = next(each for each in requests(step) if each.operation == "UpdateEndpoint")
    assert update.params.keys() == {"EndpointName", "EndpointConfigName"}
    golden("update-serverless", update)


def test_two_instances_have_parts_to_shift() -> None:
    two = "[endpoint]\ninstance_count = 2\n" + CANARY
    step = endpoint_of(two, image="kennel/serve:2").plan(running(endpoint_of(two)))
    assert "a part of one" not in step.touches


def test_an_endpoint_made_before_detailed_observability_had_a_key_is_moved_and_the_plan_says_why() -> None:
    desired, before = endpoint_of(""), running(endpoint_of(""))
    was = {name: {**each, "EnableDetailedObservability": True} for name, each in desired.serves.items()}
    step = desired.plan(replace(before, fields={**before.fields, "config": "kennel-local-old", "serves": was}))
    changed = {change.field: (change.before, change.after) for change in step.changes}
    assert changed.keys() == {"config", "main.EnableDetailedObservability"}
    assert changed["main.EnableDetailedObservability"] == (True, False)


def test_an_endpoint_that_failed_says_why_and_what_to_look_at() -> None:
    observed = running(endpoint_of(""), status="Failed", reason="ping")
    step = endpoint_of("").plan(observed)
    assert (step.action, step.reason, step.touches) == ("replace", "is Failed: ping", "nothing serves now")
    wait = step.acts[-1]
    assert isinstance(wait, Wait)
    assert wait.fix.startswith("./inv logs kennel-local shows")


def test_an_endpoint_that_stays_in_creating_comes_with_the_next_command() -> None:
    creating = FakeAws({"DescribeEndpoint": {"EndpointStatus": "Creating"}})
    todo = Plan(steps=(endpoint_of("").plan(None),))
    with pytest.raises(DeployError, match=r"(?s)still Creating after 2280 s.*/inv logs kennel-local.*/inv why"):
        apply(todo, creating, clock=FakeTime().clock())


def test_an_endpoint_that_changes_its_kind_is_replaced_and_the_plan_says_that_requests_fail() -> None:
    step = endpoint_of('[endpoint]\nkind = "serverless"').plan(running(endpoint_of("")))
    assert step.reason == "real-time cannot become serverless by an update"
    assert step.touches == "requests fail until the new endpoint is in service"


def test_a_running_endpoint_is_read_variant_by_variant() -> None:
    aws = FakeAws(
        {
            "DescribeEndpoint": {
                "EndpointArn": ARN, "EndpointConfigName": "old", "EndpointStatus": "InService",
                "ProductionVariants": [{"VariantName": "main", "DesiredWeight": 1.0, "DesiredInstanceCount": 3}],
            },
            "DescribeEndpointConfig": {
                "ProductionVariants": [{
                    "VariantName": "main", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1,
                }],
                "MetricsConfig": {"EnableDetailedObservability": True, "MetricPublishFrequencyInSeconds": 60},
            },
            # AWS adds the members that the request left out (rule 103): they are no change.
            "DescribeModel": {"PrimaryContainer": {
                "Image": IMAGE, "ModelDataUrl": artifact("train-1"), "Environment": {}, "Mode": "SingleModel",
                "ModelDataSource": {"S3DataSource": {"S3Uri": artifact("train-1")}},
            }},
            "ListTags": {"Tags": [{"Key": key, "Value": value} for key, value in TAGS.items()]},
        }
    )  # fmt: skip
    observed = read("kennel-local", aws, config="new")
    assert observed is not None
    assert observed.fields["shares"] == {"main": {"weight": 1.0, "instances": 3}}
    assert observed.fields["serves"] == {
        "main": {
            "Image": IMAGE,
            "ModelDataUrl": artifact("train-1"),
            "InstanceType": "ml.m5.large",
            "EnableDetailedObservability": True,
        }
    }
    assert (
        read("e", FakeAws({"DescribeEndpoint": refusal("ValidationException", "Could not find endpoint e.")})) is None
    )


def test_what_is_not_ours_is_not_touched() -> None:
    foreign = State(fields={"config": "x"}, attributes={"arn": ARN}, tags={"team": "other"}, status="Failed")
    with pytest.raises(DeployError, match="does not carry the tags"):
        endpoint_of("").plan(foreign)
