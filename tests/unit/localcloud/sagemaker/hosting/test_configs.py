"""Models and endpoint configurations: what is refused, in whose words, and how they are listed."""

from typing import Any

import pytest

from tests.unit.localcloud.sagemaker.hosting.fixtures import ARN, Fakes, one


def test_missing_and_duplicate_names_are_refused_in_sagemakers_words() -> None:
    fakes = Fakes()
    fakes.model("Mod")
    error = fakes.refused("CreateModel", ModelName="Mod", PrimaryContainer={"Image": "serve:1"})
    assert error.message == f'Cannot create already existing model "{ARN}model/mod".'
    assert error.code == "ValidationException"
    assert fakes.refused("DescribeModel", ModelName="x").message == f'Could not find model "{ARN}model/x".'
    error = fakes.refused("CreateEndpointConfig", EndpointConfigName="c", ProductionVariants=[one(model="x")])
    assert error.message == f'Could not find model "{ARN}model/x".'
    error = fakes.refused("CreateEndpoint", EndpointName="E", EndpointConfigName="x")
    assert error.message == f'Could not find endpoint configuration "{ARN}endpoint-config/x".'
    assert fakes.refused("DescribeEndpoint", EndpointName="X").message == f'Could not find endpoint "{ARN}endpoint/x".'


@pytest.mark.parametrize(
    ("container", "message"),
    [
        ({"Image": "none:1"}, "Requested image none:1 not found"),
        ({"ModelDataUrl": "s3://models/none.tar.gz"}, "Could not find model data at s3://models/none.tar.gz."),
        ({"ModelDataUrl": "s3://models/model.zip"}, "must name a .tar.gz"),
        ({"Environment": {f"K{n}": "v" for n in range(101)}}, "Invalid Environment"),
        ({"Environment": {"K": "v" * 1025}}, "K is longer than 1024 bytes"),
        ({"Mode": "MultiModel"}, "multi-model"),
    ],
)
def test_a_model_that_cannot_run_is_refused_when_it_is_made(container: dict[str, Any], message: str) -> None:
    error = Fakes().refused("CreateModel", ModelName="m", PrimaryContainer={"Image": "serve:1", **container})
    assert message in error.message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ShadowProductionVariants": [one()]}, "shadow variants"),
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, "needs an S3OutputPath"),
        ({"DataCaptureConfig": {"EnableCapture": True}}, "capture"),
        ({"ProductionVariants": [one(), one()]}, "unique"),
        ({"ProductionVariants": [{"VariantName": "A", "ModelName": "m"}]}, "InstanceType is required"),
        ({"ProductionVariants": [one(ServerlessConfig={"MemorySizeInMB": 1024, "MaxConcurrency": 1})]}, "combined"),
    ],
)
def test_a_configuration_that_localcloud_or_sagemaker_cannot_run_is_refused(
    changes: dict[str, Any], message: str
) -> None:
    fakes = Fakes()
    fakes.model()
    error = fakes.refused(
        "CreateEndpointConfig", **({"EndpointConfigName": "c", "ProductionVariants": [one()]} | changes)
    )
    assert message in error.message


def test_instances_publish_detailed_metrics_unless_the_request_says_no() -> None:
    fakes = Fakes()
    fakes.model()
    serverless = {
        "VariantName": "A",
        "ModelName": "m",
        "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
    }
    for name, more in (
        ("silent", {"ProductionVariants": [one()]}),
        ("off", {"ProductionVariants": [one()], "MetricsConfig": {"EnableDetailedObservability": False}}),
        ("serverless", {"ProductionVariants": [serverless]}),
    ):
        fakes.do("CreateEndpointConfig", EndpointConfigName=name, **more)
    told = [fakes.do("DescribeEndpointConfig", EndpointConfigName=name) for name in ("silent", "off", "serverless")]
    assert [each.get("MetricsConfig", {}).get("EnableDetailedObservability") for each in told] == [True, False, None]


def test_lists_filter_sort_and_page() -> None:
    fakes = Fakes()
    for name in ("red-1", "blue", "red-2", "red-3"):
        fakes.model(name)
    first = fakes.do("ListModels", NameContains="RED", SortBy="Name", SortOrder="Ascending", MaxResults=2)
    assert [row["ModelName"] for row in first["Models"]] == ["red-1", "red-2"]
    rest = fakes.do(
        "ListModels",
        NameContains="red",
        SortBy="Name",
        SortOrder="Ascending",
        MaxResults=2,
        NextToken=first["NextToken"],
    )
    assert [row["ModelName"] for row in rest["Models"]] == ["red-3"]
    assert "NextToken" not in rest
