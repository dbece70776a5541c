"""How far a policy wants to go, and whether bounds and cooldowns let it: tables."""

from typing import Any

import pytest

from localcloud.applicationautoscaling import step_scaling, target_tracking
from localcloud.applicationautoscaling.decision import Bounds, Decision, Proposal, decide
from localcloud.applicationautoscaling.records import Move

RESOURCE = "endpoint/E/variant/A"
INVOCATIONS = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
CONCURRENCY = {"PredefinedMetricType": "SageMakerVariantConcurrentRequestsPerModelHighResolution"}


@pytest.mark.parametrize(
    ("current", "value", "is_out", "count"),
    [
        (1, 150.0, True, 2),
        (2, 250.0, True, 5),
        (2, 200.0, True, 4),
        (3, 100.1, True, 4),
        (0, 7.0, True, 1),
        (4, 20.0, False, 3),
        (4, 0.0, False, 3),
        (2, 89.0, False, 2),
        (2, 50.0, False, 1),
    ],
)
def test_tracking_goes_out_by_the_metric_and_in_by_one(current: int, value: float, is_out: bool, count: int) -> None:
    assert target_tracking.desired(current=current, value=value, target=100, is_out=is_out) == count


@pytest.mark.parametrize(
    ("metric", "name", "statistic", "period", "low"),
    [
        (INVOCATIONS, "InvocationsPerInstance", "Sum", 60, 15),
        (CONCURRENCY, "ConcurrentRequestsPerModel", "Average", 10, 90),
    ],
)
def test_a_policy_makes_the_two_alarms_of_its_metric(
    metric: dict[str, str], name: str, statistic: str, period: int, low: int
) -> None:
    config = {"TargetValue": 70, "PredefinedMetricSpecification": metric}
    high, under = target_tracking.alarms(config, RESOURCE, "x", "arn:policy")
    assert high.name == "TargetTracking-endpoint/E/variant/A-AlarmHigh-x"
    assert high.metric.name == name
    assert dict(high.metric.dimensions) == {"EndpointName": "E", "VariantName": "A"}
    assert (high.statistic, high.period, high.threshold, high.evaluation_periods) == (statistic, period, 70, 3)
    assert (under.comparison, under.threshold, under.evaluation_periods) == ("LessThanThreshold", 63, low)
    assert high.actions == ("arn:policy",)


def test_without_scaling_in_there_is_no_low_alarm() -> None:
    config = {"TargetValue": 70, "PredefinedMetricSpecification": INVOCATIONS, "DisableScaleIn": True}
    assert len(target_tracking.alarms(config, RESOURCE, "x", "")) == 1


def test_functions_and_customized_metrics_are_tracked_by_their_own_dimensions() -> None:
    utilization = {"PredefinedMetricSpecification": {"PredefinedMetricType": "LambdaProvisionedConcurrencyUtilization"}}
    tracked = target_tracking.tracked(utilization, "function:f:live")
    assert dict(tracked.metric.dimensions) == {"FunctionName": "f", "Resource": "f:live"}
    own = {
        "Namespace": "AWS/SageMaker", "MetricName": "ApproximateBacklogSizePerInstance", "Statistic": "Average",
        "Dimensions": [{"Name": "EndpointName", "Value": "E"}],
    }  # fmt: skip
    tracked = target_tracking.tracked({"CustomizedMetricSpecification": own}, RESOURCE)
    assert (tracked.metric.name, tracked.statistic) == ("ApproximateBacklogSizePerInstance", "Average")


STEPS = [
    {"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": -1},
    {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 10.0, "ScalingAdjustment": 1},
    {"MetricIntervalLowerBound": 10.0, "ScalingAdjustment": 3},
]


