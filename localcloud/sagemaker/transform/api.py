"""Batch transform jobs as SageMaker's API shows them: create, describe, list, stop."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from localcloud.cloud import Cloud
from localcloud.errors import ApiError
from localcloud.gateway.service import Service
from localcloud.sagemaker.defaults import TRANSFORM, filled
from localcloud.sagemaker.hosting.configs import Catalogue
from localcloud.sagemaker.hosting.instances import Host
from localcloud.sagemaker.records import Params, invalid, page
from localcloud.sagemaker.transform.job import ENDED, TransformJob
from localcloud.sagemaker.transform.request import TransformRequest, parse

# Members that Describe gives back as Create got them.
_ECHOED = (
    "TransformJobName", "ModelName", "MaxConcurrentTransforms", "ModelClientConfig", "MaxPayloadInMB", "BatchStrategy",
    "Environment", "TransformInput", "TransformOutput", "TransformResources", "DataProcessing", "ExperimentConfig",
)  # fmt: skip


@dataclass(kw_only=True)
class Transforms:
    """Every transform job of this localcloud, by name. `spawn` runs a job; `pause` waits before a retry."""

    cloud: Cloud
    catalogue: Catalogue
    host: Host
    spawn: Callable[..., None]
    pause: Callable[[float], object] = time.sleep
    jobs: dict[str, TransformJob] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def service(self) -> Service:
        return Service(
            name="sagemaker",
            handlers={
                "CreateTransformJob": self.create,
                "DescribeTransformJob": self.describe,
                "ListTransformJobs": self.list,
                "StopTransformJob": self.stop,
            },
            close=self.close,
        )

    def create(self, params: Params) -> Params:
        """CreateTransformJob: refuses what is known to be wrong; what turns out later fails the job."""
        request = parse(params)
        model = dict(self.catalogue.models.get(request.model))
        self._check_s3(request)
        self._check_quota(request)
        arn = self.cloud.arn("sagemaker", f"transform-job/{request.name.lower()}")
        job = TransformJob(self.cloud, self.host, request, arn, model=model, pause=self.pause)
        with self.lock:
            if request.name in self.jobs:
                raise ApiError("ResourceInUse", f"Job name must be unique within an AWS account and region: {arn}")
            self.jobs[request.name] = job
        self.cloud.tags.put(arn, request.tags)
        self.spawn(job.work)
        return {"TransformJobArn": arn}

    def _check_s3(self, request: TransformRequest) -> None:
        for target in (request.input, request.output):
            if not self.cloud.objects.bucket_exists(target.where.bucket):
                raise invalid(f"S3 path {target.uri}: The specified bucket does not exist")

    def _check_quota(self, request: TransformRequest) -> None:
        used: Counter[str] = Counter()
        for job in self._all():
            if job.record.status not in ENDED:
                used[job.request.instance_type] += job.request.instance_count
        self.cloud.quotas.require(
            request.instance_type, "transform job usage",
            count=request.instance_count, used=used[request.instance_type],
        )  # fmt: skip

    def _all(self) -> list[TransformJob]:
        with self.lock:
            return list(self.jobs.values())

    def _job(self, name: str) -> TransformJob:
        with self.lock:
            if name not in self.jobs:
                raise invalid(f'Could not find requested job with name: "{name}".')
            return self.jobs[name]

    def describe(self, params: Params) -> Params:
        """Answer DescribeTransformJob."""
        job = self._job(params["TransformJobName"])
        record, described = job.record, job.request.described
        answer = filled({name: described.get(name) for name in _ECHOED}, TRANSFORM) | {
            "TransformJobArn": job.arn,
            "TransformJobStatus": record.status,
            "CreationTime": record.created,
            "TransformStartTime": record.started,
            "TransformEndTime": record.ended,
            "FailureReason": record.reason,
        }
        return _without_none(answer)

    def list(self, params: Params) -> Params:
        """Answer ListTransformJobs with its filters, order and pages."""
        rows = [_summary(job) for job in self._all()]
        return page(rows, params, name="TransformJobName", out="TransformJobSummaries", status="TransformJobStatus")

    def stop(self, params: Params) -> Params:
        self._job(params["TransformJobName"]).stop()
        return {}

    def close(self) -> None:
        """localcloud shuts down: every job sends its last requests."""
        for job in self._all():
            job.close()


def _summary(job: TransformJob) -> Params:
    """A TransformJobSummary."""
    record = job.record
    return _without_none(
        {
            "TransformJobName": job.name,
            "TransformJobArn": job.arn,
            "CreationTime": record.created,
            "LastModifiedTime": record.modified,
            "TransformJobStatus": record.status,
            "TransformEndTime": record.ended,
            "FailureReason": record.reason,
        }
    )


def _without_none(answer: Params) -> Params:
    return {name: value for name, value in answer.items() if value is not None}
