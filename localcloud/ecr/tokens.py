"""ECR's authorization tokens: `AWS:<password>` in base64, for twelve hours (rule 72)."""

import base64
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

LIFE = timedelta(hours=12)
USER = "AWS"
Verdict = Literal["good", "expired", "unknown"]


@dataclass(kw_only=True)
class Tokens:
    """Every token given out, by password. Safe from any thread."""

    now: Callable[[], datetime]
    _expiry: dict[str, datetime] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(self) -> tuple[str, datetime]:
        """A new token, and when it ends."""
        password, expires = secrets.token_urlsafe(48), self.now() + LIFE
        with self._lock:
            self._expiry[password] = expires
        return base64.b64encode(f"{USER}:{password}".encode()).decode(), expires

    def password(self) -> str:
        """A good password for our own pulls."""
        return base64.b64decode(self.issue()[0]).decode().partition(":")[2]

    def expire(self) -> int:
        """Let every token end now; returns how many there were."""
        with self._lock:
            self._expiry = dict.fromkeys(self._expiry, self.now())
            return len(self._expiry)

    def judge(self, authorization: str) -> Verdict:
        """What an Authorization header is worth."""
        try:
            given = base64.b64decode(authorization.removeprefix("Basic "), validate=True).decode()
        except ValueError:
            return "unknown"
        user, _, password = given.partition(":")
        with self._lock:
            expires = self._expiry.get(password)
        if expires is None or user != USER:
            return "unknown"
        return "good" if self.now() < expires else "expired"
