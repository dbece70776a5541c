"""Which of ECR's actions a request of the registry's own protocol is."""

import pytest

from localcloud.ecr.proxy import action_of

DIGEST = "sha256:0"


@pytest.mark.parametrize(
    ("method", "what", "rest", "action"),
    [
        ("GET", "manifests", "latest", "BatchGetImage"),
        ("HEAD", "manifests", DIGEST, "BatchGetImage"),
        ("PUT", "manifests", "latest", "PutImage"),
        ("DELETE", "manifests", DIGEST, "BatchDeleteImage"),
        ("HEAD", "blobs", DIGEST, "BatchCheckLayerAvailability"),
        ("GET", "blobs", DIGEST, "GetDownloadUrlForLayer"),
        ("POST", "blobs", "uploads/", "InitiateLayerUpload"),
        ("PATCH", "blobs", "uploads/1", "UploadLayerPart"),
        ("PUT", "blobs", "uploads/1", "CompleteLayerUpload"),
        ("GET", "tags", "list", "ListImages"),
    ],
)
def test_an_action_for_each_request(method: str, what: str, rest: str, action: str) -> None:
    assert action_of(method, what, rest) == action
