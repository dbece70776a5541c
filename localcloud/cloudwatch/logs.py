"""Writes containers' output into CloudWatch Logs while they run, in batches. moto keeps the logs."""

import threading
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.aws_client import ROOT, Credentials, client

_BATCH_LINES = 500
_BATCH_SECONDS = 1.0
_LINE_LIMIT = 250_000  # CloudWatch's limit on one event, minus its overhead


class LogSink(Protocol):
    """Takes log lines. Tests use an in-memory one."""

    def write(self, group: str, stream: str, lines: list[tuple[datetime, str]]) -> None: ...


class CloudWatchLogs:
    """moto's CloudWatch Logs, reached through localcloud's own port. Drops lines that it cannot write."""

    def __init__(self, endpoint_url: str, region: str, credentials: Credentials = ROOT) -> None:
        self._client = client("logs", endpoint_url, region, credentials)
        self._created: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def write(self, group: str, stream: str, lines: list[tuple[datetime, str]]) -> None:
        try:
            with self._lock:
                self._create(group, stream)
            events = [{"timestamp": int(when.timestamp() * 1000), "message": text or " "} for when, text in lines]
            if events:
                self._put(group, stream, events)
        except (BotoCoreError, ClientError):
            return

    def _put(self, group: str, stream: str, events: list[dict[str, object]]) -> None:
        """Write events. Creates again a group that somebody deleted, as AWS's services do."""
        request = {"logGroupName": group, "logStreamName": stream, "logEvents": events}
        try:
            self._client.put_log_events(**request)
        except self._client.exceptions.ResourceNotFoundException:
            with self._lock:
                self._created.discard((group, stream))
                self._create(group, stream)
            self._client.put_log_events(**request)

    def _create(self, group: str, stream: str) -> None:
        if (group, stream) in self._created:
            return
        for create, names in (
            (self._client.create_log_group, {"logGroupName": group}),
            (self._client.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
        ):
            try:
                create(**names)
            except self._client.exceptions.ResourceAlreadyExistsException:
                continue
        self._created.add((group, stream))


@lru_cache(maxsize=64)
def logs_as(endpoint_url: str, region: str, credentials: Credentials) -> CloudWatchLogs:
    """CloudWatch Logs for whoever has the credentials. Lines that they may not write are lost, as on AWS."""
    return CloudWatchLogs(endpoint_url, region, credentials)


def lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Chunks as whole lines, with the unfinished last one. A carriage return ends a line, for progress bars."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        yield from (line.decode(errors="replace")[:_LINE_LIMIT] for line in whole)
    if rest:
        yield rest.decode(errors="replace")[:_LINE_LIMIT]


class LogForwarder(threading.Thread):
    """Writes one container's output into one log stream and calls `on_line` with each line.

    Start it with the container and join it after the container's end.
    """

    def __init__(
        self, chunks: Iterable[bytes], sink: LogSink, group: str, stream: str, *,
        now: Callable[[], datetime], on_line: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        super().__init__(daemon=True, name=f"logs-{stream}")
        self._chunks, self._sink, self._group, self._stream = chunks, sink, group, stream
        self._now, self._on_line = now, on_line
        self._waiting: list[tuple[datetime, str]] = []
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def run(self) -> None:
        self._sink.write(self._group, self._stream, [])
        flusher = threading.Thread(target=self._flush_regularly, daemon=True)
        flusher.start()
        try:
            for line in lines(self._chunks):
                self._on_line(line)
                with self._lock:
                    self._waiting.append((self._now(), line))
                if len(self._waiting) >= _BATCH_LINES:
                    self._flush()
        finally:
            self._ended.set()
            flusher.join()
            self._flush()

    def _flush_regularly(self) -> None:
        while not self._ended.wait(_BATCH_SECONDS):
            self._flush()

    def _flush(self) -> None:
        with self._lock:
            batch, self._waiting = self._waiting, []
        while batch:
            self._sink.write(self._group, self._stream, batch[:_BATCH_LINES])
            batch = batch[_BATCH_LINES:]
