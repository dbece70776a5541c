"""InvokeEndpointAsync: a queue per endpoint; answers and failures become objects in S3 (rule 42)."""

import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from localcloud.cloud import Cloud
from localcloud.cloudwatch.metrics import Datum
from localcloud.containers.http import BrokenError, TimedOutError, UnreachableError
from localcloud.errors import ApiError
from localcloud.s3 import Location, location
from localcloud.sagemaker.hosting.api import Endpoints
from localcloud.sagemaker.hosting.async_metrics import Queued, measured
from localcloud.sagemaker.hosting.fleet import Endpoint, Variant
from localcloud.sagemaker.hosting.instances import Instance
from localcloud.sagemaker.hosting.invoke import headers_of, model_error, unanswered
from localcloud.sagemaker.records import Params, s3

CONCURRENCY = 4  # without MaxConcurrentInvocationsPerInstance SageMaker chooses the number itself
TIMEOUT_S, QUEUED_S = 900, 21_600
LARGEST = 1024**3
PUMP_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class AsyncRequest:
    """A queued request. `role` is the model's, which reads and writes S3.

    `since` and `until` (when it expires) are seconds of the invoker's clock.
    """

    params: Mapping[str, Any]
    role: str
    output: Location
    failure: Location | None
    since: float
    until: float

    @property
    def timeout(self) -> float:
        return float(self.params.get("InvocationTimeoutSeconds", TIMEOUT_S))


@dataclass(kw_only=True, eq=False)
class Backlog:
    """One endpoint's queue. `busy` counts requests in progress, `ended` the outcomes since the last collection."""

    endpoint: Endpoint
    waiting: deque[AsyncRequest] = field(default_factory=deque)
    busy: int = 0
    ended: Counter[str] = field(default_factory=Counter)


