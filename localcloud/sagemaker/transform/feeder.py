"""Sends the objects of one instance through its container, and puts the answers into S3."""

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from localcloud.cloud import Cloud
from localcloud.containers.http import BrokenError, TimedOutError, UnreachableError
from localcloud.s3 import Location
from localcloud.sagemaker.hosting.instances import Instance
from localcloud.sagemaker.transform.request import Batching, InputError, TransformRequest, assemble, payloads

LOG_GROUP = "/aws/sagemaker/TransformJobs"
PARAMETERS_S = 30.0


class ObjectError(Exception):
    """An object could not be transformed. `client` says that the data is at fault, not the container."""

    def __init__(self, message: str, *, client: bool) -> None:
        super().__init__(message)
        self.client = client


@dataclass(frozen=True, kw_only=True)
class Feeder:
    """Feeds one instance. `role` reads and writes S3.

    `stopping` tells whether to send no more; `pause` waits before a request is sent again.
    """

    cloud: Cloud
    role: str
    request: TransformRequest
    instance: Instance
    stopping: Callable[[], bool]
    pause: Callable[[float], object]

    def feed(self, objects: Mapping[str, Location], paths: Sequence[str]) -> list[ObjectError]:
        """Transform these paths of `objects`, as many at once as the instance takes; return what failed."""
        batching = self.request.batching(self._parameters())

        def transform(path: str) -> ObjectError | None:
            if self.stopping():
                return None
            try:
                self._transform(path, objects[path], batching)
            except ObjectError as error:
                self._log(f"{objects[path].uri}: {error}")
                return error
            return None

        with ThreadPoolExecutor(batching.concurrency) as pool:
            return [error for error in pool.map(transform, paths) if error is not None]

    def _parameters(self) -> dict[str, Any]:
        """The container's /execution-parameters; empty for a container that has none."""
        try:
            reply = self.instance.http.request(
                "GET", "/execution-parameters", body=None, headers={}, timeout=PARAMETERS_S
            )
            parameters = json.loads(reply.body) if reply.status == 200 else {}
        except (UnreachableError, TimedOutError, BrokenError, ValueError):
            return {}
        return parameters if isinstance(parameters, dict) else {}

    def _transform(self, path: str, where: Location, batching: Batching) -> None:
        """One object. A record that fails leaves the object without an output, as in SageMaker."""
        source, output = self.request.input, self.request.output
        objects = self.cloud.objects_as(self.role)
        content = objects.get(where)
        if content is None:
            raise ObjectError("The object is not there", client=True)
        try:
            plain = gzip.decompress(content) if source.is_gzipped else content
            bodies = list(payloads(plain, by_line=source.by_line, batching=batching))
        except (InputError, OSError, EOFError) as error:
            raise ObjectError(str(error), client=True) from None
        answers = [self._answer(body) for body in bodies]
        objects.put(output.location(path), assemble(answers, with_line=output.with_line))

    def _answer(self, body: bytes) -> bytes:
        """One answer. Faults that may pass are retried: a full queue, a fault of the server, no answer."""
        fault = ObjectError("No request was sent", client=False)
        for attempt in range(self.request.retries + 1):
            if attempt:
                self.pause(min(0.2 * 2**attempt, 5.0))
            try:
                return self._invoke(body)
            except ObjectError as error:
                fault = error
            if fault.client or self.stopping():
                break
        raise fault

    def _invoke(self, body: bytes) -> bytes:
        try:
            reply = self.instance.http.request(
                "POST", "/invocations", body=body, headers=self.request.headers, timeout=self.request.timeout_s
            )
        except (UnreachableError, TimedOutError, BrokenError) as error:
            raise ObjectError(f"{type(error).__name__.removesuffix('Error')}: {error}", client=False) from None
        if 200 <= reply.status < 300:
            return reply.body
        text = reply.body[:1024].decode(errors="replace")
        message = f"Bad HTTP status received from algorithm: {reply.status}: {text}"
        raise ObjectError(message, client=400 <= reply.status < 500 and reply.status != 429)

    def _log(self, text: str) -> None:
        self.cloud.logs_as(self.role).write(LOG_GROUP, f"{self.instance.stream}/data-log", [(self.cloud.now(), text)])
