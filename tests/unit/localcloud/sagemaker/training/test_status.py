"""Statuses move forward, each with its times."""

from datetime import UTC, datetime, timedelta

from localcloud.sagemaker.training.status import Record, failed, failure_reason

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_entering_a_status_ends_the_one_before() -> None:
    later = NOW + timedelta(seconds=5)
    record = Record(created=NOW, modified=NOW).entered("Starting", NOW).entered("Downloading", later)
    assert [(t.status, t.start, t.end) for t in record.transitions] == [
        ("Starting", NOW, later),
        ("Downloading", later, None),
    ]
    assert (record.status, record.secondary, record.modified) == ("InProgress", "Downloading", later)


def test_the_last_status_is_closed_too() -> None:
    record = Record(created=NOW, modified=NOW).entered("Starting", NOW).entered("Failed", NOW, status="Failed")
    assert record.status == "Failed"
    assert all(t.end == NOW for t in record.transitions)


def test_a_failure_reason_never_exceeds_what_the_api_carries() -> None:
    assert len(failed("x" * 3000).failure or "") == 1024


def test_the_failure_reason_keeps_the_text_and_the_code_within_1024_characters() -> None:
    assert failure_reason("", 3) == "AlgorithmError: , exit code: 3"
    reason = failure_reason("x" * 5000, 1)
    assert len(reason) == 1024
    assert reason.endswith("x, exit code: 1")
    assert "more memory" in failure_reason("", 137, out_of_memory=True)
