"""One batch transform job as it really runs: serving containers, every object through them, answers to S3."""

import itertools
import logging
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloud import Cloud
from localcloud.errors import ApiError
from localcloud.s3 import Location
from localcloud.sagemaker.hosting.instances import Host, Instance, InstanceSpec, StartError, each_at_once
from localcloud.sagemaker.records import invalid
from localcloud.sagemaker.s3_input import manifest_keys, relative
from localcloud.sagemaker.transform.feeder import LOG_GROUP, Feeder, ObjectError
from localcloud.sagemaker.transform.request import TransformRequest, share

ENDED = ("Completed", "Failed", "Stopped")
SEE_LOGS = "See job logs for more information"

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


@dataclass(frozen=True, kw_only=True)
class TransformRecord:
    """A transform job at one moment, as Describe shows it."""

    created: datetime
    modified: datetime
    started: datetime | None = None
    ended: datetime | None = None
    status: Status = "InProgress"
    reason: str | None = None


class TransformJob:
    """A transform job. `work` is called once, in a thread of its own; the rest from any thread.

    `model` is the record of the request's model. `pause` waits so many seconds before a request is sent again.
    """

    def __init__(
        self, cloud: Cloud, host: Host, request: TransformRequest, arn: str, *,
        model: Mapping[str, Any], pause: Callable[[float], object],
    ) -> None:  # fmt: skip
        self.request, self.arn = request, arn
        self._cloud, self._host, self._model, self._pause = cloud, host, model, pause
        created = cloud.now()
        self._lock = threading.Lock()
        self._record = TransformRecord(created=created, modified=created)
        self._stopping = threading.Event()

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def _role(self) -> str:
        return str(self._model.get("ExecutionRoleArn", ""))

    @property
    def record(self) -> TransformRecord:
        """The job's progress so far."""
        with self._lock:
            return self._record

    def stop(self) -> None:
        """StopTransformJob; requests that are under way end first. Raises ApiError when the job has ended."""
        with self._lock:
            if self._record.status in ENDED:
                raise invalid(f"The request was rejected because the transform job is in status {self._record.status}.")
            self._record = replace(self._record, status="Stopping", modified=self._cloud.now())
        self._stopping.set()

    def close(self) -> None:
        """Send no more requests, because localcloud shuts down."""
        self._stopping.set()

    def work(self) -> None:
        """Start the instances, send every object, stop the instances, record the end."""
        try:
            errors = self._transform()
        except (StartError, ApiError) as error:
            self._finish("Failed", f"ClientError: {getattr(error, 'message', error)}")
        except (Boto3Error, BotoCoreError, ClientError, OSError) as error:
            self._finish("Failed", f"ClientError: Data transfer failed: {error}")
        except Exception as error:
            logging.getLogger(__name__).exception("transform job %s failed", self.name)
            self._finish("Failed", f"InternalServerError: localcloud has a bug: {type(error).__name__}: {error}")
        else:
            self._conclude(errors)

    def _conclude(self, errors: Sequence[ObjectError]) -> None:
        if self._stopping.is_set():
            self._finish("Stopped", None)
        elif errors:
            code = "ClientError" if all(error.client for error in errors) else "AlgorithmError"
            self._finish("Failed", f"{code}: {SEE_LOGS} (localcloud: {errors[0]})")
        else:
            self._finish("Completed", None)

    def _finish(self, status: Status, reason: str | None) -> None:
        with self._lock:
            now = self._cloud.now()
            self._record = replace(
                self._record, status=status, reason=reason[:1024] if reason else None, ended=now, modified=now
            )

    def _transform(self) -> list[ObjectError]:
        objects = self._objects()
        if not objects:
            raise StartError(f'No S3 objects found under S3 URL "{self.request.input.uri}".')
        spec = self._spec()
        self._host.prepare(spec)
        instances: list[Instance] = []
        try:
            for _ in range(self.request.instance_count):
                instances.append(self._host.start(spec))  # one by one, so that a failure removes those before it
            with self._lock:
                self._record = replace(self._record, started=self._cloud.now())
            shares = [
                (instance, share(list(objects), index, len(instances))) for index, instance in enumerate(instances)
            ]
            errors = each_at_once(lambda part: self._feeder(part[0]).feed(objects, part[1]), shares)
            return list(itertools.chain.from_iterable(errors))
        finally:
            self._host.stop(instances, grace=2)
            shutil.rmtree(spec.folder, ignore_errors=True)

    def _spec(self) -> TransformSpec:
        return TransformSpec(
            endpoint=self.name,
            variant={"VariantName": self.name, "InstanceType": self.request.instance_type},
            model=self._model,
            folder=self._cloud.state_dir / "work" / "transforms" / self.name,
            batch=self.request.environment,
        )

    def _feeder(self, instance: Instance) -> Feeder:
        return Feeder(
            cloud=self._cloud,
            role=self._role,
            request=self.request,
            instance=instance,
            stopping=lambda: self._stopping.is_set() or self._host.closing.is_set(),
            pause=self._pause,
        )

    def _objects(self) -> dict[str, Location]:
        """Every input object: its path below the prefix → where it lies."""
        where, objects = self.request.input.where, self._cloud.objects_as(self._role)
        if not self.request.input.is_manifest:
            keys = [entry.key for entry in objects.list(where)]
            return {relative(where.key, key): Location(bucket=where.bucket, key=key) for key in keys}
        text = objects.get(where)
        if text is None:
            raise StartError(f"No manifest at {where.uri}.")
        prefix, names = manifest_keys(text, "TransformInput")
        return {name: Location(bucket=prefix.bucket, key=prefix.key + name) for name in names}
