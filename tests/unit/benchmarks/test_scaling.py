"""The scaling benchmark: containers like SageMaker's, cases, and efficiency."""

from pathlib import Path

import pytest

from benchmarks import scaling
from benchmarks.scaling import BOX, BOXES, ONE, TWO, WIDE
from benchmarks.throughput import cases, launching
from benchmarks.throughput.cases import ALONE, Case

FROZEN = Case(name="features", model="resnet18", frozen=True, crop=64, batch=8, pictures=64)
WHOLE = Case(name="steps", model="resnet18", frozen=False, crop=64, batch=8, pictures=64)


def test_efficiency_is_the_speed_of_two_over_twice_the_speed_of_one() -> None:
    runs = {
        ONE: [{"features": 10.0, "steps": 5.0}],
        WIDE: [{"features": 20.0, "steps": 9.0}],
        TWO: [{"features": 19.0, "steps": 8.0, "steps" + ALONE: 10.0}],
    }
    features, steps, exchange, *wide = scaling.rows(runs, (FROZEN, WHOLE))
    assert (features.ratio, steps.ratio) == (0.95, 0.8)
    assert exchange.ratio == 0.8
    assert [row.peer_name for row in wide] == [WIDE, WIDE]


def test_two_containers_are_compared_with_one() -> None:
    runs = {name: [{"steps": speed, "steps" + ALONE: 2.0}] for name, speed in ((BOX, 1.0), (BOXES, 1.5))}
    row = scaling.rows(runs, (WHOLE,))[0]
    assert (row.ratio, row.peer_name) == (0.75, f"twice {BOX}")


def test_every_case_has_a_target() -> None:
    assert set(scaling.TARGETS) == {case.name for case in scaling.CASES}


def test_cases_survive_being_written_and_read_as_text() -> None:
    assert cases.from_text(cases.to_text([FROZEN, WHOLE])) == [FROZEN, WHOLE]


def test_a_container_has_one_core_sagemakers_mounts_and_its_hosts_name() -> None:
    argv = launching.command("kennel/train:1", "net", Path("/scratch/algo-2"), Path("/pictures"), [WHOLE])
    assert {"--cpus=1", "--shm-size=64m", "--network=net", "--hostname=algo-2"} <= set(argv)
    assert "--volume=/pictures:/opt/ml/input/data/training:ro" in argv
    assert argv[-3:] == ["kennel/train:1", "-m", "benchmarks.throughput.host"]


def test_each_hosts_configuration_names_all_hosts() -> None:
    resources = launching.configuration("algo-2", ("algo-1", "algo-2"), ranks=1)["resourceconfig.json"]
    assert (resources["current_host"], resources["hosts"]) == ("algo-2", ["algo-1", "algo-2"])


@pytest.mark.parametrize("case", scaling.CASES)
def test_a_features_pass_divides_evenly_between_two_ranks(case: Case) -> None:
    assert case.pictures % 128 == 0 or not case.frozen
    assert case.batch % 2 == 0
