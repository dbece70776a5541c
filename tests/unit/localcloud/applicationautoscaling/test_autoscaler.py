"""The autoscaler over a history of metrics: what it changes, when, and the activities that it records."""

from datetime import timedelta

from tests.unit.localcloud.applicationautoscaling.fakes import TARGET, Fakes


def tracked(minimum: int = 1, maximum: int = 4, target: float = 100, cooldown: int = 300) -> Fakes:
    fakes = Fakes()
    fakes.register(minimum, maximum)
    fakes.track(target, ScaleOutCooldown=cooldown, ScaleInCooldown=cooldown)
    return fakes


def test_a_load_above_the_target_adds_what_it_needs_and_records_an_activity() -> None:
    fakes = tracked()
    fakes.set_alarm("AlarmHigh")
    fakes.minute(250)
    assert fakes.scalable.changes == [3]
    (activity,) = fakes.activities()
    assert activity["Description"] == "Setting desired instance count to 3."
    assert activity["StatusCode"] == "InProgress"
    assert "-AlarmHigh-" in activity["Cause"]
    assert activity["Cause"].endswith("in state ALARM triggered policy p")
    fakes.scalable.finish()
    fakes.tick()
    (activity,) = fakes.activities()
    assert activity["StatusCode"] == "Successful"
    assert activity["StatusMessage"] == (
        "Successfully set desired instance count to 3. Change successfully fulfilled by sagemaker."
    )


def test_nothing_is_changed_during_a_change_of_its_own_or_of_anybody_else() -> None:
    fakes = tracked()
    fakes.scalable.busy = True
    fakes.set_alarm("AlarmHigh")
    fakes.minute(500)
    assert fakes.scalable.changes == []
    fakes.scalable.busy = False
    fakes.minute(300)
    fakes.minute(400)
    assert fakes.scalable.changes == [3]


def test_only_a_minute_that_began_after_the_last_change_counts() -> None:
    fakes = tracked(cooldown=0)
    fakes.set_alarm("AlarmHigh")
    fakes.minute(190)
    fakes.now += timedelta(seconds=30)
    fakes.scalable.finish()
    fakes.tick()  # the change ends in the middle of a minute
    fakes.now += timedelta(seconds=30)
    fakes.tick()  # the minute that has just ended began with one instance
    assert fakes.scalable.changes == [2]
    fakes.minute(150)
    assert fakes.scalable.changes == [2, 3]


def test_cooldowns_delay_the_next_step() -> None:
    fakes = tracked(maximum=9, cooldown=180)
    fakes.set_alarm("AlarmHigh")
    fakes.minute(200)
    fakes.scalable.finish()
    fakes.tick()
    for _ in range(2):
        fakes.minute(110)
    assert fakes.scalable.changes == [2]
    fakes.minute(110)
    assert fakes.scalable.changes == [2, 3]


def test_an_idle_variant_goes_in_one_by_one_down_to_its_minimum() -> None:
    fakes = tracked(minimum=2, cooldown=0)
    fakes.scalable.count = fakes.scalable.desired = 4
    fakes.set_alarm("AlarmLow")
    for _ in range(6):
        fakes.minute(0)
        fakes.scalable.finish()
        fakes.tick()
    assert fakes.scalable.changes == [3, 2]
    (activity, *_) = fakes.activities(IncludeNotScaledActivities=True)
    assert activity["NotScaledReasons"] == [{"Code": "AlreadyAtMinCapacity", "CurrentCapacity": 2, "MinCapacity": 2}]
    assert len(fakes.activities()) == 2


def test_a_load_at_the_maximum_is_recorded_once() -> None:
    fakes = tracked(maximum=1)
    fakes.set_alarm("AlarmHigh")
    for _ in range(3):
        fakes.minute(900)
    assert fakes.scalable.changes == []
    assert fakes.activities() == []
    (activity,) = fakes.activities(IncludeNotScaledActivities=True)
    assert activity["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "CurrentCapacity": 1, "MaxCapacity": 1}]


def test_a_refused_change_fails_with_the_services_message_and_is_tried_again_later() -> None:
    fakes = tracked(cooldown=0)
    fakes.scalable.refusal = "no capacity"
    fakes.set_alarm("AlarmHigh")
    fakes.minute(300)
    (activity,) = fakes.activities()
    assert activity["StatusCode"] == "Failed"
    assert activity["StatusMessage"] == "Failed to set desired instance count to 3. Reason: no capacity"
    fakes.scalable.refusal = ""
    fakes.minute(300)
    assert fakes.scalable.changes == [3]


def test_an_instance_that_does_not_start_fails_the_activity() -> None:
    fakes = tracked()
    fakes.set_alarm("AlarmHigh")
    fakes.minute(300)
    fakes.scalable.busy = False
    fakes.tick()
    (activity,) = fakes.activities()
    assert activity["StatusMessage"].endswith("Reason: 1 are running.")


def test_an_endpoint_that_is_gone_moves_nothing() -> None:
    fakes = tracked()
    fakes.set_alarm("AlarmHigh")
    fakes.minute(300)
    fakes.scalable.gone = True
    fakes.tick()
    fakes.minute(300)
    assert [each["StatusCode"] for each in fakes.activities()] == ["Failed"]


def test_a_schedule_sets_the_bounds_and_brings_the_capacity_within_them() -> None:
    fakes = Fakes()
    fakes.register(1, 4)
    fakes.do(
        "PutScheduledAction", **TARGET, ScheduledActionName="morning", Schedule="cron(0 13 * * ? *)",
        ScalableTargetAction={"MinCapacity": 3},
    )  # fmt: skip
    fakes.tick()
    assert fakes.scalable.changes == []
    fakes.now += timedelta(hours=1)
    fakes.scalable.busy = True
    fakes.tick()
    fakes.scalable.busy = False
    fakes.tick()  # the change that the update delayed
    assert fakes.scalable.changes == [3]
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
    fakes.minute(0)
    assert fakes.activities() == []
    fakes.do("RegisterScalableTarget", **TARGET, SuspendedState={"ScheduledScalingSuspended": False})
    fakes.minute(0)
    assert [each["StatusCode"] for each in fakes.activities()] == ["Failed"]
    assert fakes.scalable.changes == []


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
    fakes.set_alarm("mine")
    fakes.minute(120)
    assert fakes.scalable.changes == [3]
