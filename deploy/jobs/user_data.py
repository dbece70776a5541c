"""The user data of an EC2 instance that trains: the job's values as shell variables, then instance.sh."""

from __future__ import annotations

import json
import shlex
from importlib import resources
from math import ceil

from deploy.errors import JobError
from deploy.jobs.request import JobRequest

LIMIT_BYTES = 16384  # raw (rule 88)
OVERHEAD_MINUTES = 30  # to pull, fetch and upload, on top of the job's own limit
HOST = "algo-1"


def program() -> str:
    """instance.sh."""
    return resources.files(__package__).joinpath("instance.sh").read_text(encoding="utf-8")


def user_data(job: JobRequest, body: str, *, region: str, group: str, created: str, launch: int = 1) -> str:
    """The script. `group` is the log group, `created` an ISO time, `launch` counts this job's instances.

    Raises JobError for a script longer than EC2 accepts.
    """
    channels = {name: {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"} for name in job.channels}
    values = {
        "JOB": job.name,
        "REGION": region,
        "IMAGE": job.image,
        "REGISTRY": registry(job.image),
        "OUTPUT": f"{job.output}/{job.name}",
        "CHECKPOINTS": job.checkpoints,
        "GROUP": group,
        "CREATED": created,
        "LAUNCH": str(launch),
        "MAX_RUN_S": str(job.max_run_s),
        "LIMIT_MINUTES": str(ceil(job.max_run_s / 60) + OVERHEAD_MINUTES),
        "HYPERPARAMETERS": json.dumps(dict(job.hyperparameters), sort_keys=True),
        "CHANNEL_CONFIG": json.dumps(channels, sort_keys=True),
        "RESOURCES": json.dumps({"current_host": HOST, "hosts": [HOST], "current_instance_type": job.instance_type}),
    }
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    lines.append(_array("CHANNELS", [f"{name}={uri}" for name, uri in job.channels.items()]))
    lines.append(_array("ENCRYPTION", ["--sse", "aws:kms", "--sse-kms-key-id", job.kms_key] if job.kms_key else []))
    variables = {"TRAINING_JOB_NAME": job.name, **job.environment}
    lines.append(
        _array("ENVIRONMENT", [part for name, value in variables.items() for part in ("-e", f"{name}={value}")])
    )
    script = "\n".join(["#!/bin/bash", *lines, body])
    if len(script.encode()) > LIMIT_BYTES:
        raise JobError(
            f"training job {job.name}: {len(script.encode())} bytes of user data, but EC2 takes {LIMIT_BYTES}: "
            "shorten training.environment"
        )
    return script


def registry(image: str) -> str:
    """The registry to pull an image from; empty for an image without digest, which the engine already holds."""
    return image.partition("/")[0] if "@sha256:" in image else ""


def _array(name: str, values: list[str]) -> str:
    return f"{name}=({' '.join(shlex.quote(value) for value in values)})"
