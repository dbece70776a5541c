"""Models and endpoint configurations, with SageMaker's own checks and messages.

moto accepts models without an image and variants of missing models, so localcloud keeps these records itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloud import Cloud
from localcloud.iam import require_sagemaker_role
from localcloud.sagemaker.defaults import ENDPOINT_CONFIG, MODEL, container, filled
from localcloud.sagemaker.records import Params, RecordStore, invalid, page, s3

UNSUPPORTED_CONFIG = {
    "ShadowProductionVariants": "shadow variants",
    "ExplainerConfig": "online explainability",
}
# What AWS fills in where a request does not say otherwise (rule 39).
METRICS = {"EnableEnhancedMetrics": False, "EnableDetailedObservability": True, "MetricPublishFrequencyInSeconds": 60}


@dataclass(kw_only=True)
class Catalogue:
    """The operations on models and endpoint configurations."""

    cloud: Cloud
    models: RecordStore = field(init=False)
    configs: RecordStore = field(init=False)

    def __post_init__(self) -> None:
        self.models = RecordStore(cloud=self.cloud, kind="model", noun="model")
        self.configs = RecordStore(cloud=self.cloud, kind="endpoint-config", noun="endpoint configuration")

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
            "CreateModel": self.create_model,
            "DescribeModel": self.describe_model,
            "DeleteModel": self.delete_model,
            "ListModels": self.list_models,
            "CreateEndpointConfig": self.create_config,
            "DescribeEndpointConfig": self.describe_config,
            "DeleteEndpointConfig": self.delete_config,
            "ListEndpointConfigs": self.list_configs,
        }

    def create_model(self, params: Params) -> Params:
        """Check the container and its model data as SageMaker does, then keep the model (rules 37, 38)."""
        only = model_container(params)
        check_environment(only.get("Environment", {}))
        url = model_data_url(only)
        self.cloud.images.check_sagemaker(only["Image"])
        if not self.cloud.images.exists(only["Image"]):
            raise invalid(
                f"Requested image {only['Image']} not found: the local Docker engine does not hold it. "
                "Build it, or docker pull it."
            )
        if url is not None and not self.cloud.objects.list(s3(url)):
            raise invalid(f"Could not find model data at {url}.")
        if "ExecutionRoleArn" in params:  # for inference, aws:SourceArn is the whole account (rule 82)
            require_sagemaker_role(self.cloud.roles, params["ExecutionRoleArn"], self.cloud.arn("sagemaker", "*"))
        tags = params.pop("Tags", [])
        arn = self.models.add(params["ModelName"], params)
        self.cloud.tags.put(arn, tags)
        return {"ModelArn": arn}

    def describe_model(self, params: Params) -> Params:
        name = params["ModelName"]
        answer = filled(self.models.get(name), MODEL) | {"ModelArn": self.models.arn(name)}
        if "PrimaryContainer" in answer:
            answer["PrimaryContainer"] = container(answer["PrimaryContainer"])
        if "Containers" in answer:
            answer["Containers"] = [container(each) for each in answer["Containers"]]
        return answer

    def delete_model(self, params: Params) -> Params:
        self.models.remove(params["ModelName"])
        self.cloud.tags.forget(self.models.arn(params["ModelName"]))
        return {}

    def list_models(self, params: Params) -> Params:
        rows = [
            {"ModelName": name, "ModelArn": self.models.arn(name), "CreationTime": record["CreationTime"]}
            for name, record in list(self.models.records.items())
        ]
        return page(rows, params, name="ModelName", out="Models")

    def create_config(self, params: Params) -> Params:
        """Check that every variant's model exists, then keep the configuration."""
        check_config(params)
        for variant in params["ProductionVariants"]:
            self.models.get(variant["ModelName"])
        tags = params.pop("Tags", [])
        record = filled(params, ENDPOINT_CONFIG)
        if not any("ServerlessConfig" in variant for variant in record["ProductionVariants"]):
            record["MetricsConfig"] = {**METRICS, **params.get("MetricsConfig", {})}
        arn = self.configs.add(params["EndpointConfigName"], record)
        self.cloud.tags.put(arn, tags)
        return {"EndpointConfigArn": arn}

    def describe_config(self, params: Params) -> Params:
        name = params["EndpointConfigName"]
        return {**self.configs.get(name), "EndpointConfigArn": self.configs.arn(name)}

    def delete_config(self, params: Params) -> Params:
        self.configs.remove(params["EndpointConfigName"])
        self.cloud.tags.forget(self.configs.arn(params["EndpointConfigName"]))
        return {}

    def list_configs(self, params: Params) -> Params:
        rows = [
            {"EndpointConfigName": name, "EndpointConfigArn": self.configs.arn(name)}
            | {"CreationTime": record["CreationTime"]}
            for name, record in list(self.configs.records.items())
        ]
        return page(rows, params, name="EndpointConfigName", out="EndpointConfigs")


