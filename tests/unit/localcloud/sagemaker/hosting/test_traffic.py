"""Routing by weights, and what an update keeps."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from localcloud.sagemaker.hosting.traffic import (
    Share,
    Step,
    choose_instance,
    initial_share,
    traffic_steps,
    updated_shares,
)
from localcloud.weighted import choose_variant


@given(
    st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1e6), min_size=1, max_size=5),
    st.floats(0, 1, exclude_max=True),
)
def test_no_traffic_goes_to_a_variant_of_weight_zero(weights: dict[str, float], point: float) -> None:
    if sum(weights.values()) == 0:
        with pytest.raises(ValueError, match="weight 0"):
            choose_variant(weights, point)
    else:
        assert weights[choose_variant(weights, point)] > 0


def test_variants_share_the_traffic_in_proportion_to_their_weights() -> None:
    weights = {"A": 3.0, "B": 1.0}
    chosen = [choose_variant(weights, (number + 0.5) / 1000) for number in range(1000)]
    assert (chosen.count("A"), chosen.count("B")) == (750, 250)


def test_the_least_busy_instance_is_chosen_and_equal_ones_take_turns() -> None:
    assert choose_instance([2, 0, 1], 5) == 1
    assert [choose_instance([1, 1, 1], turn) for turn in range(4)] == [0, 1, 2, 0]
    with pytest.raises(ValueError, match="no instance"):
        choose_instance([], 0)


VARIANTS = [
    {"VariantName": "A", "InitialInstanceCount": 1, "InitialVariantWeight": 1.0},
    {"VariantName": "B", "InitialInstanceCount": 2},
]
RUNNING = {"A": Share(weight=5.0, count=4), "gone": Share(weight=1.0, count=9)}


def test_an_update_resets_a_scaled_out_variant_unless_told_to_retain() -> None:
    assert updated_shares(VARIANTS, RUNNING, retain=False) == {
        "A": Share(weight=1.0, count=1),
        "B": Share(weight=1.0, count=2),
    }
    assert updated_shares(VARIANTS, RUNNING, retain=True) == {
        "A": Share(weight=5.0, count=4),
        "B": Share(weight=1.0, count=2),
    }


def test_excluded_properties_are_not_retained() -> None:
    kept = updated_shares(VARIANTS, RUNNING, retain=True, exclude=["DesiredWeight"])
    assert kept["A"] == Share(weight=1.0, count=4)
    kept = updated_shares(VARIANTS, RUNNING, retain=True, exclude=["DesiredInstanceCount"])
    assert kept["A"] == Share(weight=5.0, count=1)


def test_a_serverless_variant_is_one_container() -> None:
    assert initial_share({"VariantName": "A", "ServerlessConfig": {}}) == Share(weight=1.0, count=1)


def routing(kind: str, **sizes: object) -> dict[str, object]:
    traffic = {"Type": kind, "WaitIntervalInSeconds": 30, **sizes}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": traffic}}


def test_traffic_moves_at_once_by_canary_or_in_equal_steps_and_always_ends_complete() -> None:
    assert traffic_steps({}, 1) == [Step(green=1.0, wait=0.0)]
    assert traffic_steps(routing("ALL_AT_ONCE"), 1) == [Step(green=1.0, wait=30.0)]
    canary = routing("CANARY", CanarySize={"Type": "CAPACITY_PERCENT", "Value": 10})
    assert traffic_steps(canary, 4) == [Step(green=0.1, wait=30.0), Step(green=1.0, wait=30.0)]
    linear = routing("LINEAR", LinearStepSize={"Type": "INSTANCE_COUNT", "Value": 1})
    assert [step.green for step in traffic_steps(linear, 4)] == [0.25, 0.5, 0.75, 1.0]
    thirds = traffic_steps(routing("LINEAR", LinearStepSize={"Type": "CAPACITY_PERCENT", "Value": 33}), 3)
    assert thirds[-1].green == 1.0
    assert len(thirds) == 4
