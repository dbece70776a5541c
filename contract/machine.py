"""The processor that computes: its name, what of it decides which arithmetic is fast, and the threads to use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from contract.cgroup import Reader, read_text

# As /proc/cpuinfo spells them: vector width, products of 8-bit integers, products of bfloat16.
FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """`cpu` is the model's name, "" where the kernel does not tell; `flags` those of FLAGS that it has."""

    cpu: str = ""
    flags: tuple[str, ...] = ()
    threads: int = 1

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Machine:
        """Raises KeyError, TypeError or ValueError for what is no machine."""
        return Machine(**{**values, "flags": tuple(str(flag) for flag in values["flags"])})

    def has_any(self, flags: tuple[str, ...]) -> bool:
        """True when it has one of `flags`, or none is asked for."""
        return not flags or bool(set(flags) & set(self.flags))


def this_machine(threads: int, read: Reader = read_text) -> Machine:
    """The machine that this runs on."""
    text = read("/proc/cpuinfo") or ""
    name = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    told = re.search(r"^flags\s*:\s*(.*)$", text, re.MULTILINE)
    have = set(told[1].split()) if told else set()
    return Machine(
        cpu=name[1].strip() if name else "", flags=tuple(flag for flag in FLAGS if flag in have), threads=threads
    )
