"""A Lambda in memory that keeps Lambda's rules of concurrency and aliases: localcloud's handlers without containers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from deploy.errors import AwsError
from deploy.planning.apply import apply
from deploy.planning.plan import plan
from deploy.planning.resource import Resource
from deploy.values import Act, Plan, Ref, Request, State, Step, Wait
from localcloud.errors import ApiError
from localcloud.gateway.protocol import serialize
from localcloud.gateway.validation import validate
from tests.unit.deploy.fakes import FakeTime
from tests.unit.localcloud.awslambda.fakes import Fakes


class LambdaCalls:
    """A client of deploy that calls localcloud's handlers. Before each Get their postponed work is done."""

    def __init__(self, fakes: Fakes) -> None:
        self.fakes = fakes
        self.sent: list[Request] = []

    def __call__(self, request: Request) -> dict[str, Any]:
        self.sent.append(request)
        validate(request.service, request.operation, dict(request.params))
        if request.service == "application-autoscaling":
            return {"ScalableTargets": []}
        if request.operation.startswith("Get"):
            self.fakes.later.run()
        try:
            answer = dict(self.fakes.handlers()[request.operation](dict(request.params)))
        except ApiError as error:
            raise AwsError(operation=request.operation, code=error.code, message=error.message) from error
        serialize("lambda", request.operation, answer)
        if "Payload" in answer:
            answer["Payload"] = io.BytesIO(answer["Payload"])
        return answer

    @property
    def changes(self) -> list[str]:
        """The operations that changed something, without those that only looked."""
        looks = ("Get", "List", "Describe")
        return [each.operation for each in self.sent if not each.operation.startswith(looks)]


class ThroughClient:
    """A boto3 session whose calls go to LambdaCalls: deploy's own client in front of localcloud's handlers. `idle` are
    versions that nobody invoked for weeks: the first call is refused, and they get ready in three looks (rule 93)."""

    def __init__(self, calls: LambdaCalls, idle: dict[str, str]) -> None:
        self.calls, self.idle, self.looks = calls, idle, 0

    def client(self, service: str, **_: Any) -> Any:
        self.service = service
        return self

    def __getattr__(self, name: str) -> Any:
        operation = next(each for each in self.calls.fakes.handlers() if xform_name(each) == name)
        return lambda **params: self._send(operation, params)

    def _send(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        version = str(params.get("Qualifier", ""))
        state = self.idle.get(version, "Active")
        if operation == "Invoke" and state != "Active":
            self._wake(version, state)
        try:
            answer = self.calls(Request(service="lambda", operation=operation, params=params))
        except AwsError as error:
            raise _refused(operation, error.code, error.message) from error
        return (
            {**answer, "State": state} if operation == "GetFunctionConfiguration" and version in self.idle else answer
        )

    def _wake(self, version: str, state: str) -> None:
        self.looks += 1
        self.idle[version] = "Pending" if self.looks < 3 else "Active"
        if state == "Inactive":
            message = "Lambda is initializing your function. It will be ready to invoke shortly."
            raise _refused("Invoke", "CodeArtifactUserPendingException", message)
        told = "The operation cannot be performed at this time. The function is currently in the following state:"
        raise _refused("Invoke", "ResourceConflictException", f"{told} {state}")


def _refused(operation: str, code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


ROLE = State(attributes={"arn": "arn:aws:iam::123456789012:role/kennel-local-lambda"})


def deploy(resources: Sequence[Resource], calls: LambdaCalls) -> tuple[Step, ...]:
    """Plans and applies, and returns the steps that changed something."""
    calls.fakes.later.run()
    observed = {each.address: each.read(calls) for each in resources}
    made = plan(resources, {**observed, "role/kennel-local-lambda": ROLE})
    return apply(made, calls, clock=FakeTime().clock())


def requests(step: Step) -> list[Request]:
    return [act for act in step.acts if isinstance(act, Request)]


def shown(acts: Sequence[Act]) -> list[str]:
    """Acts as a person would note them: "Put 5", "wait READY"."""
    return [_shown(act) for act in acts]


def _shown(act: Act) -> str:
    if isinstance(act, Wait):
        until = act.until if isinstance(act.until, str) else " or ".join(act.until)
        return f"wait {until or 'empty'}"
    if isinstance(act, Request):
        for key in ("ReservedConcurrentExecutions", "ProvisionedConcurrentExecutions", "FunctionVersion"):
            if key in act.params:
                value = act.params[key]
                return f"{act.operation} {'new' if isinstance(value, Ref) else value}"
        return act.operation
    return type(act).__name__.lower()


def applied(made: Plan, calls: LambdaCalls) -> tuple[Step, ...]:
    return apply(made, calls, clock=FakeTime().clock())