@dataclass(kw_only=True)
class AsyncInvoker:
    """Queues requests and sends them to instances, a limited number at once. `spawn` runs work in a thread."""

    cloud: Cloud
    endpoints: Endpoints
    spawn: Callable[..., None]
    clock: Callable[[], float] = time.monotonic
    backlogs: dict[str, Backlog] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        return {"InvokeEndpointAsync": self.invoke}

    def invoke(self, params: Params) -> Params:
        """Answer InvokeEndpointAsync: queue the request and return where its answer will be."""
        endpoint = self.endpoints.find(params["EndpointName"])
        if endpoint is None or endpoint.fleet is None:
            name = params["EndpointName"]
            raise _invalid(f"Endpoint {name} of account {self.cloud.account} not found.")
        config = endpoint.fleet.asynchronous
        if not config:
            raise _invalid(f"Endpoint {endpoint.name} is not asynchronous: use InvokeEndpoint.")
        if ("InputLocation" in params) == ("Body" in params):
            raise _invalid("Give exactly one of InputLocation and Body.")
        if "InputLocation" in params:
            s3(params["InputLocation"])
        role = next((variant.spec.role for variant in endpoint.fleet.variants.values()), "")
        request = self._request(params, config["OutputConfig"], role)
        with self.lock:
            backlog = self.backlogs.get(endpoint.name)
            if backlog is None or backlog.endpoint is not endpoint:
                backlog = self.backlogs[endpoint.name] = Backlog(endpoint=endpoint)
            backlog.waiting.append(request)
        self.pump()
        return {
            "InferenceId": params.get("InferenceId") or str(uuid.uuid4()),
            "OutputLocation": request.output.uri,
            "FailureLocation": request.failure.uri if request.failure else None,
        }

    def _request(self, params: Params, output: Mapping[str, Any], role: str) -> AsyncRequest:
        key = str(uuid.uuid4())
        folder = location(output["S3OutputPath"])
        if "S3OutputPathExtension" in params:
            folder /= params["S3OutputPathExtension"].strip("/")
        failures = output.get("S3FailurePath")
        now = self.clock()
        return AsyncRequest(
            params=params,
            role=role,
            output=folder / params.get("Filename", f"{key}.out"),
            failure=location(failures) / f"{key}-error.out" if failures else None,
            since=now,
            until=now + params.get("RequestTTLSeconds", QUEUED_S),
        )

    # ------------------------------------------------------------------------------------------ the queue

    def pump(self) -> None:
        """Send waiting requests to instances with a free slot; expire those that waited too long."""
        with self.lock:
            for name, backlog in list(self.backlogs.items()):
                if self.endpoints.find(name) is not backlog.endpoint:
                    del self.backlogs[name]
                    continue
                self._expire(backlog)
                while backlog.waiting and (slot := self._slot(backlog.endpoint)) is not None:
                    backlog.busy += 1
                    self.spawn(self._answer, backlog, backlog.waiting.popleft(), *slot)

    def _expire(self, backlog: Backlog) -> None:
        now = self.clock()
        for request in [each for each in backlog.waiting if each.until <= now]:
            backlog.waiting.remove(request)
            backlog.ended["expired"] += 1
            self.spawn(self._fail, request, "The request expired in the queue (RequestTTLSeconds).")

    def _slot(self, endpoint: Endpoint) -> tuple[Variant, Instance] | None:
        """Reserve an instance that can take one more request; None when there is none."""
        variant = endpoint.route(None, (0.5, 0.5))
        instance = variant.take() if variant else None
        if variant is None or instance is None:
            return None
        client = variant.spec.asynchronous.get("ClientConfig", {})
        if instance.outstanding > client.get("MaxConcurrentInvocationsPerInstance", CONCURRENCY):
            variant.give_back(instance)
            return None
        return variant, instance

    def run(self) -> None:
        """Pump until localcloud shuts down, because instances come and go."""
        while not self.endpoints.host.closing.wait(PUMP_SECONDS):
            self.pump()

    # ------------------------------------------------------------------------------------------ one request

    def _answer(self, backlog: Backlog, request: AsyncRequest, variant: Variant, instance: Instance) -> None:
        """Send one request to one instance. If the instance is unreachable, put the request back at the front."""
        fault: str | None = None
        try:
            fault = self._send(request, variant, instance)
        except UnreachableError:
            backlog.endpoint.wake.set()
            with self.lock:
                backlog.waiting.appendleft(request)
            return
        except (TimedOutError, BrokenError) as error:
            backlog.endpoint.wake.set()
            fault = model_error(self.cloud, variant.spec.group, 0, unanswered(error)).message
        except (BotoCoreError, ClientError) as error:
            fault = f"S3 could not be read or written: {error}"
        finally:
            variant.give_back(instance)
            with self.lock:
                backlog.busy -= 1
        with self.lock:
            backlog.ended["failed" if fault else "processed"] += 1
        if fault:
            self._fail(request, fault)
        self.pump()

    def _send(self, request: AsyncRequest, variant: Variant, instance: Instance) -> str | None:
        """Send the input to the container and put the answer into S3. Returns the failure message, None on success."""
        body = self._input(request)
        if body is None:
            return f"Unable to read the input {request.params['InputLocation']}: no such object."
        if len(body) > LARGEST:
            return f"The input has {len(body)} bytes; the limit is {LARGEST}."
        headers = headers_of(request.params)
        reply = instance.http.request("POST", "/invocations", body=body, headers=headers, timeout=request.timeout)
        if not 200 <= reply.status < 300:
            text = reply.body.decode(errors="replace")
            return model_error(self.cloud, variant.spec.group, reply.status, text).message
        self.cloud.objects_as(request.role).put(request.output, reply.body)
        return None

    def _input(self, request: AsyncRequest) -> bytes | None:
        if "Body" in request.params:
            return bytes(request.params["Body"])
        return self.cloud.objects_as(request.role).get(location(request.params["InputLocation"]))

    def _fail(self, request: AsyncRequest, why: str) -> None:
        """Put the failure into S3. Without S3FailurePath the failure is lost, as in SageMaker."""
        if request.failure is not None:
            self.cloud.objects_as(request.role).put(request.failure, why.encode())

    # ------------------------------------------------------------------------------------------ metrics

    def collect(self) -> list[Datum]:
        """Return the queue metrics of every asynchronous endpoint."""
        return [datum for queued in self._queued() for datum in measured(queued)]

    def _queued(self) -> Iterable[Queued]:
        now = self.clock()
        for name, _, instances in self.endpoints.running(asynchronous=True):
            with self.lock:
                backlog = self.backlogs.get(name)
                ended = Counter(backlog.ended) if backlog else Counter[str]()
                if backlog:
                    backlog.ended.clear()
                waiting = list(backlog.waiting) if backlog else []
                busy = backlog.busy if backlog else 0
            oldest = max((now - each.since for each in waiting), default=0.0)
            yield Queued(
                endpoint=name, instances=instances, size=len(waiting) + busy, waiting=len(waiting), oldest_s=oldest,
                processed=ended["processed"], failed=ended["failed"], expired=ended["expired"],
            )  # fmt: skip


def _invalid(message: str) -> ApiError:
    return ApiError("ValidationError", message, 400)
