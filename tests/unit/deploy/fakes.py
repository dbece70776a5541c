"""An AWS in memory and a clock that does not wait."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deploy.aws.client import Clock
from deploy.errors import AwsError
from deploy.values import Request

Reply = Mapping[str, Any] | AwsError | Callable[[Mapping[str, Any]], Any]


@dataclass
class FakeTime:
    """A clock that jumps instead of sleeping."""

    time: float = 0.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        return Clock(now=lambda: self.time, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


@dataclass
class FakeAws:
    """Answers operations from a table; a list is answered one by one, its last answer for ever. Keeps all requests."""

    replies: Mapping[str, Reply | Sequence[Reply]] = field(default_factory=dict)
    sent: list[Request] = field(default_factory=list)

    def __call__(self, request: Request) -> dict[str, Any]:
        self.sent.append(request)
        reply = self.replies.get(request.operation, {})
        if isinstance(reply, Sequence):
            count = sum(1 for each in self.sent if each.operation == request.operation)
            reply = reply[min(count, len(reply)) - 1]
        if isinstance(reply, AwsError):
            raise reply
        return dict(reply(request.params) if callable(reply) else reply)

    @property
    def operations(self) -> list[str]:
        return [request.operation for request in self.sent]


def refusal(code: str, message: str = "no") -> AwsError:
    return AwsError(operation="test.Test", code=code, message=message)
