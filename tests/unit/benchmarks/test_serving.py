"""The pure parts of the serving benchmarks: the search, the check of answers, k6's summary, bodies and rows."""

import math
from collections.abc import Callable

import pytest

from benchmarks import serve_overload, serve_start, serve_throughput
from benchmarks.serving import capacity, inputs, load
from benchmarks.serving.ours import OURS
from benchmarks.serving.peer import NAMES, file_form, named


def up_to(limit: float, rates: list[float]) -> Callable[[float], bool]:
    def passes(rate: float) -> bool:
        rates.append(rate)
        return rate <= limit

    return passes


@pytest.mark.parametrize(("limit", "start"), [(100.0, 90.0), (100.0, 130.0), (20.0, 21.0)])
def test_the_search_ends_below_the_limit_and_close_to_it(limit: float, start: float) -> None:
    highest = capacity.highest(up_to(limit, []), start, steps=5)

    assert 0.9 * limit <= highest <= limit


def test_the_search_tries_lower_rates_while_none_has_passed_and_then_gives_up() -> None:
    rates: list[float] = []

    assert capacity.highest(up_to(40.0, rates), 100.0, steps=3) > 30.0
    assert len(rates) > 3
    assert capacity.highest(up_to(0.0, rates := []), 100.0, steps=3) == 0.0
    assert len(rates) == 2 * 6


def test_a_burst_of_other_load_does_not_end_the_search_too_low() -> None:
    rates: list[float] = []

    def passes(rate: float) -> bool:
        rates.append(rate)
        return rate <= 100.0 and len(rates) % 2 == 0  # each first try fails

    assert capacity.highest(passes, 90.0, steps=5) >= 90.0


def test_another_best_label_counts_as_wrong_only_where_the_reference_is_sure() -> None:
    expected = [[0.8, 0.1, 0.1], [0.40, 0.35, 0.25]]

    agreement = inputs.agreement([[0.7, 0.2, 0.1], [0.34, 0.36, 0.30]], expected)

    assert (agreement.wrong, agreement.sure) == (0, 1)
    assert agreement.largest == pytest.approx(0.1)
    assert inputs.agreement([[0.1, 0.8, 0.1], [0.4, 0.35, 0.25]], expected).wrong == 1


def test_an_answer_with_another_number_of_labels_is_an_error() -> None:
    with pytest.raises(ValueError, match="longer"):
        inputs.agreement([[0.5, 0.5]], [[0.4, 0.3, 0.3]])


SUMMARY = {
    "main_accepted": {"values": {"count": 90, "med": 12.0, "p(90)": 20.0, "p(99)": 30.0}},
    "main_refused": {"values": {"count": 5, "p(99)": 2.5}},
    "main_failed": {"values": {"count": 1}},
    "main_late": {"values": {"count": 7}},
    "dropped_iterations": {"values": {"count": 4}},
}


def test_arrivals_that_k6_dropped_count_as_failed() -> None:
    phase = load.phase_of(SUMMARY, "main", 8.0)

    assert (phase.accepted, phase.refused, phase.failed, phase.requests) == (90, 5, 5, 100)
    assert (phase.p99, phase.refused_p99, phase.late) == (30.0, 2.5, 7)


def test_a_phase_is_within_the_bound_only_when_all_were_accepted() -> None:
    alone = {"main_accepted": SUMMARY["main_accepted"]}

    assert load.phase_of(alone, "main", 8.0).within(30.0)
    assert not load.phase_of(alone, "main", 8.0).within(29.0)
    assert not load.phase_of(SUMMARY, "main", 8.0).within(500.0)
    assert not load.phase_of({}, "main", 8.0).within(500.0)


def test_a_fractional_rate_keeps_its_fraction() -> None:
    scenario = load.arrivals(7.25, seconds=6.0)

    assert scenario["rate"] / 60 == 7.25
    assert (scenario["timeUnit"], scenario["duration"]) == ("60s", "6000ms")


def test_goodput_leaves_out_late_answers_and_counts_the_time_after_the_last_arrival() -> None:
    over = load.phase_of(SUMMARY, "main", 8.0)

    assert serve_overload.goodput(over) == pytest.approx((90 - 7) / 8.03)


def test_a_form_holds_the_picture_between_its_boundaries() -> None:
    body, content_type = file_form("content")
    boundary = content_type.partition("boundary=")[2].encode()

    head, _, rest = body(b"JPEG").partition(b"\r\n\r\n")

    assert head.startswith(b"--" + boundary)
    assert b'name="content"' in head
    assert rest == b"JPEG\r\n--" + boundary + b"--\r\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_peer_can_be_looked_up_by_name_and_runs_with_and_without_a_model(name: str) -> None:
    for kind in ("resnet50", "null"):
        peer = named(name, kind)
        assert kind in peer.kinds
        assert peer.tuning
        assert all("==" in each for each in peer.packages() if each.startswith(("torch", peer.name)))


def turn(**changed: float) -> dict[str, float]:
    known = {
        "highest": 10.0,
        "closed": 12.0,
        "cpu_equal": 0.2,
        "cpu": 0.1,
        "driver_share": 0.1,
        "p50": 90.0,
        "p90": 120.0,
        "difference": 0.01,
    }
    return {**known, **changed}


def test_only_the_peer_with_the_best_median_has_a_target_and_it_comes_first() -> None:
    runs = {
        "ours": [turn(highest=90.0), turn(highest=96.0), turn(highest=99.0)],
        "slow": [turn(highest=17.0), turn(highest=9.0), turn(highest=9.0)],
        "best": [turn(highest=15.0), turn(highest=16.0), turn(highest=16.0)],
    }

    rows = serve_throughput.rows(runs, serve_throughput.best_peer(runs), {})

    with_target = [row for row in rows if row.target is not None]
    assert [(row.peer_name, row.met, row.worst_ratio) for row in with_target] == [("best", True, 6.0)]
    assert rows[0].peer_name == "best"


def test_the_overload_target_is_missed_when_accepted_answers_take_longer_than_the_bound() -> None:
    measured = {
        "peak": 100.0, "goodput": 95.0, "refused": 0.5, "hinted": 1.0, "refused_p99": 8.0, "accepted_p99": 1500.0,
        "after_p99": 60.0, "after_answered": 1.0,
    }  # fmt: skip

    verdicts = {row.what: row.met for row in serve_overload.rows({"ours": [measured]})}

    assert verdicts["p99 of the accepted, ms"] is False
    assert verdicts["goodput at twice the peak, 1/s"] is True


def test_start_and_pss_have_targets_against_every_peer_and_rss_has_none() -> None:
    ours, theirs = {"start": 1.0, "pss": 100.0, "rss": 150.0}, {"start": 4.0, "pss": 190.0, "rss": 900.0}

    met = {row.what.split(",")[0]: row.met for row in serve_start.rows({"ours": [ours], "peer": [theirs]}, {})}

    assert met["exec to the first 200"] is True
    assert met["memory (PSS) after 50 requests"] is False
    assert met["memory (RSS) after 50 requests"] is None


def test_all_probabilities_of_our_answer_are_read() -> None:
    assert OURS.read(b"[[0.25, 0.75]]") == [0.25, 0.75]
    assert math.isinf(load.phase_of({}, "main", 1.0).p99)
