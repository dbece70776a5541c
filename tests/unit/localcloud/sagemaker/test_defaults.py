"""Describe shows what a request left out, as AWS does, so that clients which read it find it (rule 103)."""

from pathlib import Path
from typing import Any

import pytest

from localcloud.gateway import protocol
from localcloud.sagemaker import defaults
from localcloud.sagemaker.hosting.configs import Catalogue
from localcloud.sagemaker.training.describe import describe
from localcloud.sagemaker.training.job import TrainingJob
from localcloud.sagemaker.training.request import parse
from localcloud.sagemaker.tuning.api import Tunings
from localcloud.sagemaker.tuning.request import RESOURCES
from tests.unit.localcloud.fakes import IMAGE, FakeEngine, FakeObjects, channel, cloud, training_request
from tests.unit.localcloud.sagemaker.tuning.fakes import FakeTrainer, tuning_request


def described_training(folder: Path, **changes: Any) -> dict[str, Any]:
    request = parse(training_request(**changes))
    return describe(TrainingJob(cloud(folder), request, "arn:aws:sagemaker:us-east-1:1:training-job/job-1"))


def tunings(folder: Path) -> Tunings:
    return Tunings(cloud=cloud(folder), trainer=FakeTrainer(), spawn=lambda *_: None)


def test_a_training_job_has_what_aws_fills_in(tmp_path: Path) -> None:
    answer = described_training(tmp_path, InputDataConfig=[channel()])
    assert answer["OutputDataConfig"] == {"KmsKeyId": "", "S3OutputPath": "s3://data/out", "CompressionType": "GZIP"}
    assert answer["AlgorithmSpecification"]["EnableSageMakerMetricsTimeSeries"] is False
    assert answer["InputDataConfig"][0]["CompressionType"] == "None"
    assert answer["InputDataConfig"][0]["RecordWrapperType"] == "None"
    assert answer["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3DataDistributionType"] == "FullyReplicated"
    assert answer["ProfilingStatus"] == "Disabled"
    switches = ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining")
    assert [answer[name] for name in switches] == [False, False, False]


def test_what_a_training_job_says_itself_stays(tmp_path: Path) -> None:
    output = {"S3OutputPath": "s3://data/out", "CompressionType": "NONE", "KmsKeyId": "key"}
    answer = described_training(
        tmp_path, OutputDataConfig=output, EnableNetworkIsolation=True,
        ProfilerConfig={"S3OutputPath": "s3://data/profile"},
    )  # fmt: skip
    assert answer["OutputDataConfig"] == output
    assert answer["EnableNetworkIsolation"] is True
    assert answer["ProfilingStatus"] == "Enabled"


def test_a_tuning_job_has_what_aws_fills_in(tmp_path: Path) -> None:
    made = tunings(tmp_path)
    made.create(tuning_request())
    answer = made.describe({"HyperParameterTuningJobName": "tune-1"})
    config, definition = answer["HyperParameterTuningJobConfig"], answer["TrainingJobDefinition"]
    assert config["TrainingJobEarlyStoppingType"] == "Off"
    assert config["ParameterRanges"]["ContinuousParameterRanges"][0]["ScalingType"] == "Auto"
    assert config["ParameterRanges"]["IntegerParameterRanges"] == []
    assert config["ParameterRanges"]["CategoricalParameterRanges"] == []
    assert definition["StaticHyperParameters"] == {"epochs": "3", "_tuning_objective_metric": "score"}
    assert definition["OutputDataConfig"]["KmsKeyId"] == ""
    assert answer["ConsumedResources"] == {"RuntimeInSeconds": 0}


def test_a_tuning_job_tells_the_resources_of_its_training_jobs_however_they_were_given(tmp_path: Path) -> None:
    made = tunings(tmp_path)
    resources = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
    made.create(tuning_request(definition={"ResourceConfig": None, RESOURCES: resources}))
    definition = made.describe({"HyperParameterTuningJobName": "tune-1"})["TrainingJobDefinition"]
    assert (definition["ResourceConfig"], definition[RESOURCES]) == (resources, resources)


def test_the_best_of_a_family_is_told_with_the_job_that_found_it(tmp_path: Path) -> None:
    trainer = FakeTrainer()
    made = Tunings(cloud=cloud(tmp_path), trainer=trainer, spawn=lambda *_: None)
    made.create(tuning_request())
    made.jobs["tune-1"].step()
    for job, value in zip(trainer.jobs, (0.9, 0.2), strict=True):
        job.end("Completed", value)
    made.jobs["tune-1"].stop()
    made.jobs["tune-1"].step()
    parents = [{"HyperParameterTuningJobName": "tune-1"}]
    warm = {"ParentHyperParameterTuningJobs": parents, "WarmStartType": "IdenticalDataAndAlgorithm"}
    made.create(tuning_request(HyperParameterTuningJobName="tune-2", WarmStartConfig=warm))
    made.jobs["tune-2"].step()
    trainer.jobs[-1].end("Completed", 0.5)
    answer = made.describe({"HyperParameterTuningJobName": "tune-2"})
    best, overall = answer["BestTrainingJob"], answer["OverallBestTrainingJob"]
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == 0.5
    assert (overall["TuningJobName"], overall["TrainingJobName"]) == ("tune-1", trainer.jobs[0].name)


def test_a_models_container_has_what_aws_fills_in(tmp_path: Path) -> None:
    objects = FakeObjects("data")
    objects.content["data", "m.tar.gz"] = b""
    made = Catalogue(cloud=cloud(tmp_path, FakeEngine(), objects))
    container = {"Image": IMAGE, "ModelDataUrl": "s3://data/m.tar.gz"}
    made.create_model({"ModelName": "m", "PrimaryContainer": container})
    answer = made.describe_model({"ModelName": "m"})
    assert answer["PrimaryContainer"]["Mode"] == "SingleModel"
    assert answer["PrimaryContainer"]["Environment"] == {}
    source = {"S3Uri": "s3://data/m.tar.gz", "S3DataType": "S3Object", "CompressionType": "Gzip"}
    assert answer["PrimaryContainer"]["ModelDataSource"] == {"S3DataSource": source}
    assert answer["EnableNetworkIsolation"] is False


@pytest.mark.parametrize(
    ("operation", "table"),
    [
        ("DescribeTrainingJob", defaults.TRAINING),
        ("DescribeTransformJob", defaults.TRANSFORM),
        ("DescribeModel", defaults.MODEL),
        ("DescribeEndpointConfig", defaults.ENDPOINT_CONFIG),
    ],
)
def test_every_default_is_a_member_of_the_answer(operation: str, table: dict[str, Any]) -> None:
    answer = defaults.filled({name: [{}] for name, value in table.items() if isinstance(value, list)}, table)
    protocol.serialize("sagemaker", operation, answer)  # raises KeyError for an unknown member
