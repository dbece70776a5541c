"""Training on a GPU: does it wait for JPEGs, what does each option for speed gain, how close is it to the GPU's peak?

    .venv/bin/python -m benchmarks.train_gpu [--rounds N] [--device cuda|cpu] [--quick]

"JPEG to step" is the product's full fine-tuning of ResNet-50 on picture files; "synthetic" is the same loop on one
batch that is already in GPU memory. The target is at least 0.95 of the synthetic rate. AMP, channels_last and
torch.compile are each measured on top of the one before. The GPU's peak is its maker's figure; torch counts operations.

Without a GPU, the rows that need one say "not measured" and the exit code is still 0. The decoding rate by number of
threads, and from it the cores needed to feed a GPU, is measured on any machine. `--device cpu --quick` rehearses
everything with a small network on the CPU and keeps its table out of results/.

Writes results/train_gpu.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness import Row, alone, at_least, environment, machine, newest_python, not_measured, write
from benchmarks.harness.environments import HOME, ROOT
from benchmarks.harness.results import FOLDER
from benchmarks.throughput import gpu_limits
from starter import groceries

JPEG, SYNTHETIC, DECODING = "JPEG to step", "synthetic", "decoding"
OPTIMISATIONS = ("fp32", "AMP", "AMP, channels_last", "AMP, channels_last, compiled")
TARGET = 0.95
NEEDS = "not measured: needs a GPU"
USUAL = {"model": "resnet50", "side": 224, "batch": 128, "steps": 40}
QUICK = {"model": "resnet18", "side": 64, "batch": 8, "steps": 3}
SHOWN = ("T4", "A10G", "L4", "A100", "H100")


@dataclass(kw_only=True)
class Measurements:
    """The measurements: rates by name and round, errors by name, and the device."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    flops: float = 0.0
    gpu: str = ""

    def add(self, line: Mapping[str, Any]) -> None:
        if "flops" in line:
            self.flops, self.gpu = line["flops"], line["gpu"]
        elif "error" in line:
            self.errors[line["name"]] = line["error"]
        else:
            self.rates.setdefault(line["name"], []).append(line["value"])

    def why(self, *names: str) -> str:
        """The error of the first of `names` that failed, else that a GPU is needed."""
        return next((self.errors[name] for name in names if name in self.errors), NEEDS)


def rows(measured: Measurements) -> list[Row]:
    return [*fed(measured), *optimisations(measured), *limits(measured), *decoding(measured)]


def fed(measured: Measurements) -> list[Row]:
    what, peer = "JPEG to step, pictures/s", "the same on synthetic tensors on the device"
    if not {JPEG, SYNTHETIC} <= set(measured.rates):
        return [not_measured(what, peer, measured.why(JPEG, SYNTHETIC), target=TARGET)]
    return [at_least(what, measured.rates[JPEG], measured.rates[SYNTHETIC], peer, target=TARGET)]


def optimisations(measured: Measurements) -> list[Row]:
    """Each option for speed beside the one before it."""
    made = []
    for before, name in itertools.pairwise(OPTIMISATIONS):
        what = f"{name}: synthetic, pictures/s"
        if {before, name} <= set(measured.rates):
            made.append(at_least(what, measured.rates[name], measured.rates[before], before))
        else:
            made.append(not_measured(what, before, measured.why(name, before)))
    return made


def limits(measured: Measurements) -> list[Row]:
    """The share of its peak that this machine's GPU reaches, and the most that well-known GPUs can do."""
    made = []
    peak = gpu_limits.peak(measured.gpu) if measured.gpu else None
    if peak is not None and SYNTHETIC in measured.rates:
        reached = [rate * measured.flops / 1e12 for rate in measured.rates[SYNTHETIC]]
        made.append(
            at_least("TFLOP/s on synthetic tensors", reached, [peak] * len(reached), f"{measured.gpu}, its peak")
        )
    for name in SHOWN:
        most = gpu_limits.limit(gpu_limits.PEAKS[name], measured.flops)
        note = f"{gpu_limits.PEAKS[name]:g} TFLOP/s by its maker, {measured.flops / 1e9:.1f} GFLOP a picture"
        if each := per_core(measured):
            note += f"; a third of it takes {gpu_limits.cores(most / 3, each):.0f} of these cores to decode"
        made.append(alone(f"{name}: the most it can do, pictures/s", [most], note))
    return made


def decoding(measured: Measurements) -> list[Row]:
    return [alone(f"{name}, pictures/s", rates) for name, rates in measured.rates.items() if name.startswith(DECODING)]


def per_core(measured: Measurements) -> float:
    """Pictures a second that one thread decodes; 0 if not measured."""
    rates = sorted(measured.rates.get(f"{DECODING}, 1 threads", []))
    return rates[len(rates) // 2] if rates else 0.0


def threads(cores: int) -> list[int]:
    """1, 2, 4, … and `cores`."""
    return sorted({*(2**power for power in range(8) if 2**power < cores), cores})


def lines(python: Path, settings: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    argv = [str(python), "-m", "benchmarks.throughput.device", json.dumps(settings)]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("{"):  # the product also prints its metrics to stdout
                yield json.loads(line)
    if process.returncode:
        raise RuntimeError(f"measuring ended with exit code {process.returncode}")


def has_gpu() -> bool:
    """Whether nvidia-smi lists a GPU."""
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cuda", "cpu"), help="cpu rehearses what a GPU would do")
    parser.add_argument("--quick", action="store_true", help="a small network and small pictures")
    options = parser.parse_args(argv)
    device = options.device or ("cuda" if has_gpu() else "")
    if not device:
        print("no GPU on this machine: measuring only decoding; the limits come from data sheets")
    python = environment("train", ["-r", str(ROOT / "docker" / "train.in")], python=newest_python())
    pictures = groceries.fetch(ROOT / ".kennel" / "cache") / "train"
    settings = {
        **(QUICK if options.quick else USUAL), "device": device, "rounds": options.rounds,
        "threads": threads(len(os.sched_getaffinity(0))), "pictures": str(pictures),
    }  # fmt: skip
    measured = Measurements()
    for line in lines(python, settings):
        measured.add(line)
        if "value" in line:
            print(f"  round {line['round'] + 1}/{options.rounds}  {line['name']:32} {line['value']:.1f}/s", flush=True)
    runs = {name: [{"pictures_per_second": rate} for rate in rates] for name, rates in measured.rates.items()}
    setup = f"{machine()}, {measured.gpu or 'no GPU'}"
    folder = HOME / "rehearsal" if device == "cpu" or options.quick else FOLDER
    write("train_gpu", rows(measured), runs, setup, folder=folder, title="On a GPU")


if __name__ == "__main__":
    main()
