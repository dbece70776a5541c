"""InvokeEndpoint: one request to one instance of one variant, with SageMaker's limits and errors (rules 30-32)."""

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.cloud import Cloud
from localcloud.cloudwatch.meter import ServedRequest
from localcloud.containers.http import BrokenError, Response, TimedOutError, UnreachableError
from localcloud.errors import ApiError
from localcloud.sagemaker.hosting.api import Endpoints
from localcloud.sagemaker.hosting.fleet import Endpoint, Variant
from localcloud.sagemaker.hosting.instances import Instance
from localcloud.sagemaker.hosting.metrics import EndpointMetrics
from localcloud.sagemaker.records import Params

MODEL_SECONDS = 60.0
BODY_LIMIT = 6_291_456
SERVERLESS_LIMIT = 4 * 1024 * 1024
FORWARDED = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
    "TargetVariant": "X-Amzn-SageMaker-Target-Variant",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "SessionId": "X-Amzn-SageMaker-Session-Id",
    "EnableExplanations": "X-Amzn-SageMaker-Enable-Explanations",
}
TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)


def headers_of(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers that the container gets (rule 31)."""
    return {header: params[name] for name, header in FORWARDED.items() if name in params}


@dataclass(kw_only=True)
class Invoker:
    """Forwards requests. `point` returns a random number in [0, 1); `seconds` is how long a model may take."""

    cloud: Cloud
    endpoints: Endpoints
    metrics: EndpointMetrics
    point: Callable[[], float] = random.random
    seconds: float = MODEL_SECONDS
    clock: Callable[[], float] = time.monotonic

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        return {
            "InvokeEndpoint": self.invoke,
            "InvokeEndpointWithResponseStream": _without("response streams"),
        }

    def invoke(self, params: Params) -> Params:
        """Answer InvokeEndpoint."""
        began = self.clock()
        endpoint = self._endpoint(params["EndpointName"])
        variant, instance = self._take(endpoint, params.get("TargetVariant"), ())
        tried: list[Instance] = []
        while True:
            try:
                reply = self._measured(began, variant, instance, params)
                break
            except UnreachableError:
                endpoint.wake.set()  # the watcher checks the instances at once
                tried.append(instance)
            except (TimedOutError, BrokenError) as error:
                endpoint.wake.set()
                raise model_error(self.cloud, variant.spec.group, 0, unanswered(error)) from None
            finally:
                variant.give_back(instance)
            variant, instance = self._take(endpoint, params.get("TargetVariant"), tuple(tried))
        return self._answer(variant, reply)

    def _endpoint(self, name: str) -> Endpoint:
        endpoint = self.endpoints.find(name)
        if endpoint is None or endpoint.fleet is None:
            raise ApiError("ValidationError", f"Endpoint {name} of account {self.cloud.account} not found.", 400)
        if endpoint.fleet.asynchronous:
            raise ApiError("ValidationError", f"Endpoint {name} is asynchronous: use InvokeEndpointAsync.", 400)
        return endpoint

    def _take(self, endpoint: Endpoint, target: str | None, avoid: tuple[Instance, ...]) -> tuple[Variant, Instance]:
        """Reserve an instance. Tries again when the chosen fleet is retired meanwhile."""
        for _ in range(3):
            try:
                variant = endpoint.route(target, (self.point(), self.point()))
            except KeyError:
                raise ApiError(
                    "ValidationError", f"Variant {target} not found for endpoint {endpoint.name}.", 400
                ) from None
            except ValueError:
                raise ApiError(
                    "ValidationError", f"Every variant of endpoint {endpoint.name} has weight 0.", 400
                ) from None
            instance = variant.take(avoid=avoid) if variant else None
            if variant is not None and instance is not None:
                return variant, instance
        raise ApiError(
            "ServiceUnavailable", f"No instance of endpoint {endpoint.name} answers; it is being replaced.", 503
        )

    def _measured(self, began: float, variant: Variant, instance: Instance, params: Params) -> Response:
        """Send the request and record the invocation. A request that reached no model is not an invocation."""
        with self.metrics.serving(variant.spec.endpoint, variant.spec.name) as meter:
            sent, status = self.clock(), 0
            try:
                reply = self._send(variant, instance, params)
                status = reply.status
            except (ApiError, UnreachableError):
                status = -1
                raise
            finally:
                ended = self.clock()
                if status >= 0:
                    count = max(1, len(variant.instances))
                    meter.record(
                        ServedRequest(instances=count, status=status, model_s=ended - sent, overhead_s=sent - began)
                    )
        return reply

    def _send(self, variant: Variant, instance: Instance, params: Params) -> Response:
        body = params.get("Body", b"")
        serverless = variant.spec.variant.get("ServerlessConfig")
        limit = SERVERLESS_LIMIT if serverless else BODY_LIMIT
        if len(body) > limit:
            raise ApiError("ValidationError", f"The body has {len(body)} bytes; the limit is {limit}.", 413)
        if serverless and instance.outstanding > serverless["MaxConcurrency"]:
            raise ApiError("ThrottlingException", "Rate exceeded: MaxConcurrency requests are being served.", 429)
        return instance.http.request(
            "POST", "/invocations", body=body, headers=headers_of(params), timeout=self.seconds
        )

    def _answer(self, variant: Variant, reply: Response) -> Params:
        if not 200 <= reply.status < 300:
            text = reply.body.decode(errors="replace")
            raise model_error(self.cloud, variant.spec.group, reply.status, text)
        if len(reply.body) > BODY_LIMIT:
            words = f"the answer has {len(reply.body)} bytes; the limit is {BODY_LIMIT}"
            raise model_error(self.cloud, variant.spec.group, reply.status, words)
        return {
            "Body": reply.body,
            "ContentType": reply.headers.get("Content-Type"),
            "InvokedProductionVariant": variant.spec.name,
            "CustomAttributes": reply.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
        }


def model_error(cloud: Cloud, group: str, status: int, text: str) -> ApiError:
    """Return the 424 error for a container's failure (rule 32). `group` is the container's log group."""
    region = cloud.region
    side = "client" if 400 <= status < 500 else "server"
    message = (
        f'Received {side} error ({status}) from primary with message "{text[:1024]}". See '
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} "
        f"in account {cloud.account} for more information."
    )
    return ApiError(
        "ModelError",
        message,
        424,
        OriginalStatusCode=status,
        OriginalMessage=text[:2048],
        LogStreamArn=cloud.arn("logs", f"log-group:{group}"),
    )


def unanswered(error: Exception) -> str:
    """Return the message for a container that did not answer."""
    return (
        TIMED_OUT
        if isinstance(error, TimedOutError)
        else f"The container closed the connection without an answer: {error}"
    )


def _without(what: str) -> Callable[[Params], Params]:
    def refuse(_: Params) -> Params:
        raise ApiError("ValidationError", f"localcloud does not have {what}.", 400)

    return refuse
