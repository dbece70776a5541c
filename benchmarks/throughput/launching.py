"""Starts ranks on this machine, or containers on their own network, for one measurement."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.harness.environments import ROOT
from benchmarks.throughput import cases
from benchmarks.throughput.cases import Case

HOSTS = ("algo-1", "algo-2")
HOME = "/opt/kennel"
LIMIT_S = 600
OFFLINE = {"CUDA_VISIBLE_DEVICES": ""}  # only CPUs are timed


class RunError(RuntimeError):
    """Ranks failed; the message holds the end of their log."""


def configuration(host: str, hosts: Sequence[str], *, ranks: int) -> dict[str, Any]:
    """The files of /opt/ml/input/config by name, as SageMaker writes them (rules 4, 6, 8)."""
    return {
        "hyperparameters.json": {"ranks": str(ranks)},
        "inputdataconfig.json": {"training": {"TrainingInputMode": "File"}},
        "resourceconfig.json": {"current_host": host, "hosts": list(hosts), "network_interface_name": "eth0"},
    }


def tree(root: Path, host: str, hosts: Sequence[str], *, ranks: int) -> Path:
    """Creates an /opt/ml without pictures under `root`."""
    for name in ("input/config", "input/data", "output"):
        (root / name).mkdir(parents=True)
    for name, content in configuration(host, hosts, ranks=ranks).items():
        (root / "input" / "config" / name).write_text(json.dumps(content), encoding="utf-8")
    return root


def command(image: str, network: str, opt_ml: Path, pictures: Path, chosen: Sequence[Case]) -> list[str]:
    """The docker argv of one host with one core and SageMaker's mounts and limits, named like the folder `opt_ml`."""
    host = opt_ml.name
    return [
        "docker", "run", "--detach", f"--name={network}-{host}", "--label=kennel.benchmark", f"--network={network}",
        f"--hostname={host}", f"--network-alias={host}", "--cpus=1", "--shm-size=64m",
        f"--volume={opt_ml}:/opt/ml", f"--volume={pictures}:/opt/ml/input/data/training:ro",
        f"--volume={ROOT / 'benchmarks'}:{HOME}/benchmarks:ro", f"--env={cases.VARIABLE}={cases.to_text(chosen)}",
        "--entrypoint=python3", image, "-m", "benchmarks.throughput.host",
    ]  # fmt: skip


def local_ranks(python: Path, pictures: Path, chosen: Sequence[Case], *, ranks: int, cores: int) -> dict[str, float]:
    """Pictures a second by case, with `ranks` ranks on the first `cores` cores of this machine. Raises RunError."""
    with tempfile.TemporaryDirectory(prefix="kennel-throughput-") as folder:
        root = tree(Path(folder) / "ml", HOSTS[0], HOSTS[:1], ranks=ranks)
        (root / "input" / "data" / "training").symlink_to(pictures)
        allowed = ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))
        environ = {**os.environ, **OFFLINE, "KENNEL_OPT_ML": str(root), cases.VARIABLE: cases.to_text(chosen)}
        environ.pop("OMP_NUM_THREADS", None)
        argv = ["taskset", "--cpu-list", allowed, str(python), "-m", "benchmarks.throughput.host"]
        done = subprocess.run(argv, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if done.returncode:
            raise RunError(f"{ranks} rank(s): {done.stderr.strip()[-2000:]}")
        return result(root)


def containers(image: str, pictures: Path, chosen: Sequence[Case], *, count: int) -> dict[str, float]:
    """Pictures a second by case, with one rank in each of `count` one-core containers. Raises RunError."""
    network = f"kennel-throughput-{uuid.uuid4().hex[:8]}"
    names = [f"{network}-{host}" for host in HOSTS[:count]]
    folder = Path(tempfile.mkdtemp(prefix="kennel-throughput-"))
    _docker("network", "create", "--internal", network)
    try:
        for host in HOSTS[:count]:
            root = tree(folder / host, host, HOSTS[:count], ranks=1)
            _docker(*command(image, network, root, pictures, chosen)[1:])
        for name in names:
            if _docker("wait", name).strip() != "0":
                raise RunError(f"{name}: {_docker('logs', '--tail=30', name)[-2000:]}")
        return result(folder / HOSTS[0])
    finally:
        for name in names:
            with suppress(RunError):
                _docker("rm", "--force", name)
        _docker("network", "rm", network)
        shutil.rmtree(folder, ignore_errors=True)


def result(root: Path) -> dict[str, float]:
    speeds: Mapping[str, float] = json.loads((root / cases.RESULT).read_text(encoding="utf-8"))
    return dict(speeds)


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    if done.returncode:
        raise RunError(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout + (done.stderr if arguments[0] == "logs" else "")
