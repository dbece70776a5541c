"""Stop, interrupt and close at the moments when they are easy to lose."""

import threading
from pathlib import Path

import pytest

from localcloud.errors import ApiError
from localcloud.s3 import Location
from tests.functional.localcloud.sagemaker.training.support import SPOT, Bench, obedient, until
from tests.unit.localcloud.fakes import FakeContainer, FakeObjects, channel


class SlowObjects(FakeObjects):
    """S3 in memory whose downloads or uploads wait for the test."""

    def __init__(self, slow: str) -> None:
        super().__init__("data")
        self.slow = slow
        self.reached, self.go_on = threading.Event(), threading.Event()
        self.put(Location(bucket="data", key="in/a"), b"x")

    def download(self, where: Location, target: Path) -> None:
        self._pass("download")
        super().download(where, target)

    def upload(self, source: Path, where: Location) -> None:
        self._pass("upload")
        super().upload(source, where)

    def _pass(self, action: str) -> None:
        if action == self.slow:
            self.reached.set()
            self.go_on.wait(10)


def test_a_stop_during_the_download_starts_no_container(tmp_path: Path) -> None:
    objects = SlowObjects("download")
    bench = Bench(tmp_path, objects=objects, InputDataConfig=[channel()])
    job = bench.start()
    assert objects.reached.wait(10)
    job.stop()
    assert job.record.status == "Stopping"
    objects.go_on.set()
    answer = bench.wait()
    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert bench.engine.specs == []
    assert objects.keys("data") == ["in/a"]


def test_a_stop_during_the_upload_loses_no_model(tmp_path: Path) -> None:
    objects = SlowObjects("upload")

    def program(container: FakeContainer) -> int:
        (container.folder("/opt/ml/model") / "weights").write_text("x")
        return 0

    bench = Bench(tmp_path, program, objects=objects)
    job = bench.start()
    assert objects.reached.wait(10)
    job.stop()
    job.stop()
    objects.go_on.set()
    answer = bench.wait()
    assert answer["TrainingJobStatus"] == "Completed"
    assert [entry["Status"] for entry in answer["SecondaryStatusTransitions"]][-3:] == [
        "Uploading", "Stopping", "Completed",
    ]  # fmt: skip
    assert bench.tar("out/job-1/output/model.tar.gz") == {"weights": b"x"}


def test_a_close_during_the_download_ends_the_job_before_a_container_starts(tmp_path: Path) -> None:
    objects = SlowObjects("download")
    bench = Bench(tmp_path, objects=objects, InputDataConfig=[channel()])
    job = bench.start()
    assert objects.reached.wait(10)
    closer = threading.Thread(target=job.close)
    closer.start()
    objects.go_on.set()
    closer.join(10)
    assert job.record.failure == "ClientError: localcloud went down"
    assert bench.engine.specs == []
    assert not list((tmp_path / "work").iterdir())


def test_a_close_does_not_wait_for_a_stop_that_waits_for_a_deaf_container(tmp_path: Path) -> None:
    started = threading.Event()

    def deaf(container: FakeContainer) -> int:
        started.set()
        container.ended.wait()
        return 0

    bench = Bench(tmp_path, deaf)
    job = bench.start()
    assert started.wait(10)
    job.stop()
    job.close()
    assert (job.record.status, job.record.failure) == ("Failed", "ClientError: localcloud went down")
    assert not bench.engine.containers


def test_a_second_interrupt_of_the_same_attempt_does_not_interrupt_the_next(tmp_path: Path) -> None:
    started, ending, go_on = threading.Event(), threading.Event(), threading.Event()
    attempts: list[int] = []

    def program(container: FakeContainer) -> int:
        attempts.append(1)
        if len(attempts) > 1:
            return 0
        code = obedient(started, code=143)(container)
        ending.set()
        go_on.wait(10)
        return code

    bench = Bench(tmp_path, program, **SPOT)
    job = bench.start()
    assert started.wait(10)
    job.interrupt()
    assert ending.wait(10)
    job.interrupt()
    go_on.set()
    answer = bench.wait()
    assert answer["TrainingJobStatus"] == "Completed"
    assert len(attempts) == 2
    assert [entry["Status"] for entry in answer["SecondaryStatusTransitions"]].count("Interrupted") == 1


def test_every_attempt_can_be_interrupted(tmp_path: Path) -> None:
    started = [threading.Event(), threading.Event()]
    attempts: list[int] = []

    def program(container: FakeContainer) -> int:
        attempts.append(1)
        return obedient(started[len(attempts) - 1], code=143)(container) if len(attempts) < 3 else 0

    bench = Bench(tmp_path, program, **SPOT)
    job = bench.start()
    for event in started:
        assert event.wait(10)
        job.interrupt()
    answer = bench.wait()
    assert answer["TrainingJobStatus"] == "Completed"
    assert [entry["Status"] for entry in answer["SecondaryStatusTransitions"]].count("Interrupted") == 2


def test_a_stop_of_an_interrupted_job_ends_it_without_another_attempt(tmp_path: Path) -> None:
    started, ending, go_on = threading.Event(), threading.Event(), threading.Event()

    def program(container: FakeContainer) -> int:
        code = obedient(started, code=143)(container)
        ending.set()
        go_on.wait(10)
        return code

    bench = Bench(tmp_path, program, **SPOT)
    job = bench.start()
    assert started.wait(10)
    job.interrupt()
    assert ending.wait(10)
    job.stop()
    go_on.set()
    assert bench.wait()["TrainingJobStatus"] == "Stopped"
    assert len(bench.engine.specs) == 1


def test_a_job_is_interrupted_only_while_it_trains(tmp_path: Path) -> None:
    objects = SlowObjects("upload")
    bench = Bench(tmp_path, objects=objects, **(SPOT | {"CheckpointConfig": None}))
    job = bench.start()
    assert objects.reached.wait(10)
    with pytest.raises(ApiError, match="is Uploading, not Training"):
        job.interrupt()
    objects.go_on.set()
    assert bench.wait()["TrainingJobStatus"] == "Completed"


def test_the_name_is_free_only_after_the_folder_is_gone(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    job = bench.start()
    until(lambda: job.record.ended is not None)
    assert not (tmp_path / "work" / "training-job-1").exists()
