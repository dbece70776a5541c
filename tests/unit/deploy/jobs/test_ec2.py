"""Training on EC2: its requests against golden files, its user data, and jobs whose instance died."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.aws.tags import tag_list
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.errors import JobError
from deploy.iam import instance_profile
from deploy.jobs import ec2, ec2_instance, records, security_group
from deploy.jobs import request as jobs
from deploy.jobs.ec2 import Ec2Backend, InstanceSettings
from deploy.jobs.request import JobRequest
from deploy.jobs.training_job import TrainingJob
from deploy.jobs.user_data import program, registry, user_data
from deploy.session import Session
from deploy.values import Ref, Request, State
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, FakeTime, refusal
from tests.unit.deploy.golden import requests

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/kennel-local/train@sha256:" + "0" * 64
BUCKET = "s3://kennel-local-123456789012-us-east-1"
INSTANCE = InstanceSettings(image="ami-0abc", root_device="/dev/sda1", group="sg-0def")
CREATED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def job(settings: Settings, **more: Any) -> JobRequest:
    given = {"image": IMAGE, "image_tag": "1", "data": f"{BUCKET}/data/x/", "data_hash": "abc", "instance_count": 1}
    return jobs.request(settings, **{**given, "weights": f"{BUCKET}/weights/", **more})


def with_ec2(settings: Settings, **changed: Any) -> Settings:
    chosen = settings.training.ec2.model_copy(update=changed)
    return settings.model_copy(update={"training": settings.training.model_copy(update={"ec2": chosen})})


def script(request: JobRequest, launch: int = 1) -> str:
    group, created = "/kennel/kennel-local/ec2", CREATED.isoformat()
    return user_data(request, program(), region="us-east-1", group=group, created=created, launch=launch)


@pytest.mark.parametrize(
    ("name", "options", "contracts"),
    [
        ("on-demand", {}, (85, 86, 88)),
        ("spot", {"spot": True}, (86, 87, 88)),
        ("own-subnet-and-key", {"subnet": "subnet-0a", "key_pair": "mine", "ssh_from": "203.0.113.7/32"}, (86, 88)),
    ],
)
def test_the_instance_request_follows_the_settings(
    settings: Settings, golden: Golden, name: str, options: dict[str, Any], contracts: tuple[int, ...]
) -> None:
    golden(name, ec2.run(job(settings), with_ec2(settings, **options), INSTANCE, "#!/bin/bash\n"), rules=contracts)


def test_a_key_encrypts_the_disk_and_what_is_uploaded(settings: Settings) -> None:
    encrypted = replace(job(settings), kms_key="arn:aws:kms:us-east-1:123456789012:key/1")
    disk = ec2.run(encrypted, settings, INSTANCE, "").params["BlockDeviceMappings"][0]["Ebs"]
    assert (disk["Encrypted"], disk["KmsKeyId"]) == (True, encrypted.kms_key)
    assert f"ENCRYPTION=(--sse aws:kms --sse-kms-key-id {encrypted.kms_key})" in script(encrypted)


def test_the_same_launch_sent_twice_is_one_instance_and_the_next_launch_another(settings: Settings) -> None:
    tokens = [ec2.run(job(settings), settings, INSTANCE, "s", launch=n).params["ClientToken"] for n in (1, 1, 2)]
    assert tokens[0] == tokens[1] != tokens[2]


def test_the_requests_for_the_newest_image_and_its_disk_are_as_the_golden_files_say(
    settings: Settings, golden: Golden
) -> None:
    golden("deep-learning-ami", ec2.newest_image(settings.training.ec2.ami_parameter), rules=(85,))
    aws = FakeAws(answers())
    Ec2Backend(session=session(settings, aws)).start(job(settings))
    for request in aws.sent:
        if request.operation in ("DescribeImages", "DescribeSecurityGroups"):
            golden("training", request)


def test_the_security_group_is_created_in_the_vpc_of_the_subnet(settings: Settings, golden: Golden) -> None:
    subnets = {"Subnets": [{"VpcId": "vpc-0a"}]}
    aws = FakeAws({**answers(), "DescribeSubnets": subnets, "DescribeSecurityGroups": {"SecurityGroups": []}})
    with pytest.raises(JobError, match="EC2 does not list it after 60 s"):
        Ec2Backend(session=session(with_ec2(settings, subnet="subnet-0a"), aws)).start(job(settings))
    sent = {request.operation: request for request in aws.sent}
    golden("of-a-subnet", sent["DescribeSubnets"])
    assert sent["CreateSecurityGroup"].params["VpcId"] == "vpc-0a"


def test_one_address_may_log_in_only_with_ssh_from_and_nobody_else(settings: Settings, golden: Golden) -> None:
    closed = security_group.security_group(settings)
    step = closed.plan(None)
    assert [act.operation for act in step.acts if isinstance(act, Request)] == ["CreateSecurityGroup"]
    opened = security_group.security_group(with_ec2(settings, ssh_from="203.0.113.7/32", key_pair="mine"), vpc="vpc-0a")
    for act in opened.plan(None).acts:
        assert isinstance(act, Request)
        golden("one-address", _known(act))
    public = {
        "IpProtocol": "tcp",
        "FromPort": 22,
        "ToPort": 22,
        "IpRanges": [{"CidrIp": "0.0.0.0/0"}],
        "Ipv6Ranges": [],
    }
    fields = {"inbound": ["tcp 22 from 0.0.0.0/0"], "permissions": [public]}
    step = closed.plan(State(fields=fields, attributes={"id": "sg-1"}, tags=settings.tags))
    assert step.touches == "allows no inbound traffic"
    (revoked,) = step.acts
    assert isinstance(revoked, Request)
    golden("open-to-the-world", _known(revoked))


def test_the_profile_holds_just_its_role(settings: Settings, golden: Golden) -> None:
    profile = instance_profile.instance_profile(settings)
    for act in (*profile.plan(None).acts, *instance_profile.KIND.remove(profile.name, settings).acts):
        assert isinstance(act, Request)
        golden("ec2", act, rules=(80,))
    other = State(fields={"roles": ["someone"]}, tags=settings.tags)
    operations = [act.operation for act in profile.plan(other).acts if isinstance(act, Request)]
    assert operations == ["RemoveRoleFromInstanceProfile", "AddRoleToInstanceProfile"]


def test_a_left_over_instance_is_found_by_its_tags_and_terminated(settings: Settings, golden: Golden) -> None:
    instance = {"InstanceId": "i-0a", "State": {"Name": "running"}, "InstanceType": "t3.micro", "Tags": []}
    aws = FakeAws({"DescribeInstances": {"Reservations": [{"Instances": [instance]}]}})
    assert list(ec2_instance.KIND.names(settings, aws)) == ["i-0a"]
    golden("of-the-stage", aws.sent[0])
    assert ec2_instance.KIND.state("i-0a", settings, aws) == "running, t3.micro"
    golden("left-over", ec2_instance.terminate("i-0a"))
    golden("left-over", Request(service="ec2", operation="DeleteSecurityGroup", params={"GroupId": "sg-0a"}))


def test_the_user_data_is_as_the_golden_file_says(settings: Settings) -> None:
    text = script(job(settings))
    path = requests.FOLDER / "ec2/user-data.sh"
    if os.environ.get("KENNEL_GOLDEN") == "write":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
    assert len(text.encode()) <= 16384


def test_values_with_quotes_and_spaces_stay_values(settings: Settings) -> None:
    quoted = replace(job(settings), environment={"NOTE": "it's $(reboot)"})
    assert "-e 'NOTE=it'\"'\"'s $(reboot)'" in script(quoted)


def test_user_data_that_ec2_would_not_take_is_refused(settings: Settings) -> None:
    with pytest.raises(JobError, match="EC2 takes 16384"):
        script(replace(job(settings), environment={f"A{n}": "x" * 500 for n in range(40)}))


@pytest.mark.parametrize(
    ("image", "pulled_from"),
    [
        (IMAGE, "123456789012.dkr.ecr.us-east-1.amazonaws.com"),
        ("127.0.0.1:5000/kennel/train@sha256:00", "127.0.0.1:5000"),
        ("kennel/train:1", ""),
    ],
)
def test_only_an_image_by_digest_is_pulled(image: str, pulled_from: str) -> None:
    assert registry(image) == pulled_from


def test_more_than_one_host_is_refused_with_what_to_do_instead(settings: Settings) -> None:
    aws = FakeAws(answers())
    with pytest.raises(JobError, match="one instance, with all of its GPUs"):
        Ec2Backend(session=session(settings, aws)).start(job(settings, instance_count=2))
    assert aws.sent == []


def test_missing_capacity_is_explained_and_recorded(settings: Settings) -> None:
    full = refusal("InsufficientInstanceCapacity", "We currently do not have sufficient g4dn.xlarge capacity")
    aws = FakeAws({**answers(), "RunInstances": full})
    with pytest.raises(JobError, match=r"(?s)InsufficientInstanceCapacity.*try again later"):
        Ec2Backend(session=session(settings, aws)).start(job(settings))
    written = json.loads(aws.sent[-1].params["Body"])
    assert (written["TrainingJobStatus"], written["Launch"]) == ("Failed", 1)


@pytest.mark.parametrize(("spot", "requests"), [(True, 3), (False, 1)])
def test_a_spot_request_is_repeated_while_no_instance_is_free(settings: Settings, spot: bool, requests: int) -> None:
    full = refusal("InsufficientInstanceCapacity", "no capacity")
    aws = FakeAws({**answers(), "RunInstances": [full, full, {}]})
    here = session(with_ec2(settings, spot=spot), aws)
    if spot:
        Ec2Backend(session=here).start(job(settings))
    else:
        with pytest.raises(JobError):
            Ec2Backend(session=here).start(job(settings))
    assert aws.operations.count("RunInstances") == requests


def test_start_waits_until_ec2_lists_the_new_instance(settings: Settings) -> None:
    listed = {"Reservations": [{"Instances": [{"InstanceId": "i-0"}]}]}
    aws = FakeAws({**answers(), "DescribeInstances": [{"Reservations": []}, {"Reservations": []}, listed]})
    Ec2Backend(session=session(settings, aws)).start(job(settings))
    assert aws.operations[-4:] == ["RunInstances", *["DescribeInstances"] * 3]


def test_start_waits_until_ec2_lists_the_new_security_group(settings: Settings) -> None:
    groups = answers()["DescribeSecurityGroups"]
    unlisted: dict[str, Any] = {"SecurityGroups": []}
    alive = {"Reservations": [{"Instances": [{"InstanceId": "i-0"}]}]}
    listed = [unlisted, unlisted, unlisted, groups]  # planned, planned again under the lock, made, listed
    aws = FakeAws({**answers(), "DescribeSecurityGroups": listed, "DescribeInstances": alive})
    Ec2Backend(session=session(settings, aws)).start(job(settings))
    run = next(each for each in aws.sent if each.operation == "RunInstances")
    assert run.params["SecurityGroupIds"] == ["sg-0def"]


def test_after_the_longest_wait_a_spot_instance_is_given_up(settings: Settings) -> None:
    aws = FakeAws({**answers(), "RunInstances": refusal("InsufficientInstanceCapacity", "no capacity")})
    with pytest.raises(JobError, match="try again later"):
        Ec2Backend(session=session(with_ec2(settings, spot=True), aws)).start(job(settings))
    assert aws.operations.count("RunInstances") == settings.training.max_wait_minutes + 1


@pytest.mark.parametrize(
    ("reason", "lifecycle", "secondary"),
    [
        ("Server.SpotInstanceTermination: Spot instance termination", "spot", "Interrupted"),
        ("Client.UserInitiatedShutdown: User initiated shutdown", "", "Failed"),
    ],
)
def test_for_an_instance_that_died_silently_ec2_gives_the_reason(
    settings: Settings, reason: str, lifecycle: str, secondary: str
) -> None:
    dead = {"InstanceId": "i-0", "LaunchTime": CREATED, "StateReason": {"Message": reason}}
    gone = {"Reservations": [{"Instances": [dead | ({"InstanceLifecycle": lifecycle} if lifecycle else {})]}]}
    aws = FakeAws({"GetObject": recorded("InProgress"), "DescribeInstances": [{"Reservations": []}, gone]})
    lost = Ec2Backend(session=session(settings, aws)).describe("j")
    assert lost is not None
    assert (lost.secondary_status, reason in lost.failure_reason) == (secondary, True)


@pytest.mark.parametrize(
    ("status", "is_new"), [("InProgress", False), ("Completed", False), ("Failed", True), ("Stopped", True)]
)
def test_a_job_that_ended_badly_starts_again_under_its_name(settings: Settings, status: str, is_new: bool) -> None:
    alive = {"Reservations": [{"Instances": [{"InstanceId": "i-0"}]}]}
    aws = FakeAws({"GetObject": recorded(status), "DescribeInstances": alive})
    request = job(settings)
    attempt, state = Ec2Backend(session=session(settings, aws)).find_attempt(request)
    assert attempt.name == request.name
    assert (state is None) is is_new


def test_a_stopped_job_is_ended_and_its_record_says_so(settings: Settings) -> None:
    alive = {"Reservations": [{"Instances": [{"InstanceId": "i-0"}]}]}
    aws = FakeAws({"GetObject": recorded("InProgress"), "DescribeInstances": alive})
    Ec2Backend(session=session(settings, aws)).stop("j")
    assert "TerminateInstances" in aws.operations
    assert json.loads(aws.sent[-1].params["Body"])["TrainingJobStatus"] == "Stopped"


def test_a_parameter_that_names_no_ami_is_told_with_its_key(settings: Settings) -> None:
    aws = FakeAws({**answers(), "GetParameter": refusal("ParameterNotFound")})
    with pytest.raises(JobError, match=r"training\.ec2\.ami_parameter: .*: no such parameter in us-east-1"):
        Ec2Backend(session=session(settings, aws)).start(job(settings))
    assert "RunInstances" not in aws.operations


def test_a_record_is_read_back_as_it_was_written(golden: Golden) -> None:
    written = TrainingJob(name="j", status="Completed", created=CREATED)
    request = records.put("b", written)
    golden("job-record", request)
    assert records.load(request.params["Body"]) == written


def session(settings: Settings, aws: FakeAws) -> Session:
    screen, clock = Screen(out=io.StringIO()), FakeTime().clock()
    return Session(settings=settings, call=aws, build=lambda kind: f"kennel/{kind}:1", screen=screen, clock=clock)


def recorded(status: str) -> Any:
    """GetObject's answer with a job's record; each call gets a body of its own."""
    text = json.dumps({"TrainingJobName": "j", "TrainingJobStatus": status, "Launch": 1})
    return lambda _: {"Body": io.BytesIO(text.encode())}


def answers() -> Mapping[str, Any]:
    """The answers of an account that holds only our security group."""
    mine = tag_list({"kennel:project": "kennel", "kennel:stage": "local"})
    return {
        "GetObject": refusal("NoSuchKey"),
        "GetParameter": {"Parameter": {"Value": "ami-0abc"}},
        "DescribeImages": {"Images": [{"RootDeviceName": "/dev/sda1"}]},
        "DescribeSecurityGroups": {"SecurityGroups": [{"GroupId": "sg-0def", "Tags": mine}]},
        "PutObject": {"ETag": "1"},
        "GetRole": refusal("NoSuchEntity"),
        "GetInstanceProfile": refusal("NoSuchEntity"),
        "DescribeLogGroups": {"logGroups": []},
        "GetCallerIdentity": {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/me"},
    }


def _known(request: Request) -> Request:
    """The request with the group's id where a reference to it stands."""
    params = {key: "sg-0a" if isinstance(value, Ref) else value for key, value in request.params.items()}
    return replace(request, params=params)
