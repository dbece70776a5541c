"""Network by network: the rows, and the check that no work was skipped."""

from typing import Any

import pytest

from benchmarks import train_models


def measurement(**changes: Any) -> dict[str, Any]:
    row = {
        "model": "resnet18", "round": 0, "plain_step": 10.0, "our_step": 6.0, "plain_features": 4.0,
        "our_features": 4.4, "loss": 0.001, "features": 0.01, "precision": "bf16",
    }  # fmt: skip
    return row | changes


def test_a_network_has_a_row_for_its_step_and_one_for_its_features() -> None:
    step, features = train_models.rows([measurement()])
    assert (step.ratio, step.met) == (0.6, True)
    assert (features.ratio, features.met) == (1.1, False)
    assert features.note == "bf16, off by 1.00%"


@pytest.mark.parametrize("wrong", [{"loss": -0.2}, {"features": 0.5}, {"loss": float("nan")}])
def test_a_run_whose_loss_or_features_differ_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(train_models.DifferentError, match="resnet18"):
        train_models.check(measurement(**wrong))
