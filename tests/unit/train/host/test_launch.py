from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import pytest

from contract.hyperparameters import HyperparameterError, Hyperparameters
from train.host.environment import Environment, SetupError
from train.host.launch import Launch, plan, wait_for_master


def place(**changes: Any) -> Environment:
    values: dict[str, Any] = {
        "hosts": ("algo-1", "algo-2"),
        "current_host": "algo-2",
        "network_interface": "eth0",
        "master_addr": "algo-1",
        "cpus": 8,
    }
    return Environment(**{**values, **changes})


def launch(environment: Environment, environ: Mapping[str, str] | None = None, **hyper: Any) -> Launch:
    return plan(environment, Hyperparameters(**hyper), environ or {})


def test_two_hosts_with_gpus_get_a_rank_per_gpu_and_a_fixed_meeting_point() -> None:
    found = launch(place(gpus=4))
    assert found.argv == (
        sys.executable,
        *("-m", "torch.distributed.run"),
        *("--nnodes=2", "--nproc-per-node=4", "--node-rank=1", "--master-addr=algo-1", "--master-port=29500"),
        *("--max-restarts=0", "--shutdown-timeout=100", "-m", "train.worker"),
    )
    assert found.ranks == 4


def test_a_rank_alone_is_started_without_torchrun() -> None:
    found = launch(Environment())
    assert (found.argv, found.alone) == ((sys.executable, "-m", "train.worker"), True)
    assert not launch(Environment(), ranks=2).alone
    assert not launch(place()).alone


@pytest.mark.parametrize(("cpus", "ranks", "threads"), [(1, 1, 1), (2, 1, 2), (8, 1, 8), (16, 2, 8), (36, 4, 9)])
def test_without_gpus_a_rank_serves_up_to_eight_cpus_and_threads_share_them(
    cpus: int, ranks: int, threads: int
) -> None:
    found = launch(place(cpus=cpus))
    assert (found.ranks, found.variables["OMP_NUM_THREADS"]) == (ranks, str(threads))


def test_the_hyperparameter_ranks_is_used() -> None:
    assert launch(place(), ranks=2).argv[4] == "--nproc-per-node=2"
    assert launch(place(gpus=4), ranks=2).ranks == 2


def test_more_ranks_than_gpus_are_refused() -> None:
    with pytest.raises(HyperparameterError, match="at most one per GPU"):
        launch(place(gpus=2), ranks=3)


def test_a_global_batch_smaller_than_the_number_of_ranks_is_refused() -> None:
    with pytest.raises(
        HyperparameterError, match="batch_size=7 is the global batch, and 8 ranks share it: raise batch_size"
    ):
        launch(place(gpus=4), batch_size=7)


def test_traffic_between_hosts_takes_the_named_interface() -> None:
    variables = launch(place()).variables
    assert variables["NCCL_SOCKET_IFNAME"] == variables["GLOO_SOCKET_IFNAME"] == "eth0"


def test_a_lone_host_talks_to_itself_on_the_loopback() -> None:
    variables = launch(Environment()).variables
    assert variables["NCCL_SOCKET_IFNAME"] == variables["GLOO_SOCKET_IFNAME"] == "lo"


def test_without_a_usable_interface_the_libraries_choose() -> None:
    assert "NCCL_SOCKET_IFNAME" not in launch(place(network_interface="")).variables


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ml.p4d.24xlarge", {"FI_PROVIDER": "efa", "FI_EFA_USE_DEVICE_RDMA": "1"}),
        ("ml.g5.48xlarge", {"FI_PROVIDER": "efa"}),
        ("ml.g5.xlarge", {}),
    ],
)
def test_efa_is_asked_for_on_the_types_that_have_it(kind: str, expected: dict[str, str]) -> None:
    variables = launch(place(instance_type=kind)).variables
    assert {name: value for name, value in variables.items() if name.startswith("FI_")} == expected


def test_variables_that_the_user_set_are_kept() -> None:
    assert "OMP_NUM_THREADS" not in launch(place(), {"OMP_NUM_THREADS": "3"}).variables


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Names:
    """A resolver that knows every host after a certain time."""

    def __init__(self, clock: Clock, known_from: float) -> None:
        self.clock, self.known_from, self.lookups = clock, known_from, 0

    def __call__(self, host: str) -> object:
        self.lookups += 1
        if self.clock.now < self.known_from:
            raise OSError(f"{host}: Name or service not known")
        return "10.0.0.1"


def test_the_master_s_name_is_resolved_with_retries() -> None:
    clock = Clock()
    wait_for_master(place(), Names(clock, 42.0), clock=clock, sleep=clock.sleep)
    assert 42.0 <= clock.now <= 48.0


def test_a_name_that_never_resolves_ends_with_the_fix() -> None:
    clock = Clock()
    names = Names(clock, float("inf"))
    with pytest.raises(SetupError, match=r"'algo-1' did not resolve within 300 s: .* on one network\?"):
        wait_for_master(place(), names, clock=clock, sleep=clock.sleep)
    assert clock.now <= 300
    assert names.lookups < 100
