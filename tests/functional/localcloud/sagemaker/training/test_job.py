"""A training job's whole life on an in-memory Docker and S3; the folders are real."""

import json
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from localcloud.cloudwatch.metrics import metric
from localcloud.errors import ApiError
from localcloud.s3 import Location
from tests.functional.localcloud.sagemaker.training.support import SPOT, Bench, hosts, obedient, until
from tests.unit.localcloud.fakes import FakeContainer, channel, training_request


def test_a_job_passes_through_its_states_and_leaves_nothing_on_this_machine(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    answer = bench.finish()
    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("Completed", "Completed")
    states = [entry["Status"] for entry in answer["SecondaryStatusTransitions"]]
    assert states == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all(isinstance(entry["EndTime"], datetime) for entry in answer["SecondaryStatusTransitions"])
    assert answer["ModelArtifacts"]["S3ModelArtifacts"] == "s3://data/out/job-1/output/model.tar.gz"
    assert answer["BillableTimeInSeconds"] >= 1
    assert not bench.engine.containers
    assert not bench.engine.networks
    assert not list((tmp_path / "work").iterdir())


def test_every_host_sees_its_config_and_data_and_the_models_of_all_are_merged(tmp_path: Path) -> None:
    by_host: dict[str, Any] = {}

    def program(container: FakeContainer) -> int:
        config = json.loads((container.folder("/opt/ml/input/config") / "resourceconfig.json").read_text())
        host = config["current_host"]
        data = container.folder("/opt/ml/input/data/train")
        by_host[host] = (container.spec.command, config["hosts"], sorted(path.name for path in data.iterdir()))
        (container.folder("/opt/ml/model") / f"{host}.bin").write_text(host)
        (container.folder("/opt/ml/output/data") / "same.txt").write_text(host)
        return 0

    given = channel(S3DataDistributionType="ShardedByS3Key")
    bench = Bench(tmp_path, program, ResourceConfig=hosts(2), InputDataConfig=[given])
    for name in "abc":
        bench.objects.put(Location(bucket="data", key=f"in/{name}"), b"x")
    bench.finish()
    both = ["algo-1", "algo-2"]
    assert by_host == {"algo-1": (("train",), both, ["a", "c"]), "algo-2": (("train",), both, ["b"])}
    assert bench.tar("out/job-1/output/model.tar.gz") == {"algo-1.bin": b"algo-1", "algo-2.bin": b"algo-2"}
    assert bench.tar("out/job-1/output/output.tar.gz") == {"same.txt": b"algo-1"}
    assert [spec.hostname for spec in bench.engine.specs] == both


def test_logs_and_metrics_come_from_what_the_hosts_say(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        container.say("epoch 1 loss=0.5")
        container.say("epoch 2 loss=0.25")
        return 0

    algorithm = training_request()["AlgorithmSpecification"]
    algorithm["MetricDefinitions"] = [{"Name": "train:loss", "Regex": "loss=([0-9.]+)"}]
    bench = Bench(tmp_path, program, AlgorithmSpecification=algorithm)
    answer = bench.finish()
    [(stream, lines)] = bench.logs.streams.items()
    assert stream.startswith("/aws/sagemaker/TrainingJobs:job-1/algo-1-")
    assert lines == ["epoch 1 loss=0.5", "epoch 2 loss=0.25"]
    assert [(m["MetricName"], m["Value"]) for m in answer["FinalMetricDataList"]] == [("train:loss", 0.25)]
    published = metric("/aws/sagemaker/TrainingJobs", "train:loss", TrainingJobName="job-1")
    now = time.time() + 60  # the period that has just begun counts too
    series = bench.cloud.metrics.series
    assert series(published, "SampleCount", 60, 2, now).count(None) < 2
    assert min(value for value in series(published, "Minimum", 60, 2, now) if value is not None) == 0.25
    assert max(value for value in series(published, "Maximum", 60, 2, now) if value is not None) == 0.5


def test_a_failed_host_ends_the_others_and_its_words_are_the_reason(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        if container.spec.hostname == "algo-1":
            return obedient()(container)
        (container.folder("/opt/ml/output") / "failure").write_text("class 7 has no pictures")
        return 2

    bench = Bench(tmp_path, program, ResourceConfig=hosts(2))
    answer = bench.finish()
    assert answer["TrainingJobStatus"] == "Failed"
    assert answer["FailureReason"] == "AlgorithmError: class 7 has no pictures, exit code: 2"
    assert ("data", "out/job-1/output/model.tar.gz") not in bench.objects.content


def test_a_failure_without_words_gives_the_exit_code(tmp_path: Path) -> None:
    assert Bench(tmp_path, lambda _: 3).finish()["FailureReason"] == "AlgorithmError: , exit code: 3"


def test_a_missing_image_fails_the_job_and_says_so(tmp_path: Path) -> None:
    algorithm = {"TrainingImage": "kennel/none:1", "TrainingInputMode": "File"}
    reason = Bench(tmp_path, AlgorithmSpecification=algorithm).finish()["FailureReason"]
    assert reason.startswith("ClientError: Cannot find image kennel/none:1")


def test_a_container_that_cannot_start_fails_the_job_with_dockers_words(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.engine.refusal = 'exec: "train": executable file not found in $PATH'
    reason = bench.finish()["FailureReason"]
    assert "CannotStartContainerError" in reason
    assert "executable file not found" in reason
    assert not bench.engine.networks


def test_stop_sends_sigterm_and_keeps_what_the_job_saved(tmp_path: Path) -> None:
    started = threading.Event()

    def program(container: FakeContainer) -> int:
        code = obedient(started)(container)
        (container.folder("/opt/ml/model") / "partial").write_text("x")
        return code

    bench = Bench(tmp_path, program)
    job = bench.start()
    assert started.wait(10)
    job.stop()
    assert job.record.status in ("Stopping", "Stopped")
    answer = bench.wait()
    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "partial" in bench.tar("out/job-1/output/model.tar.gz")
    with pytest.raises(ApiError, match="in status Stopped"):
        job.stop()


def test_a_job_that_ignores_sigterm_is_killed_after_the_grace(tmp_path: Path) -> None:
    started = threading.Event()

    def deaf(container: FakeContainer) -> int:
        started.set()
        container.ended.wait()
        return 0

    bench = Bench(tmp_path, deaf)
    job = bench.start(grace=0.2)
    assert started.wait(10)
    job.stop()
    assert bench.wait()["TrainingJobStatus"] == "Stopped"


def test_the_runtime_limit_stops_the_job(tmp_path: Path) -> None:
    bench = Bench(tmp_path, obedient(), StoppingCondition={"MaxRuntimeInSeconds": 1})
    answer = bench.finish()
    assert (answer["TrainingJobStatus"], answer["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_an_interrupted_spot_job_starts_again_from_its_checkpoints_alone(tmp_path: Path) -> None:
    started = threading.Event()
    listings: list[list[str]] = []

    def program(container: FakeContainer) -> int:
        folder = container.folder("/opt/ml/checkpoints")
        listings.append(sorted(path.name for path in folder.iterdir()))
        (container.folder("/opt/ml/model") / f"model-{len(listings)}").write_text("x")
        if len(listings) == 1:
            (folder / "step-10").write_text("weights")
            return obedient(started, code=143)(container)
        return 0

    bench = Bench(tmp_path, program, **SPOT)
    job = bench.start()
    assert started.wait(10)
    job.interrupt()
    answer = bench.wait()
    assert answer["TrainingJobStatus"] == "Completed"
    assert listings == [[], ["step-10"]]
    assert list(bench.tar("out/job-1/output/model.tar.gz")) == ["model-2"]
    states = [entry["Status"] for entry in answer["SecondaryStatusTransitions"]]
    assert states[:6] == ["Starting", "Downloading", "Training", "Interrupted", "Starting", "Downloading"]


def test_a_job_that_is_not_spot_cannot_be_interrupted(tmp_path: Path) -> None:
    started = threading.Event()
    bench = Bench(tmp_path, obedient(started))
    job = bench.start()
    assert started.wait(10)
    with pytest.raises(ApiError, match="is not a spot job"):
        job.interrupt()
    job.stop()
    bench.wait()


def test_checkpoints_are_in_s3_while_the_job_still_runs_and_deletes_follow(tmp_path: Path) -> None:
    go_on = threading.Event()

    def program(container: FakeContainer) -> int:
        folder = container.folder("/opt/ml/checkpoints")
        (folder / "new").write_text("x")
        (folder / "old").unlink()
        go_on.wait(20)
        return 0

    bench = Bench(tmp_path, program, CheckpointConfig={"S3Uri": "s3://data/ck/"})
    bench.objects.put(Location(bucket="data", key="ck/old"), b"x")
    bench.start()
    until(lambda: bench.objects.keys("data") == ["ck/new"])
    go_on.set()
    assert bench.wait()["TrainingJobStatus"] == "Completed"


def test_localcloud_going_down_kills_what_runs_and_uploads_nothing(tmp_path: Path) -> None:
    started = threading.Event()
    bench = Bench(tmp_path, obedient(started))
    job = bench.start()
    assert started.wait(10)
    job.close()
    assert not bench.engine.containers
    assert not bench.engine.networks
    assert not bench.objects.content
    assert job.record.status == "Failed"


def test_an_isolated_job_runs_on_a_network_without_a_way_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path, EnableNetworkIsolation=True)
    bench.finish()
    assert len(bench.engine.isolated_networks) == 1
    assert "AWS_ENDPOINT_URL" not in bench.engine.specs[0].environment


def test_a_local_folder_and_fastfile_are_mounted_read_only(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    fast = channel("fast") | {"InputMode": "FastFile"}
    bench = Bench(tmp_path, InputDataConfig=[channel(uri=f"file://{pictures}"), fast])
    bench.objects.put(Location(bucket="data", key="in/a"), b"x")
    assert bench.finish()["TrainingJobStatus"] == "Completed"
    mounts = {mount.target: mount for mount in bench.engine.specs[0].mounts}
    assert mounts["/opt/ml/input/data/train"].source == str(pictures)
    assert mounts["/opt/ml/input/data/train"].read_only
    assert mounts["/opt/ml/input/data/fast"].read_only
    assert not mounts["/opt/ml"].read_only


def test_gpus_are_given_only_when_the_instance_and_the_host_have_them(tmp_path: Path) -> None:
    resources = hosts(1) | {"InstanceType": "ml.g5.12xlarge"}
    without = Bench(tmp_path / "a", ResourceConfig=resources)
    without.finish()
    having = Bench(tmp_path / "b", ResourceConfig=resources)
    having.engine.gpus = True
    having.finish()
    assert [bench.engine.specs[0].gpus for bench in (without, having)] == [0, 4]


def test_a_server_that_is_not_root_opens_what_the_containers_root_wrote_before_reading_it(tmp_path: Path) -> None:
    def program(container: FakeContainer) -> int:
        if container.spec.entrypoint == ("chmod",):
            [written] = container.folder("/folder").rglob("secret")
            written.rename(written.with_name("opened"))
            return 0
        (container.folder("/opt/ml/model") / "secret").write_text("x")
        return 0

    bench = Bench(tmp_path, program)
    bench.start(root=False)
    assert bench.wait()["TrainingJobStatus"] == "Completed"
    assert list(bench.tar("out/job-1/output/model.tar.gz")) == ["opened"]
    assert [spec.user for spec in bench.engine.specs] == [None, "0"]
    assert not bench.engine.containers


def test_a_manifest_names_what_is_fetched(tmp_path: Path) -> None:
    files: list[str] = []

    def program(container: FakeContainer) -> int:
        data = container.folder("/opt/ml/input/data/train")
        files.extend(path.relative_to(data).as_posix() for path in sorted(data.rglob("*")) if path.is_file())
        return 0

    given = channel(uri="s3://data/list.json", S3DataType="ManifestFile")
    bench = Bench(tmp_path, program, InputDataConfig=[given])
    bench.objects.put(Location(bucket="data", key="list.json"), b'[{"prefix": "s3://data/in/"}, "a/x", "y"]')
    for key in ("in/a/x", "in/y", "in/z"):
        bench.objects.put(Location(bucket="data", key=key), b"x")
    assert bench.finish()["TrainingJobStatus"] == "Completed"
    assert files == ["a/x", "y"]
