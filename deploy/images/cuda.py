"""Which host image a GPU instance needs for an image's CUDA, and which instance types cannot run our images. Pure.

With an image whose CUDA is newer than the host's driver, an endpoint stays in Creating without a log (pain 4).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from deploy.errors import DeployError

LABEL = "kennel.cuda.version"


@dataclass(frozen=True, kw_only=True)
class HostImage:
    """An InferenceAmiVersion, its NVIDIA driver, and that driver's CUDA version (rule 40)."""

    name: str
    driver: int
    cuda: tuple[int, int]


HOST_IMAGES = (
    HostImage(name="al2-ami-sagemaker-inference-gpu-2", driver=535, cuda=(12, 2)),
    HostImage(name="al2-ami-sagemaker-inference-gpu-2-1", driver=535, cuda=(12, 2)),
    HostImage(name="al2-ami-sagemaker-inference-gpu-3-1", driver=550, cuda=(12, 4)),
    HostImage(name="al2023-ami-sagemaker-inference-gpu-4-1", driver=580, cuda=(13, 0)),
)
PREFERRED = HOST_IMAGES[1:]  # gpu-2-1 is gpu-2 with fixes


def has_gpu(instance_type: str) -> bool:
    """Whether an instance type (ml.g5.xlarge) has NVIDIA GPUs: the families g and p."""
    return re.match(r"ml\.[gp]\d", instance_type) is not None


def check_architecture(instance_type: str, *, where: str) -> None:
    """Raises DeployError for types that cannot run our linux/amd64 images: Graviton (ml.c7g) and Neuron (ml.inf2)."""
    family = instance_type.split(".")[1]
    if re.match(r"[a-z]+\d+g", family):
        raise DeployError(
            f"{where}: {instance_type} is an ARM machine (Graviton), but the images are linux/amd64: containers would "
            'end with "exec format error"; choose a type without that g, such as ml.m5.large'
        )
    if re.match(r"(inf|trn)\d", family):
        raise DeployError(
            f"{where}: {instance_type} computes on AWS Neuron, unlike the serving image; choose a CPU type"
        )


def host_image(instance_type: str, *, cuda: str, chosen: str, where: str) -> str:
    """The InferenceAmiVersion for a variant, or "" if it needs none. `cuda` is the image's label, "" without CUDA.

    Raises DeployError when `chosen`, or every host image, cannot run the image.
    """
    if not has_gpu(instance_type):
        if chosen:
            raise DeployError(f"{where}: inference_ami needs a GPU, and {instance_type} has none; leave it out")
        return ""
    if not cuda:
        return chosen
    needed = _version(cuda)
    if chosen:
        image = next(each for each in HOST_IMAGES if each.name == chosen)
        if not _runs(image, needed):
            raise DeployError(
                f"{where}: the image needs CUDA {cuda}, and {chosen} has driver {image.driver} (CUDA "
                f"{image.cuda[0]}.{image.cuda[1]}): the endpoint would stay in Creating without a log; "
                f"{_advice(needed)}"
            )
        return chosen
    # A driver runs any CUDA of its own major version, but a newer driver is safer (rule 40).
    newer = [each for each in PREFERRED if each.cuda >= needed]
    able = newer[:1] or [each for each in PREFERRED if _runs(each, needed)][-1:]
    if not able:
        raise DeployError(f"{where}: the image needs CUDA {cuda}; {_advice(needed)}")
    return able[0].name


def note(instance_type: str, *, cuda: str) -> str:
    """A warning about a type that works but wastes money; "" without one."""
    if has_gpu(instance_type) and not cuda:
        return f"{instance_type} is billed with its GPU, which the serving image (CPU only) does not use"
    return ""


def _runs(image: HostImage, needed: tuple[int, int]) -> bool:
    return image.cuda[0] >= needed[0]


def _advice(needed: tuple[int, int]) -> str:
    able = [each.name for each in PREFERRED if _runs(each, needed)]
    newest = HOST_IMAGES[-1]
    return (
        f"inference_ami may be {', '.join(able)}, or empty"
        if able
        else f"the newest host image has driver {newest.driver} (CUDA {newest.cuda[0]}.{newest.cuda[1]}): "
        "build the image with an older CUDA"
    )


def _version(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor.partition(".")[0] or 0)
