"""The autoscaler over a history of metrics: what moves, when, and what it says of it."""

from datetime import timedelta

from tests.unit.localcloud.applicationautoscaling.fakes import TARGET, Fakes


def tracked(least: int = 1, most: int = 4, target: float = 100, cooldown: int = 300) -> Fakes:
    fakes = Fakes()
    fakes.register(least, most)
    fakes.track(target, ScaleOutCooldown=cooldown, ScaleInCooldown=cooldown)
    return fakes


def test_a_load_above_the_target_adds_what_it_needs_and_is_told_as_an_activity() -> None:
    fakes = tracked()
    fakes.ring("AlarmHigh")
    fakes.measured(250)
    assert fakes.scalable.asked == [3]
    (activity,) = fakes.activities()
    assert activity["Description"] == "Setting desired instance count to 3."
    assert activity["StatusCode"] == "InProgress"
    assert "-AlarmHigh-" in activity["Cause"]
    assert activity["Cause"].endswith("in state ALARM triggered policy p")
    fakes.scalable.finish()
    fakes.look()
    (activity,) = fakes.activities()
    assert activity["StatusCode"] == "Successful"
    assert activity["StatusMessage"] == (
        "Successfully set desired instance count to 3. Change successfully fulfilled by sagemaker."
    )


def test_nothing_is_asked_while_a_change_is_under_way_or_somebody_else_updates() -> None:
    fakes = tracked()
    fakes.scalable.busy = True
    fakes.ring("AlarmHigh")
    fakes.measured(500)
    assert fakes.scalable.asked == []
    fakes.scalable.busy = False
    fakes.measured(300)
    fakes.measured(400)
    assert fakes.scalable.asked == [3]


def test_only_a_minute_that_began_after_the_last_change_counts() -> None:
    fakes = tracked(cooldown=0)
    fakes.ring("AlarmHigh")
    fakes.measured(190)
    fakes.now += timedelta(seconds=30)
    fakes.scalable.finish()
    fakes.look()  # ended at half past
    fakes.now += timedelta(seconds=30)
    fakes.look()  # the minute that has just ended began with one instance
    assert fakes.scalable.asked == [2]
    fakes.measured(150)
    assert fakes.scalable.asked == [2, 3]


def test_cooldowns_hold_the_next_step_back() -> None:
    fakes = tracked(most=9, cooldown=180)
    fakes.ring("AlarmHigh")
    fakes.measured(200)
    fakes.scalable.finish()
    fakes.look()
    for _ in range(2):
        fakes.measured(110)
    assert fakes.scalable.asked == [2]
    fakes.measured(110)
    assert fakes.scalable.asked == [2, 3]


def test_an_idle_variant_goes_in_one_by_one_down_to_its_minimum() -> None:
    fakes = tracked(least=2, cooldown=0)
    fakes.scalable.count = fakes.scalable.wanted = 4
    fakes.ring("AlarmLow")
    for _ in range(6):
        fakes.measured(0)
        fakes.scalable.finish()
        fakes.look()
    assert fakes.scalable.asked == [3, 2]
    (told, *_) = fakes.activities(IncludeNotScaledActivities=True)
    assert told["NotScaledReasons"] == [{"Code": "AlreadyAtMinCapacity", "CurrentCapacity": 2, "MinCapacity": 2}]
    assert len(fakes.activities()) == 2


