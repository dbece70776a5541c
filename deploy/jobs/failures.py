"""Why jobs fail: the messages of AWS, Docker and torch, each with its fix."""

from __future__ import annotations

# Part of a FailureReason (upper and lower case are alike) → what it means and how to fix it. The first match counts.
FIXES = (
    ("MaxRuntimeExceeded", "it ran longer than training.max_run_minutes: raise that in deploy.toml"),
    (
        "MaxWaitTimeExceeded",
        "no spot instance was free within training.max_wait_minutes: raise that, or set spot = false",
    ),
    ("CapacityError", "AWS has no such instance free now: try again later, another type, or another region"),
    (
        "InsufficientInstanceCapacity",
        "AWS has no such instance free now: try again later, another type, or spot = false",
    ),
    ("ResourceLimitExceeded", "the quota for this instance type is too low: ask for more, or choose another type"),
    ("VcpuLimitExceeded", "the quota of vCPUs for this family is too low: ask for more, or choose another type"),
    ("MaxSpotInstanceCountExceeded", "the quota of spot vCPUs is too low: ask for more, or set spot = false"),
    ("exec format error", "the image is for another CPU architecture: build it for linux/amd64"),
    (
        "executable file not found",
        "the image has no entrypoint that accepts `train`: build the image with ./inv build --image train",
    ),
    ("Unsupported manifest media type", "SageMaker accepts Docker manifests only: ./inv push writes one"),
    (
        "CannotStartContainerError",
        "the container does not start: try the image with docker run, then ./inv push --image train",
    ),
    ("Cannot pull", "image pull failed: run ./inv push --image train, and check that the role may pull (./inv iam)"),
    (
        "CannotPullContainer",
        "image pull failed: run ./inv push --image train, and check that the role may pull (./inv iam)",
    ),
    ("No S3 objects found", "there are no pictures at this URI: run ./inv data"),
    ("Data download failed", "the pictures are missing, or the role may not read them: run ./inv data, ./inv iam"),
    ("AccessDenied", "the role lacks a permission: ./inv deploy updates the roles, ./inv iam shows them"),
    ("No space left on device", "the disk is full: raise training.volume_gb"),
    ("CUDA out of memory", "the GPU's memory is full: use a smaller batch_size, or a larger instance"),
    (
        "CUDA driver version is insufficient",
        "the image's CUDA is newer than the host's driver: choose another instance type",
    ),
    ("Bus error", "the data loaders ran out of /dev/shm: use fewer workers, or workers = 0"),
    ("exit code: 137", "out of memory: use a larger instance, or a smaller batch_size"),
    (
        "exit code: 139",
        "native code crashed: run the image on this machine with the same pictures (./inv train --on local)",
    ),
    ("exit code: 143", "it was stopped; ./inv train resumes it from its checkpoint"),
    ("InternalServerError", "an internal error of AWS: ./inv train tries again from the checkpoint"),
    ("SpotInstanceTermination", "AWS took the spot instance back; ./inv train resumes from the checkpoint"),
)


def explained(reason: str) -> str:
    """A FailureReason, with its fix on a second line when one is known."""
    fix = next((meaning for text, meaning in FIXES if text.lower() in reason.lower()), "")
    return f"{reason}\n{fix}" if fix else reason
