"""Training on this machine: docker run with its GPUs, in a folder that stays, so that a stopped job resumes."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy.aws.logs import Line
from deploy.errors import JobError
from deploy.images import engine
from deploy.jobs import records
from deploy.jobs.backend import unless_restarted
from deploy.jobs.request import JobRequest
from deploy.jobs.training_job import TrainingJob

HOST = "algo-1"
GRACE_S = 120  # as on SageMaker (rule 16)
ML = "/opt/ml"
LINES = "lines.txt"


def command(job: JobRequest, *, folder: Path, sources: Mapping[str, Path], gpus: bool) -> list[str]:
    """The docker argv that runs a job detached. `folder` is mounted at /opt/ml, `sources` as its channels."""
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
    return f"kennel-local-{name}"


def configuration(job: JobRequest) -> dict[str, Any]:
    """The files of /opt/ml/input/config, by name (rules 4, 6, 8)."""
    channel = {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated", "RecordWrapperType": "None"}
    return {
        "hyperparameters.json": dict(job.hyperparameters),
        "inputdataconfig.json": {name: channel for name in job.channels},
        "resourceconfig.json": {"current_host": HOST, "hosts": [HOST]},
    }


@dataclass(frozen=True, kw_only=True)
class LocalBackend:
    """Runs jobs on this machine. `runs` holds a folder for each job; `sources` are the channels' folders or files."""

    runs: Path
    sources: Mapping[str, Path] = field(default_factory=dict)
    run: engine.Run = engine.execute
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    say: Callable[[str], None] = lambda _: None

    def find_attempt(self, job: JobRequest) -> tuple[JobRequest, TrainingJob | None]:
        """A job that failed or was stopped starts again in its folder, from its checkpoint."""
        return job, unless_restarted(self.describe(job.name))

    def start(self, job: JobRequest) -> None:
        if job.instance_count > 1:
            raise JobError(
                f"training.instance_count: {job.instance_count}: local training uses one machine, with all of its "
                'GPUs; choose --instances 1, or on = "sagemaker"'
            )
        folder = self.folder(job.name)
        for name in ("input/config", "input/data", "model", "output/data", "checkpoints"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, content in configuration(job).items():
            (folder / "input" / "config" / name).write_text(json.dumps(content, sort_keys=True))
        self.run(["docker", "rm", "--force", container(job.name)])
        begun = TrainingJob(
            name=job.name, status="InProgress", secondary_status="Training", created=self.now(), started=self.now(),
            max_runtime_s=job.max_run_s,
        )  # fmt: skip
        self._write(begun)
        argv = command(job, folder=folder, sources=self.sources, gpus=self._gpus())
        status, output = self.run(argv, timeout=120)
        if status:
            self._write(_ended(begun, "Failed", reason=output.strip()))
            raise JobError(f"training job {job.name}: docker run: {output.strip()}")

    def describe(self, name: str) -> TrainingJob | None:
        """The job's state. Once its container has ended, packs the artifact and records how the job ended."""
        job = self._read(name)
        if job is None or job.has_ended:
            return job
        running, code = self._state(name)
        if running and not self._is_overdue(job):
            return job
        if running:
            self._halt(name)
            running, code = self._state(name)
        concluded = replace(self._conclude(job, code, overdue=self._is_overdue(job)), ended=self.now())
        self._keep_lines(name)
        self._write(concluded)
        self.run(["docker", "rm", "--force", container(name)])
        return concluded

    def reader(self, name: str) -> ContainerReader:
        """Reads the last launch only: the file beside it also keeps the lines of earlier launches."""
        job = self._read(name)
        since = f"{job.started:%Y-%m-%dT%H:%M:%S.%f}" if job and job.started else ""
        return ContainerReader(container=container(name), kept=self.folder(name) / LINES, run=self.run, last=since)

    def stop(self, name: str) -> None:
        """SIGTERM, up to 120 s to write the checkpoint, SIGKILL; the next run resumes from the checkpoint."""
        self._halt(name)
        self.describe(name)

    def folder(self, name: str) -> Path:
        return self.runs / name

    def _halt(self, name: str) -> None:
        self.run(["docker", "stop", f"--time={GRACE_S}", container(name)], timeout=GRACE_S + 30)

    def _state(self, name: str) -> tuple[bool, int | None]:
        """Whether the job's container runs, and its exit code (None without a container)."""
        argv = ["docker", "inspect", "--format={{.State.Running}} {{.State.ExitCode}}", container(name)]
        status, output = self.run(argv)
        if status:
            return False, None
        running, _, code = output.strip().partition(" ")
        return running == "true", int(code)

    def _keep_lines(self, name: str) -> None:
        with (self.folder(name) / LINES).open("a", encoding="utf-8") as kept:
            kept.write("".join(f"{row}\n" for row in lines(self.run, container(name)) or ()))

    def _conclude(self, job: TrainingJob, code: int | None, *, overdue: bool) -> TrainingJob:
        folder = self.folder(job.name)
        if code is None:
            return _ended(job, "Failed", reason="its container does not exist any more")
        artifact = folder / "output" / "model.tar.gz"
        pack(folder / "model", artifact)
        pack(folder / "output" / "data", folder / "output" / "output.tar.gz")
        packed = replace(job, artifact=str(artifact))
        if code == 0:
            return _ended(packed, "Completed")
        if overdue:
            return _ended(packed, "Stopped", secondary="MaxRuntimeExceeded")
        if code in (130, 143):
            return _ended(packed, "Stopped", reason="it was stopped; ./inv train --on local resumes it")
        failure = folder / "output" / "failure"
        reason = failure.read_text(errors="replace")[:1024] if failure.is_file() else ""
        return _ended(job, "Failed", reason=f"AlgorithmError: {reason}, exit code: {code}")

    def _is_overdue(self, job: TrainingJob) -> bool:
        if not job.max_runtime_s or job.started is None:
            return False
        return (self.now() - job.started).total_seconds() > job.max_runtime_s

    def _gpus(self) -> bool:
        """Whether Docker gives containers GPUs. Warns when the machine has some that Docker cannot use."""
        has_runtime = "nvidia" in self.run(["docker", "info", "--format={{json .Runtimes}}"])[1]
        if not has_runtime and self.run(["nvidia-smi", "-L"])[0] == 0:
            self.say("   this machine has GPUs, but Docker cannot use them: install nvidia-container-toolkit")
        return has_runtime

    def _read(self, name: str) -> TrainingJob | None:
        try:
            return records.load((self.folder(name) / records.FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def _write(self, job: TrainingJob) -> None:
        path = self.folder(job.name) / records.FILE
        draft = path.with_suffix(".new")
        draft.write_text(records.dump(job), encoding="utf-8")
        draft.replace(path)


@dataclass(kw_only=True)
class ContainerReader:
    """Reads a container's lines since `last` (a time as Docker writes it), or the `kept` file once the container does
    not exist any more."""

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
    """A container's lines with their times, both streams in the order of time; None without such a container."""
    status, output = run(["docker", "logs", "--timestamps", *([f"--since={_zoned(since)}"] if since else []), name])
    return None if status else sorted(output.splitlines(), key=lambda row: row.partition(" ")[0])


def pack(folder: Path, target: Path) -> None:
    """Packs a folder's content as SageMaker does."""
    with tarfile.open(target, "w:gz", compresslevel=1) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, arcname=path.name)


def _ended(job: TrainingJob, status: str, *, secondary: str = "", reason: str = "") -> TrainingJob:
    return replace(job, status=status, secondary_status=secondary or status, failure_reason=reason)


def _zoned(when: str) -> str:
    return when if when.endswith("Z") else f"{when}Z"


def _milliseconds(when: str) -> int:
    """Docker's times have nanoseconds: 2026-11-21T05:00:00.123456789Z."""
    seconds, _, fraction = when.rstrip("Z").partition(".")
    parsed = datetime.fromisoformat(f"{seconds}+00:00").timestamp()
    return int(1000 * parsed) + int((fraction + "000")[:3])
