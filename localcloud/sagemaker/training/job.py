"""One training job as it really runs: N containers on a private network, from Starting to the end, in a thread."""

import hashlib
import math
import os
import queue
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloud import Cloud
from localcloud.cloudwatch.logs import LogForwarder
from localcloud.containers.engine import ContainerSpec, EngineError, ImageMissing
from localcloud.containers.work_folder import WorkFolder
from localcloud.errors import ApiError
from localcloud.s3 import location
from localcloud.sagemaker.training import data
from localcloud.sagemaker.training import request as plan
from localcloud.sagemaker.training.container import container_spec
from localcloud.sagemaker.training.status import COMPLETED, ENDED, INTERRUPTED, STOPPED, Outcome, Record, failed

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
STOP_GRACE = 120.0  # rule 16
_PEER_GRACE = 10.0  # for the other hosts, once one has failed
_SYNC_SECONDS = 2.0


class _ClosingError(Exception):
    """localcloud itself goes down."""


class TrainingRun:
    """A job and the thread that runs it. `stop`, `interrupt` and `close` may be called from any thread."""

    def __init__(
        self,
        cloud: Cloud,
        request: Mapping[str, Any],
        arn: str,
        *,
        grace: float = STOP_GRACE,
        root: bool | None = None,
    ) -> None:
        self.request, self.arn = request, arn
        self.tuning: str | None = None  # the ARN of the tuning job that launched it
        self.name: str = request["TrainingJobName"]
        self._cloud, self._grace = cloud, grace
        self._root = os.geteuid() == 0 if root is None else root
        now = cloud.now()
        self._record = Record(created=now, modified=now).entered("Starting", now)
        self._lock = threading.Lock()
        self._events: queue.SimpleQueue[tuple[str, int] | None] = queue.SimpleQueue()
        self._wanted: str | None = None  # "stop", "interrupt" or "close": what somebody asked for
        self.scanner = plan.MetricScanner(request["AlgorithmSpecification"].get("MetricDefinitions", ()))
        self._trained = 0.0
        self._hosts = plan.hosts(request)
        self._folder = cloud.state_dir / "work" / f"training-{self.name}"
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"training-{self.name}")

    @property
    def record(self) -> Record:
        with self._lock:
            return self._record

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        self._thread.join(timeout)

    def stop(self) -> None:
        """StopTrainingJob. Raises ApiError when the job has ended."""
        with self._lock:
            if self._record.status in ENDED:
                raise ApiError(
                    "ValidationException",
                    f"The request was rejected because the training job is in status {self._record.status}.",
                )
            if self._record.status != "Stopping":
                self._record = self._record.entered("Stopping", self._cloud.now(), status="Stopping")
        self._ask("stop")

    def interrupt(self) -> None:
        """What spot capacity does when it is taken back: SIGTERM now, the job starts again from its checkpoints."""
        if not self.request.get("EnableManagedSpotTraining"):
            raise ApiError("ValidationException", f"{self.name} is no spot job: EnableManagedSpotTraining is not set.")
        if self.record.secondary != "Training":
            raise ApiError("ValidationException", f"{self.name} is {self.record.secondary}, not Training.")
        self._ask("interrupt")

    def close(self) -> None:
        """localcloud goes down: containers are killed, nothing is uploaded. Returns when the thread has ended."""
        self._ask("close")
        if self._thread.is_alive():
            self._thread.join(30)

    def _ask(self, wanted: str) -> None:
        with self._lock:
            if self._wanted is None or wanted == "close" or self._wanted == "interrupt":
                self._wanted = wanted
        self._events.put(None)

    # ------------------------------------------------------------------------------------------ the thread

    def _run(self) -> None:
        try:
            outcome = self._attempt(1)
            number = 1
            while outcome.interrupted:
                self._enter("Interrupted")
                with self._lock:
                    self._wanted = None if self._wanted == "interrupt" else self._wanted
                number += 1
                outcome = self._attempt(number)
            self._finish(outcome)
        except _ClosingError:
            self._finish(Outcome(status="Failed", secondary="Failed", failure="ClientError: localcloud went down"))
        except Exception as error:
            traceback.print_exc()
            why = f"InternalServerError: localcloud has a bug: {type(error).__name__}: {error}"
            self._finish(Outcome(status="Failed", secondary="Failed", failure=why[:1024]))
        finally:
            self._work(self._folder).clear()

    def _attempt(self, number: int) -> Outcome:
        """One run from empty instances to their end; what goes wrong on the way is the job's failure."""
        if number > 1:
            self._enter("Starting")
        folder = self._folder / str(number)
        try:
            return self._through(folder, self._prepare(folder))
        except (ApiError, EngineError, Boto3Error, BotoCoreError, ClientError, OSError) as error:
            self._asked()  # when localcloud goes down, its own doors fail: no fault of the job
            return self._failure(error)
        finally:
            self._work(folder).clear()

    def _through(self, folder: Path, roots: list[Path]) -> Outcome:
        self._change(started=self.record.started or self._cloud.now())
        self._enter("Downloading")
        self._image()
        sources = self._sources()
        data.download(sources, roots, self._cloud.objects)
        checkpoints = self._checkpoints(roots)
        if checkpoints:
            checkpoints.restore()
        if early := self._asked():
            return early
        self._enter("Training")
        outcome = self._train(roots, sources, checkpoints)
        if not self._root:
            self._work(folder).make_accessible()
        if checkpoints:
            checkpoints.sync()
        if not outcome.interrupted:
            self._upload(roots, outcome)
        return outcome

    def _failure(self, error: Exception) -> Outcome:
        """An error on the way in SageMaker's words."""
        if isinstance(error, ApiError):
            return failed(f"ClientError: {error.message}")
        if isinstance(error, ImageMissing):
            image = self.request["AlgorithmSpecification"]["TrainingImage"]
            return failed(f"ClientError: Cannot find image {image} in the local Docker engine. Build or pull it first.")
        if isinstance(error, EngineError):
            return failed(
                "ClientError: CannotStartContainerError. Please make sure the container can be run with "
                f"'docker run <image> train'. {error}"
            )
        return failed(f"ClientError: Data transfer failed: {error}")

    def _sources(self) -> list[data.Source]:
        where = {"region": self._cloud.region, "role": self.request["RoleArn"]}
        return [data.locate(channel, self._cloud.objects, **where) for channel in plan.channels(self.request)]

    def _prepare(self, folder: Path) -> list[Path]:
        """A fresh /opt/ml tree for every host."""
        roots = [folder / host.name for host in self._hosts]
        for root, host in zip(roots, self._hosts, strict=True):
            for part in ("input/config", "input/data", "model", "output/data", "checkpoints"):
                (root / part).mkdir(parents=True)
            for name, text in plan.config_files(self.request, host).items():
                (root / "input" / "config" / name).write_text(text)
        return roots

    def _checkpoints(self, roots: list[Path]) -> data.Checkpoints | None:
        config = self.request.get("CheckpointConfig")
        if not config:
            return None
        return data.Checkpoints(location(config["S3Uri"]), data.folders_of(roots, "checkpoints"), self._cloud.objects)

    def _asked(self) -> Outcome | None:
        """What somebody asked for meanwhile, as the outcome that it means."""
        with self._lock:
            wanted = self._wanted
        if wanted == "close":
            raise _ClosingError
        return {"stop": STOPPED, "interrupt": INTERRUPTED}.get(wanted or "")

    def _train(self, roots: list[Path], sources: list[data.Source], checkpoints: data.Checkpoints | None) -> Outcome:
        """Run the containers to their end. Nothing of them stays, however this ends."""
        engine = self._cloud.engine
        began = time.monotonic()
        containers: dict[str, str] = {}
        pumps: list[LogForwarder] = []
        network = engine.create_network(self._unique("net"), internal=self._isolated)
        try:
            for root, host in zip(roots, self._hosts, strict=True):
                containers[host.name] = engine.run(self._spec(root, host, sources, network)).id
                pumps.append(self._pump(host.name, containers[host.name]))
                threading.Thread(target=self._await, args=(host.name, containers[host.name]), daemon=True).start()
            outcome, exits = self._supervise(containers, checkpoints)
            if outcome.status == "Failed":
                outcome = failed(self._reason(roots, exits, containers))
            return outcome
        finally:
            self._trained += time.monotonic() - began
            for pump in pumps:
                pump.join(10 if self._wanted != "close" else 0)
            for container in containers.values():
                engine.remove(container)
            engine.remove_network(network)

    @property
    def _isolated(self) -> bool:
        return bool(self.request.get("EnableNetworkIsolation"))

    def _unique(self, what: str) -> str:
        """A name for Docker: readable, and unique however long the job's name is."""
        digest = hashlib.sha256(self.arn.encode()).hexdigest()[:6]
        return f"{self._cloud.instance}-{self.name[:40]}-{digest}-{what}"

    def _spec(self, root: Path, host: plan.Host, sources: list[data.Source], network: str) -> ContainerSpec:
        environment = plan.environment(
            self.request,
            arn=self.arn,
            region=self._cloud.region,
            container_url=self._cloud.container_url,
            isolated=self._isolated,
        )
        many, gpus = len(self._hosts), plan.gpu_count(host.instance_type)
        spec = container_spec(
            self.request,
            host,
            root,
            [source.channel for source in sources],
            name=self._unique(host.name),
            network=network,
            environment=environment,
            # Several hosts share this machine: each believes in its part, or they would start too many processes.
            cpus=max(1.0, (os.cpu_count() or 1) / many) if many > 1 else None,
            gpus=gpus if gpus and self._cloud.engine.has_gpus() else 0,
        )
        return replace(spec, image=self._image())

    def _image(self) -> str:
        """What the engine calls the image. Raises ApiError, EngineError when it cannot be pulled."""
        return self._cloud.images.ensure_pulled(self.request["AlgorithmSpecification"]["TrainingImage"])

    def _pump(self, host: str, container: str) -> LogForwarder:
        epoch = int(self.record.created.timestamp() * 1000)
        pump = LogForwarder(
            self._cloud.engine.logs(container, follow=True), self._cloud.logs, LOG_GROUP,
            f"{self.name}/{host}-{epoch}", now=self._cloud.now, on_line=self._read,
        )  # fmt: skip
        pump.start()
        return pump

    def _read(self, line: str) -> None:
        with self._lock:
            now = self._cloud.now()
            found = self.scanner.scan(line)
            if found:
                known = {name: (name, value, when) for name, value, when in self._record.metrics}
                known |= {name: (name, value, now) for name, value in found.items()}
                self._record = replace(self._record, metrics=tuple(known.values()))

    def _await(self, host: str, container: str) -> None:
        code = None
        while code is None:
            code = self._cloud.engine.wait(container)
            if code is None:
                state = self._cloud.engine.inspect(container)
                code = None if state and state.running else (state.exit_code if state else 137)
        self._events.put((host, code))

    def _supervise(
        self, containers: Mapping[str, str], checkpoints: data.Checkpoints | None
    ) -> tuple[Outcome, dict[str, int]]:
        """Until every container has ended: pass on what is asked, hold the time limits, sync checkpoints."""
        exits: dict[str, int] = {}
        outcome: Outcome | None = None
        limit, over = self._time_limit()
        kill_at = math.inf
        next_sync = time.monotonic() + _SYNC_SECONDS
        while len(exits) < len(containers):
            self._note_exit(min(limit, kill_at, next_sync) if checkpoints else min(limit, kill_at), exits)
            now = time.monotonic()
            before = outcome
            outcome = outcome or self._verdict(exits, over if now >= limit else None)
            if before is None and outcome is not None:
                kill_at = now + (_PEER_GRACE if outcome.status == "Failed" else self._grace)
                limit = math.inf
                self._signal(containers, exits, "SIGTERM")
            elif now >= kill_at:
                kill_at = math.inf
                self._signal(containers, exits, "SIGKILL")
            if self._wanted == "close":
                raise _ClosingError
            if checkpoints and now >= next_sync:
                checkpoints.sync()
                next_sync = time.monotonic() + _SYNC_SECONDS
        return outcome or COMPLETED, exits

    def _time_limit(self) -> tuple[float, Outcome]:
        """When this attempt must end, on the monotonic clock, and as what."""
        left = plan.runtime_limit(self.request) - self._trained
        wait = self.request["StoppingCondition"].get("MaxWaitTimeInSeconds")
        over = Outcome(status="Stopped", secondary="MaxRuntimeExceeded")
        if wait is not None:
            waited = wait - (self._cloud.now() - self.record.created).total_seconds()
            if waited < left:
                left, over = waited, Outcome(status="Stopped", secondary="MaxWaitTimeExceeded")
        return time.monotonic() + left, over

    def _note_exit(self, until: float, exits: dict[str, int]) -> None:
        try:
            event = self._events.get(timeout=max(0.0, min(until - time.monotonic(), 3600.0)))
        except queue.Empty:
            return
        if event is not None:
            exits[event[0]] = event[1]

    def _verdict(self, exits: Mapping[str, int], over: Outcome | None) -> Outcome | None:
        if any(exits.values()):
            return failed("")
        return self._asked() or over

    def _signal(self, containers: Mapping[str, str], exits: Mapping[str, int], signal: str) -> None:
        for host, container in containers.items():
            if host not in exits:
                self._cloud.engine.signal(container, signal)

    def _reason(self, roots: list[Path], exits: Mapping[str, int], containers: Mapping[str, str]) -> str:
        """The first failed host's own words, else any other's (rules 12, 13)."""
        first = next(host for host, code in exits.items() if code)
        texts = {}
        for root in roots:
            path = root / "output" / "failure"
            texts[root.name] = path.read_text(errors="replace").strip() if path.is_file() else ""
        text = texts[first] or next((text for text in texts.values() if text), "")
        state = self._cloud.engine.inspect(containers[first])
        return plan.failure_reason(text, exits[first], out_of_memory=bool(state and state.oom_killed))

    def _work(self, folder: Path) -> WorkFolder:
        try:
            image = self._image()
        except (ApiError, EngineError):  # then no container of it has written anything
            image = self.request["AlgorithmSpecification"]["TrainingImage"]
        return WorkFolder(engine=self._cloud.engine, path=folder, image=image, name=self._unique("chmod"))

    def _upload(self, roots: list[Path], outcome: Outcome) -> None:
        output = self.request["OutputDataConfig"]
        where = location(output["S3OutputPath"]) / self.name / "output"
        compress = output.get("CompressionType", "GZIP") == "GZIP"
        common = {"compress": compress, "scratch": roots[0].parent, "objects": self._cloud.objects}
        if outcome.status == "Completed":
            self._enter("Uploading")
        extra = data.merged(data.folders_of(roots, "output", "data"))
        if extra:
            data.upload_artifacts(extra, where, name="output", **common)
        model = data.merged(data.folders_of(roots, "model"))
        if outcome.status == "Completed" or (outcome.status == "Stopped" and model):
            self._change(artifacts=data.upload_artifacts(model, where, name="model", **common))

    # ------------------------------------------------------------------------------------------ the record

    def _enter(self, secondary: str) -> None:
        with self._lock:
            if self._record.status == "InProgress":
                self._record = self._record.entered(secondary, self._cloud.now())

    def _change(self, **changes: Any) -> None:
        with self._lock:
            self._record = replace(self._record, **changes)

    def _finish(self, outcome: Outcome) -> None:
        now = self._cloud.now()
        with self._lock:
            ended = self._record.entered(outcome.secondary, now, status=outcome.status)
            self._record = replace(ended, failure=outcome.failure, ended=now)
