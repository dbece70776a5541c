"""The environment of a training: hosts, devices and paths, from SageMaker's /opt/ml or from the command line.

`from_sagemaker` and `from_command_line` are pure: they get the files of /opt/ml as decoded JSON and the machine as a
`Machine`, which `train/host/machine.py` observes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OPT_ML = Path("/opt/ml")
HYPERPARAMETERS, CHANNELS, RESOURCES = "hyperparameters.json", "inputdataconfig.json", "resourceconfig.json"
MASTER_PORT = 29500  # several hosts must agree on it beforehand
LOOPBACK = "127.0.0.1"
DATA_CHANNELS = ("training", "train", "data", "valid", "val", "validation", "test")
WEIGHTS_CHANNEL = "weights"


class SetupError(ValueError):
    """The environment does not allow a training. The message says what is wrong and the fix."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """This host: GPUs that torch can use, CPUs within quota and affinity, a free TCP port, network interfaces.

    `memory` is the limit in bytes; None is unknown.
    """

    gpus: int = 0
    cpus: int = 1
    memory: int | None = None
    free_port: int = MASTER_PORT
    interfaces: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Environment:
    """The environment of one host. A host's rank is its index in `hosts`; the first host is the master (rule 9)."""

    hosts: tuple[str, ...] = ("localhost",)
    current_host: str = "localhost"
    network_interface: str = ""
    instance_type: str = ""
    job_name: str = ""
    is_sagemaker: bool = False
    gpus: int = 0
    cpus: int = 1
    memory: int | None = None
    master_addr: str = LOOPBACK
    master_port: int = MASTER_PORT
    channels: dict[str, Path] = field(default_factory=dict)
    model_dir: Path = OPT_ML / "model"
    output_data_dir: Path = OPT_ML / "output" / "data"
    checkpoint_dir: Path = OPT_ML / "checkpoints"
    failure_file: Path = OPT_ML / "output" / "failure"

    @property
    def nnodes(self) -> int:
        return len(self.hosts)

    @property
    def node_rank(self) -> int:
        return self.hosts.index(self.current_host)

    @property
    def data_channels(self) -> dict[str, Path]:
        """The channels that hold pictures, by name."""
        return {name: path for name, path in self.channels.items() if name != WEIGHTS_CHANNEL}


def from_sagemaker(
    files: Mapping[str, Any], environ: Mapping[str, str], machine: Machine, *, root: Path = OPT_ML
) -> Environment:
    """The Environment on SageMaker. `files` are the decoded files of `root`/input/config (rules 6-11).

    A missing resourceconfig.json means one host. Raises SetupError.
    """
    resources = _mapping(files.get(RESOURCES) or {}, RESOURCES)
    current = str(resources.get("current_host") or "localhost")
    hosts = tuple(str(host) for host in resources.get("hosts") or (current,))
    if current not in hosts:
        raise SetupError(f"{RESOURCES}: current_host {current!r} is not among hosts {list(hosts)}")
    if len(set(hosts)) != len(hosts):
        raise SetupError(f"{RESOURCES}: hosts {list(hosts)} name one host twice")
    channels = _mapping(files.get(CHANNELS) or {}, CHANNELS)
    interface = str(resources.get("network_interface_name") or "")
    piped = [name for name, about in channels.items() if _mapping(about, CHANNELS).get("TrainingInputMode") == "Pipe"]
    if piped:
        raise SetupError(f"channel {piped[0]!r} has TrainingInputMode Pipe: use TrainingInputMode File or FastFile")
    alone = len(hosts) == 1
    port = environ.get("MASTER_PORT", "")
    return Environment(
        hosts=hosts,
        current_host=current,
        # The SDK's local mode names an interface that does not exist.
        network_interface=interface if interface in machine.interfaces else "",
        instance_type=str(resources.get("current_instance_type") or ""),
        job_name=environ.get("TRAINING_JOB_NAME", ""),
        is_sagemaker=True,
        gpus=machine.gpus,
        cpus=machine.cpus,
        memory=machine.memory,
        master_addr=LOOPBACK if alone else hosts[0],
        master_port=int(port) if port.isdigit() else machine.free_port if alone else MASTER_PORT,
        channels={name: root / "input" / "data" / name for name in channels},
        **_outputs(root),
    )


def from_command_line(data: Path, output: Path, machine: Machine) -> Environment:
    """The Environment of `docker run … --data DIR [--output DIR]`: one host, all results below `output`."""
    return Environment(
        gpus=machine.gpus,
        cpus=machine.cpus,
        memory=machine.memory,
        master_port=machine.free_port,
        channels={"training": data},
        **_outputs(output),
    )


def to_dict(environment: Environment) -> dict[str, Any]:
    """JSON-ready values."""
    values = {name: getattr(environment, name) for name in Environment.__dataclass_fields__}
    values["channels"] = {name: str(path) for name, path in environment.channels.items()}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


def from_dict(values: Mapping[str, Any]) -> Environment:
    """The Environment that `to_dict` wrote."""
    fields = dict(values)
    fields["hosts"] = tuple(fields["hosts"])
    fields["channels"] = {name: Path(path) for name, path in fields["channels"].items()}
    for name in ("model_dir", "output_data_dir", "checkpoint_dir", "failure_file"):
        fields[name] = Path(fields[name])
    return Environment(**fields)


def _outputs(root: Path) -> dict[str, Any]:
    return {
        "model_dir": root / "model",
        "output_data_dir": root / "output" / "data",
        "checkpoint_dir": root / "checkpoints",
        "failure_file": root / "output" / "failure",
    }


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise SetupError(f"{where}: must hold an object, not {type(value).__name__}")
    return value
