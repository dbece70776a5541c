"""The autoscaler over a history of metrics: what moves, when, and what it says of it."""

from datetime import timedelta

from tests.unit.localcloud.applicationautoscaling.fakes import TARGET, World


def tracked(least: int = 1, most: int = 4, target: float = 100, cooldown: int = 300) -> World:
    world = World()
    world.register(least, most)
    world.track(target, ScaleOutCooldown=cooldown, ScaleInCooldown=cooldown)
    return world


def test_a_load_above_the_target_adds_what_it_needs_and_is_told_as_an_activity() -> None:
    world = tracked()
    world.ring("AlarmHigh")
    world.measured(250)
    assert world.scalable.asked == [3]
    (activity,) = world.activities()
    assert activity["Description"] == "Setting desired instance count to 3."
    assert activity["StatusCode"] == "InProgress"
    assert "-AlarmHigh-" in activity["Cause"]
    assert activity["Cause"].endswith("in state ALARM triggered policy p")
    world.scalable.finish()
    world.look()
    (activity,) = world.activities()
    assert activity["StatusCode"] == "Successful"
    assert activity["StatusMessage"] == (
        "Successfully set desired instance count to 3. Change successfully fulfilled by sagemaker."
    )


def test_nothing_is_asked_while_a_change_is_under_way_or_somebody_else_updates() -> None:
    world = tracked()
    world.scalable.busy = True
    world.ring("AlarmHigh")
    world.measured(500)
    assert world.scalable.asked == []
    world.scalable.busy = False
    world.measured(300)
    world.measured(400)
    assert world.scalable.asked == [3]


def test_only_a_minute_that_began_after_the_last_change_counts() -> None:
    world = tracked(cooldown=0)
    world.ring("AlarmHigh")
    world.measured(190)
    world.now += timedelta(seconds=30)
    world.scalable.finish()
    world.look()  # ended at half past
    world.now += timedelta(seconds=30)
    world.look()  # the minute that has just ended began with one instance
    assert world.scalable.asked == [2]
    world.measured(150)
    assert world.scalable.asked == [2, 3]


def test_cooldowns_hold_the_next_step_back() -> None:
    world = tracked(most=9, cooldown=180)
    world.ring("AlarmHigh")
    world.measured(200)
    world.scalable.finish()
    world.look()
    for _ in range(2):
        world.measured(110)
    assert world.scalable.asked == [2]
    world.measured(110)
    assert world.scalable.asked == [2, 3]


def test_an_idle_variant_goes_in_one_by_one_down_to_its_minimum() -> None:
    world = tracked(least=2, cooldown=0)
    world.scalable.count = world.scalable.wanted = 4
    world.ring("AlarmLow")
    for _ in range(6):
        world.measured(0)
        world.scalable.finish()
        world.look()
    assert world.scalable.asked == [3, 2]
    (told, *_) = world.activities(IncludeNotScaledActivities=True)
    assert told["NotScaledReasons"] == [{"Code": "AlreadyAtMinCapacity", "CurrentCapacity": 2, "MinCapacity": 2}]
    assert len(world.activities()) == 2


def test_a_load_at_the_maximum_is_told_once() -> None:
    world = tracked(most=1)
    world.ring("AlarmHigh")
    for _ in range(3):
        world.measured(900)
    assert world.scalable.asked == []
    assert world.activities() == []
    (told,) = world.activities(IncludeNotScaledActivities=True)
    assert told["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "CurrentCapacity": 1, "MaxCapacity": 1}]


def test_a_refused_change_fails_with_the_services_words_and_is_tried_again_later() -> None:
    world = tracked(cooldown=0)
    world.scalable.refusal = "no capacity"
    world.ring("AlarmHigh")
    world.measured(300)
    (activity,) = world.activities()
    assert activity["StatusCode"] == "Failed"
    assert activity["StatusMessage"] == "Failed to set desired instance count to 3. Reason: no capacity"
    world.scalable.refusal = ""
    world.measured(300)
    assert world.scalable.asked == [3]


def test_an_instance_that_does_not_start_fails_the_activity() -> None:
    world = tracked()
    world.ring("AlarmHigh")
    world.measured(300)
    world.scalable.busy = False
    world.look()
    (activity,) = world.activities()
    assert activity["StatusMessage"].endswith("Reason: 1 are running.")


def test_an_endpoint_that_is_gone_moves_nothing() -> None:
    world = tracked()
    world.ring("AlarmHigh")
    world.measured(300)
    world.scalable.gone = True
    world.look()
    world.measured(300)
    assert [each["StatusCode"] for each in world.activities()] == ["Failed"]


def test_a_schedule_sets_the_bounds_and_brings_the_capacity_within_them() -> None:
    world = World()
    world.register(1, 4)
    world.do(
        "PutScheduledAction", **TARGET, ScheduledActionName="morning", Schedule="cron(0 13 * * ? *)",
        ScalableTargetAction={"MinCapacity": 3},
    )  # fmt: skip
    world.look()
    assert world.scalable.asked == []
    world.now += timedelta(hours=1)
    world.scalable.busy = True
    world.look()
    world.scalable.busy = False
    world.look()  # what an update held back is made up for
    assert world.scalable.asked == [3]
    (target,) = world.do("DescribeScalableTargets", ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 4)
    moved, bounds = world.activities()
    assert bounds["Description"] == "Setting min capacity to 3"
    assert bounds["Cause"] == "scheduled action name morning was triggered"
    assert moved["Cause"] == "minimum capacity was set to 3"


def test_a_suspended_schedule_passes_and_a_minimum_above_the_maximum_fails() -> None:
    world = World()
    world.register(1, 2, SuspendedState={"ScheduledScalingSuspended": True})
    world.do(
        "PutScheduledAction", **TARGET, ScheduledActionName="often", Schedule="rate(1 minute)",
        ScalableTargetAction={"MinCapacity": 3},
    )  # fmt: skip
    world.measured(0)
    assert world.activities() == []
    world.do("RegisterScalableTarget", **TARGET, SuspendedState={"ScheduledScalingSuspended": False})
    world.measured(0)
    assert [each["StatusCode"] for each in world.activities()] == ["Failed"]
    assert world.scalable.asked == []


def test_a_step_policy_moves_by_the_alarm_that_names_it() -> None:
    world = World()
    world.register(1, 9)
    steps = {
        "AdjustmentType": "ChangeInCapacity", "Cooldown": 60,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}],
    }  # fmt: skip
    made = world.do("PutScalingPolicy", **TARGET, PolicyName="p", StepScalingPolicyConfiguration=steps)
    world.track(target=100)  # replaces it, with alarms of its own
    world.do("DeleteScalingPolicy", **TARGET, PolicyName="p")
    assert world.alarms.kept == {}
    made = world.do("PutScalingPolicy", **TARGET, PolicyName="p", StepScalingPolicyConfiguration=steps)
    other = World()
    other.register()
    other.track(100)
    (high, _) = other.alarms.kept.values()
    world.alarms.put_alarm(
        type(high)(**(vars(high) | {"name": "mine", "actions": (made["PolicyARN"],)})), description=""
    )
    world.ring("mine")
    world.measured(120)
    assert world.scalable.asked == [3]
