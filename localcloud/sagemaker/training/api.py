"""Training jobs as SageMaker's API serves them: create, describe, list, stop, delete; and a spot interruption."""

import threading
from collections import Counter
from typing import Any

from localcloud.cloud import Cloud
from localcloud.errors import ApiError
from localcloud.gateway.service import Service
from localcloud.iam import require_sagemaker_role
from localcloud.sagemaker.records import invalid
from localcloud.sagemaker.training.data import locate
from localcloud.sagemaker.training.describe import describe, listing
from localcloud.sagemaker.training.job import TrainingJob
from localcloud.sagemaker.training.request import TrainingRequest, parse


class TrainingJobs:
    """Every training job of this localcloud, by name."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._jobs: dict[str, TrainingJob] = {}
        self._lock = threading.Lock()

    def service(self) -> Service:
        return Service(
            name="sagemaker",
            handlers={
                "CreateTrainingJob": self.create,
                "DescribeTrainingJob": self.describe,
                "ListTrainingJobs": self.list,
                "StopTrainingJob": self.stop,
                "DeleteTrainingJob": self.delete,
            },
            local={"POST training-jobs/{name}/interrupt": self.interrupt},
            close=self.close,
        )

    def create(self, params: dict[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob: refuses what is known to be wrong; what turns out later fails the job."""
        return {"TrainingJobArn": self.begin(parse(params)).arn}

    def check(self, request: TrainingRequest) -> None:
        """Raise ApiError for a job that cannot begin: its image, its S3 addresses or a quota is in the way."""
        self._cloud.images.check_sagemaker(request.image)
        self._check_pull(request)
        self._check_s3(request)
        self._check_quotas(request)

    def begin(self, request: TrainingRequest, *, tuning: str | None = None) -> TrainingJob:
        """Begin a job; `tuning` is the ARN of the tuning job that launches it. Raises ApiError."""
        name, arn = request.name, self._cloud.arn("sagemaker", f"training-job/{request.name.lower()}")
        require_sagemaker_role(self._cloud.roles, request.role, arn)
        self.check(request)
        with self._lock:
            if name in self._jobs:
                raise ApiError(
                    "ResourceInUse",
                    "Training job names must be unique within an AWS account and region, and a training job with this "
                    f"name already exists ({arn})",
                )
            job = self._jobs[name] = TrainingJob(self._cloud, request, arn, tuning=tuning)
        self._cloud.tags.put(arn, request.tags)
        job.start()
        return job

    def _check_pull(self, request: TrainingRequest) -> None:
        """SageMaker pulls with the job's role; its words are in the tests of public clients of CreateTrainingJob."""
        if not self._cloud.may_pull(request.image, request.role):
            raise invalid(
                f"Access denied for repository: {self._cloud.images.repository(request.image)} in registry ID: "
                f"{self._cloud.account}. Please check if your ECR repository and image exist and role {request.role} "
                "has proper pull permissions for SageMaker: ecr:BatchCheckLayerAvailability, ecr:BatchGetImage, "
                "ecr:GetDownloadUrlForLayer"
            )

    def _check_s3(self, request: TrainingRequest) -> None:
        for channel in request.channels:
            objects = self._cloud.objects_as(request.role)
            locate(channel, objects, region=self._cloud.region, role=request.role)
        for target in (request.output, request.checkpoints):
            if target is not None and not self._cloud.objects.bucket_exists(target.where.bucket):
                raise invalid(f"S3 path {target.uri}: The specified bucket does not exist")

    def _check_quotas(self, request: TrainingRequest) -> None:
        use = "spot training job usage" if request.spot else "training job usage"
        running = [job.request for job in self._all() if job.record.ended is None and job.request.spot == request.spot]
        used = Counter(host.instance_type for each in running for host in each.hosts)
        for instance_type, count in Counter(host.instance_type for host in request.hosts).items():
            self._cloud.quotas.require(instance_type, use, count=count, used=used[instance_type])

    def _all(self) -> list[TrainingJob]:
        with self._lock:
            return list(self._jobs.values())

    def _job(self, name: str) -> TrainingJob:
        with self._lock:
            if name not in self._jobs:
                raise invalid("Requested resource not found.")
            return self._jobs[name]

    def describe(self, params: dict[str, Any]) -> dict[str, Any]:
        return describe(self._job(params["TrainingJobName"]))

    def stop(self, params: dict[str, Any]) -> dict[str, Any]:
        self._job(params["TrainingJobName"]).stop()
        return {}

    def interrupt(self, labels: dict[str, Any]) -> dict[str, Any]:
        self._job(labels["name"]).interrupt()
        return {"interrupted": labels["name"]}

    def delete(self, params: dict[str, Any]) -> dict[str, Any]:
        """DeleteTrainingJob: only of a job that has ended."""
        job = self._job(params["TrainingJobName"])
        record = job.record
        if record.ended is None:
            raise ApiError("ResourceInUse", f"Training job {job.name} is {record.status}; stop it first")
        with self._lock:
            self._jobs.pop(job.name, None)
        self._cloud.tags.forget(job.arn)
        return {}

    def list(self, params: dict[str, Any]) -> dict[str, Any]:
        """ListTrainingJobs with its filters, order and pages."""
        return listing(self._all(), params)

    def close(self) -> None:
        for job in self._all():
            job.close()
