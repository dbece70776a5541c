"""From JPEGs to features: the rows, and the check that no work was skipped."""

from typing import Any

import pytest

from benchmarks import train_features


def measurement(**changes: Any) -> dict[str, Any]:
    row = {
        "model": "resnet50", "round": 0, "ours": 20.0, "bare": 19.0, "abreast": 18.0, "plain": 40.0, "decode": 1.5,
        "off": 0.004, "precision": "bf16",
    }  # fmt: skip
    return row | changes


def test_the_target_compares_the_pass_with_the_bare_forward_of_the_same_network() -> None:
    bare, abreast, plain = train_features.rows([measurement()])
    assert (bare.ours, bare.ratio, bare.target, bare.met) == (50.0, 0.95, 0.95, True)
    assert (abreast.ratio, abreast.target, plain.ratio) == (0.9, None, 2.0)
    assert bare.note == "bf16, off by 0.40%, decoding 1.50 ms of CPU a picture"
    assert train_features.rows([measurement(ours=21.0)])[0].met is False


@pytest.mark.parametrize("off", [0.5, float("nan")])
def test_a_run_whose_features_differ_is_refused(off: float) -> None:
    with pytest.raises(train_features.DifferentError, match="resnet50"):
        train_features.check(measurement(off=off))
