"""CPU and memory limits of a container, from both cgroup versions."""

import pytest

from contract.cgroup import memory_kills, memory_limit, usable_cpus

V1 = "/sys/fs/cgroup/cpu/cpu.cfs_{}_us"


@pytest.mark.parametrize(
    ("files", "affinity", "cpus"),
    [
        ({}, 8, 8),
        ({"/sys/fs/cgroup/cpu.max": "max 100000\n"}, 8, 8),
        ({"/sys/fs/cgroup/cpu.max": "200000 100000\n"}, 8, 2),
        ({"/sys/fs/cgroup/cpu.max": "150000 100000\n"}, 8, 1),
        ({"/sys/fs/cgroup/cpu.max": "50000 100000\n"}, 8, 1),
        ({"/sys/fs/cgroup/cpu.max": "1600000 100000\n"}, 4, 4),
        ({"/sys/fs/cgroup/cpu.max": "rubbish"}, 4, 4),
        ({V1.format("quota"): "300000\n", V1.format("period"): "100000\n"}, 8, 3),
        ({V1.format("quota"): "-1\n", V1.format("period"): "100000\n"}, 8, 8),
        ({"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/cpu.max": "200000 100000"}, 8, 2),
    ],
)
def test_cpus_are_the_least_of_affinity_and_every_quota(files: dict[str, str], affinity: int, cpus: int) -> None:
    assert usable_cpus(files.get, affinity) == cpus


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({}, None),
        ({"/sys/fs/cgroup/memory.max": "max\n"}, None),
        ({"/sys/fs/cgroup/memory.max": "1073741824\n"}, 1 << 30),
        ({"/sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912\n"}, 1 << 29),
        ({"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, None),
    ],
)
def test_the_memory_limit_is_found_in_either_version(files: dict[str, str], limit: int | None) -> None:
    assert memory_limit(files.get) == limit


def test_kills_for_memory_are_counted_in_both_cgroup_versions() -> None:
    second = {"/sys/fs/cgroup/memory.events": "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n"}
    first = {"/sys/fs/cgroup/memory/memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n"}
    assert [memory_kills(files.get) for files in (second, first, {})] == [2, 1, 0]
