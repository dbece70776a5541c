"""logs: shows the log of a job, an endpoint, the function or the notebook; --follow also shows new lines."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy.aws.client import is_denied, is_throttled, lookup
from deploy.aws.logs import NOTEBOOKS, TRAINING_JOBS, TRANSFORM_JOBS, LogReader
from deploy.aws.requests import sagemaker
from deploy.config.settings import Settings
from deploy.endpoints.spec import endpoint_specs
from deploy.errors import AwsError, DeployError
from deploy.jobs.lifecycle import ENDED
from deploy.session import Session
from deploy.storage.log_group import ENDPOINTS, ec2_group, function_group
from deploy.values import Call

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EVERY = 2.0  # seconds between two reads
SLOWEST = 30.0  # while CloudWatch throttles us
# The jobs, which end by themselves: the operation, name and status of each kind's description.
ENDING = (("DescribeTrainingJob", "TrainingJobName", "TrainingJobStatus"),
          ("DescribeTransformJob", "TransformJobName", "TransformJobStatus"))  # fmt: skip


def logs(
    session: Session, name: str, *, since: str = "", follow: bool = False, now: Callable[[], float] = time.time
) -> None:
    """Shows the lines so far, and with `follow` new lines until the job ends or Ctrl-C is pressed.

    `since` is like 90s, 10m, 2h or 1d; without it, all lines are shown. A log that these credentials may not read is
    told in a line and left out. Raises DeployError for a name without a log.
    """
    readers = readers_of(session.settings, session.call, name, since=milliseconds(since, now()))
    tail = _Tail(session=session, readers=list(readers))
    try:
        _read(tail, name, follow=follow)
    except KeyboardInterrupt:  # the usual end of --follow
        return
    if not tail.shown:
        when = f" in the last {since}" if since else ""
        raise DeployError(f"{name}: no log{when}; ./inv status lists the names")


def _read(tail: _Tail, name: str, *, follow: bool) -> None:
    """Reads once, or with `follow` until the job has ended or nothing is left to read. While AWS limits the rate, each
    read waits longer."""
    pause = EVERY
    while tail.readers:
        try:
            is_last = not follow or ended(tail.session.settings, name, tail.session.call)
            tail.show()
        except AwsError as error:
            if not is_throttled(error) or (not follow and pause >= SLOWEST):
                raise
            pause = min(2 * pause, SLOWEST)
        else:
            if is_last:
                return
            pause = EVERY
        tail.session.clock.sleep(pause)


def readers_of(settings: Settings, call: Call, name: str, *, since: int = 0) -> tuple[LogReader, ...]:
    """Readers of every log that a name can mean and that the deployer may read. `main` and other short names are
    endpoints, `lambda` the function.

    Whoever asks for another group gets AccessDenied, whether or not it exists: IAM answers before CloudWatch.
    """
    jobs = (TRAINING_JOBS, TRANSFORM_JOBS, ec2_group(settings).name, NOTEBOOKS)
    groups = [(group, f"{name}/") for group in jobs]
    short = {spec.short_name: spec.name for spec in endpoint_specs(settings)}
    endpoint = short.get(name, name)
    if settings.may_own(endpoint):
        groups.append((f"{ENDPOINTS}{endpoint}", ""))
    if name in ("lambda", settings.function_name):
        groups.append((function_group(settings).name, ""))
    return tuple(LogReader(call=call, group=group, prefix=prefix, since=since) for group, prefix in groups)


def ended(settings: Settings, name: str, call: Call) -> bool:
    """Whether the name is a job's that has ended, so that no more lines follow. Names outside the stage are not asked
    about; a job that may not be read is followed until Ctrl-C."""
    if not name.startswith(f"{settings.prefix}-"):
        return False
    for operation, key, status in ENDING:
        try:
            job = lookup(call, sagemaker(operation, **{key: name}))
        except AwsError as error:
            if not is_denied(error):
                raise
            continue
        if job is not None:
            return job[status] in ENDED
    return False


def milliseconds(since: str, now: float) -> int:
    """The time `since` (such as 10m) before `now` (seconds since the epoch), in milliseconds; 0 for "".

    Raises DeployError.
    """
    if not since:
        return 0
    parts = re.fullmatch(r"(\d+)([smhd])", since)
    if not parts:
        raise DeployError(f"--since {since}: write a number and its unit, like 90s, 10m, 2h or 1d")
    return int(1000 * (now - int(parts[1]) * UNITS[parts[2]]))


@dataclass(kw_only=True)
class _Tail:
    """The logs that are read: `readers` shrinks by each that may not be read, `shown` counts the lines."""

    session: Session
    readers: list[LogReader]
    shown: int = 0

    def show(self) -> None:
        """Shows the new lines of all logs. Raises AwsError; the next call continues."""
        for reader in tuple(self.readers):
            try:
                for line in reader.read():
                    at = datetime.fromtimestamp(line.when / 1000, UTC)
                    self.session.screen.say(f"{at:%H:%M:%S}  {line.host}  {line.text}")
                    self.shown += 1
            except AwsError as error:
                if not is_denied(error):
                    raise
                self.session.screen.say(f"   {reader.group}: may not be read ({error.operation}: {error.code})")
                self.readers.remove(reader)
