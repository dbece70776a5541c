"""The command line and gunicorn's configuration, before gunicorn takes over."""

import pytest

from serve.__main__ import gunicorn_options, main
from serve.environment import Settings


def test_one_worker_process_that_drains_within_the_platforms_time() -> None:
    options = gunicorn_options(Settings(port=8888, max_requests=10))
    assert options["bind"] == "0.0.0.0:8888"
    assert (options["workers"], options["worker_class"]) == (1, "serve.worker.DrainingWorker")
    assert options["graceful_timeout"] < 30
    assert "preload_app" not in options


def test_help_says_every_variable(capsys: pytest.CaptureFixture[str]) -> None:
    from serve.environment import KNOWN

    assert main(["--help"], {}) == 0
    text = capsys.readouterr().out
    assert [name for name in KNOWN if name not in text] == []


def test_an_unknown_argument_and_a_bad_variable_end_with_2_and_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train"], {}) == 2
    assert "unknown arguments ['train']" in capsys.readouterr().err
    assert main(["serve"], {"KENNEL_TOP_K": "many"}) == 2
    assert "KENNEL_TOP_K" in capsys.readouterr().err
