"""Every request of a first deploy, of its updates and of down, as golden files."""

from __future__ import annotations

import pytest

from deploy.models import Request
from tests.unit.deploy import golden_requests


def test_a_request_that_aws_would_not_take_is_seen() -> None:
    bad = Request(service="sagemaker", operation="DeleteEndpoint", params={"EndpointNam": "x"})
    with pytest.raises(AssertionError, match="Missing required parameter"):
        golden_requests.check("bad", bad)


def test_a_golden_file_carries_the_numbers_of_the_rules_that_it_honours() -> None:
    request = Request(service="sagemaker", operation="UpdateEndpoint")
    assert golden_requests.file_name("x", request, (59, 53)) == "sagemaker.UpdateEndpoint.x.c53-c59.json"
