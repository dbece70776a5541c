"""Training on this box: docker run with its GPUs, in a folder that is kept, so that it goes on where it stopped."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.aws.logs import Line
from deploy.errors import JobError
from deploy.images import engine
from deploy.jobs import records
from deploy.jobs.backend import ENDED, Description
from deploy.jobs.request import JobRequest

HOST = "algo-1"
GRACE_S = 120  # as on SageMaker (rule 16)
ML = "/opt/ml"
LINES = "lines.txt"


def command(job: JobRequest, *, folder: Path, sources: Mapping[str, Path], gpus: bool) -> list[str]:
    """The docker argv that runs a job detached. `folder` becomes /opt/ml; `sources` are its channels' files."""
    mounts = [f"{folder}:{ML}"]
    for channel, source in sources.items():
        inside = f"{ML}/input/data/{channel}" + (f"/{source.name}" if source.is_file() else "")
        mounts.append(f"{source.resolve()}:{inside}:ro")
    variables = {"TRAINING_JOB_NAME": job.name, **job.environment}
    return [
        "docker", "run", "--detach", f"--name={container(job.name)}", "--ipc=host", f"--stop-timeout={GRACE_S}",
        *(["--gpus=all"] if gpus else []),
        *(f"--volume={mount}" for mount in mounts),
        *(f"--env={name}={value}" for name, value in variables.items()),
        job.image, "train",
    ]  # fmt: skip


def container(name: str) -> str:
    return f"kennel-here-{name}"


def configuration(job: JobRequest) -> dict[str, Any]:
    """The files of /opt/ml/input/config, by name (rules 4, 6, 8)."""
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    return {
        "hyperparameters.json": dict(job.hyperparameters),
        "inputdataconfig.json": {name: channel for name in job.channels},
        "resourceconfig.json": {"current_host": HOST, "hosts": [HOST]},
    }


