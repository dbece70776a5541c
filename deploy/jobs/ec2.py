"""Training on one EC2 instance, which fetches, trains, uploads and terminates itself: its requests and its backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from deploy.aws import requests
from deploy.aws.client import lookup
from deploy.aws.logs import LogReader
from deploy.aws.tags import tag_list
from deploy.config.settings import Settings
from deploy.errors import AwsError, JobError
from deploy.iam.instance_profile import instance_profile
from deploy.iam.role import ec2_role
from deploy.jobs import ec2_instance, records
from deploy.jobs.backend import INTERRUPTED, unless_restarted
from deploy.jobs.failures import explained
from deploy.jobs.request import JobRequest
from deploy.jobs.security_group import security_group
from deploy.jobs.training_job import TrainingJob
from deploy.jobs.user_data import program, user_data
from deploy.session import Session
from deploy.storage.bucket import bucket
from deploy.storage.log_group import ec2_group
from deploy.values import Call, Request, content_hash

ALIVE = ("pending", "running")
NO_CAPACITY = ("InsufficientInstanceCapacity", "UnfulfillableCapacity", "SpotMaxPriceTooLow")
RETRY_S = 60.0
VISIBLE_WITHIN_S = 60.0


@dataclass(frozen=True, kw_only=True)
class InstanceSettings:
    """What AWS knows and deploy.toml does not: the AMI's id, its root device, and the security group's id."""

    image: str
    root_device: str
    group: str


def run(job: JobRequest, settings: Settings, instance: InstanceSettings, script: str, *, launch: int = 1) -> Request:
    """The RunInstances request of a job's instance. Sending it twice starts one instance (rules 85–88)."""
    ec2 = settings.training.ec2
    tags = tag_list({**job.tags, "Name": job.name, "kennel:job": job.name})
    disk = {
        "VolumeSize": ec2.volume_gb,
        "VolumeType": "gp3",
        "DeleteOnTermination": True,
        "Encrypted": True,
        **({"KmsKeyId": job.kms_key} if job.kms_key else {}),
    }
    params: dict[str, Any] = {
        "ImageId": instance.image,
        "InstanceType": ec2.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": content_hash(job.name, launch, script, length=32),
        "IamInstanceProfile": {"Name": settings.role_name("ec2")},
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "InstanceInitiatedShutdownBehavior": "terminate",
        "BlockDeviceMappings": [{"DeviceName": instance.root_device, "Ebs": disk}],
        "SecurityGroupIds": [instance.group],
        "UserData": script,
        "TagSpecifications": [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")],
        **({"SubnetId": ec2.subnet} if ec2.subnet else {}),
        **({"KeyName": ec2.key_pair} if ec2.key_pair else {}),
        **(SPOT if ec2.spot else {}),
    }
    return requests.ec2("RunInstances", **params)


SPOT: Mapping[str, Any] = {
    "InstanceMarketOptions": {
        "MarketType": "spot",
        "SpotOptions": {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"},
    }
}


def newest_image(parameter: str) -> Request:
    """The request that asks Systems Manager for the newest AMI of a kind (rule 85)."""
    return requests.ssm("GetParameter", Name=parameter)


@dataclass(frozen=True, kw_only=True)
class Ec2Backend:
    """Runs jobs on EC2. A job's instance writes its record; if the instance dies without that, EC2 gives the reason."""

    session: Session

    @property
    def settings(self) -> Settings:
        return self.session.settings

    @property
    def call(self) -> Call:
        return self.session.call

    def find_attempt(self, job: JobRequest) -> tuple[JobRequest, TrainingJob | None]:
        """A job that failed or was interrupted starts again under its name, from its checkpoint."""
        return job, unless_restarted(self.describe(job.name))

    def start(self, job: JobRequest) -> None:
        """Creates role, profile, security group and log group, then the instance.

        Raises JobError when EC2 has no such instance free.
        """
        self._check(job)
        settings, region, logs = self.settings, self.settings.stage.region, ec2_group(self.settings).name
        before = records.read(settings.bucket, job.name, self.call)
        created = (before.created if before else None) or datetime.now(UTC)
        launch = before.launch + 1 if before else 1
        group = self._security_group()
        script = user_data(job, program(), region=region, group=logs, created=created.isoformat(), launch=launch)
        image = self._image()
        instance = InstanceSettings(image=image, root_device=self._root_device(image), group=group)
        begun = TrainingJob(
            name=job.name, status="InProgress", secondary_status="Starting", created=created, launch=launch
        )
        self._record(begun)
        try:
            self._launch(run(job, settings, instance, script, launch=launch))
        except AwsError as error:
            self._record(replace(begun, status="Failed", secondary_status="Failed", failure_reason=str(error)))
            raise JobError(f"training job {job.name}: {explained(str(error))}") from error
        self._await_visible(job.name)

    def describe(self, name: str) -> TrainingJob | None:
        """The record that the job's instance wrote last; of an instance that died before the end, EC2's reason."""
        job = records.read(self.settings.bucket, name, self.call)
        if job is None or job.has_ended or self._instances(name, ALIVE):
            return job
        job = records.read(self.settings.bucket, name, self.call) or job  # written while we looked for the instance
        return job if job.has_ended else _lost(job, self._instances(name, ()))

    def reader(self, name: str) -> LogReader:
        return LogReader(call=self.call, group=ec2_group(self.settings).name, prefix=f"{name}/")

    def stop(self, name: str) -> None:
        """Terminates the job's instance at once; the checkpoints of the last minute may be lost."""
        for each in self._instances(name, ec2_instance.LIVING):
            self.call(ec2_instance.terminate(each["InstanceId"]))
        job = records.read(self.settings.bucket, name, self.call)
        if job and not job.has_ended:
            self._record(replace(job, status="Stopped", secondary_status="Stopped"))

    def _record(self, job: TrainingJob) -> None:
        self.call(records.put(self.settings.bucket, job))

    def _instances(self, name: str, states: tuple[str, ...]) -> list[Any]:
        return list(ec2_instance.instances(self.settings, self.call, job=name, states=states))

    def _security_group(self) -> str:
        """The id of the security group, after making it and all else that an instance needs."""
        settings = self.settings
        group = security_group(settings, vpc=self._vpc())
        self.session.settle(
            (bucket(settings), ec2_role(settings), instance_profile(settings), group, ec2_group(settings))
        )
        clock = self.session.clock
        deadline = clock.now() + VISIBLE_WITHIN_S
        while (state := group.read(self.call)) is None:  # EC2 does not list a new group at once
            if clock.now() >= deadline:
                raise JobError(f"{group.address}: EC2 does not list it after {VISIBLE_WITHIN_S:.0f} s; try again")
            clock.sleep(2.0)
        return state.attributes["id"]

    def _launch(self, request: Request) -> None:
        """Sends the request. While no spot instance is free, tries again for training.max_wait_minutes."""
        training, clock = self.settings.training, self.session.clock
        deadline = clock.now() + 60 * training.max_wait_minutes
        while True:
            try:
                self.call(request)
            except AwsError as error:
                if error.code not in NO_CAPACITY or not training.ec2.spot or clock.now() + RETRY_S > deadline:
                    raise
                self.session.screen.say(f"   {error.code}: no spot instance is free; trying again in {RETRY_S:.0f} s")
                clock.sleep(RETRY_S)
            else:
                return

    def _await_visible(self, name: str) -> None:
        """EC2 does not list a new instance at once, and `describe` takes an unlisted one for dead."""
        clock = self.session.clock
        deadline = clock.now() + VISIBLE_WITHIN_S
        while not self._instances(name, ()) and clock.now() < deadline:
            clock.sleep(2.0)

    def _check(self, job: JobRequest) -> None:
        if job.instance_count > 1:
            raise JobError(
                f"training.instance_count: {job.instance_count}: EC2 trains on one instance, with all of its GPUs; "
                'choose a larger training.ec2.instance_type, or on = "sagemaker"'
            )

    def _vpc(self) -> str:
        """The VPC of the subnet, or "" for the default one."""
        subnet = self.settings.training.ec2.subnet
        if not subnet:
            return ""
        request = requests.ec2("DescribeSubnets", SubnetIds=[subnet])
        return str(self.call(request)["Subnets"][0]["VpcId"])

    def _image(self) -> str:
        parameter = self.settings.training.ec2.ami_parameter
        answer = lookup(self.call, newest_image(parameter))
        if answer is None:
            raise JobError(
                f"training.ec2.ami_parameter: {parameter}: no such parameter in {self.settings.stage.region}"
            )
        return str(answer["Parameter"]["Value"])

    def _root_device(self, image: str) -> str:
        request = requests.ec2("DescribeImages", ImageIds=[image])
        return str(self.call(request)["Images"][0]["RootDeviceName"])


def _lost(job: TrainingJob, instances: list[Any]) -> TrainingJob:
    """A job whose instance died before it wrote the job's end: interrupted or failed, with EC2's reason."""
    last: Mapping[str, Any] = max(instances, key=lambda each: each["LaunchTime"], default={})
    reason = str(last.get("StateReason", {}).get("Message") or "EC2 lists no instance of this job any more")
    if "SpotInstanceTermination" in reason or last.get("InstanceLifecycle") == "spot":
        return replace(job, status="Stopped", secondary_status=INTERRUPTED, failure_reason=reason)
    return replace(job, status="Failed", secondary_status="Failed", failure_reason=f"its instance ended: {reason}")
