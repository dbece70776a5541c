"""A Lambda in memory that keeps Lambda's rules of concurrency and aliases: localcloud's handlers without containers."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

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
        return f"wait {act.until or 'empty'}"
    if isinstance(act, Request):
        for key in ("ReservedConcurrentExecutions", "ProvisionedConcurrentExecutions", "FunctionVersion"):
            if key in act.params:
                value = act.params[key]
                return f"{act.operation} {'new' if isinstance(value, Ref) else value}"
        return act.operation
    return type(act).__name__.lower()


def applied(made: Plan, calls: LambdaCalls) -> tuple[Step, ...]:
    return apply(made, calls, clock=FakeTime().clock())
