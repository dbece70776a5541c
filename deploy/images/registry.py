"""A container registry by its HTTP protocol, with ECR's tokens: asked for when needed, again when they have expired."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

from deploy.aws.client import Clock
from deploy.aws.requests import ecr
from deploy.errors import PushError
from deploy.images.manifest import ACCEPTED, Manifest, read
from deploy.values import Call

ATTEMPTS = 5
EARLY = 300.0  # seconds before its end at which a token is no longer used
TOKEN = ecr("GetAuthorizationToken")
Body = bytes | Iterator[bytes] | None


class InterruptedUploadError(Exception):
    """An upload that did not come through, and may when it is begun again."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """A token: `url` is the registry's, `left` the seconds that it lives. Its password is in no text of it."""

    url: str
    user: str
    password: str = field(repr=False)
    left: float


def login(call: Call, now: Callable[[], float]) -> Login:
    """A new token of ECR (rule 72). `now` is the time in seconds since 1970."""
    given = call(TOKEN)["authorizationData"][0]
    user, _, password = base64.b64decode(given["authorizationToken"]).decode().partition(":")
    left = given["expiresAt"].timestamp() - now()
    return Login(url=str(given["proxyEndpoint"]), user=user, password=password, left=left)


@dataclass(kw_only=True)
class Registry:
    """One registry. `ask` gives a new token; `verify` is a CA bundle's path, or True for the usual one."""

    ask: Callable[[], Login]
    clock: Clock = field(default_factory=Clock)
    verify: str | bool = True
    _login: Login | None = None
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _local: threading.local = field(default_factory=threading.local)

    def has(self, repository: str, digest: str) -> bool:
        """Whether a blob lies in a repository."""
        return self._send("HEAD", f"/v2/{repository}/blobs/{digest}", missing=True) is not None

    def blob(self, repository: str, digest: str) -> bytes:
        """A small blob, such as a configuration."""
        return self._sent("GET", f"/v2/{repository}/blobs/{digest}").content

    def manifest(self, repository: str, name: str) -> Manifest | None:
        """The manifest with a tag or digest, as it lies there; None when there is none."""
        headers = {"Accept": ", ".join(ACCEPTED)}
        answer = self._send("GET", f"/v2/{repository}/manifests/{name}", headers=headers, missing=True)
        return None if answer is None else read(answer.content, answer.headers.get("Content-Type", ""))

    def put(self, repository: str, tag: str, manifest: Manifest) -> str:
        """Gives a manifest a tag; returns its digest."""
        headers = {"Content-Type": manifest.media_type}
        answer = self._sent("PUT", f"/v2/{repository}/manifests/{tag}", headers=headers, body=manifest.text)
        return str(answer.headers.get("Docker-Content-Digest") or manifest.digest)

    def upload(self, repository: str, pieces: Callable[[], Iterator[bytes]], digest: Callable[[], str]) -> None:
        """Uploads a blob. `pieces` begins to give it, once more for every new try; `digest` is asked at its end.

        Raises PushError.
        """
        pause = 1.0
        for attempt in range(ATTEMPTS):
            try:
                self._upload(repository, pieces(), digest)
            except InterruptedUploadError as error:
                if attempt == ATTEMPTS - 1:
                    raise PushError(f"{repository}: {error}; ./inv push goes on from there") from error
                self.clock.sleep(pause)
                pause *= 2
            else:
                return

    def _upload(self, repository: str, pieces: Iterator[bytes], digest: Callable[[], str]) -> None:
        where = self._sent("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        try:
            answer = self._once("PATCH", where, {"Content-Type": "application/octet-stream"}, pieces)
        except requests.RequestException as error:
            raise InterruptedUploadError(f"the connection broke ({error})") from error
        if _is_expired(answer):
            self._forget()
            raise InterruptedUploadError("the token expired during an upload")
        if answer.status_code >= 400:
            raise InterruptedUploadError(_words(answer))
        where = answer.headers.get("Location", where)
        self._sent("PUT", f"{where}{'&' if '?' in where else '?'}digest={digest()}")

    def _sent(self, method: str, path: str, **more: Any) -> requests.Response:
        answer = self._send(method, path, **more)
        if answer is None:
            raise PushError(f"{method} {urlsplit(path).path}: the registry knows no such thing")
        return answer

    def _send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        missing: bool = False,
    ) -> requests.Response | None:
        """The answer, tried again where that may help; None for 404 with `missing`. Raises PushError."""
        pause, said = 1.0, ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.clock.sleep(pause)
                pause *= 2
            try:
                answer = self._once(method, path, headers or {}, body)
            except requests.RequestException as error:
                said = f"nothing answers ({error})"
                continue
            if answer.status_code == 404 and missing:
                return None
            if answer.status_code < 400:
                return answer
            said = _words(answer)
            if _is_expired(answer):
                self._forget()
            elif answer.status_code < 500 and answer.status_code != 429:
                break
        raise PushError(f"{method} {urlsplit(path).path}: {said}")

    def _once(self, method: str, path: str, headers: Mapping[str, str], body: Body) -> requests.Response:
        token = self._token()
        return self._session(token.url).request(
            method,
            urljoin(token.url, path),
            headers=dict(headers),
            data=body,
            auth=(token.user, token.password),
            timeout=(10, 300),
        )

    def _session(self, url: str) -> requests.Session:
        """One for each thread. A registry of this machine is never asked through a proxy."""
        session: requests.Session | None = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = urlsplit(url).hostname not in ("127.0.0.1", "localhost")
            session.verify = self.verify
        return session

    def _token(self) -> Login:
        with self._lock:
            if self._login is None or self.clock.now() > self._until:
                self._login = self.ask()
                self._until = self.clock.now() + max(0.0, self._login.left - EARLY)
            return self._login

    def _forget(self) -> None:
        with self._lock:
            self._login = None


def _is_expired(answer: requests.Response) -> bool:
    """ECR says 403 with these words for an expired token, a registry in general 401."""
    return answer.status_code == 401 or (answer.status_code == 403 and "token has expired" in answer.text)


def _words(answer: requests.Response) -> str:
    """What the registry said, for a person."""
    try:
        found = "; ".join(f"{each.get('code')}: {each.get('message')}" for each in answer.json()["errors"])
    except (ValueError, KeyError, TypeError, AttributeError):
        found = answer.text.strip()[:300]
    return f"{answer.status_code} {found}"
