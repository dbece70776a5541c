"""Why jobs fail: each known reason is shown whole and followed by its fix."""

from __future__ import annotations

import pytest

from deploy.jobs.failures import FIXES, explained

# A FailureReason → words of its fix.
REASONS = {
    "MaxRuntimeExceeded: it ran for 3600 s": "max_run_minutes",
    "MaxWaitTimeExceeded": "max_wait_minutes",
    "CapacityError: Unable to provision requested ML compute capacity": "another region",
    "InsufficientInstanceCapacity: We currently do not have sufficient g4dn.xlarge capacity": "spot = false",
    "ResourceLimitExceeded: The account-level service limit 'ml.g5.xlarge for training job usage' is 0": "ask for more",
    "VcpuLimitExceeded: You have requested more vCPU capacity than your current vCPU limit of 0": "ask for more",
    "MaxSpotInstanceCountExceeded: Max spot instance count exceeded": "spot = false",
    "AlgorithmError: exec format error, exit code: 1": "linux/amd64",
    'CannotStartContainerError: exec: "train": executable file not found in $PATH': "entrypoint",
    "Unsupported manifest media type application/vnd.oci.image.index.v1+json": "Docker manifests only",
    "CannotStartContainerError. Please ensure the model container": "does not start",
    "ClientError: Cannot pull 123.dkr.ecr.us-east-1.amazonaws.com/a@sha256:0": "may pull",
    "CannotPullContainerError: pull access denied": "may pull",
    "ClientError: Data download failed: No S3 objects found under S3 URL s3://b/data/": "./inv data",
    "ClientError: Data download failed: s3://b/weights/": "./inv iam",
    "AccessDenied: User is not authorized to perform: s3:PutObject": "lacks a permission",
    "AlgorithmError: OSError: [Errno 28] No space left on device, exit code: 1": "volume_gb",
    "AlgorithmError: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB, exit code: 1": "batch_size",
    "AlgorithmError: CUDA driver version is insufficient for CUDA runtime version": "CUDA is newer",
    "AlgorithmError: DataLoader worker is killed by signal: Bus error, exit code: 1": "/dev/shm",
    "AlgorithmError: , exit code: 137": "out of memory",
    "AlgorithmError: , exit code: 139": "native code",
    "AlgorithmError: , exit code: 143": "it was stopped",
    "InternalServerError: We encountered an internal error. Please try again.": "tries again",
    "Server.SpotInstanceTermination: Spot instance termination": "took the spot instance back",
}


@pytest.mark.parametrize("reason", REASONS)
def test_a_known_reason_is_followed_by_its_fix(reason: str) -> None:
    shown, _, fix = explained(reason).partition("\n")
    assert shown == reason
    assert REASONS[reason] in fix


def test_every_row_of_the_table_matches_some_reason() -> None:
    unmatched = {text for text, _ in FIXES} - {
        next(text for text, _ in FIXES if text.lower() in reason.lower()) for reason in REASONS
    }
    assert unmatched == set()


def test_an_unknown_reason_is_left_alone() -> None:
    assert explained("AlgorithmError: the pictures are too dark, exit code: 1").count("\n") == 0
