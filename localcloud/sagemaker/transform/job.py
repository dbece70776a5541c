"""One batch transform job as it really runs: serving containers, every object through them, answers to S3."""

import gzip
import itertools
import json
import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloud import Cloud
from localcloud.containers.http import BrokenError, TimedOutError, UnreachableError
from localcloud.errors import ApiError
from localcloud.s3 import Location, location
from localcloud.sagemaker.hosting.instances import Host, Instance, InstanceSpec, StartError, each_at_once
from localcloud.sagemaker.s3_input import manifest_keys, relative
from localcloud.sagemaker.transform import request as plan

LOG_GROUP = "/aws/sagemaker/TransformJobs"
ENDED = ("Completed", "Failed", "Stopped")
SEE_LOGS = "See job logs for more information"
PARAMETERS_S = 30.0

Status = Literal["InProgress", "Completed", "Failed", "Stopping", "Stopped"]


@dataclass(frozen=True, kw_only=True)
class TransformSpec(InstanceSpec):
    """What a transform job's containers are started from."""

    batch: Mapping[str, str]

    @property
    def group(self) -> str:
        return LOG_GROUP

    @property
    def title(self) -> str:
        return f"transform job {self.name}"

    @property
    def container(self) -> str:
        return f"transform-{self.name}"

    @property
    def labels(self) -> dict[str, str]:
        return {"kennel.transform": self.name}

    @property
    def environment(self) -> dict[str, str]:
        return dict(self.batch)


class FailedError(Exception):
    """An object could not be transformed. `client` says whose fault it was: the data's, or the container's."""

    def __init__(self, message: str, *, client: bool) -> None:
        super().__init__(message)
        self.client = client


