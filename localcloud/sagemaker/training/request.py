"""A CreateTrainingJob request turned into what each host gets: config files, environment, command, data. Pure.

rules 1–18 say what SageMaker gives a training container.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from localcloud.errors import ApiError
from localcloud.s3 import Location, S3Object, location
from localcloud.sagemaker.s3_input import relative

MAX_RUNTIME = 86_400  # rule 17: a day unless the request says
MAX_RUNTIME_LIMIT = 28 * 86_400
CHECKPOINTS = "/opt/ml/checkpoints"
_FAILURE_LIMIT = 1024  # rule 13

# GPUs by instance size, for the families that have any; those not named have one (g5.xlarge, g6.2xlarge, p3.2xlarge …).
_GPU_FAMILY = re.compile(r"ml\.(?:p\d|g\d)")
_GPU_COUNTS = {
    "12xlarge": 4, "24xlarge": 4, "48xlarge": 8, "ml.g5.16xlarge": 1, "ml.g6.16xlarge": 1, "ml.g6e.16xlarge": 1,
    "ml.g4dn.16xlarge": 1, "ml.p3.8xlarge": 4, "ml.p3.16xlarge": 8, "ml.p2.8xlarge": 8, "ml.p2.16xlarge": 16,
    "ml.p3dn.24xlarge": 8, "ml.p4d.24xlarge": 8, "ml.p4de.24xlarge": 8,
}  # fmt: skip


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


def check(request: Mapping[str, Any]) -> None:
    """Rules between members that botocore's model cannot say. Raises ApiError ValidationException as AWS would."""
    for wrong, message in (*_algorithm_rules(request), *_resource_rules(request), *_spot_rules(request)):
        if wrong:
            raise ApiError("ValidationException", message)
    names = [channel["ChannelName"] for channel in request.get("InputDataConfig", ())]
    for name in names:
        if names.count(name) > 1:
            raise ApiError("ValidationException", f"Channel names must be unique; {name} is given more than once.")
    for channel in channels(request):
        _check_channel(channel)
    for definition in request["AlgorithmSpecification"].get("MetricDefinitions", ()):
        _compiled(definition)


def _algorithm_rules(request: Mapping[str, Any]) -> Iterable[tuple[bool, str]]:
    algorithm = request["AlgorithmSpecification"]
    yield (
        "TrainingImage" not in algorithm,
        "localcloud runs TrainingImage only: an AlgorithmName or no image at all cannot be run on one machine.",
    )
    yield (
        "ContainerArguments" in algorithm and "ContainerEntrypoint" not in algorithm,
        "ContainerArguments needs ContainerEntrypoint: set AlgorithmSpecification.ContainerEntrypoint too.",
    )
    keys = request.get("HyperParameters", {})
    yield len(keys) > 100, f"HyperParameters holds {len(keys)} keys; at most 100 are allowed."


def _resource_rules(request: Mapping[str, Any]) -> Iterable[tuple[bool, str]]:
    resources = request.get("ResourceConfig", {})
    single = "InstanceType" in resources and "InstanceCount" in resources
    grouped = bool(resources.get("InstanceGroups"))
    yield single == grouped, "ResourceConfig needs either InstanceType and InstanceCount, or InstanceGroups."
    yield "OutputDataConfig" not in request, "OutputDataConfig.S3OutputPath is required."
    yield "StoppingCondition" not in request, "StoppingCondition is required."
    yield (
        runtime_limit(request) > MAX_RUNTIME_LIMIT,
        f"MaxRuntimeInSeconds must be at most {MAX_RUNTIME_LIMIT} (28 days).",
    )


