"""One change of a stage at a time: an object in its bucket, written on the condition that it is not there (S3's
conditional writes), renewed while its holder lives, and taken over when the holder is gone."""

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
    """Who changes a stage: what a waiting person is told, and by what this machine knows whether it still lives."""

    who: str = ""
    host: str = ""
    pid: int = 0

    def __str__(self) -> str:
        return f"{self.who or 'somebody'} on {self.host or 'another machine'} (process {self.pid})"


@dataclass(frozen=True, kw_only=True)
class Held:
    """A lock as it was seen: `age` is seconds since its last renewal, by S3's own clock."""

    holder: Holder
    etag: str
    age: float


def lives(pid: int) -> bool:
    """Whether a process of this machine is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def is_gone(held: Held, me: Holder, living: Callable[[int], bool] = lives) -> bool:
    """Whether a lock's holder has ended without giving it back."""
    died_here = bool(held.holder.pid) and held.holder.host == me.host and not living(held.holder.pid)
    return died_here or held.age > STALE_S


@dataclass(kw_only=True)
class Lock:
    """A context manager. Entering waits for the present holder, at most `patience_s`, and tells `say` so.

    Raises DeployError when it is still held then.
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
        began, told = self.clock.now(), False
        while not self._taken():
            held = self._look()
            if held is None:
                continue
            if is_gone(held, self.holder):
                self.say(f"   {held.holder} has ended in the middle of a change: going on from there")
                if self._taken(held.etag):
                    break
                continue
            if self.clock.now() - began > self.patience_s:
                raise DeployError(f"{held.holder} is changing this stage; try again when that is done")
            if not told:
                self.say(f"   {held.holder} is changing this stage: waiting")
                told = True
            self.clock.sleep(2.0)
        threading.Thread(target=self._renew, daemon=True, name="lock").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Gives it back; whoever took it over meanwhile keeps it."""
        self._ended.set()
        try:
            with self._writing:
                self.call(self._request("DeleteObject", IfMatch=self._etag))
        except AwsError as refusal:
            if refusal.code not in (*TAKEN, *GONE):
                self.say(f"   the lock s3://{self.bucket}/{KEY} stays for {STALE_S:.0f} s: {refusal}")

    def _taken(self, instead_of: str = "") -> bool:
        """Writes the lock where none is, or in the place of the one with this ETag. False when another was quicker."""
        condition = {"IfMatch": instead_of} if instead_of else {"IfNoneMatch": "*"}
        self._writes += 1  # each renewal has an ETag of its own, so that nobody takes over what was just renewed
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
    """A lock's content; of one that cannot be read, nothing: it goes stale like any other."""
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
