"""One training host as a container to run: its config files, environment, mounts and share of this machine. Pure.

Rules 1 to 18 say what SageMaker gives a training container.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from localcloud.aws_client import CONTAINER, Credentials
from localcloud.containers.engine import ContainerSpec, Mount
from localcloud.sagemaker.training.request import CHECKPOINTS, Host, TrainingRequest

_ML = "/opt/ml"

# GPUs by instance size, for the families that have any; a size that is not listed has one (g5.xlarge, p3.2xlarge …).
_GPU_FAMILY = re.compile(r"ml\.(?:p\d|g\d)")
_GPU_COUNTS = {
    "12xlarge": 4, "24xlarge": 4, "48xlarge": 8, "ml.g5.16xlarge": 1, "ml.g6.16xlarge": 1, "ml.g6e.16xlarge": 1,
    "ml.g4dn.16xlarge": 1, "ml.p3.8xlarge": 4, "ml.p3.16xlarge": 8, "ml.p2.8xlarge": 8, "ml.p2.16xlarge": 16,
    "ml.p3dn.24xlarge": 8, "ml.p4d.24xlarge": 8, "ml.p4de.24xlarge": 8,
}  # fmt: skip


def container_spec(
    request: TrainingRequest,
    host: Host,
    root: Path,
    *,
    image: str,
    name: str,
    network: str,
    environment: Mapping[str, str],
    cpus: float | None,
    gpus: int,
) -> ContainerSpec:
    """The container of one host, whose /opt/ml is `root`. `image` is the engine's name for the request's image.

    /dev/shm keeps Docker's 64 MB (rule 22).
    """
    return ContainerSpec(
        image=image,
        name=name,
        hostname=host.name,
        entrypoint=request.entrypoint,
        command=request.command,
        environment=environment,
        mounts=tuple(_mounts(request, root)),
        network=network,
        cpus=cpus,
        gpus=gpus,
        labels={"kennel.localcloud.training-job": request.name},
    )


def _mounts(request: TrainingRequest, root: Path) -> list[Mount]:
    mounts = [Mount(source=str(root), target=_ML)]
    for channel in request.channels:
        folder = f"input/data/{channel.name}"
        if channel.local:
            mounts.append(Mount(source=channel.local, target=f"{_ML}/{folder}", read_only=True))
        elif channel.mode == "FastFile":  # rule 7
            mounts.append(Mount(source=str(root / folder), target=f"{_ML}/{folder}", read_only=True))
    if request.checkpoints and request.checkpoints.path.rstrip("/") != CHECKPOINTS:
        mounts.append(Mount(source=str(root / "checkpoints"), target=request.checkpoints.path))
    return mounts


def config_files(request: TrainingRequest, host: Host) -> dict[str, str]:
    """/opt/ml/input/config/*: file name → JSON text (rules 4, 6, 8)."""
    inputs = {
        channel.name: {
            "TrainingInputMode": channel.mode,
            "S3DistributionType": channel.distribution,
            "RecordWrapperType": channel.record_wrapper,
        }
        | ({"ContentType": channel.content_type} if channel.content_type else {})
        for channel in request.channels
    }
    groups = {
        other.group: {
            "instance_group_name": other.group,
            "instance_type": other.instance_type,
            "hosts": sorted(one.name for one in request.hosts if one.group == other.group),
        }
        for other in request.hosts
    }
    resources = {
        "current_host": host.name,
        "current_instance_type": host.instance_type,
        "current_group_name": host.group,
        "hosts": sorted(other.name for other in request.hosts),
        "instance_groups": list(groups.values()),
        "network_interface_name": "eth0",
    }
    return {
        "hyperparameters.json": json.dumps(dict(request.hyperparameters)),
        "inputdataconfig.json": json.dumps(inputs),
        "resourceconfig.json": json.dumps(resources),
    }


def environment(
    request: TrainingRequest, *, arn: str, region: str, container_url: str, credentials: Credentials = CONTAINER
) -> dict[str, str]:
    """The container's environment: the platform's variables, the way back to this localcloud, and the request's.

    `credentials` are of the job's role. SageMaker serves them by HTTP at an address of its own; every SDK reads these
    variables too.
    """
    variables = {"TRAINING_JOB_NAME": request.name, "TRAINING_JOB_ARN": arn, "AWS_REGION": region}
    if not request.isolated:
        variables |= {"AWS_ENDPOINT_URL": container_url, **credentials.environment}
    return variables | dict(request.environment)


def gpu_count(instance_type: str) -> int:
    """GPUs of an instance type, 0 for one without."""
    if not _GPU_FAMILY.match(instance_type):
        return 0
    return _GPU_COUNTS.get(instance_type, _GPU_COUNTS.get(instance_type.rpartition(".")[2], 1))


def docker_name(instance: str, job: str, arn: str, part: str) -> str:
    """A name for Docker: readable, and unique however long the job's name is."""
    digest = hashlib.sha256(arn.encode()).hexdigest()[:6]
    return f"{instance}-{job[:40]}-{digest}-{part}"