def _spot_rules(request: Mapping[str, Any]) -> Iterable[tuple[bool, str]]:
    wait = request.get("StoppingCondition", {}).get("MaxWaitTimeInSeconds")
    spot = bool(request.get("EnableManagedSpotTraining"))
    yield spot and wait is None, "MaxWaitTimeInSeconds must be present when EnableManagedSpotTraining is set to true."
    yield not spot and wait is not None, "MaxWaitTimeInSeconds can be set only when EnableManagedSpotTraining is true."
    yield (
        wait is not None and wait < runtime_limit(request),
        "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds.",
    )
    keep = request.get("ResourceConfig", {}).get("KeepAlivePeriodInSeconds")
    yield spot and bool(keep), "KeepAlivePeriodInSeconds (a warm pool) cannot be used with managed spot training."


def _check_channel(channel: Channel) -> None:
    if channel.mode == "Pipe":
        raise ApiError(
            "ValidationException", f"Channel {channel.name}: localcloud has File and FastFile, no Pipe mode."
        )
    if channel.data_type not in ("S3Prefix", "ManifestFile"):
        raise ApiError(
            "ValidationException", f"Channel {channel.name}: S3DataType {channel.data_type} needs Pipe mode."
        )
    if channel.mode == "FastFile" and channel.data_type != "S3Prefix":
        raise ApiError("ValidationException", f"Channel {channel.name}: FastFile mode takes S3Prefix only.")


def runtime_limit(request: Mapping[str, Any]) -> int:
    """MaxRuntimeInSeconds, or its default."""
    return int(request.get("StoppingCondition", {}).get("MaxRuntimeInSeconds", MAX_RUNTIME))


def channels(request: Mapping[str, Any]) -> list[Channel]:
    """Every input channel with its defaults filled in. Raises ApiError for a data source that localcloud has not."""
    default_mode = request["AlgorithmSpecification"].get("TrainingInputMode", "File")
    return [_channel(given, default_mode) for given in request.get("InputDataConfig", ())]


def _channel(given: Mapping[str, Any], default_mode: str) -> Channel:
    source = given["DataSource"].get("S3DataSource")
    if source is None:
        raise ApiError(
            "ValidationException",
            f"Channel {given['ChannelName']}: localcloud has no file systems to mount; "
            "use an S3DataSource (its S3Uri may be file:///a/folder/of/this/machine here)",
        )
    uri = source["S3Uri"]
    return Channel(
        name=given["ChannelName"],
        mode=given.get("InputMode") or default_mode,
        distribution=source.get("S3DataDistributionType", "FullyReplicated"),
        data_type=source["S3DataType"],
        content_type=given.get("ContentType"),
        record_wrapper=given.get("RecordWrapperType", "None"),
        source=None if uri.startswith("file://") else location(uri),
        local=uri.removeprefix("file://") if uri.startswith("file://") else None,
    )


def hosts(request: Mapping[str, Any]) -> list[Host]:
    """algo-1 … algo-N over all instance groups, in the order in which they are numbered."""
    resources = request["ResourceConfig"]
    groups = resources.get("InstanceGroups") or [{**resources, "InstanceGroupName": "homogeneousCluster"}]
    kinds = [(g["InstanceGroupName"], g["InstanceType"]) for g in groups for _ in range(g["InstanceCount"])]
    return [
        Host(name=f"algo-{number}", group=group, instance_type=kind)
        for number, (group, kind) in enumerate(kinds, start=1)
    ]


def gpu_count(instance_type: str) -> int:
    """GPUs of an instance type, 0 for one without."""
    if not _GPU_FAMILY.match(instance_type):
        return 0
    return _GPU_COUNTS.get(instance_type, _GPU_COUNTS.get(instance_type.rpartition(".")[2], 1))


