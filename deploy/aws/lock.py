"""The lock of a stage, so that one command at a time changes it: an object in the stage's bucket, written only if there
is none (S3's conditional writes). Its holder renews it; when the holder has died, another command takes it over."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any

from deploy.aws.client import Clock
from deploy.aws.requests import s3
from deploy.errors import AwsError, DeployError
from deploy.values import Call, Request

KEY = "locks/change.json"
RENEW_S = 30.0
STALE_S = 180.0  # six renewals missed
TAKEN = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
GONE = ("NoSuchKey", "NoSuchBucket", "404")


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who changes a stage: shown to those who wait. Host and process tell whether the holder is still running."""

    who: str = ""
    host: str = ""
    pid: int = 0

    def __str__(self) -> str:
        return f"{self.who or 'somebody else'} on {self.host or 'another machine'} (process {self.pid})"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A lock as observed. `age` is the seconds since its last renewal, by S3's clock."""

    holder: Holder
    etag: str
    age: float


def lives(pid: int) -> bool:
    """Whether a process of this machine is running."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def is_gone(held: Held, me: Holder, living: Callable[[int], bool] = lives) -> bool:
    """Whether a lock's holder has ended without releasing it."""
    died_here = bool(held.holder.pid) and held.holder.host == me.host and not living(held.holder.pid)
    return died_here or held.age > STALE_S


@dataclass(kw_only=True)
class Lock:
    """A context manager. Entering waits for the present holder, at most `patience_s` seconds, and says so by `say`.

    Raises DeployError when the lock is still held then.
    """

    call: Call
    bucket: str
    holder: Holder
    say: Callable[[str], None]
    clock: Clock = field(default_factory=Clock)
    patience_s: float = 900.0
    _etag: str = ""
    _writes: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)
    _writing: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Lock:
        began, has_said_so = self.clock.now(), False
        while not self._taken():
            held = self._look()
            if held is None:
                continue
            if is_gone(held, self.holder):
                self.say(f"   {held.holder} ended in the middle of a change: continuing from there")
                if self._taken(held.etag):
                    break
                continue
            if self.clock.now() - began > self.patience_s:
                raise DeployError(f"{held.holder} is changing this stage; try again when that is done")
            if not has_said_so:
                self.say(f"   {held.holder} is changing this stage: waiting")
                has_said_so = True
            self.clock.sleep(2.0)
        threading.Thread(target=self._renew, daemon=True, name="lock").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Releases the lock. If another command has taken it over, that one keeps it."""
        self._ended.set()
        try:
            with self._writing:
                self.call(self._request("DeleteObject", IfMatch=self._etag))
        except AwsError as refusal:
            if refusal.code not in (*TAKEN, *GONE):
                self.say(f"   cannot release the lock s3://{self.bucket}/{KEY}; it ends in {STALE_S:.0f} s: {refusal}")

    def _taken(self, instead_of: str = "") -> bool:
        """Writes the lock if there is none, or replaces the one with this ETag. False when another was quicker."""
        condition = {"IfMatch": instead_of} if instead_of else {"IfNoneMatch": "*"}
        self._writes += 1  # gives each renewal its own ETag, so that nobody takes over a lock just renewed
        body = json.dumps({**asdict(self.holder), "writes": self._writes}).encode()
        try:
            answer = self.call(self._request("PutObject", Body=body, ContentType="application/json", **condition))
        except AwsError as error:
            if error.code in (*TAKEN, *GONE[:1]):
                return False
            raise
        self._etag = answer["ETag"]
        return True

    def _look(self) -> Held | None:
        try:
            answer = self.call(self._request("GetObject"))
        except AwsError as error:
            if error.code in GONE:
                return None
            raise
        known = {key: value for key, value in _read(answer["Body"].read()).items() if key in Holder.__annotations__}
        now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        age = (now - answer["LastModified"]).total_seconds()
        return Held(holder=Holder(**known), etag=answer["ETag"], age=age)

    def _renew(self) -> None:
        while not self._ended.wait(RENEW_S):
            try:
                with self._writing:
                    if not self._ended.is_set():
                        self._taken(self._etag)
            except DeployError:
                continue  # the next try may pass; until then the lock ages

    def _request(self, operation: str, **params: Any) -> Request:
        return s3(operation, Bucket=self.bucket, Key=KEY, **params)


def _read(text: bytes) -> dict[str, Any]:
    """The content of a lock; {} for one that is not JSON, which goes stale like any other."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
