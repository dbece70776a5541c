"""The command line and environment variables that start a host's ranks: torchrun, or the only rank itself. Pure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from contract.hyperparameters import HyperparameterError, Hyperparameters
from train.host.environment import LOOPBACK, Environment, SetupError

WORKER = "train.worker"
CPUS_PER_RANK = 8  # up to about 8 CPUs torch's threads keep one rank fast; more ranks cost memory and traffic
SHUTDOWN_SECONDS = 100  # torchrun's time between SIGTERM and SIGKILL for ranks; SageMaker gives 120 (rule 16)
RESOLVE_SECONDS = 300.0
MALLOC = {  # without these glibc returns large blocks at once, and clearing new ones took 9 of 53 ms CPU per picture
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(1 << 40),
    "MALLOC_TOP_PAD_": str(64 << 20),
}

# Instance types with EFA, and with RDMA over it (rule 10).
EFA_TYPES = ("ml.g4dn.8xlarge", "ml.g4dn.12xlarge", "ml.g5.48xlarge", "ml.p3dn.24xlarge", "ml.trn1.32xlarge")
RDMA_TYPES = ("ml.p4d.24xlarge", "ml.p4de.24xlarge", "ml.p5.48xlarge")


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A command to run and the variables to add to its environment. `ranks` counts the processes on this host.

    `alone`: there is only one rank, and the command is that rank. torchrun is not needed then, and would import torch
    once more.
    """

    argv: tuple[str, ...]
    variables: dict[str, str]
    ranks: int
    alone: bool = False


def plan(
    environment: Environment, config: Hyperparameters, environ: Mapping[str, str], *, worker: str = WORKER
) -> Launch:
    """The command for this host's ranks. Raises HyperparameterError for too many ranks (GPUs, pictures in a batch)."""
    ranks = ranks_per_host(environment, config)
    rank_count = ranks * environment.nnodes
    if config.batch_size < rank_count:
        raise HyperparameterError(
            f"batch_size={config.batch_size} is the global batch, and {rank_count} ranks share it: raise batch_size"
        )
    variables = _variables(environment, ranks, environ)
    if rank_count == 1:
        return Launch(argv=(sys.executable, "-m", worker), variables=variables, ranks=1, alone=True)
    argv = (
        sys.executable,
        "-m",
        "torch.distributed.run",
        f"--nnodes={environment.nnodes}",
        f"--nproc-per-node={ranks}",
        f"--node-rank={environment.node_rank}",
        f"--master-addr={environment.master_addr}",
        f"--master-port={environment.master_port}",
        "--max-restarts=0",
        f"--shutdown-timeout={SHUTDOWN_SECONDS}",
        "-m",
        worker,
    )
    return Launch(argv=argv, variables=variables, ranks=ranks)


def ranks_per_host(environment: Environment, config: Hyperparameters) -> int:
    """One rank per GPU; without GPUs one per 8 usable CPUs. The hyperparameter `ranks` overrides both."""
    if config.ranks is not None:
        if 0 < environment.gpus < config.ranks:
            raise HyperparameterError(
                f"ranks={config.ranks}, but this host has {environment.gpus} GPU(s): at most one per GPU"
            )
        return config.ranks
    return environment.gpus or max(1, environment.cpus // CPUS_PER_RANK)


def wait_for_master(
    environment: Environment,
    lookup: Callable[[str], object],
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
    patience: float = RESOLVE_SECONDS,
) -> None:
    """Retries DNS until the master's name resolves, because hosts start one by one (rule 9). Raises SetupError."""
    name, deadline, pause = environment.master_addr, clock() + patience, 0.5
    while True:
        try:
            lookup(name)
            return
        except OSError as error:
            if clock() + pause > deadline:
                raise SetupError(
                    f"host {name!r} did not resolve within {patience:.0f} s: {error}. "
                    "Did it start, and are the hosts on one network?"
                ) from error
        sleep(pause)
        pause = min(5.0, pause * 2)


def _variables(environment: Environment, ranks: int, environ: Mapping[str, str]) -> dict[str, str]:
    variables = {"OMP_NUM_THREADS": str(max(1, environment.cpus // ranks)), "PYTHONUNBUFFERED": "1", **MALLOC}
    interface = "lo" if environment.master_addr == LOOPBACK else environment.network_interface
    if interface:
        variables |= {"NCCL_SOCKET_IFNAME": interface, "GLOO_SOCKET_IFNAME": interface}
    if environment.instance_type in EFA_TYPES + RDMA_TYPES:
        variables["FI_PROVIDER"] = "efa"
    if environment.instance_type in RDMA_TYPES:
        variables["FI_EFA_USE_DEVICE_RDMA"] = "1"
    return {name: value for name, value in variables.items() if name not in environ}  # the user's value wins
