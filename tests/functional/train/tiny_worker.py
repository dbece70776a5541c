"""A rank without torch for the supervisor's tests. The variable TINY decides what it does."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from train import run

RANK = int(os.environ["RANK"])
FOLDER = Path(os.environ["TINY_FOLDER"])


def main(mode: str) -> int:
    (FOLDER / f"pid-{RANK}").write_text(str(os.getpid()))
    if mode == "done":
        (FOLDER / f"terminal-{RANK}").write_text(str(sys.stderr.isatty()))
        run.write_done(rank=RANK)
        return 0
    if mode == "stopped-elsewhere":
        run.write_stopped(rank=RANK)
        return 0
    if mode in ("wait", "stubborn"):
        signal.signal(signal.SIGTERM, _checkpoint if mode == "wait" else signal.SIG_IGN)
    elif RANK == 1:
        _fail(mode)
    (FOLDER / f"ready-{RANK}").touch()
    time.sleep(600)
    return 0


def _fail(mode: str) -> None:
    while not (FOLDER / "ready-0").exists():
        time.sleep(0.05)
    if mode == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    error = ValueError("picture train/a/7.jpg has no pixels")
    if mode == "fail":
        run.write_error(error, rank=RANK)
    raise error


def _checkpoint(_: int, __: FrameType | None) -> None:
    time.sleep(0.5)
    (FOLDER / f"checkpoint-{RANK}").touch()
    run.write_stopped(rank=RANK)
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(os.environ["TINY"]))
