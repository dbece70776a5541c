"""The host image follows from the CUDA of the image."""

from __future__ import annotations

import pytest

from deploy.images.cuda import has_gpu, host_image


@pytest.mark.parametrize(
    ("cuda", "ami"),
    [
        ("", ""),
        ("11.8", "al2-ami-sagemaker-inference-gpu-2-1"),
        ("12.2", "al2-ami-sagemaker-inference-gpu-2-1"),
        ("12.4", "al2-ami-sagemaker-inference-gpu-3-1"),
        ("12.8", "al2023-ami-sagemaker-inference-gpu-4-1"),
        ("13.0", "al2023-ami-sagemaker-inference-gpu-4-1"),
        ("13.1", "al2023-ami-sagemaker-inference-gpu-4-1"),
    ],
)
def test_the_oldest_host_image_whose_driver_is_new_enough_is_chosen(cuda: str, ami: str) -> None:
    assert host_image("ml.g5.xlarge", cuda=cuda, chosen="", where="endpoint") == ami
    assert host_image("ml.m5.large", cuda=cuda, chosen="", where="endpoint") == ""


def test_one_that_was_chosen_and_works_is_kept() -> None:
    chosen = "al2-ami-sagemaker-inference-gpu-2"
    assert host_image("ml.p3.2xlarge", cuda="12.8", chosen=chosen, where="endpoint") == chosen


@pytest.mark.parametrize(
    ("kind", "gpu"),
    [("ml.g5.xlarge", True), ("ml.p4d.24xlarge", True), ("ml.m6g.large", False), ("ml.c5.large", False)],
)
def test_gpu_types_are_known_by_their_family(kind: str, gpu: bool) -> None:
    assert has_gpu(kind) is gpu
