"""Starts one host's ranks with the product's launch plan for /opt/ml, which chooses threads, ports and interfaces."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from train import config as hyper
from train.__main__ import ROOT_VARIABLE
from train.host import environment, launch, machine


def main(environ: Mapping[str, str]) -> int:
    root = Path(environ.get(ROOT_VARIABLE) or environment.OPT_ML)
    names = (environment.HYPERPARAMETERS, environment.CHANNELS, environment.RESOURCES)
    files = {name: json.loads((root / "input" / "config" / name).read_text(encoding="utf-8")) for name in names}
    place = environment.from_sagemaker(files, environ, machine.observe(), root=root)
    hyperparameters = hyper.from_hyperparameters(files[environment.HYPERPARAMETERS])
    plan = launch.plan(place, hyperparameters, environ, worker="benchmarks.throughput.rank")
    launch.wait_for_master(place, lambda host: socket.getaddrinfo(host, None), clock=time.monotonic, sleep=time.sleep)
    return subprocess.run(plan.argv, env={**environ, **plan.variables}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(os.environ))
