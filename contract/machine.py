"""The CPU: its name, the flags that decide which precision is fast, and the threads to use."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from contract.cgroup import Reader, read_text

# In the spelling of /proc/cpuinfo: vector width, products of 8-bit integers, products of bfloat16.
FLAGS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """`cpu` is the CPU's model name, "" if unknown. `flags` are those of FLAGS that it has."""

    cpu: str = ""
    flags: tuple[str, ...] = ()
    threads: int = 1

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Machine:
        """A Machine from decoded JSON. Raises KeyError, TypeError or ValueError."""
        return Machine(**{**values, "flags": tuple(str(flag) for flag in values["flags"])})

    def has_any(self, flags: tuple[str, ...]) -> bool:
        """Whether the CPU has one of `flags`; true if `flags` is empty."""
        return not flags or bool(set(flags) & set(self.flags))


def this_machine(threads: int, read: Reader = read_text) -> Machine:
    """The machine that this process runs on."""
    text = read("/proc/cpuinfo") or ""
    name = re.search(r"^model name\s*:\s*(.*)$", text, re.MULTILINE)
    line = re.search(r"^flags\s*:\s*(.*)$", text, re.MULTILINE)
    flags = set(line[1].split()) if line else set()
    return Machine(
        cpu=name[1].strip() if name else "", flags=tuple(flag for flag in FLAGS if flag in flags), threads=threads
    )
