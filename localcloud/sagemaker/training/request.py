"""CreateTrainingJob, parsed once: the value that every other module reads. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.s3 import Location
from localcloud.sagemaker.records import invalid, s3
from localcloud.sagemaker.training.metrics import Metric, metric

MAX_RUNTIME = 86_400  # rule 17: a day unless the request says
MAX_RUNTIME_LIMIT = 28 * 86_400
MAX_HYPERPARAMETERS = 100
CHECKPOINTS = "/opt/ml/checkpoints"


@dataclass(frozen=True, kw_only=True)
class Channel:
    """One input channel: where its data lies and how hosts share it. `local` is a folder of this machine."""

    name: str
    mode: str
    distribution: str
    data_type: str
    content_type: str | None
    record_wrapper: str
    source: Location | None
    local: str | None


@dataclass(frozen=True, kw_only=True)
class Host:
    """One host: its name and the instance group that it belongs to."""

    name: str
    group: str
    instance_type: str


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Seconds that the containers may run, and that the whole spot job may take (`wait`, None without spot)."""

    runtime: int
    wait: int | None


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where artifacts go. `uri` is S3OutputPath as the request has it, `where` the same parsed."""

    uri: str
    where: Location
    compress: bool


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig:
    """Where checkpoints are kept: in S3, and at `path` inside the container."""

    uri: str
    where: Location
    path: str


@dataclass(frozen=True, kw_only=True)
class TrainingRequest:
    """A valid CreateTrainingJob request with its defaults filled in.

    An empty `entrypoint` means the image's own. `described` is the request as it came; only Describe reads it, to echo
    it.
    """

    name: str
    image: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    metrics: tuple[Metric, ...]
    hyperparameters: Mapping[str, str]
    role: str
    channels: tuple[Channel, ...]
    hosts: tuple[Host, ...]
    limits: Limits
    output: Output
    checkpoints: CheckpointConfig | None
    environment: Mapping[str, str]
    spot: bool
    isolated: bool
    tags: tuple[Mapping[str, str], ...]
    described: Mapping[str, Any]

    @property
    def artifacts(self) -> str:
        """The S3 address that the model will have; SageMaker names it from the start."""
        ending = "model.tar.gz" if self.output.compress else "model/"
        return f"{self.output.uri.rstrip('/')}/{self.name}/output/{ending}"


def parse(params: Mapping[str, Any]) -> TrainingRequest:
    """Parse a request that fits botocore's model. Raises ApiError ValidationException for rules between members."""
    algorithm = params["AlgorithmSpecification"]
    entrypoint, command = _command(algorithm)
    return TrainingRequest(
        name=params["TrainingJobName"],
        image=_image(algorithm),
        entrypoint=entrypoint,
        command=command,
        metrics=tuple(metric(definition) for definition in algorithm.get("MetricDefinitions", ())),
        hyperparameters=_hyperparameters(params),
        role=params["RoleArn"],
        channels=_channels(params, algorithm.get("TrainingInputMode", "File")),
        hosts=_hosts(params.get("ResourceConfig", {})),
        limits=_limits(params),
        output=_output(params),
        checkpoints=_checkpoints(params.get("CheckpointConfig")),
        environment=dict(params.get("Environment", {})),
        spot=_is_spot(params),
        isolated=bool(params.get("EnableNetworkIsolation")),
        tags=tuple(params.get("Tags") or ()),
        described=params,
    )


def _image(algorithm: Mapping[str, Any]) -> str:
    if "TrainingImage" not in algorithm:
        raise invalid("localcloud runs TrainingImage only: it cannot run an AlgorithmName, or a job without an image.")
    return str(algorithm["TrainingImage"])


