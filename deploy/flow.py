"""The verbs: data, train, plan, deploy, status, logs, invoke, down. Each is observe → plan → apply over one stage."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy import data as pictures
from deploy.apply import apply, resolve
from deploy.aws import Clock, lookup
from deploy.errors import DataError, DeployError
from deploy.jobs import request as jobs
from deploy.jobs import sagemaker
from deploy.jobs.request import JobResult
from deploy.models import Call, Plan, Request, Step
from deploy.observe import inventory, latest_job, observe
from deploy.plan import foundation, plan, serving, summary, teardown
from deploy.progress import Screen
from deploy.resources.base import Resource
from deploy.resources.endpoint import artifact_of
from deploy.settings import Scalar, Settings

WEIGHTS = "weights/"
Build = Callable[[str], str]


@dataclass(kw_only=True)
class Flow:
    """One stage's verbs. `call` is the door to AWS, `build` makes (or finds) an image and returns its reference."""

    settings: Settings
    call: Call
    build: Build
    screen: Screen
    clock: Clock = field(default_factory=Clock)
    check: Callable[[], object] = lambda: None  # raises before anything is changed where it must not be
    _is_checked: bool = False

    # ------------------------------------------------------------------------------------------ data and training

    def push(self, source: Path, name: str, *, weights: Path | None = None) -> pictures.Pushed:
        """Pictures (and a weights file) into the stage's bucket, made when it is not there. Raises DataError."""
        found = pictures.files(source)
        self.settle(foundation(self.settings))
        bucket = self.settings.bucket
        with self.screen.bar("pictures") as progress:
            pushed = pictures.push(found, self.call, bucket=bucket, prefix=data_prefix(name), progress=progress)
        self.screen.say(f"   {pushed.uri}: {pushed.count} files, content {pushed.hash}")
        if weights is not None:
            with self.screen.bar("weights") as progress:
                pictures.push({weights.name: weights}, self.call, bucket=bucket, prefix=WEIGHTS, progress=progress)
            self.screen.say(f"   s3://{bucket}/{WEIGHTS}{weights.name}")
        return pushed

    def train(
        self, name: str, *, purpose: str = "train", overrides: Mapping[str, Scalar] | None = None, verbose: bool = True
    ) -> JobResult:
        """Trains on pushed pictures, or finds it done. Raises DataError, JobError."""
        job = self._job(name, purpose, overrides)
        roots = foundation(self.settings)
        self.settle(roots)
        job, found = sagemaker.attempt(job, self.call)
        if found is None:
            self._check()
            self.call(_resolved(sagemaker.create(job), plan(roots, observe(roots, self.call))))
            self.screen.say(f"   {job.name}: {job.instance_count} × {job.instance_type}")
        else:
            self.screen.say(f"   {job.name}: {_status(found)}, taken up again")
        return sagemaker.follow(
            job.name, self.call, clock=self.clock, line=_Listener(self.screen, verbose).line, status=self._job_status
        )

    def _job(self, name: str, purpose: str, overrides: Mapping[str, Scalar] | None) -> jobs.JobRequest:
        bucket = self.settings.bucket
        try:
            content = pictures.listing(self.call, bucket=bucket, prefix=data_prefix(name))
            weights = pictures.listing(self.call, bucket=bucket, prefix=WEIGHTS)
        except DeployError as error:
            if "NoSuchBucket" not in str(error):
                raise
            content, weights = {}, {}
        if not content:
            raise DataError(f"s3://{bucket}/{data_prefix(name)}: no pictures there yet; run ./inv data {name}")
        pushed = pictures.describe(content, bucket=bucket, prefix=data_prefix(name))
        return jobs.request(
            self.settings,
            image=self.settings.image_uri(self.build("train")),
            data=pushed.uri,
            data_hash=pushed.hash,
            weights=f"s3://{bucket}/{WEIGHTS}" if weights else "",
            purpose=purpose,
            overrides=overrides,
        )

    def _job_status(self, status: str, message: str) -> None:
        self.screen.say(f"   {status}{': ' if message else ''}{message}")

    def fetch(self, uri: str, target: Path) -> Path:
        """An S3 object to a file."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        answer = self.call(Request(service="s3", operation="GetObject", params={"Bucket": bucket, "Key": key}))
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(answer["Body"].read())
        return target

    # ------------------------------------------------------------------------------------------ resources

    def desired(self) -> tuple[Resource, ...]:
        """All that should be. Before a model is trained that is the foundation alone."""
        job = latest_job(self.settings, self.call)
        if job is None and self.settings.endpoint.job:
            raise DeployError(f"endpoint.job: no training job is called {self.settings.endpoint.job}")
        if job is None:
            return foundation(self.settings)
        uri = self.settings.image_uri
        return (
            *foundation(self.settings),
            *serving(
                self.settings,
                serve_image=uri(self.build("serve")),
                lambda_image=uri(self.build("lambda")),
                artifact=artifact_of(job),
            ),
        )

    def plan(self) -> Plan:
        """What `deploy` would do now."""
        resources = self.desired()
        return plan(resources, observe(resources, self.call))

    def deploy(self) -> tuple[Step, ...]:
        """Makes it so; returns the steps that changed something. Raises DeployError before a model is trained."""
        resources = self.desired()
        if len(resources) == len(foundation(self.settings)):
            raise DeployError(f"{self.settings.prefix}: no model is trained yet; run ./inv data train first")
        return self.settle(resources).changes

    def settle(self, resources: Sequence[Resource]) -> Plan:
        """Plans and applies; returns the plan."""
        todo = plan(resources, observe(resources, self.call))
        if not todo.changes:
            return todo
        self._check()
        apply(todo, self.call, clock=self.clock, say=self._step)
        return todo

    def _check(self) -> None:
        if not self._is_checked:
            self.check()
            self._is_checked = True

    def show(self, todo: Plan) -> None:
        """A plan for people: one line a step, its changes field by field, what it touches."""
        for step in todo.steps:
            self.screen.say(f"{MARKS[step.action]} {step.action:8}{step.address}: {step.reason}")
            for change in step.changes:
                self.screen.say(f"      {change.field}: {_short(change.before)} → {_short(change.after)}")
            if step.touches:
                self.screen.say(f"      touches: {step.touches}")
        self.screen.say(summary(todo.steps))

    def _step(self, step: Step, status: str) -> None:
        self.screen.say(f"   {step.action} {step.address} {status}")

    def status(self) -> list[tuple[str, str, str]]:
        """Kind, name and state of everything of the stage, and of its jobs."""
        rows = []
        for address in reversed(list(inventory(self.settings, self.call))):
            kind, _, name = address.partition("/")
            rows.append((kind, name, self._state(kind, name)))
        params = {"NameContains": f"{self.settings.prefix}-", "SortBy": "CreationTime", "SortOrder": "Descending"}
        listed = self.call(Request(service="sagemaker", operation="ListTrainingJobs", params=params))
        rows += [("job", job["TrainingJobName"], job["TrainingJobStatus"]) for job in listed["TrainingJobSummaries"]]
        return rows

    def _state(self, kind: str, name: str) -> str:
        if kind == "endpoint":
            request = Request(service="sagemaker", operation="DescribeEndpoint", params={"EndpointName": name})
            return str((lookup(self.call, request) or {}).get("EndpointStatus", "gone"))
        if kind == "function":
            request = Request(service="lambda", operation="GetFunction", params={"FunctionName": name})
            return str((lookup(self.call, request) or {}).get("Configuration", {}).get("State", "gone"))
        return "there"

    def down(self, confirm: Callable[[Plan], bool]) -> tuple[Step, ...]:
        """Takes away everything of the stage, then looks again. Raises DeployError when something is left."""
        todo = teardown(self.settings, inventory(self.settings, self.call))
        if not todo.steps:
            return ()
        if not confirm(todo):
            raise DeployError(f"{self.settings.prefix}: nothing was taken away")
        self._check()
        apply(todo, self.call, clock=self.clock, say=self._step)
        left = inventory(self.settings, self.call)
        if left:
            raise DeployError(f"still there: {', '.join(left)}; run ./inv down again")
        return todo.changes

    # ------------------------------------------------------------------------------------------ asking

    def invoke(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The function's answer to an event. Raises DeployError when the function itself failed."""
        name = self.settings.function_name
        params = {"FunctionName": name, "Payload": json.dumps(event).encode()}
        answer = self.call(Request(service="lambda", operation="Invoke", params=params))
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        if answer.get("FunctionError"):
            raise DeployError(f"function {name}: {payload.get('errorType')}: {payload.get('errorMessage')}")
        return payload

    def logs(self, name: str) -> None:
        """All that a job, an endpoint or the function wrote."""
        readers = (
            sagemaker.LogReader(job=name, call=self.call),
            sagemaker.LogReader(job="", call=self.call, group=f"/aws/sagemaker/Endpoints/{name}"),
            sagemaker.LogReader(job="", call=self.call, group=f"/aws/lambda/{name}"),
        )
        lines = 0
        for reader in readers:
            for line in reader.read():
                self.screen.say(f"{line.host}  {line.text}")
                lines += 1
        if not lines:
            raise DeployError(f"{name}: nothing of that name has written a log; ./inv status lists the names")


