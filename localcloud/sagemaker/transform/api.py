"""Batch transform jobs as SageMaker's API shows them: create, describe, list, stop."""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloud import Cloud
from localcloud.errors import ApiError
from localcloud.gateway.service import Service
from localcloud.sagemaker.hosting.configs import Catalogue
from localcloud.sagemaker.hosting.instances import Host
from localcloud.sagemaker.records import Params, invalid, page, s3
from localcloud.sagemaker.transform import request as plan
from localcloud.sagemaker.transform.job import ENDED, TransformRun

# Members that Describe gives back as Create got them.
_ECHOED = (
    "TransformJobName", "ModelName", "MaxConcurrentTransforms", "ModelClientConfig", "MaxPayloadInMB", "BatchStrategy",
    "Environment", "TransformInput", "TransformOutput", "TransformResources", "DataProcessing", "ExperimentConfig",
)  # fmt: skip


@dataclass(kw_only=True)
class Transforms:
    """Every transform job of this localcloud, by name. `spawn` does work later."""

    cloud: Cloud
    catalogue: Catalogue
    host: Host
    spawn: Callable[..., None]
    runs: dict[str, TransformRun] = field(default_factory=dict)
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
        """CreateTransformJob: what can be known to be wrong is told now, the rest by the job's failure."""
        plan.check(params)
        name = params["TransformJobName"]
        model = dict(self.catalogue.models.get(params["ModelName"]))
        self._check_s3(params)
        self._check_quota(params["TransformResources"])
        arn, now = self._arn(name), self.cloud.now()
        run = TransformRun(
            cloud=self.cloud, host=self.host, request=params, model=model, arn=arn, created=now, modified=now
        )
        with self.lock:
            if name in self.runs:
                raise ApiError("ResourceInUse", f"Job name must be unique within an AWS account and region: {arn}")
            self.runs[name] = run
        self.cloud.tags.put(arn, params.get("Tags"))
        self.spawn(run.work)
        return {"TransformJobArn": arn}

    def _arn(self, name: str) -> str:
        return self.cloud.arn("sagemaker", f"transform-job/{name.lower()}")

    def _check_s3(self, params: Mapping[str, Any]) -> None:
        source = params["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
        for uri in (source, params["TransformOutput"]["S3OutputPath"]):
            if not self.cloud.objects.bucket_exists(s3(uri).bucket):
                raise invalid(f"S3 path {uri}: The specified bucket does not exist")

    def _check_quota(self, resources: Mapping[str, Any]) -> None:
        kind, count = resources["InstanceType"], resources["InstanceCount"]
        used: Counter[str] = Counter()
        for run in list(self.runs.values()):
            if run.status not in ENDED:
                taken = run.request["TransformResources"]
                used[taken["InstanceType"]] += taken["InstanceCount"]
        self.cloud.quotas.require(kind, "transform job usage", count=count, used=used[kind])

    def _run(self, name: str) -> TransformRun:
        if name not in self.runs:
            raise invalid(f'Could not find requested job with name: "{name}".')
        return self.runs[name]

    def describe(self, params: Params) -> Params:
        """Answer DescribeTransformJob."""
        run = self._run(params["TransformJobName"])
        times = {"TransformStartTime": run.started, "TransformEndTime": run.ended}
        return {
            **{key: value for key in _ECHOED if (value := run.request.get(key)) is not None},
            **{key: value for key, value in times.items() if value is not None},
            "TransformJobArn": run.arn,
            "TransformJobStatus": run.status,
            "CreationTime": run.created,
            **({"FailureReason": run.reason} if run.reason else {}),
        }

    def list(self, params: Params) -> Params:
        """Answer ListTransformJobs with its filters, order and pages."""
        rows = [_summary(run) for run in list(self.runs.values())]
        return page(rows, params, name="TransformJobName", out="TransformJobSummaries", status="TransformJobStatus")

    def stop(self, params: Params) -> Params:
        self._run(params["TransformJobName"]).stop()
        return {}

    def close(self) -> None:
        """localcloud goes down: nothing more is asked."""
        for run in list(self.runs.values()):
            run.stopping.set()


def _summary(run: TransformRun) -> Params:
    shown: Params = {
        "TransformJobName": run.name,
        "TransformJobArn": run.arn,
        "CreationTime": run.created,
        "LastModifiedTime": run.modified,
        "TransformJobStatus": run.status,
    }
    return (
        shown
        | ({"TransformEndTime": run.ended} if run.ended else {})
        | ({"FailureReason": run.reason} if run.reason else {})
    )
