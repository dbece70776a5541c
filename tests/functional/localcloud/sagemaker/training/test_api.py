"""The API around training jobs: names, S3 addresses, listing."""

from pathlib import Path
from typing import Any

import pytest

from localcloud.errors import ApiError
from localcloud.sagemaker.training.api import TrainingJobs
from tests.unit.localcloud.fakes import (
    FakeObjects,
    channel,
    cloud,
    training_request,
)


def jobs(tmp_path: Path, objects: FakeObjects | None = None) -> TrainingJobs:
    return TrainingJobs(cloud(tmp_path, objects=objects or FakeObjects("data")))


def test_a_name_can_be_used_once(tmp_path: Path) -> None:
    made = jobs(tmp_path)
    made.create(training_request())
    with pytest.raises(ApiError, match="must be unique") as caught:
        made.create(training_request())
    assert caught.value.code == "ResourceInUse"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"InputDataConfig": [channel()]}, 'No S3 objects found under S3 URL "s3://data/in/"'),
        ({"InputDataConfig": [channel(uri="s3://nowhere/x")]}, "The specified bucket does not exist"),
        ({"InputDataConfig": [channel(uri="file:///no/such/folder")]}, "no folder /no/such/folder"),
        ({"OutputDataConfig": {"S3OutputPath": "s3://nowhere/out"}}, "s3://nowhere/out: The specified bucket"),
        ({"CheckpointConfig": {"S3Uri": "s3://nowhere/ck"}}, "s3://nowhere/ck: The specified bucket"),
    ],
)
def test_s3_addresses_that_lead_nowhere_are_refused_at_once(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ApiError) as caught:
        jobs(tmp_path).create(training_request(**changes))
    assert caught.value.code == "ValidationException"
    assert message in caught.value.message


def test_an_unknown_job_is_a_validation_error_as_in_aws(tmp_path: Path) -> None:
    made = jobs(tmp_path)
    for ask in (made.describe, made.stop, made.delete):
        with pytest.raises(ApiError, match="Requested resource not found"):
            ask({"TrainingJobName": "none"})


def test_jobs_are_listed_by_filter_order_and_page(tmp_path: Path) -> None:
    made = jobs(tmp_path)
    for number in range(5):
        made.create(training_request(TrainingJobName=f"job-{number}"))
    made.create(training_request(TrainingJobName="other"))
    query = {"NameContains": "JOB", "SortBy": "Name", "SortOrder": "Ascending", "MaxResults": 3}
    first = made.list(query)
    second = made.list(query | {"NextToken": first["NextToken"]})
    names = [entry["TrainingJobName"] for page in (first, second) for entry in page["TrainingJobSummaries"]]
    assert names == [f"job-{number}" for number in range(5)]
    assert "NextToken" not in second
    assert made.list({"StatusEquals": "Stopped"})["TrainingJobSummaries"] == []