MARKS = {"create": "+", "update": "~", "replace": "±", "delete": "-", "none": " "}


@dataclass(frozen=True)
class _Listener:
    """Shows a job's lines: all of them, or only the metric line of each epoch."""

    screen: Screen
    verbose: bool

    def line(self, line: sagemaker.Line) -> None:
        from contract import metrics

        found = metrics.parse(line.text)
        if found:
            self.screen.say(f"   {_epoch(found[0])}")
        elif self.verbose:
            self.screen.say(f"   {line.host} │ {line.text}")


def _epoch(values: Mapping[str, float]) -> str:
    """A metric line for people: the epoch (or the closing test), losses and top-1."""
    title = f"epoch {values['epoch']:3.0f}" if "epoch" in values else "         "
    parts = [
        f"{split} loss {values[f'{split}_loss']:.3f} top-1 {values[f'{split}_top1']:6.1%}"
        for split in ("train", "valid", "test")
        if f"{split}_loss" in values and f"{split}_top1" in values
    ]
    return "   ".join([title, *parts])


def data_prefix(name: str) -> str:
    return f"data/{name}/"


def picture_event(picture: Path) -> dict[str, str]:
    """The event that carries a picture of this machine."""
    try:
        return {"image": base64.b64encode(picture.read_bytes()).decode()}
    except OSError as error:
        raise DataError(f"{picture}: cannot be read: {error}") from error


def _resolved(request: Request, known: Plan) -> Request:
    values = {f"{address}.{name}": value for address, found in known.known.items() for name, value in found.items()}
    return Request(service=request.service, operation=request.operation, params=resolve(request.params, values))


def _status(found: Mapping[str, Any]) -> str:
    return str(found["TrainingJobStatus"]).lower()


def _short(value: Any) -> str:
    from deploy.models import printable

    text = json.dumps(printable(value), sort_keys=True)
    return text if len(text) <= 300 else f"{text[:300]}…"