def config_files(request: Mapping[str, Any], host: Host) -> dict[str, str]:
    """/opt/ml/input/config/*: file name → JSON text (rules 4, 6, 8)."""
    everyone = hosts(request)
    inputs = {
        channel.name: {
            "TrainingInputMode": channel.mode,
            "S3DistributionType": channel.distribution,
            "RecordWrapperType": channel.record_wrapper,
        }
        | ({"ContentType": channel.content_type} if channel.content_type else {})
        for channel in channels(request)
    }
    groups = {
        other.group: {
            "instance_group_name": other.group,
            "instance_type": other.instance_type,
            "hosts": sorted(one.name for one in everyone if one.group == other.group),
        }
        for other in everyone
    }
    resources = {
        "current_host": host.name,
        "current_instance_type": host.instance_type,
        "current_group_name": host.group,
        "hosts": sorted(other.name for other in everyone),
        "instance_groups": list(groups.values()),
        "network_interface_name": "eth0",
    }
    return {
        "hyperparameters.json": json.dumps(request.get("HyperParameters", {})),
        "inputdataconfig.json": json.dumps(inputs),
        "resourceconfig.json": json.dumps(resources),
    }


def environment(
    request: Mapping[str, Any], *, arn: str, region: str, container_url: str, isolated: bool
) -> dict[str, str]:
    """The container's environment: the platform's own, the way back to this localcloud, and the request's."""
    found = {"TRAINING_JOB_NAME": request["TrainingJobName"], "TRAINING_JOB_ARN": arn, "AWS_REGION": region}
    if not isolated:
        found |= {
            "AWS_ENDPOINT_URL": container_url,
            "AWS_ACCESS_KEY_ID": "localcloud",
            "AWS_SECRET_ACCESS_KEY": "localcloud",
        }
    return found | dict(request.get("Environment", {}))


def command(request: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(entrypoint, command): the image's own ENTRYPOINT with `train`, or what the request says (rules 1, 2)."""
    algorithm = request["AlgorithmSpecification"]
    entrypoint = tuple(algorithm.get("ContainerEntrypoint", ()))
    return entrypoint, tuple(algorithm.get("ContainerArguments", ())) if entrypoint else ("train",)


def assign(channel: Channel, found: Sequence[S3Object], host: int, host_count: int) -> dict[str, str]:
    """Which objects one host gets: key → path inside the channel's folder. Shards by key when the channel says so."""
    if channel.source is None:
        raise ValueError(f"channel {channel.name} is no S3 channel")
    keys = sorted(entry.key for entry in found)
    if channel.distribution == "ShardedByS3Key":
        keys = keys[host::host_count]
    return {key: relative(channel.source.key, key) for key in keys}


def failure_reason(text: str, exit_code: int, *, out_of_memory: bool = False) -> str:
    """FailureReason as SageMaker words it (rules 12, 13), within 1024 characters."""
    if out_of_memory and not text:
        text = (
            "Please use an instance type with more memory, "
            "or reduce the size of training data processed on an instance."
        )
    ending = f", exit code: {exit_code}"
    return "AlgorithmError: " + text[: _FAILURE_LIMIT - len("AlgorithmError: ") - len(ending)] + ending


class MetricScanner:
    """Reads log lines and remembers each metric's values (rule 18)."""

    def __init__(self, definitions: Sequence[Mapping[str, str]]) -> None:
        self._definitions = [(definition["Name"], _compiled(definition)) for definition in definitions]
        self.last: dict[str, float] = {}
        self.history: dict[str, list[float]] = {}

    def scan(self, line: str) -> dict[str, float]:
        """The metrics that this line tells."""
        found: dict[str, float] = {}
        for name, pattern in self._definitions:
            for match in pattern.finditer(line):
                try:
                    found[name] = float(match.group(1) if pattern.groups else match.group(0))
                except (ValueError, TypeError):
                    continue
        self.last |= found
        for name, value in found.items():
            self.history.setdefault(name, []).append(value)
        return found


def _compiled(definition: Mapping[str, str]) -> re.Pattern[str]:
    try:
        return re.compile(definition["Regex"])
    except re.error as error:
        raise ApiError(
            "ValidationException", f"MetricDefinitions: the Regex of {definition['Name']} is not valid: {error}"
        ) from None
