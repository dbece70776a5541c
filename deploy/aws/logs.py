"""Reads what jobs, endpoints and functions write into CloudWatch Logs: each line once, in the order of time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from deploy.aws.client import pages
from deploy.aws.requests import logs
from deploy.errors import AwsError
from deploy.values import Call

TRAINING_JOBS = "/aws/sagemaker/TrainingJobs"
LATE_MS = 120_000  # a host's lines may arrive that much after another's


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line that was written. `host` is like algo-1; `when` is milliseconds since the epoch."""

    host: str
    text: str
    when: int = 0


@dataclass(kw_only=True)
class LogReader:
    """Reads a log group since the last time, or only its streams that begin with `prefix` ("<job>/").

    Nothing before `since` (milliseconds since the epoch) is read. After an error the next read goes on from there.
    """

    call: Call
    group: str
    prefix: str = ""
    since: int = 0
    _newest: int = 0
    _seen: dict[str, int] = field(default_factory=dict)

    def read(self) -> Iterator[Line]:
        """The new lines. A group that is not there yet has none. Raises AwsError."""
        first = max(self.since, self._newest - LATE_MS)
        self._seen = {name: when for name, when in self._seen.items() if when >= first}
        streams = {"logStreamNamePrefix": self.prefix} if self.prefix else {}
        params: dict[str, Any] = {"logGroupName": self.group, "startTime": first, **streams}
        request = logs("FilterLogEvents", **params)
        try:
            for event in pages(self.call, request, items="events", token=("nextToken", "nextToken")):
                if event["eventId"] not in self._seen and event["logStreamName"].startswith(self.prefix):
                    self._seen[event["eventId"]] = event["timestamp"]
                    self._newest = max(self._newest, event["timestamp"])
                    yield Line(host=host_of(event["logStreamName"]), text=event["message"], when=event["timestamp"])
        except AwsError as error:
            if error.code != "ResourceNotFoundException":  # nothing was written yet
                raise


def job_reader(job: str, call: Call) -> LogReader:
    """The lines of a training job, all hosts."""
    return LogReader(call=call, group=TRAINING_JOBS, prefix=f"{job}/")


def host_of(stream: str) -> str:
    """Who writes to a log stream: a job's is `<job>/algo-1-<epoch>`, an endpoint's `<variant>/<instance>`, a function's
    `<date>/[<version>]<environment>`."""
    function = re.fullmatch(r"\d{4}/\d{2}/\d{2}/\[(.+)\]([0-9a-f]+)", stream)
    if function:
        return f"{function.group(1)}/{function.group(2)[:8]}"
    return re.sub(r"-\d{10,}$", "", stream.partition("/")[2]) or stream
