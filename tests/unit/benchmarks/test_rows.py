"""A table's row: which way its ratio goes, and when the target is met."""

from __future__ import annotations

import json

import pytest

from benchmarks.harness import alone, at_least, at_most, column, interleaved, machine, not_measured, speedup


def test_a_cost_is_met_when_ours_is_at_most_the_target_share_of_the_peers() -> None:
    row = at_most("CPU", [1.0, 3.0, 2.0], [8.0, 8.0, 8.0], "peer", target=0.25)
    assert (row.ours, row.peer, row.ratio, row.worst_ratio, row.met) == (2.0, 8.0, 0.25, 0.375, True)
    assert not at_most("CPU", [3.0], [8.0], "peer", target=0.25).met


def test_a_rate_is_met_when_ours_is_at_least_the_target_times_the_peers() -> None:
    row = at_least("pictures/s", [50.0, 40.0, 60.0], [10.0, 10.0, 10.0], "peer", target=5.0)
    assert (row.ratio, row.worst_ratio, row.met) == (5.0, 4.0, True)
    assert not at_least("pictures/s", [49.0], [10.0], "peer", target=5.0).met


def test_a_speedup_is_the_peers_time_over_ours() -> None:
    row = speedup("seconds", [2.0, 4.0, 2.0], [30.0, 30.0, 30.0], "peer", target=15.0)
    assert (row.ratio, row.worst_ratio, row.met) == (15.0, 7.5, True)


def test_a_row_without_a_target_or_a_measurement_is_neither_met_nor_missed() -> None:
    assert at_most("bytes", [1.0], [2.0], "peer").met is None
    silent = not_measured("step rate", "synthetic tensors", "needs a GPU", target=0.95)
    assert (silent.met, silent.ratio) == (None, None)
    assert "needs a GPU" in str(silent)


def test_a_printed_row_says_that_its_target_was_missed() -> None:
    assert "MISSED" in str(at_least("rate", [1.0], [1.0], "peer", target=2.0))


@pytest.mark.parametrize(
    "row", [at_most("a", [1.0], [2.0], "p", target=1.0), alone("b", [1.0]), not_measured("c", "p", "why")]
)
def test_a_row_is_written_with_every_key_a_reader_expects(row: object) -> None:
    written = json.loads(json.dumps(row.to_dict()))  # type: ignore[attr-defined]
    assert {"what", "ours", "peer", "peer_name", "ratio", "target", "met"} <= set(written)


def test_candidates_take_turns_and_the_warm_rounds_are_discarded() -> None:
    order: list[str] = []

    def candidate(name: str) -> dict[str, float]:
        order.append(name)
        return {"ms": float(len(order))}

    runs = interleaved({"a": lambda: candidate("a"), "b": lambda: candidate("b")}, 2, warm=1, say=lambda _: None)
    assert order == ["a", "b"] * 3
    assert column(runs["a"], "ms") == [3.0, 5.0]


def test_the_machine_is_described_with_its_cpus_instruction_sets() -> None:
    line = machine({"torch": "2.15.0"}, cpuinfo="model name\t: Some CPU\nflags\t: avx2 avx512_vnni sse")
    assert line.startswith("Some CPU (avx2 avx512_vnni), ")
    assert "torch 2.15.0" in line
