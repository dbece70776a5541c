"""What a tuning job may say, which values it tries, and when it stops a job early."""

from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.sagemaker.training.request import Limits
from localcloud.sagemaker.tuning import space
from localcloud.sagemaker.tuning.request import RESOURCES, parse
from localcloud.sagemaker.tuning.search import search
from tests.unit.localcloud.sagemaker.tuning.fakes import continuous, tuning_request

CATEGORIES = [{"Name": "a", "Values": ["1", "2"]}, {"Name": "b", "Values": ["x", "y", "x"]}]
GRID = {
    "Strategy": "Grid",
    "ParameterRanges": {"CategoricalParameterRanges": CATEGORIES},
    "ResourceLimits": {"MaxParallelTrainingJobs": 2},
}


def numbers(**changes: str) -> dict[str, Any]:
    return {"ParameterRanges": {"ContinuousParameterRanges": [continuous(**changes)]}}


def integers(**changes: str) -> dict[str, Any]:
    return {"ParameterRanges": {"IntegerParameterRanges": [continuous(**({"low": "1", "high": "9"} | changes))]}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"config": numbers(low="1", high="1")}, "must be below MaxValue"),
        ({"config": numbers(low="one")}, "MinValue of rate: 'one' is not a number"),
        ({"config": numbers(high="inf")}, "not a finite number"),
        ({"config": integers(low="1.5")}, "'1.5' is not an integer"),
        ({"config": numbers(low="0", ScalingType="Logarithmic")}, "needs values above 0"),
        ({"config": numbers(high="1.0", ScalingType="ReverseLogarithmic")}, "up to, but not including, 1"),
        ({"config": integers(ScalingType="ReverseLogarithmic")}, "continuous values"),
        ({"config": {"ParameterRanges": {}}}, "0 ranges; 1 to 30"),
        ({"config": {"ParameterRanges": {"ContinuousParameterRanges": [continuous(), continuous()]}}}, "unique"),
        ({"definition": {"StaticHyperParameters": {"rate": "1"}}}, "has a range and a static value"),
        ({"definition": {"StaticHyperParameters": {str(n): "" for n in range(99)}}}, "more than the 100"),
        ({"definition": {"ResourceConfig": None}}, "either a ResourceConfig or a HyperParameter"),
        ({"definition": {RESOURCES: {"InstanceType": "ml.m5.large"}}}, "needs either a ResourceConfig"),
        ({"definition": {"ResourceConfig": None, RESOURCES: {}}}, "either InstanceType and InstanceCount, or Instance"),
        ({"config": {"Strategy": "Hyperband"}}, "no Hyperband"),
        ({"config": {"Strategy": "Grid"}}, "Grid takes categorical ranges only"),
        ({"config": GRID | {"ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1}}},
         "the grid has 4 combinations"),
        ({"config": {"ResourceLimits": {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 2}}}, "at most"),
        ({"config": {"ResourceLimits": {"MaxParallelTrainingJobs": 2}}}, "is required for this strategy"),
        ({"config": {"HyperParameterTuningJobObjective": None}}, "Objective is required"),
        ({"config": {"HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "f1"}}},
         "f1 is not among the MetricDefinitions: score"),
        ({"Autotune": {"Mode": "Enabled"}}, "leave Autotune out"),
        ({"TrainingJobDefinition": None}, "tunes one TrainingJobDefinition"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=message):
        parse(tuning_request(**changes))


def test_a_training_job_gets_its_values_and_the_objectives_name() -> None:
    tuning = parse(tuning_request(Tags=[{"Key": "k", "Value": "v"}]))
    made = tuning.training_request(7, {"rate": "0.5"})
    assert made.hyperparameters == {"epochs": "3", "rate": "0.5", "_tuning_objective_metric": "score"}
    assert made.name.startswith("tune-1-007-")
    assert made.tags == ({"Key": "k", "Value": "v"},)
    assert made.limits == Limits(runtime=600, wait=None)


def test_a_grid_tries_every_combination_once() -> None:
    request = parse(tuning_request(config=GRID))
    grid = search("Grid", request.ranges, maximise=True, seed=None)
    tried = []
    while (trial := grid.ask()) is not None:
        tried.append(trial[1])
        grid.tell(trial[0], 1.0)
    assert tried == [{"a": a, "b": b} for a in "12" for b in "xy"]


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_values_lie_within_their_ranges_and_a_seed_repeats_them(strategy: str) -> None:
    ranges = space.ranges(
        {
            "ContinuousParameterRanges": [
                continuous("log", "0.001", "0.1", ScalingType="Logarithmic"),
                continuous("reverse", "0.5", "0.999", ScalingType="ReverseLogarithmic"),
            ],
            "IntegerParameterRanges": [continuous("layers", "1", "3")],
            "CategoricalParameterRanges": [{"Name": "kind", "Values": ["a", "b"]}],
        }
    )

    def tried() -> list[dict[str, str]]:
        chooser = search(strategy, ranges, maximise=False, seed=3)
        found = []
        for _ in range(12):
            trial = chooser.ask()
            assert trial is not None
            found.append(trial[1])
            chooser.tell(trial[0], float(trial[1]["log"]))
        return found

    once = tried()
    assert once == tried()
    for chosen in once:
        assert 0.001 <= float(chosen["log"]) <= 0.1
        assert 0.5 <= float(chosen["reverse"]) <= 0.999
        assert chosen["layers"] in "123"
        assert chosen["kind"] in "ab"
    assert len({chosen["log"] for chosen in once}) == 12


def test_what_was_learned_earlier_moves_the_search() -> None:
    ranges = space.ranges({"ContinuousParameterRanges": [continuous("x", "0.0", "1.0")]})
    taught = search("Bayesian", ranges, maximise=True, seed=1)
    for step in range(40):
        taught.learn({"x": str(step / 40)}, -abs(step / 40 - 0.9))
    taught.learn({"x": "7"}, 100.0)  # outside
    taught.learn({"y": "0"}, 100.0)  # another search's
    trial = taught.ask()
    assert trial is not None
    assert float(trial[1]["x"]) > 0.6


@pytest.mark.parametrize(
    ("current", "others", "maximise", "expected"),
    [
        ([0.5], [], True, False),
        ([], [[0.9]], True, False),
        ([0.5], [[0.6], [0.4], [0.7]], True, True),
        ([0.65], [[0.6], [0.4], [0.7]], True, False),
        ([0.1, 0.5], [[0.2, 0.6], [0.2, 0.8]], True, False),  # running averages 0.4 and 0.5, median 0.45
        ([0.9, 0.4], [[0.2, 0.6], [0.2, 0.8]], True, True),
        ([0.9, 0.5], [[0.2, 0.6], [0.2, 0.8]], False, True),
        ([0.1, 0.1, 0.1], [[0.9, 0.9]], True, False),  # nobody got that far yet
    ],
)
def test_a_job_below_the_median_of_running_averages_falls_behind(
    current: list[float], others: list[list[float]], maximise: bool, expected: bool
) -> None:
    assert space.falls_behind(current, others, maximise=maximise) is expected


@pytest.mark.parametrize(
    "resources",
    [
        {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
        {"InstanceConfigs": [{"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30},
                             {"InstanceType": "ml.p3.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 30}],
         "AllocationStrategy": "Prioritized"},
    ],
)  # fmt: skip
def test_the_resources_of_a_tuning_job_are_those_of_its_training_jobs(resources: dict[str, Any]) -> None:
    request = parse(tuning_request(definition={"ResourceConfig": None, RESOURCES: resources}))
    training = request.training_request(1, {"rate": "0.5"})
    assert [host.instance_type for host in training.hosts] == ["ml.m5.large"]
    assert training.described["ResourceConfig"] == {
        "InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30
    }  # fmt: skip
