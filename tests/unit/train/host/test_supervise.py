from __future__ import annotations

import signal

import pytest

from train.host.supervise import Ending, outcome, shorten

TORCHRUN = """\
E1121 01:41:59.102 16651 torch/distributed/elastic/multiprocessing/api.py:974] failed (exitcode: {code}) local_rank: 1
Traceback (most recent call last):
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
Root Cause (first observed failure):
[0]:
  time      : 2026-11-21_01:41:59
  rank      : 1 (local_rank: 1)
  exitcode  : {code} (pid: 16651)
  error_file: <N/A>
"""


def tail(own: str, code: int) -> tuple[str, ...]:
    return tuple((own + TORCHRUN.format(code=code)).splitlines())


def test_a_finished_run_exits_with_0() -> None:
    assert outcome(Ending(code=0, marks={})).code == 0
    assert outcome(Ending(code=0, marks={"rank-0.done": "", "rank-1.done": ""}, ranks=2)).code == 0


def test_a_signal_that_comes_after_every_rank_was_done_changes_nothing() -> None:
    ending = Ending(code=1, signal=signal.SIGTERM, marks={"rank-0.done": "", "rank-1.done": ""}, ranks=2)
    assert outcome(ending).code == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_stopped_run_is_not_a_failure(number: int, code: int) -> None:
    found = outcome(Ending(code=1, signal=number, marks={"rank-0.stopped": ""}))
    assert (found.code, found.reason) == (code, "")


def test_a_signal_before_the_ranks_were_ready_is_a_stop_too() -> None:
    assert outcome(Ending(code=-15, signal=signal.SIGTERM, marks={}, tail=("SignalException",))).code == 143


def test_the_first_error_is_the_reason_not_another_rank_s_lost_connection() -> None:
    marks = {
        "rank-0.error": "RuntimeError: [gloo] Connection closed by peer",
        "rank-1.error": "ValueError: bad picture",
    }
    assert outcome(Ending(code=1, marks=marks, ranks=2)).reason == "ValueError: bad picture"


def test_a_rank_s_own_error_is_preferred_to_another_rank_s_report_of_it() -> None:
    marks = {"rank-0.error": "RankError: rank 1: ValueError: bad picture", "rank-1.error": "ValueError: bad picture"}
    assert outcome(Ending(code=1, marks=marks, ranks=2)).reason == "ValueError: bad picture"


def test_the_loss_of_a_peer_on_another_host_says_where_to_look() -> None:
    found = outcome(Ending(code=1, marks={"rank-0.error": "RuntimeError: Connection closed by peer [10.0.0.2]:1"}))
    assert found.reason.endswith("(probably another host or rank ended first: see its log)")


def test_a_kill_for_memory_is_the_reason_even_when_others_complain() -> None:
    marks = {"rank-0.error": "RuntimeError: Connection reset by peer"}
    found = outcome(Ending(code=1, marks=marks, tail=tail("", -9), out_of_memory=True, ranks=2))
    assert found.reason.startswith("rank 1 was killed (SIGKILL, exit code 137): out of memory. Lower batch_size")


def test_a_kill_for_memory_that_torchrun_did_not_see_first_names_no_rank() -> None:
    for lines in (tail("", 1), ()):
        found = outcome(Ending(code=1, marks={}, tail=lines, out_of_memory=True))
        assert found.reason.startswith("a rank was killed (SIGKILL, exit code 137): out of memory")


def test_a_bus_error_points_at_shared_memory() -> None:
    found = outcome(Ending(code=1, marks={}, tail=tail("", -7)))
    assert found.reason == "rank 1 died of SIGBUS: /dev/shm is too small; set workers=0, or run docker with --shm-size"


def test_without_a_rank_s_own_error_its_last_exception_is_the_reason() -> None:
    own = "Traceback (most recent call last):\n  File \"x.py\", line 1, in <module>\nKeyError: 'labels'\n"
    assert outcome(Ending(code=1, marks={}, tail=tail(own, 1))).reason.endswith("exit code 1: KeyError: 'labels'")


def test_a_rank_without_output_has_a_reason_too() -> None:
    assert outcome(Ending(code=3, marks={})).reason == "training ended with exit code 3: no output on stderr"


def test_reasons_are_cut_to_the_length_that_sagemaker_keeps() -> None:
    assert len(shorten("x" * 5000)) == 1024
    assert shorten("short") == "short"


def test_the_only_rank_s_exit_code_tells_which_signal_killed_it() -> None:
    found = outcome(Ending(code=-signal.SIGKILL, marks={}, alone=True))
    assert found.code == 1
    assert found.reason.startswith("rank 0 was killed (SIGKILL, exit code 137): most likely out of memory")
    assert "rank 0 died of SIGSEGV" in outcome(Ending(code=-signal.SIGSEGV, marks={}, alone=True)).reason


def test_the_only_rank_s_error_is_the_reason_when_the_supervisor_had_to_kill_it() -> None:
    marks = {"rank-0.error": "ValueError: bad picture"}
    assert outcome(Ending(code=-signal.SIGKILL, marks=marks, alone=True)).reason == "ValueError: bad picture"