@dataclass(kw_only=True, eq=False)
class TransformRun:
    """A job and what it is at. `work` is called once, in a thread of its own; `stop` from any thread."""

    cloud: Cloud
    host: Host
    request: Mapping[str, Any]
    model: Mapping[str, Any]
    arn: str
    created: datetime
    modified: datetime
    started: datetime | None = None
    ended: datetime | None = None
    status: Status = "InProgress"
    reason: str | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    pause: Callable[[float], object] = time.sleep  # before a request is sent again
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def name(self) -> str:
        return str(self.request["TransformJobName"])

    def stop(self) -> None:
        """StopTransformJob; requests that are under way end first."""
        with self.lock:
            if self.status in ENDED:
                raise ApiError(
                    "ValidationException",
                    f"The request was rejected because the transform job is in status {self.status}.",
                )
            self.status, self.modified = "Stopping", self.cloud.now()
        self.stopping.set()

    def work(self) -> None:
        """From the start of the instances to the end."""
        try:
            failures = self._through()
        except (StartError, ApiError) as error:
            self._finish("Failed", f"ClientError: {getattr(error, 'message', error)}")
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            self._finish("Failed", f"ClientError: Data transfer failed: {error}")
        except Exception as error:
            logging.getLogger(__name__).exception("transform job %s failed", self.name)
            self._finish("Failed", f"InternalServerError: localcloud has a bug: {type(error).__name__}: {error}")
        else:
            self._conclude(failures)

    def _conclude(self, failures: Sequence[FailedError]) -> None:
        if self.stopping.is_set():
            self._finish("Stopped", None)
        elif failures:
            whose = "ClientError" if all(error.client for error in failures) else "AlgorithmError"
            self._finish("Failed", f"{whose}: {SEE_LOGS} (localcloud: {failures[0]})")
        else:
            self._finish("Completed", None)

    def _finish(self, status: Status, reason: str | None) -> None:
        with self.lock:
            self.status, self.reason = status, reason[:1024] if reason else None
            self.ended = self.modified = self.cloud.now()

    def _through(self) -> list[FailedError]:
        keys = self._keys()
        if not keys:
            uri = self.request["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
            raise StartError(f'No S3 objects found under S3 URL "{uri}".')
        spec = self._recipe()
        self.host.prepare(spec)
        resources = self.request["TransformResources"]
        instances: list[Instance] = []
        try:
            for _ in range(resources["InstanceCount"]):
                instances.append(self.host.start(spec))  # kept one by one, so that a failure leaves none
            self.started = self.cloud.now()
            work = [
                (instance, plan.share(list(keys), index, len(instances))) for index, instance in enumerate(instances)
            ]
            return list(itertools.chain.from_iterable(each_at_once(lambda part: self._feed(*part, keys), work)))
        finally:
            self.host.stop(instances, grace=2)
            shutil.rmtree(spec.folder, ignore_errors=True)

    def _recipe(self) -> TransformSpec:
        variant = {"VariantName": self.name, "InstanceType": self.request["TransformResources"]["InstanceType"]}
        return TransformSpec(
            endpoint=self.name,
            variant=variant,
            model=self.model,
            folder=self.cloud.state_dir / "work" / "transforms" / self.name,
            batch=plan.environment(self.request),
        )

    def _keys(self) -> dict[str, Location]:
        """Every input object: its path below the prefix → where it lies."""
        source = self.request["TransformInput"]["DataSource"]["S3DataSource"]
        where = location(source["S3Uri"])
        if source["S3DataType"] == "S3Prefix":
            found = self.cloud.objects.list(where)
            return {relative(where.key, each.key): Location(bucket=where.bucket, key=each.key) for each in found}
        text = self.cloud.objects.get(where)
        if text is None:
            raise StartError(f"No manifest at {where.uri}.")
        prefix, names = manifest_keys(text, "TransformInput")
        return {name: Location(bucket=prefix.bucket, key=prefix.key + name) for name in names}

    # ------------------------------------------------------------------------------------------ one instance

    def _feed(self, instance: Instance, mine: Sequence[str], keys: Mapping[str, Location]) -> list[FailedError]:
        """All objects of one instance, as many at once as it takes; what failed of them."""
        pace = plan.pace(self.request, self._parameters(instance))

        def one(below: str) -> FailedError | None:
            if self.stopping.is_set() or self.host.closing.is_set():
                return None
            try:
                self._transform(instance, below, keys[below], pace)
            except FailedError as error:
                self._note(instance, f"{keys[below].uri}: {error}")
                return error
            return None

        with ThreadPoolExecutor(pace.concurrency) as pool:
            return [error for error in pool.map(one, mine) if error is not None]

    def _parameters(self, instance: Instance) -> dict[str, Any]:
        """What the container says of itself; one that says nothing has defaults."""
        try:
            reply = instance.http.request("GET", "/execution-parameters", body=None, headers={}, timeout=PARAMETERS_S)
            found = json.loads(reply.body) if reply.status == 200 else {}
        except (UnreachableError, TimedOutError, BrokenError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _transform(self, instance: Instance, below: str, where: Location, pace: plan.Pace) -> None:
        """One object. A record that fails leaves the object without an output, as in SageMaker."""
        given = self.request["TransformInput"]
        content = self.cloud.objects.get(where)
        if content is None:
            raise FailedError("The object is not there", client=True)
        try:
            plain = gzip.decompress(content) if given.get("CompressionType") == "Gzip" else content
            bodies = list(plan.payloads(plain, split=given.get("SplitType", "None"), pace=pace))
        except (plan.InputError, OSError, EOFError) as error:
            raise FailedError(str(error), client=True) from None
        answers = [self._ask(instance, body) for body in bodies]
        with_line = self.request["TransformOutput"].get("AssembleWith") == "Line"
        self.cloud.objects.put(plan.output(self.request, below), plan.assemble(answers, with_line=with_line))

    def _ask(self, instance: Instance, body: bytes) -> bytes:
        """One answer. What may pass is asked again: a full queue, a fault of the server, no answer."""
        timeout, retries = plan.client(self.request)
        fault = FailedError("Nothing was asked", client=False)
        for attempt in range(retries + 1):
            if attempt:
                self.pause(min(0.2 * 2**attempt, 5.0))
            try:
                return self._answer(instance, body, timeout)
            except FailedError as error:
                fault = error
            if fault.client or self.stopping.is_set():
                break
        raise fault

    def _answer(self, instance: Instance, body: bytes, timeout: float) -> bytes:
        headers = plan.headers(self.request)
        try:
            reply = instance.http.request("POST", "/invocations", body=body, headers=headers, timeout=timeout)
        except (UnreachableError, TimedOutError, BrokenError) as error:
            raise FailedError(f"{type(error).__name__.removesuffix('Error')}: {error}", client=False) from None
        if 200 <= reply.status < 300:
            return reply.body
        text = reply.body[:1024].decode(errors="replace")
        told = f"Bad HTTP status received from algorithm: {reply.status}: {text}"
        raise FailedError(told, client=400 <= reply.status < 500 and reply.status != 429)

    def _note(self, instance: Instance, text: str) -> None:
        self.cloud.logs.write(LOG_GROUP, f"{instance.stream}/data-log", [(self.cloud.now(), text)])
