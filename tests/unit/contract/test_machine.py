"""The CPU as the kernel describes it, and the engines that it supports."""

from __future__ import annotations

import pytest

from contract.engine import ENGINES, FALLBACK
from contract.machine import FLAGS, Machine, this_machine

CPUINFO = """processor\t: 0
model name\t: AMD EPYC 9R14
flags\t\t: fpu avx2 avx512f avx512_bf16 avx512_vnni
"""


def test_the_cpus_name_and_the_flags_that_matter_are_read() -> None:
    found = this_machine(3, lambda path: CPUINFO if str(path) == "/proc/cpuinfo" else None)
    assert found == Machine(cpu="AMD EPYC 9R14", flags=("avx2", "avx512f", "avx512_vnni", "avx512_bf16"), threads=3)


@pytest.mark.parametrize("text", [None, "", "processor\t: 0\nFeatures\t: fp asimd bf16\n"])
def test_without_cpu_information_the_fallback_engine_remains(text: str | None) -> None:
    found = this_machine(1, lambda _: text)
    assert found == Machine()
    assert [str(each) for each in ENGINES if not each.lacks(found)] == ["onnxruntime-fp32", "openvino-fp32"]


@pytest.mark.parametrize(
    ("flag", "precisions"),
    [
        ("avx2", {"fp32"}),
        ("avx512f", {"fp32"}),
        ("avx_vnni", {"fp32", "int8"}),
        ("avx512_vnni", {"fp32", "int8"}),
        ("amx_int8", {"fp32", "int8"}),
        ("avx512_bf16", {"fp32", "bf16"}),
        ("amx_bf16", {"fp32", "bf16"}),
    ],
)
def test_a_precision_is_available_where_the_cpu_is_fast_and_exact_in_it(flag: str, precisions: set[str]) -> None:
    assert flag in FLAGS
    machine = Machine(flags=(flag,))
    assert {each.precision for each in ENGINES if not each.lacks(machine)} == precisions
    assert not FALLBACK.lacks(machine)
