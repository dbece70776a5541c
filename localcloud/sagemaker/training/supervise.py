"""Waits for the containers of one attempt: obeys commands, keeps the time limit, keeps checkpoints in S3."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from localcloud.sagemaker.training.state import JobState
from localcloud.sagemaker.training.status import COMPLETED, Outcome, failed

PEER_GRACE = 10.0  # seconds between SIGTERM and SIGKILL for the other hosts, once one has failed
SYNC_SECONDS = 2.0  # between uploads of changed checkpoints
_LONGEST_WAIT = 3600.0


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """When an attempt must end, on the monotonic clock, and with which outcome."""

    at: float
    outcome: Outcome


class Containers(Protocol):
    """The running containers of one attempt."""

    def __len__(self) -> int: ...
    def exits(self) -> Mapping[str, int]: ...
    def signal(self, name: str) -> None: ...


class Syncing(Protocol):
    """Checkpoints to upload now and then."""

    def sync(self) -> None: ...


def supervise(
    containers: Containers,
    state: JobState,
    *,
    deadline: Deadline,
    grace: float,
    checkpoints: Syncing | None,
    sync_seconds: float = SYNC_SECONDS,
) -> Outcome:
    """Return the outcome once every container has exited. Raises ClosingError when localcloud shuts down.

    The first of a failed host, a command and the deadline decides the outcome. The containers then get SIGTERM, and
    after `grace` seconds SIGKILL. A failed outcome has no reason yet.
    """
    outcome: Outcome | None = None
    next_step = deadline.at  # SIGTERM, then SIGKILL
    next_sync = time.monotonic() + sync_seconds if checkpoints else math.inf
    while True:
        state.wait(min(next_step - time.monotonic(), next_sync - time.monotonic(), _LONGEST_WAIT))
        now, exits, pending = time.monotonic(), containers.exits(), state.pending()
        if outcome is None:
            overdue = deadline.outcome if now >= deadline.at else None
            outcome = failed("") if any(exits.values()) else pending or overdue
            if outcome is not None:
                containers.signal("SIGTERM")
                next_step = now + (PEER_GRACE if outcome.status == "Failed" else grace)
        elif now >= next_step:
            containers.signal("SIGKILL")
            next_step = math.inf
        if len(exits) == len(containers):
            return outcome or COMPLETED
        if checkpoints and now >= next_sync:
            checkpoints.sync()
            next_sync = time.monotonic() + sync_seconds
