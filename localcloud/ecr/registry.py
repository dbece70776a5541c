"""ECR's registry on this machine: a real one behind ECR's rules, started when it is first needed."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from localcloud.ecr.process import RegistryProcess
from localcloud.ecr.proxy import Proxy, Refusal
from localcloud.ecr.repositories import Records, is_immutable
from localcloud.ecr.storage import RegistryStore
from localcloud.ecr.tokens import Tokens, Verdict
from localcloud.errors import ApiError


@dataclass(kw_only=True)
class Registry:
    """`records` hold what ECR knows of repositories beside their images."""

    folder: Path
    records: Records
    now: Callable[[], datetime]
    tokens: Tokens = field(init=False)
    process: RegistryProcess = field(init=False)
    _front: Proxy | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.tokens = Tokens(now=self.now)
        self.process = RegistryProcess(folder=self.folder)

    @property
    def store(self) -> RegistryStore:
        """What lies in it."""
        return RegistryStore(root=self.process.storage)

    def address(self) -> str:
        """host:port, started the first time. Raises LocalcloudError when no registry can be had."""
        with self._lock:
            if self._front is None:
                self.process.start()
                self._front = Proxy(self, self.process.connection)
                threading.Thread(target=self._front.serve_forever, daemon=True, name="registry-front").start()
            return self._front.address

    def holds(self, reference: str) -> bool:
        """Whether an image's reference names this registry."""
        return self._front is not None and reference.partition("/")[0] == self._front.address

    def close(self) -> None:
        with self._lock:
            if self._front is not None:
                self._front.shutdown()
                self._front.server_close()
                self._front = None
            self.process.stop()

    # ------------------------------------------------------------------------------------------ the front's rules

    def judge(self, authorization: str) -> Verdict:
        return self.tokens.judge(authorization)

    def check_repository(self, repository: str) -> None:
        try:
            self.records.find(repository)
        except ApiError as error:
            raise Refusal(404, "NAME_UNKNOWN", error.message) from None

    def check_tag(self, repository: str, tag: str, manifest: bytes) -> None:
        """A push of what the tag holds already is no change; the rest may not move an immutable tag (rule 73)."""
        if tag.startswith("sha256:") or not is_immutable(self.records.find(repository), tag):
            return
        found = self.store.find(repository, tag=tag)
        if found is not None and found.digest != f"sha256:{hashlib.sha256(manifest).hexdigest()}":
            raise Refusal(400, "TAG_INVALID", immutable(repository, tag))


def immutable(repository: str, tag: str) -> str:
    """ECR's sentence for a tag that may not be moved."""
    return (
        f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the "
        "tag is immutable."
    )
