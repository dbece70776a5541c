"""logs: shows the log of a job, an endpoint, the function or the notebook; --follow also shows new lines."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

from deploy.aws.client import lookup
from deploy.aws.logs import LogReader, job_reader
from deploy.aws.requests import sagemaker
from deploy.config.settings import Settings
from deploy.endpoints.spec import endpoint_specs
from deploy.errors import AwsError, DeployError
from deploy.jobs.lifecycle import ENDED
from deploy.session import Session
from deploy.storage.log_group import ENDPOINTS, FUNCTIONS, ec2_group
from deploy.values import Call

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EVERY = 2.0  # seconds between two reads
SLOWEST = 30.0  # while CloudWatch throttles us
THROTTLED = ("ThrottlingException", "Throttling", "ServiceUnavailableException", "LimitExceededException")
# The jobs, which end by themselves: the operation, name and status of each kind's description.
ENDING = (("DescribeTrainingJob", "TrainingJobName", "TrainingJobStatus"),
          ("DescribeTransformJob", "TransformJobName", "TransformJobStatus"))  # fmt: skip


def logs(
    session: Session, name: str, *, since: str = "", follow: bool = False, now: Callable[[], float] = time.time
) -> None:
    """Shows the lines so far, and with `follow` new lines until the job ends or Ctrl-C is pressed.

    `since` is like 90s, 10m, 2h or 1d; without it, all lines are shown. Raises DeployError for a name without a log.
    """
    sources = readers(session.settings, session.call, name, since=milliseconds(since, now()))
    shown, pause = 0, EVERY
    try:
        while True:
            has_ended = follow and ended(name, session.call)
            try:
                shown += sum(_show(session, reader) for reader in sources)
                pause = EVERY
            except AwsError as error:
                if not follow or error.code not in THROTTLED:
                    raise
                pause = min(2 * pause, SLOWEST)
            if not follow or has_ended:
                break
            session.clock.sleep(pause)
    except KeyboardInterrupt:  # the usual end of --follow
        return
    if not shown:
        when = f" in the last {since}" if since else ""
        raise DeployError(f"{name}: no log{when}; ./inv status lists the names")


def readers(settings: Settings, call: Call, name: str, *, since: int = 0) -> tuple[LogReader, ...]:
    """Readers of every log that a name can mean. `main` and other short names are endpoints, `lambda` the function."""
    short = {spec.short_name: spec.name for spec in endpoint_specs(settings)}
    function = settings.function_name if name == "lambda" else name
    groups = (
        ("/aws/sagemaker/TransformJobs", f"{name}/"),
        (f"{ENDPOINTS}{short.get(name, name)}", ""),
        (f"{FUNCTIONS}{function}", ""),
        (ec2_group(settings).name, f"{name}/"),
        ("/aws/sagemaker/NotebookInstances", f"{name}/"),
    )
    first = job_reader(name, call)
    first.since = since
    return (first, *(LogReader(call=call, group=group, prefix=prefix, since=since) for group, prefix in groups))


def ended(name: str, call: Call) -> bool:
    """Whether the name is a job's that has ended, so that no more lines follow."""
    for operation, key, status in ENDING:
        job = lookup(call, sagemaker(operation, **{key: name}))
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


def _show(session: Session, reader: LogReader) -> int:
    """Shows the new lines; returns how many."""
    count = 0
    for line in reader.read():
        at = datetime.fromtimestamp(line.when / 1000, UTC)
        session.screen.say(f"{at:%H:%M:%S}  {line.host}  {line.text}")
        count += 1
    return count
