"""ECR's registry on this machine: a real registry behind a proxy with ECR's rules. It starts when first needed."""

import hashlib
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from localcloud.authorization.access import Access, OpenAccess
from localcloud.authorization.needs import Need
from localcloud.ecr.process import RegistryProcess
from localcloud.ecr.proxy import Proxy, Refusal
from localcloud.ecr.repositories import Records, is_immutable
from localcloud.ecr.storage import RegistryStore
from localcloud.ecr.tokens import Tokens, TokenState
from localcloud.errors import ApiError


class Registry:
    """The registry whose storage is in `folder`. `records` are ECR's records of the repositories. Thread-safe.

    `access` says who may pull and push.
    """

    def __init__(
        self, *, folder: Path, records: Records, now: Callable[[], datetime], access: Access | None = None
    ) -> None:
        self.records = records
        self._access = access or OpenAccess()
        self.tokens = Tokens(now=now)
        self.process = RegistryProcess(folder=folder)
        self._proxy: Proxy | None = None
        self._lock = threading.Lock()

    @property
    def store(self) -> RegistryStore:
        """The registry's storage."""
        return RegistryStore(root=self.process.storage)

    def address(self) -> str:
        """host:port of the registry. Starts it at the first call. Raises LocalcloudError when it cannot start."""
        with self._lock:
            if self._proxy is None:
                self.process.start()
                self._proxy = Proxy(self, self.process.connection)
                threading.Thread(target=self._proxy.serve_forever, daemon=True, name="registry-proxy").start()
            return self._proxy.address

    def holds(self, reference: str) -> bool:
        """Whether an image's reference names this registry."""
        with self._lock:
            return self._proxy is not None and reference.partition("/")[0] == self._proxy.address

    def close(self) -> None:
        with self._lock:
            if self._proxy is not None:
                self._proxy.shutdown()
                self._proxy.server_close()
                self._proxy = None
            self.process.stop()

    # ------------------------------------------------------------------------------------------ the proxy's rules

    def check_token(self, authorization: str) -> TokenState:
        return self.tokens.state(authorization)

    def check_repository(self, repository: str) -> None:
        try:
            self.records.find(repository)
        except ApiError as error:
            raise Refusal(404, "NAME_UNKNOWN", error.message) from None

    def check_access(self, authorization: str, action: str, repository: str) -> None:
        """Refuse what the token's owner may not do."""
        arn = f"arn:aws:ecr:{self.records.region}:{self.records.account}:repository/{repository}"
        need = Need(action=f"ecr:{action}", resource=arn)
        if words := self._access.refusal_of_key(self.tokens.owner(authorization), [need]):
            raise Refusal(403, "DENIED", words)

    def check_tag(self, repository: str, tag: str, manifest: bytes) -> None:
        """Refuse to move an immutable tag (rule 73). Pushing the tag's own manifest again changes nothing."""
        if tag.startswith("sha256:") or not is_immutable(self.records.find(repository), tag):
            return
        stored = self.store.find(repository, tag=tag)
        if stored is not None and stored.digest != f"sha256:{hashlib.sha256(manifest).hexdigest()}":
            raise Refusal(400, "TAG_INVALID", immutable(repository, tag))


def immutable(repository: str, tag: str) -> str:
    """ECR's message for an immutable tag that a request would move."""
    return (
        f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the "
        "tag is immutable."
    )
