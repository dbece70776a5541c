"""A client for a container registry's HTTP protocol, with ECR's tokens, which it renews when they expire."""

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
EARLY = 300.0  # seconds before a token expires when it is renewed
TOKEN = ecr("GetAuthorizationToken")
Body = bytes | Iterator[bytes] | None


class InterruptedUploadError(Exception):
    """An upload failed in a way that a retry may fix."""


@dataclass(frozen=True, kw_only=True)
class Login:
    """A token for the registry at `url`, valid for `left` seconds. Its repr hides the password."""

    url: str
    user: str
    password: str = field(repr=False)
    left: float


def login(call: Call, now: Callable[[], float]) -> Login:
    """A new token of ECR (rule 72). `now` is the time in seconds since 1970."""
    data = call(TOKEN)["authorizationData"][0]
    user, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    left = data["expiresAt"].timestamp() - now()
    return Login(url=str(data["proxyEndpoint"]), user=user, password=password, left=left)


@dataclass(kw_only=True)
class Registry:
    """One registry. `ask` returns a new token; `verify` is the path of a CA bundle, or True for the default one."""

    ask: Callable[[], Login]
    clock: Clock = field(default_factory=Clock)
    verify: str | bool = True
    _login: Login | None = None
    _until: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _local: threading.local = field(default_factory=threading.local)

    def has(self, repository: str, digest: str) -> bool:
        """Whether a repository has a blob."""
        return self._send("HEAD", f"/v2/{repository}/blobs/{digest}", missing=True) is not None

    def blob(self, repository: str, digest: str) -> bytes:
        """A small blob, such as a configuration."""
        return self._sent("GET", f"/v2/{repository}/blobs/{digest}").content

    def manifest(self, repository: str, name: str) -> Manifest | None:
        """The manifest with this tag or digest, without any conversion; None without one."""
        headers = {"Accept": ", ".join(ACCEPTED)}
        answer = self._send("GET", f"/v2/{repository}/manifests/{name}", headers=headers, missing=True)
        return None if answer is None else read(answer.content, answer.headers.get("Content-Type", ""))

    def put(self, repository: str, tag: str, manifest: Manifest) -> str:
        """Puts a manifest under a tag; returns its digest."""
        headers = {"Content-Type": manifest.media_type}
        answer = self._sent("PUT", f"/v2/{repository}/manifests/{tag}", headers=headers, body=manifest.text)
        return str(answer.headers.get("Docker-Content-Digest") or manifest.digest)

    def upload(self, repository: str, pieces: Callable[[], Iterator[bytes]], digest: Callable[[], str]) -> None:
        """Uploads a blob. `pieces` starts its content, once per try; `digest` is called after the last piece.

        Raises PushError.
        """
        pause = 1.0
        for attempt in range(ATTEMPTS):
            try:
                self._upload(repository, pieces(), digest)
            except InterruptedUploadError as error:
                if attempt == ATTEMPTS - 1:
                    raise PushError(f"{repository}: {error}; ./inv push resumes") from error
                self.clock.sleep(pause)
                pause *= 2
            else:
                return

    def _upload(self, repository: str, pieces: Iterator[bytes], digest: Callable[[], str]) -> None:
        location = self._sent("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
        try:
            answer = self._once("PATCH", location, {"Content-Type": "application/octet-stream"}, pieces)
        except requests.RequestException as error:
            raise InterruptedUploadError(f"the connection broke ({error})") from error
        if _is_expired(answer):
            self._forget()
            raise InterruptedUploadError("the token expired during an upload")
        if answer.status_code >= 400:
            raise InterruptedUploadError(_message(answer))
        location = answer.headers.get("Location", location)
        self._sent("PUT", f"{location}{'&' if '?' in location else '?'}digest={digest()}")

    def _sent(self, method: str, path: str, **more: Any) -> requests.Response:
        answer = self._send(method, path, **more)
        if answer is None:
            raise PushError(f"{method} {urlsplit(path).path}: not found in the registry")
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
        """The answer, after retries where they may help; None for a 404 if `missing`. Raises PushError."""
        pause, message = 1.0, ""
        for attempt in range(ATTEMPTS):
            if attempt:
                self.clock.sleep(pause)
                pause *= 2
            try:
                answer = self._once(method, path, headers or {}, body)
            except requests.RequestException as error:
                message = f"no answer ({error})"
                continue
            if answer.status_code == 404 and missing:
                return None
            if answer.status_code < 400:
                return answer
            message = _message(answer)
            if _is_expired(answer):
                self._forget()
            elif answer.status_code < 500 and answer.status_code != 429:
                break
        raise PushError(f"{method} {urlsplit(path).path}: {message}")

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
        """One HTTP session per thread. A registry on this machine is never reached through a proxy."""
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
    """For an expired token ECR answers 403 with this text, other registries 401."""
    return answer.status_code == 401 or (answer.status_code == 403 and "token has expired" in answer.text)


def _message(answer: requests.Response) -> str:
    """The registry's error message with its status code."""
    try:
        text = "; ".join(f"{each.get('code')}: {each.get('message')}" for each in answer.json()["errors"])
    except (ValueError, KeyError, TypeError, AttributeError):
        text = answer.text.strip()[:300]
    return f"{answer.status_code} {text}"
