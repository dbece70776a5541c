"""The state folder of one localcloud: a lock while it runs, how to reach it, its log and its jobs' work folders.

AWS state (buckets, records) is moto's and stays in memory, so a restart begins empty. A start removes the containers
and networks that an earlier run left.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from localcloud.errors import LocalcloudError


class StateDir:
    """A state folder. Its path alone gives the instance id, so that leftovers are found even without the folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.instance = "lc-" + hashlib.sha256(str(self.path).encode()).hexdigest()[:8]
        self._lock: TextIOWrapper | None = None

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def log(self) -> Path:
        return self.path / "server.log"

    def acquire(self) -> None:
        """Lock the folder until `release` or the end of this process. Raises LocalcloudError when another holds it."""
        self.path.mkdir(parents=True, exist_ok=True)
        handle = (self.path / "lock").open("a+")
        if not _locked(handle, seconds=1.0):
            handle.close()
            info = self.info()
            raise LocalcloudError(
                f"localcloud already runs from {self.path} "
                f"(process {info.get('pid', '?')}, port {info.get('port', '?')}); stop it first: ./inv down"
            )
        self._lock = handle
        self.write_info({"pid": os.getpid()})  # replaces the information of a crashed server

    def release(self) -> None:
        if self._lock is not None:
            (self.path / "server.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def is_running(self) -> bool:
        """Whether a running process holds the folder."""
        if not (self.path / "lock").exists():
            return False
        with (self.path / "lock").open("a+") as handle:
            return not _locked(handle, seconds=0)

    def write_info(self, info: Mapping[str, Any]) -> None:
        temporary = self.path / "server.json.new"
        temporary.write_text(json.dumps(info, indent=2))
        temporary.replace(self.path / "server.json")

    def info(self) -> dict[str, Any]:
        """What the running (or last) server wrote about itself; empty when there was none."""
        try:
            info = json.loads((self.path / "server.json").read_text())
        except (OSError, ValueError):
            return {}
        return info if isinstance(info, dict) else {}

    def clear_work(self) -> None:
        """Remove the work folders of jobs. Raises LocalcloudError when this process may not."""
        shutil.rmtree(self.work, ignore_errors=True)
        if self.work.exists():
            raise LocalcloudError(
                f"cannot remove {self.work}: containers wrote it as root; type: sudo rm -r {self.work}"
            )
        self.work.mkdir(parents=True, exist_ok=True)


def _locked(handle: TextIOWrapper, *, seconds: float) -> bool:
    """Take the lock. Retries for `seconds`, because `is_running` of another process holds it for a moment."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def process_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
