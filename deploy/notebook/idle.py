"""Runs on the notebook instance every few minutes and stops the instance when it is idle. Python 3.9, no packages.

The instance is in use while a kernel is busy, and from the last activity of a kernel or terminal. Requests that an open
page sends by itself do not count. The instance stops itself with the AWS CLI, which every notebook instance has.
"""

from __future__ import annotations

import calendar
import json
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

JUPYTER = "https://localhost:8443/api/"
METADATA = Path("/opt/ml/metadata/resource-metadata.json")
Records = Iterable[Mapping[str, Any]]


def idle_seconds(kernels: Records, terminals: Records, *, up: float, now: float) -> float:
    """Seconds since the last use. `up`: seconds since the instance started; `now`: seconds since the epoch."""
    idle = up
    for kernel in kernels:
        if kernel.get("execution_state") == "busy":
            return 0.0
        idle = min(idle, now - _seconds(kernel["last_activity"]))
    for terminal in terminals:
        if "last_activity" in terminal:
            idle = min(idle, now - _seconds(terminal["last_activity"]))
    return max(0.0, idle)


def _seconds(moment: str) -> float:
    """Jupyter's time, like 2026-11-21T05:00:00.123456Z, as seconds since the epoch."""
    return calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))


def ask(kind: str, base: str = JUPYTER) -> Any:
    """Jupyter's kernels or terminals. Raises OSError or ValueError while Jupyter does not answer."""
    own = ssl._create_unverified_context() if base.startswith("https:") else None  # noqa: S323 (this machine's own)
    with urllib.request.urlopen(base + kind, timeout=10, context=own) as answer:  # noqa: S310
        return json.load(answer)


def stop_command(metadata: Mapping[str, str]) -> list[str]:
    """The command that stops this instance. Its ARN holds the region."""
    region, name = metadata["ResourceArn"].split(":")[3], metadata["ResourceName"]
    return ["aws", "sagemaker", "stop-notebook-instance", "--notebook-instance-name", name, "--region", region]


def check(
    minutes: float,
    *,
    up: float,
    now: float,
    base: str = JUPYTER,
    metadata: Path = METADATA,
    run: Callable[[list[str]], int] = subprocess.call,
    say: Callable[[str], object] = sys.stdout.write,
) -> int:
    """Stops the instance when it was idle for `minutes`. Returns an exit status. While Jupyter does not answer, the
    instance keeps running."""
    try:
        idle = idle_seconds(ask("kernels", base), ask("terminals", base), up=up, now=now)
    except (OSError, ValueError) as error:
        say(f"Jupyter does not answer: {error}\n")
        return 1
    say(f"idle for {idle / 60:.0f} of {minutes:.0f} minutes\n")
    if idle < 60 * minutes:
        return 0
    return run(stop_command(json.loads(metadata.read_text(encoding="utf-8"))))


if __name__ == "__main__":
    uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
    sys.exit(check(float(sys.argv[1]), up=uptime, now=time.time()))