@dataclass(frozen=True, kw_only=True)
class Here:
    """This box as a place where jobs run. `runs` holds a folder a job, `sources` the channels' folders or files."""

    runs: Path
    sources: Mapping[str, Path] = field(default_factory=dict)
    run: engine.Run = engine.answer
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    say: Callable[[str], None] = lambda _: None

    def take_up(self, job: JobRequest) -> tuple[JobRequest, Description | None]:
        """A job that failed or was stopped begins again in its folder, from its checkpoint."""
        found = self.describe(job.name)
        return job, None if found is None or found["TrainingJobStatus"] in ("Failed", "Stopped") else found

    def start(self, job: JobRequest) -> None:
        if job.instance_count > 1:
            raise JobError(
                f"training.instance_count: {job.instance_count}: here is one box, with all of its GPUs; "
                'choose --instances 1, or on = "sagemaker"'
            )
        folder = self.folder(job.name)
        for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, content in configuration(job).items():
            (folder / "input" / "config" / name).write_text(json.dumps(content, sort_keys=True))
        self.run(["docker", "rm", "--force", container(job.name)])
        self._write(
            job.name,
            {"TrainingJobName": job.name, "TrainingJobStatus": "InProgress", "SecondaryStatus": "Training",
             "CreationTime": self.now(), "TrainingStartTime": self.now(), "MaxRuntimeInSeconds": job.max_run_s},
        )  # fmt: skip
        argv = command(job, folder=folder, sources=self.sources, gpus=self._gpus())
        status, said = self.run(argv, timeout=120)
        if status:
            self._write(job.name, {**(self._read(job.name) or {}), **_ended("Failed", reason=said.strip())})
            raise JobError(f"training job {job.name}: docker run: {said.strip()}")

    def describe(self, name: str) -> Description | None:
        """How it stands; of one whose container has ended, what came of it."""
        found = self._read(name)
        if found is None or found["TrainingJobStatus"] in ENDED:
            return found
        running, code = self._state(name)
        if running and not self._is_overdue(found):
            return found
        if running:
            self._halt(name)
            running, code = self._state(name)
        told = {**found, **self._conclude(name, code, overdue=self._is_overdue(found)), "TrainingEndTime": self.now()}
        self._keep_lines(name)
        self._write(name, told)
        self.run(["docker", "rm", "--force", container(name)])
        return told

    def reader(self, name: str) -> ContainerReader:
        """Of the last launch: what earlier ones wrote stays in the file beside."""
        began = (self._read(name) or {}).get("TrainingStartTime")
        since = f"{began:%Y-%m-%dT%H:%M:%S.%f}" if began else ""
        return ContainerReader(container=container(name), kept=self.folder(name) / LINES, run=self.run, last=since)

    def stop(self, name: str) -> None:
        """SIGTERM, up to 120 s for the checkpoint, SIGKILL; the next run goes on from there."""
        self._halt(name)
        self.describe(name)

    def folder(self, name: str) -> Path:
        return self.runs / name

    def _halt(self, name: str) -> None:
        self.run(["docker", "stop", f"--time={GRACE_S}", container(name)], timeout=GRACE_S + 30)

    def _state(self, name: str) -> tuple[bool, int | None]:
        """Whether its container runs, and its exit code (None when there is no such container)."""
        argv = ["docker", "inspect", "--format={{.State.Running}} {{.State.ExitCode}}", container(name)]
        status, said = self.run(argv)
        if status:
            return False, None
        running, _, code = said.strip().partition(" ")
        return running == "true", int(code)

    def _keep_lines(self, name: str) -> None:
        with (self.folder(name) / LINES).open("a", encoding="utf-8") as kept:
            kept.write("".join(f"{row}\n" for row in lines(self.run, container(name)) or ()))

    def _conclude(self, name: str, code: int | None, *, overdue: bool) -> dict[str, Any]:
        folder = self.folder(name)
        if code is None:
            return _ended("Failed", reason="its container is gone")
        artifact = folder / "output" / "model.tar.gz"
        pack(folder / "model", artifact)
        pack(folder / "output" / "data", folder / "output" / "output.tar.gz")
        artifacts = {"ModelArtifacts": {"S3ModelArtifacts": str(artifact)}}
        if code == 0:
            return {**_ended("Completed"), **artifacts}
        if overdue:
            return {**_ended("Stopped", secondary="MaxRuntimeExceeded"), **artifacts}
        if code in (130, 143):
            return {**_ended("Stopped", reason="it was stopped; ./inv train --on local goes on"), **artifacts}
        failure = folder / "output" / "failure"
        reason = failure.read_text(errors="replace")[:1024] if failure.is_file() else ""
        return _ended("Failed", reason=f"AlgorithmError: {reason}, exit code: {code}")

    def _is_overdue(self, found: Mapping[str, Any]) -> bool:
        limit = found.get("MaxRuntimeInSeconds")
        return bool(limit) and (self.now() - found["TrainingStartTime"]).total_seconds() > float(limit or 0)

    def _gpus(self) -> bool:
        """Whether Docker can hand GPUs on. A box that has some which Docker cannot is told so."""
        has_runtime = "nvidia" in self.run(["docker", "info", "--format={{json .Runtimes}}"])[1]
        if not has_runtime and self.run(["nvidia-smi", "-L"])[0] == 0:
            self.say("   this box has GPUs, but Docker cannot use them: install nvidia-container-toolkit")
        return has_runtime

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            return records.parse((self.folder(name) / records.FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def _write(self, name: str, found: Mapping[str, Any]) -> None:
        path = self.folder(name) / records.FILE
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(found, indent=2, default=datetime.isoformat), encoding="utf-8")
        draft.replace(path)


@dataclass(kw_only=True)
class ContainerReader:
    """What a container has written since `last` (a stamp of Docker's), in the order of time; when it is gone, what was
    kept of it."""

    container: str
    kept: Path
    run: engine.Run
    last: str = ""

    def read(self) -> Iterator[Line]:
        rows = lines(self.run, self.container, since=self.last)
        if rows is None and self.kept.is_file():
            rows = self.kept.read_text(encoding="utf-8").splitlines()
        for row in rows or ():
            when, _, text = row.partition(" ")
            if when > self.last:
                yield Line(host=HOST, text=text, when=_milliseconds(when))
                self.last = when


def lines(run: engine.Run, name: str, *, since: str = "") -> list[str] | None:
    """What a container wrote, each line behind its time, both streams in the order of time; None when it is gone."""
    status, said = run(["docker", "logs", "--timestamps", *([f"--since={_zoned(since)}"] if since else []), name])
    return None if status else sorted(said.splitlines(), key=lambda row: row.partition(" ")[0])


def pack(folder: Path, target: Path) -> None:
    """A folder's content as SageMaker packs it."""
    with tarfile.open(target, "w:gz", compresslevel=1) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)


def _ended(status: str, *, secondary: str = "", reason: str = "") -> dict[str, Any]:
    told = {"TrainingJobStatus": status, "SecondaryStatus": secondary or status}
    return {**told, **({"FailureReason": reason} if reason else {})}


def _zoned(when: str) -> str:
    return when if when.endswith("Z") else f"{when}Z"


def _milliseconds(when: str) -> int:
    """Docker's nanosecond stamps (2026-11-21T05:00:00.123456789Z)."""
    seconds, _, fraction = when.rstrip("Z").partition(".")
    parsed = datetime.fromisoformat(f"{seconds}+00:00").timestamp()
    return int(1000 * parsed) + int((fraction + "000")[:3])