@pytest.mark.parametrize(
    ("config", "current", "breach", "count"),
    [
        ({}, 2, 0.0, 3),
        ({}, 2, 10.0, 5),
        ({}, 2, -4.0, 1),
        ({"AdjustmentType": "ExactCapacity"}, 7, 12.0, 3),
        ({"AdjustmentType": "PercentChangeInCapacity", "StepAdjustments": [{"ScalingAdjustment": 50}]}, 3, 1.0, 4),
        ({"AdjustmentType": "PercentChangeInCapacity", "StepAdjustments": [{"ScalingAdjustment": 10}]}, 3, 1.0, 4),
        ({"AdjustmentType": "PercentChangeInCapacity", "StepAdjustments": [{"ScalingAdjustment": -10}]}, 3, 1.0, 2),
        (
            {
                "AdjustmentType": "PercentChangeInCapacity", "MinAdjustmentMagnitude": 2,
                "StepAdjustments": [{"ScalingAdjustment": 10}],
            },
            3, 1.0, 5,
        ),
        ({"StepAdjustments": [{"MetricIntervalLowerBound": 5.0, "ScalingAdjustment": 1}]}, 2, 1.0, 2),
    ],
)  # fmt: skip
def test_a_step_is_chosen_by_how_far_the_metric_is_beyond(
    config: dict[str, Any], current: int, breach: float, count: int
) -> None:
    assert step_scaling.desired({"StepAdjustments": STEPS} | config, current=current, breach=breach) == count


def wants(count: int, policy: str = "p") -> Proposal:
    return Proposal(policy=policy, alarm="a", count=count, cooldown_out=30, cooldown_in=60)


def moved(before: int, after: int) -> Move:
    """A move that ended at 100 and rests for 50."""
    return Move(before=before, after=after, cooldown=50, activity={}, ended=100)


def ask(
    *proposals: Proposal,
    current: int = 2,
    moved: Move | None = None,
    now: float = 120,
    voters: int = 1,
    **suspended: bool,
) -> Decision | None:
    bounds = Bounds(least=1, most=6, suspended=suspended)
    return decide(proposals, current=current, bounds=bounds, voters=voters, moved=moved, now=now)


@pytest.mark.parametrize(
    ("proposals", "current", "count"),
    [((3, 5), 2, 5), ((9,), 2, 6), ((1,), 2, 1), ((0,), 2, 1), ((3, 2), 4, 3), ((1, 5), 3, 5)],
)
def test_the_most_is_asked_for_and_the_bounds_hold(proposals: tuple[int, ...], current: int, count: int) -> None:
    decision = ask(*map(wants, proposals), current=current)
    assert decision is not None
    assert (decision.count, decision.not_scaled) == (count, "")


def test_nothing_moves_beyond_the_bounds_and_the_reason_is_told() -> None:
    most, least = ask(wants(9), current=6), ask(wants(0), current=1)
    assert most is not None
    assert most.not_scaled == "AlreadyAtMaxCapacity"
    assert least is not None
    assert least.not_scaled == "AlreadyAtMinCapacity"


def test_while_a_scale_out_rests_only_what_exceeds_it_is_added() -> None:
    assert ask(wants(3), moved=moved(1, 2)) is None
    larger = ask(wants(5), moved=moved(1, 2))
    assert larger is not None
    assert larger.count == 4
    rested = ask(wants(3), moved=moved(1, 2), now=151)
    assert rested is not None
    assert rested.count == 3


def test_a_scale_in_rests_and_a_scale_out_does_not_wait_for_it() -> None:
    assert ask(wants(1), moved=moved(3, 2)) is None
    assert ask(wants(1), moved=moved(3, 2), now=151) is not None
    out = ask(wants(4), moved=moved(3, 2))
    assert out is not None
    assert out.count == 4


def test_every_tracking_policy_must_agree_to_go_in() -> None:
    assert ask(wants(1), voters=2) is None
    agreed = ask(wants(1, "p"), wants(2, "q"), current=4, voters=2)
    assert agreed is not None
    assert agreed.count == 2


def test_what_is_suspended_does_not_move() -> None:
    assert ask(wants(4), DynamicScalingOutSuspended=True) is None
    assert ask(wants(1), DynamicScalingInSuspended=True) is None
    assert ask(wants(4), DynamicScalingInSuspended=True) is not None
