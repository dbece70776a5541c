"""Why jobs fail, in plain words: what AWS, Docker and torch write, and what to do about it."""

from __future__ import annotations

# What a FailureReason holds → what it means. Upper and lower case are alike; the first that fits is said.
PLAIN = (
    ("MaxRuntimeExceeded", "it ran longer than training.max_run_minutes: raise that in deploy.toml"),
    ("MaxWaitTimeExceeded", "no spot instance was free for training.max_wait_minutes: raise that, or spot = false"),
    ("CapacityError", "AWS has no such instance free now: try again later, another type, or another region"),
    ("InsufficientInstanceCapacity", "AWS has no such instance free now: try again later, another type, or spot off"),
    ("ResourceLimitExceeded", "the quota for this instance type is too low: ask for more, or choose another type"),
    ("VcpuLimitExceeded", "the quota of vCPUs for this family is too low: ask for more, or choose another type"),
    ("MaxSpotInstanceCountExceeded", "the quota of spot vCPUs is too low: ask for more, or set spot = false"),
    ("exec format error", "the image is for another CPU architecture: build it for linux/amd64"),
    ("executable file not found", "the image has no entrypoint that takes `train`: ./inv build --image train"),
    ("Unsupported manifest media type", "SageMaker takes Docker manifests only: ./inv push makes one"),
    ("CannotStartContainerError", "the image does not start: docker run it here, then ./inv push --image train"),
    ("Cannot pull", "image pull failed: ./inv push --image train; see that the role may pull (./inv iam)"),
    ("CannotPullContainer", "image pull failed: ./inv push --image train; see that the role may pull (./inv iam)"),
    ("No S3 objects found", "no pictures lie there: run ./inv data"),
    ("Data download failed", "the role may not read them, or they are gone: ./inv data, ./inv iam"),
    ("AccessDenied", "the role lacks a right: ./inv deploy sets the roles, ./inv iam shows them"),
    ("No space left on device", "the disk is full: raise training.volume_gb"),
    ("CUDA out of memory", "the GPU's memory is full: a smaller batch_size, or a larger instance"),
    ("CUDA driver version is insufficient", "the image's CUDA is newer than the host's driver: another instance type"),
    ("Bus error", "the data loaders ran out of /dev/shm: workers = 0, or fewer of them"),
    ("exit code: 137", "out of memory: a larger instance or a smaller batch_size"),
    ("exit code: 139", "a crash in native code: run the image here with the same pictures (./inv train --on local)"),
    ("exit code: 143", "it was told to stop; ./inv train goes on from its checkpoint"),
    ("InternalServerError", "a fault of AWS: ./inv train tries again from the checkpoint"),
    ("SpotInstanceTermination", "the spot instance was taken away; ./inv train goes on from its checkpoint"),
)


def plain(reason: str) -> str:
    """A FailureReason, with what to do about it on a second line where that is known."""
    fix = next((meaning for text, meaning in PLAIN if text.lower() in reason.lower()), "")
    return f"{reason}\n{fix}" if fix else reason
