"""Why jobs fail, in plain words: each known cause says what to do, and none hides AWS's own words."""

from __future__ import annotations

import pytest

from deploy.jobs.failures import PLAIN, plain

# A FailureReason as it is met → a word of the way out.
MET = {
    "MaxRuntimeExceeded: it ran for 3600 s": "max_run_minutes",
    "MaxWaitTimeExceeded": "max_wait_minutes",
    "CapacityError: Unable to provision requested ML compute capacity": "another region",
    "InsufficientInstanceCapacity: We currently do not have sufficient g4dn.xlarge capacity": "spot off",
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
    "AccessDenied: User is not authorized to perform: s3:PutObject": "lacks a right",
    "AlgorithmError: OSError: [Errno 28] No space left on device, exit code: 1": "volume_gb",
    "AlgorithmError: torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB, exit code: 1": "batch_size",
    "AlgorithmError: CUDA driver version is insufficient for CUDA runtime version": "CUDA is newer",
    "AlgorithmError: DataLoader worker is killed by signal: Bus error, exit code: 1": "/dev/shm",
    "AlgorithmError: , exit code: 137": "out of memory",
    "AlgorithmError: , exit code: 139": "native code",
    "AlgorithmError: , exit code: 143": "told to stop",
    "InternalServerError: We encountered an internal error. Please try again.": "tries again",
    "Server.SpotInstanceTermination: Spot instance termination": "taken away",
}


@pytest.mark.parametrize("reason", MET)
def test_a_known_reason_is_followed_by_the_way_out(reason: str) -> None:
    said, _, fix = plain(reason).partition("\n")
    assert said == reason
    assert MET[reason] in fix


def test_every_rule_of_the_table_is_met_by_some_reason() -> None:
    unmet = {text for text, _ in PLAIN} - {
        next(text for text, _ in PLAIN if text.lower() in reason.lower()) for reason in MET
    }
    assert unmet == set()


def test_an_unknown_reason_is_left_alone() -> None:
    assert plain("AlgorithmError: the pictures are too dark, exit code: 1").count("\n") == 0
