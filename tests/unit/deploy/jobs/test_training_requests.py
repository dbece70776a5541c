"""The CreateTrainingJob request with each option of [training], held against golden files; and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.config.settings import Settings, parse
from deploy.errors import SettingsError
from deploy.jobs import request as jobs
from deploy.jobs import sagemaker
from deploy.jobs.request import JobRequest
from deploy.values import Ref
from tests.unit.deploy.conftest import Golden

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/kennel-local/train@sha256:" + "0" * 64
BUCKET = "s3://kennel-local-123456789012-us-east-1"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
VPC = {"subnets": ("subnet-0a", "subnet-0b"), "security_groups": ("sg-0c",)}
OPTIONS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "two-hosts": ({"instance_count": 2}, (4, 15, 17, 18)),
    "gpus-spot": ({"instance_type": "ml.g4dn.12xlarge", "spot": True, "max_wait_minutes": 90}, (15, 16, 17)),
    "warm-pool": ({"keep_alive_minutes": 30}, (20,)),
    "vpc": (VPC, ()),
    "key": ({"kms_key": KEY}, ()),
    "key-own-disks": ({"kms_key": KEY, "instance_type": "ml.g5.xlarge"}, ()),
    "environment": ({"environment": {"NCCL_DEBUG": "INFO"}}, (11,)),
}


def made(settings: Settings, training: dict[str, Any], **more: Any) -> JobRequest:
    changed = settings.model_copy(update={"training": settings.training.model_copy(update=training)})
    given = {"image": IMAGE, "image_tag": "1", "data": f"{BUCKET}/data/x/", "data_hash": "abc", **more}
    return jobs.request(changed, **given)


@pytest.mark.parametrize("name", OPTIONS)
def test_each_option_becomes_the_request_of_its_golden_file(settings: Settings, golden: Golden, name: str) -> None:
    training, contracts = OPTIONS[name]
    golden(name, sagemaker.create(made(settings, training)), rules=contracts)


def test_a_running_job_is_stopped_by_its_name(golden: Golden) -> None:
    golden("job", sagemaker.stop("kennel-local-train-0123456789"), rules=(16,))


@pytest.mark.parametrize(
    ("instance_type", "has_key"),
    [
        ("ml.m5.xlarge", True), ("ml.c5.xlarge", True), ("ml.p3.2xlarge", True), ("ml.r5.large", True),
        ("ml.r5d.large", False), ("ml.g4dn.xlarge", False), ("ml.g5.xlarge", False), ("ml.g6e.xlarge", False),
        ("ml.p3dn.24xlarge", False), ("ml.p4d.24xlarge", False), ("ml.p5.48xlarge", False), ("ml.trn1.2xlarge", False),
    ],
)  # fmt: skip
def test_disks_that_encrypt_themselves_are_not_asked_to_use_a_key(
    settings: Settings, instance_type: str, has_key: bool
) -> None:
    params = sagemaker.create(made(settings, {"kms_key": KEY, "instance_type": instance_type})).params
    assert ("VolumeKmsKeyId" in params["ResourceConfig"]) is has_key
    assert params["OutputDataConfig"]["KmsKeyId"] == KEY


def test_hosts_of_the_command_line_override_the_file_and_make_another_job(settings: Settings) -> None:
    four = made(settings, {}, purpose="multi", instance_count=4)
    assert (four.instance_count, made(settings, {}).instance_count) == (4, 2)
    assert four.name.startswith("kennel-local-multi-")
    assert four.name != made(settings, {}, purpose="multi").name


def test_variables_decide_the_model_too_and_so_the_name(settings: Settings) -> None:
    assert made(settings, {"environment": {"A": "1"}}).name != made(settings, {}).name


def test_a_pushed_image_does_not_train_again(settings: Settings) -> None:
    assert made(settings, {}, image="kennel/train:1").name == made(settings, {}).name


def test_a_name_too_long_for_sagemaker_is_refused(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="60 characters"):
        made(settings, {}, purpose="x" * 50)


def test_the_role_is_filled_in_before_it_is_sent(settings: Settings) -> None:
    assert made(settings, {}).role == Ref(address="role/kennel-local-training", attribute="arn")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("spot = true\nkeep_alive_minutes = 5", "training.keep_alive_minutes: a warm pool cannot use spot instances"),
        ("spot = true\nmax_wait_minutes = 10", "training.max_wait_minutes: must be at least max_run_minutes"),
        ('subnets = ["subnet-0a"]', "training.subnets: set subnets and security_groups together"),
        ('subnets = ["x"]\nsecurity_groups = ["sg-0"]', "training.subnets.0"),
        ("keep_alive_minutes = 61", "training.keep_alive_minutes"),
        ('instance_type = "m5.large"', "training.instance_type"),
        ("instance_count = 0", "training.instance_count"),
        ('kms_key = "my-key"', "training.kms_key"),
        ('environment = {"a-b" = "1"}', "training.environment"),
        ('environment = {A = "' + "x" * 513 + '"}', "training.environment.A"),
        ('on = "moon"', "training.on"),
        ('[training.ec2]\nssh_from = "0.0.0.0/0"', "training.ec2.ssh_from"),
        ('[training.ec2]\nssh_from = "203.0.113.7/32"', "training.ec2.ssh_from: nobody can log in without a key_pair"),
        ('[training.ec2]\nsubnet = "here"', "training.ec2.subnet"),
        ('[training.ec2]\nvolume_gb = 8', "training.ec2.volume_gb"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_the_first_call(lines: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse(f"[training]\n{lines}\n[stages.local]\n")
