"""logs: what a job, an endpoint, the function, a run on EC2 or the notebook wrote; --follow goes on until it ends."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from deploy.aws.client import lookup
from deploy.aws.logs import LogReader, job_reader
from deploy.aws.requests import sagemaker
from deploy.config.settings import Settings
from deploy.endpoints.spec import endpoint_specs
from deploy.errors import AwsError, DeployError
from deploy.session import Session
from deploy.storage.log_group import ENDPOINTS, FUNCTIONS, ec2_group
from deploy.values import Call

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EVERY = 2.0  # seconds between two looks
SLOWEST = 30.0  # while CloudWatch asks to slow down
THROTTLED = ("ThrottlingException", "Throttling", "ServiceUnavailableException", "LimitExceededException")
# What ends by itself: by its description, and then there is nothing more to wait for.
ENDING = (("DescribeTrainingJob", "TrainingJobName", "TrainingJobStatus"),
          ("DescribeTransformJob", "TransformJobName", "TransformJobStatus"))  # fmt: skip
ENDED = ("Completed", "Failed", "Stopped")


def logs(
    session: Session, name: str, *, since: str = "", follow: bool = False, now: Callable[[], float] = time.time
) -> None:
    """Tells what was written, and with `follow` what is being written, until a job has ended or Ctrl-C is heard.

    `since` is like 90s, 10m, 2h or 1d; all of it without. Raises DeployError when nothing of that name has written.
    """
    found = readers(session.settings, session.call, name, since=milliseconds(since, now()))
    told, pause = 0, EVERY
    try:
        while True:
            has_ended = follow and ended(name, session.call)
            try:
                told += sum(_tell(session, reader) for reader in found)
                pause = EVERY
            except AwsError as error:
                if not follow or error.code not in THROTTLED:
                    raise
                pause = min(2 * pause, SLOWEST)
            if not follow or has_ended:
                break
            session.clock.sleep(pause)
    except KeyboardInterrupt:  # how a person ends it
        return
    if not told:
        when = f" in the last {since}" if since else ""
        raise DeployError(f"{name}: nothing of that name has written a log{when}; ./inv status lists the names")


def readers(settings: Settings, call: Call, name: str, *, since: int = 0) -> tuple[LogReader, ...]:
    """The readers of everything that a name can mean: `main` and the like are endpoints, `lambda` is the function."""
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
    """Whether it is a job that has ended: its last lines are there."""
    for operation, key, status in ENDING:
        found = lookup(call, sagemaker(operation, **{key: name}))
        if found is not None:
            return found[status] in ENDED
    return False


def milliseconds(since: str, now: float) -> int:
    """The moment that lies `since` (10m) before `now` (seconds since the epoch), in milliseconds; 0 for "".

    Raises DeployError.
    """
    if not since:
        return 0
    parts = re.fullmatch(r"(\d+)([smhd])", since)
    if not parts:
        raise DeployError(f"--since {since}: write a number and its unit, like 90s, 10m, 2h or 1d")
    return int(1000 * (now - int(parts[1]) * UNITS[parts[2]]))


def _tell(session: Session, reader: LogReader) -> int:
    """Says the new lines, each as it comes; returns how many."""
    return sum(1 for _ in _said(session, reader))


def _said(session: Session, reader: LogReader) -> Iterable[None]:
    for line in reader.read():
        at = datetime.fromtimestamp(line.when / 1000, UTC)
        session.screen.say(f"{at:%H:%M:%S}  {line.host}  {line.text}")
        yield
