"""One training host as a container to run. Pure."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from localcloud.containers.engine import ContainerSpec, Mount
from localcloud.sagemaker.training import request as plan

_ML = "/opt/ml"


def container_spec(
    request: Mapping[str, Any],
    host: plan.Host,
    root: Path,
    channels: Sequence[plan.Channel],
    *,
    name: str,
    network: str,
    environment: Mapping[str, str],
    cpus: float | None,
    gpus: int,
) -> ContainerSpec:
    """The container of one host, whose /opt/ml is `root`. /dev/shm keeps Docker's 64 MB (rule 22)."""
    entrypoint, command = plan.command(request)
    return ContainerSpec(
        image=request["AlgorithmSpecification"]["TrainingImage"],
        name=name,
        hostname=host.name,
        entrypoint=entrypoint,
        command=command,
        environment=environment,
        mounts=tuple(_mounts(request, root, channels)),
        network=network,
        cpus=cpus,
        gpus=gpus,
        labels={"kennel.localcloud.training-job": request["TrainingJobName"]},
    )


def _mounts(request: Mapping[str, Any], root: Path, channels: Sequence[plan.Channel]) -> list[Mount]:
    mounts = [Mount(source=str(root), target=_ML)]
    for channel in channels:
        folder = f"input/data/{channel.name}"
        if channel.local:
            mounts.append(Mount(source=channel.local, target=f"{_ML}/{folder}", read_only=True))
        elif channel.mode == "FastFile":  # rule 7
            mounts.append(Mount(source=str(root / folder), target=f"{_ML}/{folder}", read_only=True))
    checkpoints = request.get("CheckpointConfig", {}).get("LocalPath", plan.CHECKPOINTS)
    if checkpoints.rstrip("/") != plan.CHECKPOINTS:
        mounts.append(Mount(source=str(root / "checkpoints"), target=checkpoints))
    return mounts
