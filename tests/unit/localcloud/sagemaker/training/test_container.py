"""Where a host's folders appear inside its container."""

from pathlib import Path
from typing import Any

from localcloud.containers.engine import ContainerSpec, Mount
from localcloud.sagemaker.training import request as plan
from localcloud.sagemaker.training.container import container_spec
from tests.unit.localcloud.fakes import channel, training_request


def spec(**changes: Any) -> ContainerSpec:
    request = training_request(**changes)
    return container_spec(
        request, plan.hosts(request)[0], Path("/w/algo-1"), plan.channels(request),
        name="n", network="net", environment={"A": "b"}, cpus=None, gpus=0,
    )  # fmt: skip


def test_the_whole_tree_is_mounted_and_the_image_is_told_to_train() -> None:
    made = spec(InputDataConfig=[channel()])
    assert made.mounts == (Mount(source="/w/algo-1", target="/opt/ml"),)
    assert (made.command, made.hostname, made.network) == (("train",), "algo-1", "net")
    assert made.shm_size is None


def test_checkpoints_elsewhere_get_a_mount_of_their_own() -> None:
    made = spec(CheckpointConfig={"S3Uri": "s3://data/ck", "LocalPath": "/ck"})
    assert Mount(source="/w/algo-1/checkpoints", target="/ck") in made.mounts
    usual = spec(CheckpointConfig={"S3Uri": "s3://data/ck", "LocalPath": "/opt/ml/checkpoints/"})
    assert len(usual.mounts) == 1
