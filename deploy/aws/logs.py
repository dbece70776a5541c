"""Reads the lines of jobs, endpoints and functions from CloudWatch Logs: each line once, in order of time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from deploy.aws.client import pages
from deploy.aws.requests import logs
from deploy.errors import AwsError
from deploy.values import Call

# Groups that the account's projects share.
TRAINING_JOBS, TRANSFORM_JOBS = "/aws/sagemaker/TrainingJobs", "/aws/sagemaker/TransformJobs"
NOTEBOOKS = "/aws/sagemaker/NotebookInstances"
LATE_MS = 120_000  # the lines of one host may arrive this much later than those of another


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line of a log. `host` is like algo-1; `when` is milliseconds since the epoch."""

    host: str
    text: str
    when: int = 0


@dataclass(kw_only=True)
class LogReader:
    """Reads the new lines of a log group since the last read; with `prefix` ("<job>/") only of streams that begin so.

    Lines older than `since` (milliseconds since the epoch) are skipped. After an error the next read continues.
    """

    call: Call
    group: str
    prefix: str = ""
    since: int = 0
    _newest: int = 0
    _read_at: dict[str, int] = field(default_factory=dict)

    def read(self) -> Iterator[Line]:
        """The new lines; none while the group does not exist. Raises AwsError."""
        first = max(self.since, self._newest - LATE_MS)
        self._read_at = {name: when for name, when in self._read_at.items() if when >= first}
        streams = {"logStreamNamePrefix": self.prefix} if self.prefix else {}
        params: dict[str, Any] = {"logGroupName": self.group, "startTime": first, **streams}
        request = logs("FilterLogEvents", **params)
        try:
            for event in pages(self.call, request, items="events", token=("nextToken", "nextToken")):
                if event["eventId"] not in self._read_at and event["logStreamName"].startswith(self.prefix):
                    self._read_at[event["eventId"]] = event["timestamp"]
                    self._newest = max(self._newest, event["timestamp"])
                    yield Line(host=host_of(event["logStreamName"]), text=event["message"], when=event["timestamp"])
        except AwsError as error:
            if error.code != "ResourceNotFoundException":  # nothing was written yet
                raise


def job_reader(job: str, call: Call) -> LogReader:
    """Reads the lines of a training job, of all its hosts."""
    return LogReader(call=call, group=TRAINING_JOBS, prefix=f"{job}/")


def host_of(stream: str) -> str:
    """The host that writes a log stream. Streams are `<job>/algo-1-<epoch>` of a job, `<variant>/<instance>` of an
    endpoint, `<date>/[<version>]<environment>` of a function."""
    function = re.fullmatch(r"\d{4}/\d{2}/\d{2}/\[(.+)\]([0-9a-f]+)", stream)
    if function:
        return f"{function.group(1)}/{function.group(2)[:8]}"
    return re.sub(r"-\d{10,}$", "", stream.partition("/")[2]) or stream
