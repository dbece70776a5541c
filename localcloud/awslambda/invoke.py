"""Lambda's Invoke: runs one event in one execution environment, within Lambda's limits (rule 65)."""

import base64
import json
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from localcloud.awslambda.configuration import Params
from localcloud.awslambda.emulator import Outcome
from localcloud.awslambda.functions import Functions, Handlers
from localcloud.awslambda.metrics import FunctionMetrics
from localcloud.awslambda.names import Named
from localcloud.awslambda.records import Function, Release
from localcloud.awslambda.refusals import no_function
from localcloud.errors import ApiError
from localcloud.weighted import choose_variant

SYNC_LIMIT = 6_291_456
ASYNC_LIMIT = 1_048_576
RETRY_SECONDS = (
    1.0,
    2.0,
)  # Lambda retries an asynchronous event after one and two minutes, which is too long for tests


@dataclass(kw_only=True)
class Invoker:
    """Runs events. `pause` waits and returns whether localcloud is closing; `point` returns a number in [0, 1)."""

    functions: Functions
    pause: Callable[[float], bool]
    point: Callable[[], float] = random.random
    metrics: FunctionMetrics = field(default_factory=FunctionMetrics)

    def handlers(self) -> Handlers:
        return self.functions.reachable(
            {"Invoke": self.invoke, "InvokeWithResponseStream": _no_streams, "InvokeAsync": _no_streams}
        )

    def invoke(self, params: Params) -> Params:
        """Invoke: RequestResponse, Event or DryRun."""
        with self.functions.locked(params, _no_release) as (function, qualifier):
            release = self._choose(function, qualifier)
            self.functions.use(function, release)
        kind, payload = params.get("InvocationType", "RequestResponse"), params.get("Payload") or b"{}"
        check_payload(payload, SYNC_LIMIT if kind == "RequestResponse" else ASYNC_LIMIT)
        version = release.config["Version"]
        if kind == "DryRun":
            return {"StatusCode": 204}
        if kind == "Event":
            self.functions.spawn(self._later, function, release, payload)
            return {"StatusCode": 202}
        want_log = params.get("LogType") == "Tail"
        result, tail = self.run(function, release, payload, want_log=want_log, context=params.get("ClientContext"))
        answer: Params = {"StatusCode": 200, "ExecutedVersion": version, "Payload": result.payload}
        if result.error:
            answer["FunctionError"] = result.error
        if want_log:
            answer["LogResult"] = base64.b64encode(tail[-4096:].encode()).decode()
        return answer

    def _choose(self, function: Function, qualifier: str | None) -> Release:
        """The release to run; an alias may split its traffic. The caller holds the function's lock. Raises ApiError."""
        extra = function.aliases.get(qualifier or "", {}).get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        if not extra:
            return function.at(qualifier)
        main = function.aliases[str(qualifier)]["FunctionVersion"]
        weights = {main: 1.0 - sum(extra.values()), **extra}
        return function.at(choose_variant(weights, self.point()))

    def run(
        self,
        function: Function,
        release: Release,
        payload: bytes,
        *,
        want_log: bool = False,
        context: str | None = None,
    ) -> tuple[Outcome, str]:
        """Run one event within the function's concurrency; return its outcome and the log's tail. Raises ApiError."""
        version = str(release.config["Version"])
        try:
            function.limit.enter(version, function.provisioned_by_version())
        except ApiError:
            self.metrics.throttled(function.name)
            raise
        began = self.metrics.clock()
        try:
            with self.metrics.running(function.name, version):
                result, tail = _in_sandbox(release, payload, want_log=want_log, context=context)
        finally:
            function.limit.leave(version)
        outcome = result or killed()
        self.metrics.ended(function.name, self.metrics.clock() - began, is_error=bool(outcome.error))
        return outcome, tail

    def _later(self, function: Function, release: Release, payload: bytes) -> None:
        """Run an asynchronous event. Retries while throttled, and twice after a failure."""
        tries = list(RETRY_SECONDS)
        while True:
            try:
                result, _ = self.run(function, release, payload)
                if not result.error or not tries:
                    return
                wait = tries.pop(0)
            except ApiError as error:
                if error.status != 429:
                    return
                wait = 1.0
            if self.pause(wait):
                return


def _in_sandbox(release: Release, payload: bytes, *, want_log: bool, context: str | None) -> tuple[Outcome | None, str]:
    """The outcome of an event (None: the environment died) and the log's tail."""
    sandbox = release.pool.take()
    result: Outcome | None = None
    try:
        result = sandbox.invoke(payload, float(release.config["Timeout"]), context)
        if want_log:
            sandbox.reported.wait(1.0)  # the output arrives separately from the response
        tail = "\n".join(list(sandbox.tail)) if want_log else ""
    finally:
        release.pool.give_back(sandbox, usable=result is not None)
    return result, tail


def check_payload(payload: bytes, limit: int) -> None:
    """Refuse an event that is too large or not JSON (rule 65). Raises ApiError."""
    if len(payload) > limit:
        raise ApiError(
            "RequestTooLargeException",
            f"Request must be smaller than {limit} bytes for the InvokeFunction operation", 413, Type="User",
        )  # fmt: skip
    try:
        json.loads(payload)
    except ValueError as error:
        message = f"Could not parse request body into json: Could not parse payload into json: {error}"
        raise ApiError("InvalidRequestContentException", message, 400, Type="User") from None


def _no_release(wanted: Named) -> ApiError:
    return no_function(f"{wanted.arn}:{wanted.qualifier or '$LATEST'}")


def killed() -> Outcome:
    """Lambda's outcome when the environment dies, for example out of memory."""
    message = f"RequestId: {uuid.uuid4()} Error: Runtime exited with error: signal: killed"
    return Outcome(
        payload=json.dumps({"errorType": "Runtime.ExitError", "errorMessage": message}).encode(), error="Unhandled"
    )


def _no_streams(_: Params) -> Params:
    raise ApiError("InvalidParameterValueException", "localcloud does not support this operation: use Invoke.", 400)
