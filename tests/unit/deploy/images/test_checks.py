"""Image checks: an image that its consumer would refuse is refused with the reason and the fix; others pass."""

from __future__ import annotations

from typing import Any

import pytest

from deploy.errors import ImageRefusedError
from deploy.images import checks
from deploy.images.checks import Consumer, Facts
from deploy.images.manifest import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

GOOD: dict[str, Any] = {
    "media_type": DOCKER_MANIFEST,
    "platform": "linux/amd64",
    "entrypoint": ("python3",),
    "size": 10**9,
}


@pytest.mark.parametrize(
    ("consumer", "changes"),
    [("SageMaker", {}), ("Lambda", {}), ("Lambda", {"media_type": OCI_MANIFEST}), ("SageMaker", {"size": 10 * 10**9})],
)
def test_an_image_that_the_consumer_accepts_passes(consumer: Consumer, changes: dict[str, Any]) -> None:
    assert list(checks.faults(Facts(**(GOOD | changes)), consumer)) == []


@pytest.mark.parametrize(
    ("consumer", "changes", "words"),
    [
        ("SageMaker", {"media_type": OCI_MANIFEST}, "has an OCI manifest.*SageMaker refuses.*--repair"),
        ("SageMaker", {"media_type": OCI_INDEX}, "is an index.*SageMaker refuses.*--repair"),
        ("SageMaker", {"media_type": DOCKER_LIST}, "is an index"),
        ("Lambda", {"media_type": OCI_INDEX}, "is an index.*Lambda refuses.*--repair"),
        ("Lambda", {"media_type": DOCKER_LIST}, "is an index"),
        ("SageMaker", {"platform": "linux/arm64"}, "is for linux/arm64.*--platform=linux/amd64"),
        ("Lambda", {"platform": "linux/arm64"}, "is for linux/arm64"),
        ("SageMaker", {"entrypoint": ()}, "has no entrypoint"),
        ("Lambda", {"entrypoint": ()}, "has no entrypoint"),
        ("SageMaker", {"size": 10 * 10**9 + 10**8}, "has 10.1 GB, and 10 are allowed"),
    ],
)
def test_an_image_that_the_consumer_refuses_is_refused_with_the_fix(
    consumer: Consumer, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ImageRefusedError, match=f"^x:1: {words}"):
        checks.check("x:1", Facts(**(GOOD | changes)), consumer)


def test_all_faults_are_listed_at_once() -> None:
    bad = Facts(media_type=OCI_MANIFEST, platform="linux/arm64", entrypoint=(), size=11 * 10**9)
    assert len(list(checks.faults(bad, "SageMaker"))) == 4


def test_facts_come_from_the_configuration_that_the_manifest_names() -> None:
    config = {"os": "linux", "architecture": "arm64", "config": {"Entrypoint": ["a", "b"]}}
    assert checks.facts(OCI_MANIFEST, config, 7) == Facts(
        media_type=OCI_MANIFEST, platform="linux/arm64", entrypoint=("a", "b"), size=7
    )
    assert checks.facts(OCI_MANIFEST, {"config": {"Entrypoint": None}}, 7).entrypoint == ()
