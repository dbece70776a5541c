"""CreateTrainingJob in real containers, through boto3 and its waiters."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localcloud.daemon import Status
from tests.container.localcloud.sagemaker.training_support import (
    Bench,
    docker_kill,
    internal_networks,
    owned,
    s3_channel,
    until,
)

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def bench(background: Status, base_image: str) -> Bench:
    return Bench(background.endpoint_url, base_image)


TWO_HOSTS = """
import json, os, socket, threading, urllib.request
resources = json.load(open("/opt/ml/input/config/resourceconfig.json"))
me, hosts = resources["current_host"], resources["hosts"]
assert me == socket.gethostname()
assert resources["network_interface_name"] in os.listdir("/sys/class/net")
if me == hosts[0]:
    with socket.create_server(("0.0.0.0", 29500)) as server:
        peer, _ = server.accept()
        print("heard", peer.recv(100).decode())
else:
    for attempt in range(100):
        try:
            socket.create_connection((hosts[0], 29500)).sendall(me.encode())
            break
        except OSError:
            threading.Event().wait(0.1)
health = json.load(urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_localcloud/health"))
found = {
    "job": os.environ["TRAINING_JOB_NAME"], "data": sorted(os.listdir("/opt/ml/input/data/train")),
    "hyperparameters": json.load(open("/opt/ml/input/config/hyperparameters.json")),
    "channels": json.load(open("/opt/ml/input/config/inputdataconfig.json")), "account": health["account"],
    "shm": os.statvfs("/dev/shm").f_frsize * os.statvfs("/dev/shm").f_blocks, "uid": os.getuid(),
}
json.dump(found, open("/opt/ml/output/data/%s.json" % me, "w"))
open("/opt/ml/model/%s.bin" % me, "w").write(me)
for epoch in range(3):
    print("epoch=%d loss=%.3f;" % (epoch, 1 / (epoch + 1)))
"""


def test_two_hosts_find_each_other_their_shards_and_the_way_back_to_aws(bench: Bench) -> None:
    for name in ("a", "b", "c d"):
        bench.s3.put_object(Bucket="data", Key=f"in/{name}", Body=b"x")
    bench.train(
        "two-hosts",
        TWO_HOSTS,
        HyperParameters={"epochs": "3"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 1},
        InputDataConfig=[s3_channel("train", "s3://data/in/", "ShardedByS3Key")],
        AlgorithmSpecification={"MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+);"}]},
    )
    found = bench.wait("two-hosts")
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    assert found["FinalMetricDataList"][0]["Value"] == pytest.approx(0.333)
    assert bench.tar("out/two-hosts/output/model.tar.gz") == {"algo-1.bin": "algo-1", "algo-2.bin": "algo-2"}
    outputs = {name: json.loads(text) for name, text in bench.tar("out/two-hosts/output/output.tar.gz").items()}
    assert [outputs[f"algo-{number}.json"]["data"] for number in (1, 2)] == [["a", "c d"], ["b"]]
    one = outputs["algo-1.json"]
    assert (one["job"], one["hyperparameters"], one["account"]) == ("two-hosts", {"epochs": "3"}, "123456789012")
    assert one["channels"]["train"]["S3DistributionType"] == "ShardedByS3Key"
    assert (one["shm"], one["uid"]) == (64 * 2**20, 0)  # rule 22
    lines = bench.lines("two-hosts")
    assert lines["algo-1"][0] == "heard algo-2"
    assert lines["algo-2"] == ["epoch=0 loss=1.000;", "epoch=1 loss=0.500;", "epoch=2 loss=0.333;"]


def test_the_failure_file_and_exit_code_are_the_reason(bench: Bench) -> None:
    bench.train("fails", 'open("/opt/ml/output/failure", "w").write("no pictures in class 7"); raise SystemExit(4)')
    found = bench.wait("fails")
    assert found["TrainingJobStatus"] == "Failed"
    assert found["FailureReason"] == "AlgorithmError: no pictures in class 7, exit code: 4"


def test_an_image_without_the_program_says_what_docker_said(bench: Bench) -> None:
    bench.train("no-program", "", AlgorithmSpecification={"ContainerEntrypoint": ["no-such-program"]})
    reason = bench.wait("no-program")["FailureReason"]
    assert "CannotStartContainerError" in reason
    assert "no-such-program" in reason


def test_a_missing_image_fails_the_job(bench: Bench) -> None:
    bench.train("no-image", "", AlgorithmSpecification={"TrainingImage": "kennel/none:nothing"})
    assert "Cannot find image kennel/none:nothing" in bench.wait("no-image")["FailureReason"]


UNTIL_STOPPED = """
import signal, sys, time
def save(*_):
    open("/opt/ml/model/saved", "w").write("at SIGTERM")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
print("ready")
time.sleep(600)
"""


def test_stop_reaches_the_program_and_what_it_saved_is_kept(bench: Bench) -> None:
    bench.train("stopped", UNTIL_STOPPED)
    until(bench.logged("stopped", "ready"))
    bench.sagemaker.stop_training_job(TrainingJobName="stopped")
    found = bench.wait("stopped")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert "Stopping" in [entry["Status"] for entry in found["SecondaryStatusTransitions"]]
    assert bench.tar("out/stopped/output/model.tar.gz") == {"saved": "at SIGTERM"}


def test_the_runtime_limit_stops_the_job(bench: Bench) -> None:
    bench.train("too-long", UNTIL_STOPPED, StoppingCondition={"MaxRuntimeInSeconds": 3})
    found = bench.wait("too-long")
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


RESUMING = """
import os, signal, sys, time
folder = "/opt/ml/checkpoints"
step = max([int(name) for name in os.listdir(folder)], default=0)
print("start at", step)
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
while step < 6:
    step += 1
    open(f"{folder}/{step}", "w").write("x")
    for name in os.listdir(folder):
        if int(name) < step - 1:
            os.remove(f"{folder}/{name}")
    print("step", step)
    time.sleep(600 if step == 3 else 0.1)
open("/opt/ml/model/done", "w").write(str(step))
"""


def test_a_spot_interruption_resumes_from_the_checkpoints_in_s3(bench: Bench) -> None:
    bench.train(
        "spot",
        RESUMING,
        EnableManagedSpotTraining=True,
        StoppingCondition={"MaxRuntimeInSeconds": 300, "MaxWaitTimeInSeconds": 600},
        CheckpointConfig={"S3Uri": "s3://data/checkpoints"},
    )
    until(bench.logged("spot", "step 3"))
    until(lambda: bench.keys("checkpoints/") == ["checkpoints/2", "checkpoints/3"])
    bench.interrupt("spot")
    found = bench.wait("spot")
    assert found["TrainingJobStatus"] == "Completed", found.get("FailureReason")
    assert "Interrupted" in [entry["Status"] for entry in found["SecondaryStatusTransitions"]]
    logged = [line for lines in bench.lines("spot").values() for line in lines]
    assert [line for line in logged if line.startswith("start")] == ["start at 0", "start at 3"]
    assert bench.tar("out/spot/output/model.tar.gz") == {"done": "6"}
    assert bench.keys("checkpoints/") == ["checkpoints/5", "checkpoints/6"]


def test_an_isolated_job_gets_an_internal_network_and_no_way_to_aws(bench: Bench, background: Status) -> None:
    program = """
import os, time
print("given", sorted(name for name in os.environ if name.startswith("AWS_")))
time.sleep(600)
"""
    bench.train("isolated", program, EnableNetworkIsolation=True)
    until(bench.logged("isolated", "given ['AWS_REGION']"))
    assert internal_networks(background.info["instance"]) == [True]
    bench.sagemaker.stop_training_job(TrainingJobName="isolated")
    docker_kill(background.info["instance"])  # it does not listen to SIGTERM, and two minutes are long
    assert bench.wait("isolated")["TrainingJobStatus"] == "Stopped"


def test_bad_requests_are_refused_before_anything_runs(bench: Bench) -> None:
    def refused(name: str = "bad", **changes: Any) -> str:
        with pytest.raises(ClientError) as caught:
            bench.train(name, "", **changes)
        return str(caught.value)

    assert "Member must satisfy enum value set" in refused(
        ResourceConfig={"InstanceType": "ml.fast.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    )
    assert "No S3 objects found" in refused(InputDataConfig=[s3_channel("train", "s3://data/nothing/")])
    assert "(ResourceInUse)" in refused("fails")
    with pytest.raises(bench.sagemaker.exceptions.ResourceInUse):
        bench.train("fails", "")


def test_when_jobs_have_ended_nothing_of_them_is_left(bench: Bench, background: Status) -> None:
    jobs = bench.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"]
    assert jobs
    assert all(job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") for job in jobs)
    assert owned(background.info["instance"]) == ([], [])
