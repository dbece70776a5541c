"""What SageMaker's Describe operations show where the request said nothing (rule 103). Pure."""

from collections.abc import Mapping
from typing import Any

_CHANNEL = {
    "DataSource": {"S3DataSource": {"S3DataDistributionType": "FullyReplicated"}},
    "CompressionType": "None",
    "RecordWrapperType": "None",
}
# What training jobs and the training jobs of a tuning job have in common.
DEFINITION: Mapping[str, Any] = {
    "InputDataConfig": [_CHANNEL],
    "OutputDataConfig": {"KmsKeyId": "", "CompressionType": "GZIP"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 86_400},
    "EnableNetworkIsolation": False,
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": False,
}
TRAINING: Mapping[str, Any] = {
    **DEFINITION,
    "AlgorithmSpecification": {"EnableSageMakerMetricsTimeSeries": False},
}
_RANGES = {
    "IntegerParameterRanges": [{"ScalingType": "Auto"}],
    "ContinuousParameterRanges": [{"ScalingType": "Auto"}],
    "CategoricalParameterRanges": [{}],
}
TUNING: Mapping[str, Any] = {"ParameterRanges": _RANGES, "TrainingJobEarlyStoppingType": "Off"}
TRANSFORM: Mapping[str, Any] = {
    "TransformInput": {"CompressionType": "None", "SplitType": "None"},
    "TransformOutput": {"AssembleWith": "None", "KmsKeyId": ""},
    "DataProcessing": {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"},
}
CONTAINER: Mapping[str, Any] = {"Mode": "SingleModel", "Environment": {}}
MODEL: Mapping[str, Any] = {"EnableNetworkIsolation": False}
ENDPOINT_CONFIG: Mapping[str, Any] = {"ProductionVariants": [{"InitialVariantWeight": 1.0}]}


def filled(request: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The request with the defaults where it has no value. A default list holds the defaults of every element."""
    found = dict(request)
    for name, default in defaults.items():
        value = found.get(name)
        if isinstance(default, list):
            found[name] = [filled(each, default[0]) for each in value or ()]
        elif isinstance(default, Mapping):
            found[name] = filled(value or {}, default)
        elif value is None:
            found[name] = default
    return found


def container(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A model's container as DescribeModel shows it: ModelDataUrl also as a ModelDataSource."""
    answer = filled(definition, CONTAINER)
    if "ModelDataUrl" in answer:
        source = {"S3Uri": answer["ModelDataUrl"], "S3DataType": "S3Object", "CompressionType": "Gzip"}
        answer["ModelDataSource"] = {"S3DataSource": source}
    return answer
