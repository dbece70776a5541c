"""ECR on a real registry, over HTTP, with a clock that tests set."""

import hashlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from localcloud.authorization.access import Access
from localcloud.aws_client import client
from localcloud.ecr.api import service
from localcloud.ecr.registry import Registry
from localcloud.ecr.repositories import Records
from localcloud.ecr.storage import DOCKER_LIST, DOCKER_MANIFEST, OCI_MANIFEST
from localcloud.gateway.server import Application, Listener, bind


@dataclass
class OffsetClock:
    """The real time plus an offset that tests set."""

    offset: timedelta = field(default_factory=timedelta)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset


@dataclass(frozen=True, kw_only=True)
class Fakes:
    """ECR with its registry and clock, and a boto3 client of it."""

    ecr: Any
    registry: Registry
    clock: OffsetClock

    def token(self) -> str:
        return str(self.ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"])

    def send(self, method: str, path: str, body: bytes = b"", *, token: str, kind: str = "") -> tuple[int, Any, str]:
        """Status, headers and body of a request of the registry's own protocol."""
        request = urllib.request.Request(f"http://{self.registry.address()}{path}", data=body or None, method=method)
        request.add_header("Authorization", f"Basic {token}")
        request.add_header("Content-Type", kind or "application/octet-stream")
        request.add_header("Accept", f"{DOCKER_MANIFEST}, {OCI_MANIFEST}, {DOCKER_LIST}")
        if not body and method in ("POST", "PUT", "PATCH"):
            request.add_header("Content-Length", "0")
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers, error.read().decode()

    def blob(self, repository: str, content: bytes, token: str) -> dict[str, Any]:
        """Push a blob; returns its descriptor."""
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        status, headers, body = self.send("POST", f"/v2/{repository}/blobs/uploads/", token=token)
        assert status == 202, body
        where = headers["Location"]
        status, _, body = self.send(
            "PUT", f"{where}{'&' if '?' in where else '?'}digest={digest}", content, token=token
        )
        assert status == 201, body
        return {"digest": digest, "size": len(content)}

    def manifest(
        self, repository: str, content: bytes = b"layer", *, kind: str = DOCKER_MANIFEST, architecture: str = "amd64"
    ) -> str:
        """The text of a manifest whose blobs were pushed."""
        token = self.token()
        config = json.dumps({"architecture": architecture, "os": "linux", "config": {}}).encode()
        value = {
            "schemaVersion": 2,
            "mediaType": kind,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                **self.blob(repository, config, token),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    **self.blob(repository, content, token),
                }
            ],
        }
        return json.dumps(value)


@contextmanager
def opened(folder: Path, access: Access | None = None) -> Iterator[Fakes]:
    """ECR whose registry stores its data in `folder`. `access` says who may do what (default: everybody)."""
    clock = OffsetClock()
    records = Records(account="123456789012", region="us-east-1")
    registry = Registry(folder=folder, records=records, now=clock, access=access)
    sockets = bind(0, ["127.0.0.1"])
    listener = Listener(sockets, Application([service(registry)], region="us-east-1", health=dict))
    listener.start()
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    try:
        yield Fakes(ecr=client("ecr", url, "us-east-1"), registry=registry, clock=clock)
    finally:
        listener.stop()
        registry.close()