def _command(algorithm: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(entrypoint, command): the image's own ENTRYPOINT with `train`, or the request's (rules 1, 2)."""
    entrypoint = tuple(algorithm.get("ContainerEntrypoint", ()))
    if "ContainerArguments" in algorithm and "ContainerEntrypoint" not in algorithm:
        raise invalid(
            "ContainerArguments needs ContainerEntrypoint: set AlgorithmSpecification.ContainerEntrypoint too."
        )
    return entrypoint, tuple(algorithm.get("ContainerArguments", ())) if entrypoint else ("train",)


def _hyperparameters(params: Mapping[str, Any]) -> dict[str, str]:
    values = dict(params.get("HyperParameters", {}))
    if len(values) > MAX_HYPERPARAMETERS:
        raise invalid(f"HyperParameters holds {len(values)} keys; at most {MAX_HYPERPARAMETERS} are allowed.")
    return values


def _hosts(resources: Mapping[str, Any]) -> tuple[Host, ...]:
    """algo-1 … algo-N over all instance groups, in the order in which they are numbered."""
    single = "InstanceType" in resources and "InstanceCount" in resources
    if single == bool(resources.get("InstanceGroups")):
        raise invalid("ResourceConfig needs either InstanceType and InstanceCount, or InstanceGroups.")
    groups = resources.get("InstanceGroups") or [{**resources, "InstanceGroupName": "homogeneousCluster"}]
    pairs = [(g["InstanceGroupName"], g["InstanceType"]) for g in groups for _ in range(g["InstanceCount"])]
    return tuple(
        Host(name=f"algo-{number}", group=group, instance_type=instance_type)
        for number, (group, instance_type) in enumerate(pairs, start=1)
    )


def _is_spot(params: Mapping[str, Any]) -> bool:
    spot = bool(params.get("EnableManagedSpotTraining"))
    if spot and params.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds"):
        raise invalid("KeepAlivePeriodInSeconds (a warm pool) cannot be used with managed spot training.")
    return spot


def _limits(params: Mapping[str, Any]) -> Limits:
    if "StoppingCondition" not in params:
        raise invalid("StoppingCondition is required.")
    condition = params["StoppingCondition"]
    runtime, wait = int(condition.get("MaxRuntimeInSeconds", MAX_RUNTIME)), condition.get("MaxWaitTimeInSeconds")
    if runtime > MAX_RUNTIME_LIMIT:
        raise invalid(f"MaxRuntimeInSeconds must be at most {MAX_RUNTIME_LIMIT} (28 days).")
    spot = bool(params.get("EnableManagedSpotTraining"))
    if spot and wait is None:
        raise invalid("MaxWaitTimeInSeconds must be present when EnableManagedSpotTraining is set to true.")
    if not spot and wait is not None:
        raise invalid("MaxWaitTimeInSeconds can be set only when EnableManagedSpotTraining is true.")
    if wait is not None and wait < runtime:
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds."
        )
    return Limits(runtime=runtime, wait=wait)


def _output(params: Mapping[str, Any]) -> Output:
    if "OutputDataConfig" not in params:
        raise invalid("OutputDataConfig.S3OutputPath is required.")
    output = params["OutputDataConfig"]
    uri = output["S3OutputPath"]
    return Output(uri=uri, where=s3(uri), compress=output.get("CompressionType", "GZIP") == "GZIP")


def _checkpoints(config: Mapping[str, Any] | None) -> CheckpointConfig | None:
    if not config:
        return None
    return CheckpointConfig(uri=config["S3Uri"], where=s3(config["S3Uri"]), path=config.get("LocalPath", CHECKPOINTS))


def _channels(params: Mapping[str, Any], default_mode: str) -> tuple[Channel, ...]:
    members = params.get("InputDataConfig", ())
    names = [member["ChannelName"] for member in members]
    for name in names:
        if names.count(name) > 1:
            raise invalid(f"Channel names must be unique; {name} is given more than once.")
    channels = tuple(_channel(member, default_mode) for member in members)
    for channel in channels:
        _check_channel(channel)
    return channels


def _channel(member: Mapping[str, Any], default_mode: str) -> Channel:
    source = member["DataSource"].get("S3DataSource")
    if source is None:
        raise invalid(
            f"Channel {member['ChannelName']}: localcloud cannot mount file systems; use an S3DataSource. Its S3Uri "
            "may be file:///a/folder/of/this/machine."
        )
    uri = source["S3Uri"]
    is_local = uri.startswith("file://")
    return Channel(
        name=member["ChannelName"],
        mode=member.get("InputMode") or default_mode,
        distribution=source.get("S3DataDistributionType", "FullyReplicated"),
        data_type=source["S3DataType"],
        content_type=member.get("ContentType"),
        record_wrapper=member.get("RecordWrapperType", "None"),
        source=None if is_local else s3(uri),
        local=uri.removeprefix("file://") if is_local else None,
    )


def _check_channel(channel: Channel) -> None:
    if channel.mode == "Pipe":
        raise invalid(f"Channel {channel.name}: localcloud has no Pipe mode; use File or FastFile.")
    if channel.data_type not in ("S3Prefix", "ManifestFile"):
        raise invalid(
            f"Channel {channel.name}: S3DataType {channel.data_type} needs Pipe mode, which localcloud lacks."
        )
    if channel.mode == "FastFile" and channel.data_type != "S3Prefix":
        raise invalid(f"Channel {channel.name}: FastFile mode takes S3Prefix only.")
