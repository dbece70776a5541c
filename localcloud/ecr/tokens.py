"""ECR's authorization tokens: `AWS:<password>` in base64, valid for twelve hours (rule 72)."""

import base64
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from localcloud.aws_client import ROOT

LIFE = timedelta(hours=12)
USER = "AWS"
TokenState = Literal["good", "expired", "unknown"]


@dataclass(kw_only=True)
class Tokens:
    """Every issued token, by password, with the access key that it was issued to. Thread-safe."""

    now: Callable[[], datetime]
    _expiry: dict[str, datetime] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def issue(self, owner: str) -> tuple[str, datetime]:
        """A new token for the owner of an access key, and the time of its expiry."""
        password, expires = secrets.token_urlsafe(48), self.now() + LIFE
        with self._lock:
            self._expiry[password], self._owners[password] = expires, owner
        return base64.b64encode(f"{USER}:{password}".encode()).decode(), expires

    def password(self) -> str:
        """A new password for localcloud's own pulls."""
        return base64.b64decode(self.issue(ROOT.key)[0]).decode().partition(":")[2]

    def expire(self) -> int:
        """Expire every token now; returns how many there were."""
        with self._lock:
            self._expiry = dict.fromkeys(self._expiry, self.now())
            return len(self._expiry)

    def owner(self, authorization: str) -> str:
        """The access key that the token in an Authorization header was issued to."""
        with self._lock:
            return self._owners.get(_credentials(authorization)[1], "")

    def state(self, authorization: str) -> TokenState:
        """The state of the token in an Authorization header."""
        user, password = _credentials(authorization)
        with self._lock:
            expires = self._expiry.get(password)
        if expires is None or user != USER:
            return "unknown"
        return "good" if self.now() < expires else "expired"


def _credentials(authorization: str) -> tuple[str, str]:
    """User and password of an Authorization header; ("", "") for anything else."""
    try:
        credentials = base64.b64decode(authorization.removeprefix("Basic "), validate=True).decode()
    except ValueError:
        return "", ""
    user, _, password = credentials.partition(":")
    return user, password
