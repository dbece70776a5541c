"""Training on one EC2 instance that fetches, trains, uploads and ends itself: its requests, and EC2 as a backend."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
from deploy.jobs.backend import ENDED, INTERRUPTED, Description
from deploy.jobs.failures import plain
from deploy.jobs.request import JobRequest
from deploy.jobs.security_group import security_group
from deploy.jobs.user_data import program, user_data
from deploy.session import Session
from deploy.storage.bucket import bucket
from deploy.storage.log_group import ec2_group
from deploy.values import Call, Request, content_hash

ALIVE = ("pending", "running")
FULL = ("InsufficientInstanceCapacity", "UnfulfillableCapacity", "SpotMaxPriceTooLow")
ASK_AGAIN_S = 60.0
SIGHT_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where an instance is to stand: what AWS says of the AMI, and the security group."""

    image: str
    root_device: str
    group: str


def run(job: JobRequest, settings: Settings, place: Place, script: str, *, launch: int = 1) -> Request:
    """The RunInstances request of a job's instance. Sent twice it makes one instance (rules 85–88)."""
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
        "ImageId": place.image,
        "InstanceType": ec2.instance_type,
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": content_hash(job.name, launch, script, length=32),
        "IamInstanceProfile": {"Name": settings.role_name("ec2")},
        "MetadataOptions": {"HttpEndpoint": "enabled", "HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        "InstanceInitiatedShutdownBehavior": "terminate",
        "BlockDeviceMappings": [{"DeviceName": place.root_device, "Ebs": disk}],
        "SecurityGroupIds": [place.group],
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
    """Asks Systems Manager which AMI is the newest of its kind (rule 85)."""
    return requests.ssm("GetParameter", Name=parameter)


@dataclass(frozen=True, kw_only=True)
class Ec2:
    """EC2 as a place where jobs run. A job's instance writes its description; when that dies silently, EC2 tells."""

    session: Session

    @property
    def settings(self) -> Settings:
        return self.session.settings

    @property
    def call(self) -> Call:
        return self.session.call

    def take_up(self, job: JobRequest) -> tuple[JobRequest, Description | None]:
        """A job that failed or was interrupted begins again under its name, from its checkpoint."""
        found = self.describe(job.name)
        return job, None if found is None or found["TrainingJobStatus"] in ("Failed", "Stopped") else found

    def start(self, job: JobRequest) -> None:
        """Role, profile and security group first, then the instance. Raises JobError when EC2 has none to give."""
        self._check(job)
        before = records.read(self.settings.bucket, job.name, self.call) or {}
        launch = int(before.get("Launch", 0)) + 1
        created = before.get("CreationTime") or datetime.now(UTC)
        settings, vpc = self.settings, self._vpc()
        group = security_group(settings, vpc=vpc)
        self.session.settle(
            (bucket(settings), ec2_role(settings), instance_profile(settings), group, ec2_group(settings))
        )
        state = group.read(self.call)
        if state is None:
            raise JobError(f"{group.address}: is not there yet; try again")
        region, logs = settings.stage.region, ec2_group(settings).name
        script = user_data(job, program(), region=region, group=logs, created=created.isoformat(), launch=launch)
        image = self._image()
        place = Place(image=image, root_device=self._root_device(image), group=state.attributes["id"])
        self.call(records.put(settings.bucket, _begun(job.name, launch, created)))
        try:
            self._launch(run(job, settings, place, script, launch=launch))
        except AwsError as error:
            failed = {**_begun(job.name, launch, created), "TrainingJobStatus": "Failed", "FailureReason": str(error)}
            self.call(records.put(settings.bucket, {**failed, "SecondaryStatus": "Failed"}))
            raise JobError(f"training job {job.name}: {plain(str(error))}") from error
        self._await_sight(job.name)

    def describe(self, name: str) -> Description | None:
        """What its instance wrote last; of one that is gone without a last word, why."""
        told = records.read(self.settings.bucket, name, self.call)
        if told is None or told["TrainingJobStatus"] in ENDED or self._instances(name, ALIVE):
            return told
        told = records.read(self.settings.bucket, name, self.call) or told  # its last word may have come meanwhile
        if told["TrainingJobStatus"] in ENDED:
            return told
        return {**told, **_silent(self._instances(name, ()))}

    def reader(self, name: str) -> LogReader:
        return LogReader(call=self.call, group=ec2_group(self.settings).name, prefix=f"{name}/")

    def stop(self, name: str) -> None:
        """Ends its instance at once; the checkpoints of the last minute may be lost."""
        for each in self._instances(name, ec2_instance.LIVING):
            self.call(ec2_instance.terminate(each["InstanceId"]))
        told = records.read(self.settings.bucket, name, self.call)
        if told and told["TrainingJobStatus"] not in ENDED:
            stopped = {**told, "TrainingJobStatus": "Stopped", "SecondaryStatus": "Stopped"}
            self.call(records.put(self.settings.bucket, stopped))

    def _instances(self, name: str, states: tuple[str, ...]) -> list[Any]:
        return list(ec2_instance.found(self.settings, self.call, job=name, states=states))

    def _launch(self, request: Request) -> None:
        """Where no spot instance is free it is asked for again, for training.max_wait_minutes."""
        training, clock = self.settings.training, self.session.clock
        last = clock.now() + 60 * training.max_wait_minutes
        while True:
            try:
                self.call(request)
            except AwsError as error:
                if error.code not in FULL or not training.ec2.spot or clock.now() + ASK_AGAIN_S > last:
                    raise
                self.session.screen.say(
                    f"   {error.code}: no spot instance is free; asking again in {ASK_AGAIN_S:.0f} s"
                )
                clock.sleep(ASK_AGAIN_S)
            else:
                return

    def _await_sight(self, name: str) -> None:
        """A new instance is not seen everywhere at once, and one that is not seen counts as gone."""
        clock = self.session.clock
        last = clock.now() + SIGHT_S
        while not self._instances(name, ()) and clock.now() < last:
            clock.sleep(2.0)

    def _check(self, job: JobRequest) -> None:
        if job.instance_count > 1:
            raise JobError(
                f"training.instance_count: {job.instance_count}: EC2 training is one instance, with all of its GPUs; "
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
        found = lookup(self.call, newest_image(parameter))
        if found is None:
            raise JobError(
                f"training.ec2.ami_parameter: {parameter}: no such parameter in {self.settings.stage.region}"
            )
        return str(found["Parameter"]["Value"])

    def _root_device(self, image: str) -> str:
        request = requests.ec2("DescribeImages", ImageIds=[image])
        return str(self.call(request)["Images"][0]["RootDeviceName"])


def _begun(name: str, launch: int, created: datetime) -> dict[str, Any]:
    return {
        "TrainingJobName": name,
        "TrainingJobStatus": "InProgress",
        "SecondaryStatus": "Starting",
        "CreationTime": created,
        "Launch": launch,
    }


def _silent(instances: list[Any]) -> dict[str, str]:
    """What is to be said of a job whose instance ended without a word: EC2's own reason."""
    last: Mapping[str, Any] = max(instances, key=lambda each: each["LaunchTime"], default={})
    reason = str(last.get("StateReason", {}).get("Message") or "no instance of it is left")
    if "SpotInstanceTermination" in reason or last.get("InstanceLifecycle") == "spot":
        return {"TrainingJobStatus": "Stopped", "SecondaryStatus": INTERRUPTED, "FailureReason": reason}
    return {
        "TrainingJobStatus": "Failed",
        "SecondaryStatus": "Failed",
        "FailureReason": f"its instance ended: {reason}",
    }
