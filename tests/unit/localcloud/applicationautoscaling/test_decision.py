"""The capacity that a policy proposes, and what bounds and cooldowns make of it: tables."""

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
def test_tracking_scales_out_by_the_metric_and_in_by_one(current: int, value: float, is_out: bool, count: int) -> None:
    assert target_tracking.desired(current=current, value=value, target=100, is_out=is_out) == count


@pytest.mark.parametrize(
    ("metric", "name", "statistic", "period", "low"),
    [
        (INVOCATIONS, "InvocationsPerInstance", "Sum", 60, 15),
        (CONCURRENCY, "ConcurrentRequestsPerModel", "Average", 10, 90),
    ],
)
def test_a_policy_creates_two_alarms_on_its_metric(
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


def test_with_scale_in_disabled_there_is_no_low_alarm() -> None:
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
def test_the_breach_chooses_the_step(config: dict[str, Any], current: int, breach: float, count: int) -> None:
    assert step_scaling.desired({"StepAdjustments": STEPS} | config, current=current, breach=breach) == count


def proposal(count: int, policy: str = "p") -> Proposal:
    return Proposal(policy=policy, alarm="a", count=count, cooldown_out=30, cooldown_in=60)


def moved(before: int, after: int) -> Move:
    """A move that ended at 100, with a cooldown of 50."""
    return Move(before=before, after=after, cooldown=50, activity={}, ended=100)


def decision_of(
    *proposals: Proposal,
    current: int = 2,
    moved: Move | None = None,
    now: float = 120,
    voters: int = 1,
    **suspended: bool,
) -> Decision | None:
    bounds = Bounds(minimum=1, maximum=6, suspended=suspended)
    return decide(proposals, current=current, bounds=bounds, voters=voters, moved=moved, now=now)


@pytest.mark.parametrize(
    ("proposals", "current", "count"),
    [((3, 5), 2, 5), ((9,), 2, 6), ((1,), 2, 1), ((0,), 2, 1), ((3, 2), 4, 3), ((1, 5), 3, 5)],
)
def test_the_largest_proposal_wins_within_the_bounds(proposals: tuple[int, ...], current: int, count: int) -> None:
    made = decision_of(*map(proposal, proposals), current=current)
    assert made is not None
    assert (made.count, made.not_scaled) == (count, "")


def test_nothing_moves_beyond_the_bounds_and_the_decision_says_why() -> None:
    highest, lowest = decision_of(proposal(9), current=6), decision_of(proposal(0), current=1)
    assert highest is not None
    assert highest.not_scaled == "AlreadyAtMaxCapacity"
    assert lowest is not None
    assert lowest.not_scaled == "AlreadyAtMinCapacity"


def test_during_the_cooldown_of_a_scale_out_only_what_exceeds_it_is_added() -> None:
    assert decision_of(proposal(3), moved=moved(1, 2)) is None
    larger = decision_of(proposal(5), moved=moved(1, 2))
    assert larger is not None
    assert larger.count == 4
    rested = decision_of(proposal(3), moved=moved(1, 2), now=151)
    assert rested is not None
    assert rested.count == 3


def test_the_cooldown_of_a_scale_in_delays_a_scale_in_and_no_scale_out() -> None:
    assert decision_of(proposal(1), moved=moved(3, 2)) is None
    assert decision_of(proposal(1), moved=moved(3, 2), now=151) is not None
    out = decision_of(proposal(4), moved=moved(3, 2))
    assert out is not None
    assert out.count == 4


def test_every_tracking_policy_must_propose_to_scale_in() -> None:
    assert decision_of(proposal(1), voters=2) is None
    unanimous = decision_of(proposal(1, "p"), proposal(2, "q"), current=4, voters=2)
    assert unanimous is not None
    assert unanimous.count == 2


def test_suspended_scaling_does_not_move() -> None:
    assert decision_of(proposal(4), DynamicScalingOutSuspended=True) is None
    assert decision_of(proposal(1), DynamicScalingInSuspended=True) is None
    assert decision_of(proposal(4), DynamicScalingInSuspended=True) is not None