def test_a_load_at_the_maximum_is_told_once() -> None:
    fakes = tracked(most=1)
    fakes.ring("AlarmHigh")
    for _ in range(3):
        fakes.measured(900)
    assert fakes.scalable.asked == []
    assert fakes.activities() == []
    (told,) = fakes.activities(IncludeNotScaledActivities=True)
    assert told["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "CurrentCapacity": 1, "MaxCapacity": 1}]


def test_a_refused_change_fails_with_the_services_words_and_is_tried_again_later() -> None:
    fakes = tracked(cooldown=0)
    fakes.scalable.refusal = "no capacity"
    fakes.ring("AlarmHigh")
    fakes.measured(300)
    (activity,) = fakes.activities()
    assert activity["StatusCode"] == "Failed"
    assert activity["StatusMessage"] == "Failed to set desired instance count to 3. Reason: no capacity"
    fakes.scalable.refusal = ""
    fakes.measured(300)
    assert fakes.scalable.asked == [3]


def test_an_instance_that_does_not_start_fails_the_activity() -> None:
    fakes = tracked()
    fakes.ring("AlarmHigh")
    fakes.measured(300)
    fakes.scalable.busy = False
    fakes.look()
    (activity,) = fakes.activities()
    assert activity["StatusMessage"].endswith("Reason: 1 are running.")


def test_an_endpoint_that_is_gone_moves_nothing() -> None:
    fakes = tracked()
    fakes.ring("AlarmHigh")
    fakes.measured(300)
    fakes.scalable.gone = True
    fakes.look()
    fakes.measured(300)
    assert [each["StatusCode"] for each in fakes.activities()] == ["Failed"]


def test_a_schedule_sets_the_bounds_and_brings_the_capacity_within_them() -> None:
    fakes = Fakes()
    fakes.register(1, 4)
    fakes.do(
        "PutScheduledAction", **TARGET, ScheduledActionName="morning", Schedule="cron(0 13 * * ? *)",
        ScalableTargetAction={"MinCapacity": 3},
    )  # fmt: skip
    fakes.look()
    assert fakes.scalable.asked == []
    fakes.now += timedelta(hours=1)
    fakes.scalable.busy = True
    fakes.look()
    fakes.scalable.busy = False
    fakes.look()  # what an update held back is made up for
    assert fakes.scalable.asked == [3]
    (target,) = fakes.do("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 4)
    moved, bounds = fakes.activities()
    assert bounds["Description"] == "Setting min capacity to 3"
    assert bounds["Cause"] == "scheduled action name morning was triggered"
    assert moved["Cause"] == "minimum capacity was set to 3"


def test_a_suspended_schedule_passes_and_a_minimum_above_the_maximum_fails() -> None:
    fakes = Fakes()
    fakes.register(1, 2, SuspendedState={"ScheduledScalingSuspended": True})
    fakes.do(
        "PutScheduledAction", **TARGET, ScheduledActionName="often", Schedule="rate(1 minute)",
        ScalableTargetAction={"MinCapacity": 3},
    )  # fmt: skip
    fakes.measured(0)
    assert fakes.activities() == []
    fakes.do("RegisterScalableTarget", **TARGET, SuspendedState={"ScheduledScalingSuspended": False})
    fakes.measured(0)
    assert [each["StatusCode"] for each in fakes.activities()] == ["Failed"]
    assert fakes.scalable.asked == []


def test_a_step_policy_moves_by_the_alarm_that_names_it() -> None:
    fakes = Fakes()
    fakes.register(1, 9)
    steps = {
        "AdjustmentType": "ChangeInCapacity", "Cooldown": 60,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}],
    }  # fmt: skip
    made = fakes.do("PutScalingPolicy", **TARGET, PolicyName="p", StepScalingPolicyConfiguration=steps)
    fakes.track(target=100)  # replaces it, with alarms of its own
    fakes.do("DeleteScalingPolicy", **TARGET, PolicyName="p")
    assert fakes.alarms.kept == {}
    made = fakes.do("PutScalingPolicy", **TARGET, PolicyName="p", StepScalingPolicyConfiguration=steps)
    other = Fakes()
    other.register()
    other.track(100)
    (high, _) = other.alarms.kept.values()
    fakes.alarms.put_alarm(
        type(high)(**(vars(high) | {"name": "mine", "actions": (made["PolicyARN"],)})), description=""
    )
    fakes.ring("mine")
    fakes.measured(120)
    assert fakes.scalable.asked == [3]
