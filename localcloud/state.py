"""What one localcloud keeps on disk: a lock that says it lives, how to reach it, and its jobs' work folders.

AWS state itself (buckets, records) is moto's and lives in memory: after a restart it is empty, and whatever containers
and networks the earlier run left are removed.
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
    """A state folder. Its instance id follows from its path, so leftovers are found even when the folder is gone."""

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
        """Take the folder for this process, until it ends however it ends. Raises LocalcloudError when it is taken."""
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
        self.write_info({"pid": os.getpid()})  # instead of what a crashed one said of itself

    def release(self) -> None:
        if self._lock is not None:
            (self.path / "server.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def held(self) -> bool:
        """Whether some process lives that took this folder."""
        if not (self.path / "lock").exists():
            return False
        with (self.path / "lock").open("a+") as handle:
            return not _locked(handle, seconds=0)

    def write_info(self, info: Mapping[str, Any]) -> None:
        draft = self.path / "server.json.new"
        draft.write_text(json.dumps(info, indent=2))
        draft.replace(self.path / "server.json")

    def info(self) -> dict[str, Any]:
        """What the living (or last) server wrote of itself; empty when none did."""
        try:
            found = json.loads((self.path / "server.json").read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def clear_work(self) -> None:
        """Remove the work folders of jobs. Raises LocalcloudError for what may not be removed."""
        shutil.rmtree(self.work, ignore_errors=True)
        if self.work.exists():
            raise LocalcloudError(f"cannot remove {self.work}, which containers wrote as root: sudo rm -r {self.work}")
        self.work.mkdir(parents=True, exist_ok=True)


def _locked(handle: TextIOWrapper, *, seconds: float) -> bool:
    """Take the lock. `held` of another process takes it for a moment too, so a first refusal need not be the last."""
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