def model_container(model: Mapping[str, Any]) -> Params:
    """Return the one container that localcloud runs for a model.

    Raises ApiError for pipelines, model packages and multi-model containers, which localcloud lacks.
    """
    containers = [model["PrimaryContainer"]] if "PrimaryContainer" in model else model.get("Containers", [])
    if len(containers) != 1:
        raise invalid(f"localcloud runs exactly one container per model; this one has {len(containers)}.")
    container: Params = containers[0]
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise invalid("localcloud has no multi-model endpoints: leave Mode out or set it to SingleModel.")
    if "Image" not in container:
        raise invalid("localcloud has no model packages: set the container's Image.")
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise invalid("ModelDataUrl and ModelDataSource are mutually exclusive.")
    return container


def model_data_url(container: Mapping[str, Any]) -> str | None:
    """Return the S3 URL of the data for /opt/ml/model, or None. Raises ApiError for a wrong form (rule 37)."""
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        url: str | None = container.get("ModelDataUrl")
        if url is not None and not url.endswith(".tar.gz"):
            raise invalid(f"Invalid ModelDataUrl {url}: it must name a .tar.gz object.")
        return url
    prefix, kind = str(source["S3Uri"]), source["S3DataType"]
    if kind == "S3Prefix" and not prefix.endswith("/"):
        raise invalid(f"S3Uri {prefix} of an S3Prefix must end in '/'.")
    return prefix


def check_environment(environment: Mapping[str, str]) -> None:
    """Raise ApiError beyond 100 variables, 1024 bytes each or 32 KB together (rule 38)."""
    sizes = [len(key.encode()) + len(value.encode()) for key, value in environment.items()]
    long = [key for key, value in environment.items() if max(len(key.encode()), len(value.encode())) > 1024]
    if len(sizes) > 100 or long or sum(sizes) > 32 * 1024:
        what = f"{long[0]} is longer than 1024 bytes" if long else "more than 100 variables or 32 KB"
        raise invalid(f"Invalid Environment: {what}.")


def check_config(params: Mapping[str, Any]) -> None:
    """Raise ApiError for what localcloud cannot run or SageMaker refuses. botocore's model has checked the shapes."""
    for key, what in UNSUPPORTED_CONFIG.items():
        if key in params:
            raise invalid(f"localcloud does not have {what}: leave {key} out.")
    if params.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise invalid("localcloud does not capture data: leave DataCaptureConfig out or set EnableCapture to false.")
    names = [variant["VariantName"] for variant in params["ProductionVariants"]]
    if len(set(names)) != len(names):
        raise invalid("Production variant names must be unique within an endpoint configuration.")
    for variant in params["ProductionVariants"]:
        check_variant(variant)
    check_async(params)


def check_async(params: Mapping[str, Any]) -> None:
    """Raise ApiError for a configuration that breaks the rules of asynchronous inference (rule 42)."""
    if "AsyncInferenceConfig" not in params:
        return
    output = params["AsyncInferenceConfig"]["OutputConfig"]
    if "NotificationConfig" in output:
        raise invalid("localcloud has no SNS topics for asynchronous inference: leave NotificationConfig out.")
    if "S3OutputPath" not in output:
        raise invalid("AsyncInferenceConfig.OutputConfig needs an S3OutputPath.")
    for key in ("S3OutputPath", "S3FailurePath"):
        if key in output:
            s3(output[key])
    variants = params["ProductionVariants"]
    if len(variants) > 1 or "ServerlessConfig" in variants[0]:
        raise invalid("An asynchronous endpoint has one production variant, on instances.")


def check_variant(variant: Mapping[str, Any]) -> None:
    """Raise ApiError for a variant whose members contradict each other (rules 37, 45)."""
    name = variant["VariantName"]
    if "ModelName" not in variant:
        raise invalid(f"Variant {name} names no model: localcloud has no inference components.")
    if "ServerlessConfig" in variant:
        clash = [key for key in ("InstanceType", "InitialInstanceCount") if key in variant]
        if clash:
            raise invalid(f"Variant {name}: {clash[0]} cannot be combined with ServerlessConfig.")
        memory = variant["ServerlessConfig"]["MemorySizeInMB"]
        if memory % 1024:
            raise invalid(f"Variant {name}: MemorySizeInMB {memory} must be a multiple of 1024.")
        return
    missing = [key for key in ("InstanceType", "InitialInstanceCount") if key not in variant]
    if missing:
        raise invalid(f"Variant {name}: {missing[0]} is required unless ServerlessConfig is given.")
