"""The user data in bash, with fake aws, docker and shutdown commands that note their arguments: the instance always
terminates itself, and its last record gives the reason."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from deploy.jobs.request import JobRequest
from deploy.jobs.user_data import program, user_data

JOB = JobRequest(
    name="kennel-local-train-0", image="registry.example/kennel@sha256:0", hyperparameters={"epochs": "3"},
    channels={"training": "s3://b/data/x/", "weights": "s3://b/weights/"}, output="s3://b/jobs",
    checkpoints="s3://b/checkpoints/j", role="r", instance_type="g4dn.xlarge", max_run_s=600,
)  # fmt: skip

CREATED = "2026-11-21T12:00:00+00:00"
NO_ENGINE = "InternalError: no Docker engine answers on this instance: choose another training.ec2.ami_parameter"
AWS = """
case "$*" in *"$FAIL"*) [ -z "$FAIL" ] || exit 1 ;; esac
case "$*" in *job.json*) cp "$KENNEL_ROOT/job.json" "$NOTES/job.json" ;; *login*) echo token ;; esac
"""
DOCKER = """
case "$1" in
info) [ -z "$ASLEEP" ] ;;
stop) touch "$NOTES/stopped" ;;
login) cat >/dev/null ;;
run)
  [ -z "$REFUSED" ] || { echo "$REFUSED" >&2; exit 125; }
  echo '{}' >"$KENNEL_ROOT/model/model.json"; echo c0ffee
  [ -z "$FAILURE" ] || echo "$FAILURE" >"$KENNEL_ROOT/output/failure" ;;
inspect)
  case "$*" in
  *Running*)
    if [ -e "$NOTES/stopped" ] || { [ -e "$NOTES/looked" ] && [ -z "$HANG" ]; }; then echo false; else echo true; fi
    touch "$NOTES/looked" ;;
  *) echo "${CODE:-0}" ;;
  esac ;;
esac
"""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A folder with an instance's commands and their notes."""

    folder: Path
    job: JobRequest = JOB

    def start(self, **environment: str) -> subprocess.Popen[bytes]:
        for name in ("bin", "root", "notes"):
            (self.folder / name).mkdir()
        commands = {"aws": AWS, "docker": DOCKER, "shutdown": "", "sleep": "", "nvidia-smi": "exit 9"}
        for name, body in commands.items():
            path = self.folder / "bin" / name
            path.write_text(f'#!/bin/bash\necho "{name} $*" >>"$NOTES/calls"\n{body}')
            path.chmod(0o755)
        (self.folder / "bin" / "python3").symlink_to(sys.executable)
        script = self.folder / "user-data.sh"
        script.write_text(user_data(self.job, program(), region="us-east-1", group="/k", created=CREATED))
        variables = {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "KENNEL_ROOT": str(self.folder / "root"),
            "NOTES": str(self.folder / "notes"), "no_proxy": "*", "FAIL": "", "REFUSED": "", "FAILURE": "", "HANG": "",
            "ASLEEP": "",
        }  # fmt: skip
        return subprocess.Popen(["/bin/bash", str(script)], env={**variables, **environment}, stdout=subprocess.DEVNULL)

    def run(self, **environment: str) -> dict[str, Any]:
        """The record that it wrote last."""
        self.start(**environment).wait(timeout=30)
        return self.record

    @property
    def record(self) -> dict[str, Any]:
        written: dict[str, Any] = json.loads((self.folder / "notes" / "job.json").read_text())
        return written

    @property
    def calls(self) -> list[str]:
        return (self.folder / "notes" / "calls").read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(folder=tmp_path)


def test_shellcheck_finds_no_fault_in_the_script(tmp_path: Path) -> None:
    script = tmp_path / "user-data.sh"
    script.write_text(user_data(JOB, program(), region="us-east-1", group="/k", created=CREATED))
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    assert shellcheck
    checked = subprocess.run([shellcheck, str(script)], capture_output=True, text=True, check=False)
    assert checked.stdout == ""


def test_it_limits_its_time_first_and_terminates_itself_last(machine: Machine) -> None:
    record = machine.run()
    assert (record["TrainingJobStatus"], record["TrainingJobName"], record["Launch"]) == ("Completed", JOB.name, 1)
    assert record["ModelArtifacts"] == {"S3ModelArtifacts": f"s3://b/jobs/{JOB.name}/output/model.tar.gz"}
    calls = machine.calls
    assert calls[0] == "shutdown -P +40"
    assert calls[-1] == "shutdown -P now"
    (run,) = [call for call in calls if call.startswith("docker run")]
    assert "--log-driver awslogs" in run
    assert "--gpus" not in run  # no GPU answers here
    assert run.endswith(f"{JOB.image} train")
    assert any(call.startswith("docker pull --quiet registry.example/") for call in calls)
    assert any(call.startswith("aws s3 sync --only-show-errors --delete") for call in calls)
    assert json.loads((machine.folder / "root/input/config/hyperparameters.json").read_text()) == {"epochs": "3"}


@pytest.mark.parametrize(
    ("environment", "reason"),
    [
        ({"FAIL": "s3://b/weights/"}, "ClientError: Data download failed: s3://b/weights/"),
        ({"FAIL": "get-login-password"}, "ClientError: Cannot pull registry.example/kennel@sha256:0"),
        ({"ASLEEP": "1"}, NO_ENGINE),
        ({"REFUSED": "docker: exec format error"}, "CannotStartContainerError: docker: exec format error"),
        ({"CODE": "2", "FAILURE": "too dark"}, "AlgorithmError: too dark, exit code: 2"),
        ({"CODE": "137"}, "AlgorithmError: , exit code: 137"),
        ({"FAIL": "output/model.tar.gz"}, f"ClientError: artifact upload failed: s3://b/jobs/{JOB.name}"),
        ({"FAIL": "--delete"}, "ClientError: checkpoint upload failed: s3://b/checkpoints/j"),
    ],
)
def test_any_failure_is_its_last_record_and_it_terminates_itself(
    machine: Machine, environment: dict[str, str], reason: str
) -> None:
    record = machine.run(**environment)
    assert (record["TrainingJobStatus"], record["FailureReason"]) == ("Failed", reason)
    assert machine.calls[-1] == "shutdown -P now"


def test_a_job_over_its_time_stops_gracefully_and_its_output_is_kept(tmp_path: Path) -> None:
    machine = Machine(folder=tmp_path, job=replace(JOB, max_run_s=1))
    record = machine.run(HANG="1", CODE="143")
    assert (record["TrainingJobStatus"], record["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert any(call.startswith("docker stop -t 120") for call in machine.calls)
    assert any(call.endswith("output/model.tar.gz") for call in machine.calls)
    assert machine.calls[-1] == "shutdown -P now"


def test_killed_from_outside_it_still_records_it_and_terminates_the_instance(machine: Machine) -> None:
    process = machine.start(HANG="1")
    deadline = time.monotonic() + 20
    while not (machine.folder / "notes" / "looked").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    process.wait(timeout=20)
    assert machine.record["FailureReason"].startswith("InternalError: the instance's script ended")
    assert machine.calls[-1] == "shutdown -P now"
