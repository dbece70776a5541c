"""Runs a plan's steps through the AWS client: fills in Refs, sends requests, waits. After a failure, run it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.aws.client import Clock, is_made, is_missing, is_removed, is_throttled
from deploy.aws.s3_empty import empty_bucket
from deploy.errors import AwsError, DeployError
from deploy.planning.answer import dig, is_busy, mismatch, read
from deploy.values import Act, Call, Check, EmptyBucket, Plan, Ref, Request, Step, Wait

Say = Callable[[Step, str], None]
BUSY_PAUSES = (1.0, 2.0, 4.0, 8.0)  # seconds


def silent(step: Step, status: str) -> None:
    """Says nothing."""


def apply(plan: Plan, call: Call, *, clock: Clock | None = None, say: Say = silent) -> tuple[Step, ...]:
    """Runs every step that changes something, and returns those steps. `say` gets each status of a step, last "done".

    Raises DeployError, naming the step that failed. The steps before it stay done, and the next run skips them.
    """
    known = {f"{address}.{name}": value for address, given in plan.known.items() for name, value in given.items()}
    run = _Run(call=call, clock=clock or Clock(), say=say, known=known)
    for step in plan.changes:
        say(step, "…")
        for act in step.acts:
            run.act(act, step)
        say(step, "done")
    return plan.changes


def resolve(value: Any, known: Mapping[str, str]) -> Any:
    """`value` with each Ref replaced by its value. Raises KeyError for a Ref that no step gave: a bug of the plan."""
    if isinstance(value, Ref):
        return known[f"{value.address}.{value.attribute}"]
    if isinstance(value, Mapping):
        return {key: resolve(inner, known) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(inner, known) for inner in value]
    return value


def wait(act: Wait, call: Call, *, clock: Clock, report: Callable[[str], None] = lambda _: None) -> None:
    """Asks until the wait is over; `report` gets each new status. Raises DeployError on failure or timeout."""
    began, last, pause = clock.now(), "", min(0.5, act.every)
    while True:
        try:
            answer = call(act.request)
        except AwsError as error:
            if act.gone and is_missing(error):
                return
            raise
        status = str(dig(answer, act.path)) if act.path else "deleting"
        if status != last and not act.empty:
            report(status)
            last = status
        if not act.gone and (not dig(answer, act.path) if act.empty else status in _awaited(act)):
            _expect(act, answer)
            return
        if status in act.failed:
            reason = dig(answer, act.reason) or "no reason given"
            raise DeployError(_with_fix(f"{act.request.operation}: {status}: {reason}", act))
        if clock.now() - began > act.timeout:
            late = f"{act.request.operation}: still {status} after {act.timeout:.0f} s; see ./inv status"
            raise DeployError(_with_fix(late, act))
        clock.sleep(pause)
        pause = min(1.5 * pause, act.every)


@dataclass(kw_only=True)
class _Run:
    """One run of a plan. `known` grows by the attributes that answers give."""

    call: Call
    clock: Clock
    say: Say
    known: dict[str, str]

    def act(self, act: Act, step: Step) -> None:
        try:
            if isinstance(act, Wait):
                filled = replace(act, request=self._filled(act.request))
                wait(filled, self.call, clock=self.clock, report=lambda status: self.say(step, status))
            elif isinstance(act, Check):
                if problem := self._mismatch(act, step):
                    raise DeployError(problem)
            elif isinstance(act, EmptyBucket):
                empty_bucket(act.bucket, self.call)
            else:
                answer = self._send(act, step)
                self.known.update({name: str(dig(answer, place)) for name, place in act.gives.items()})
        except AwsError as error:
            raise _named(error, step) from error
        except DeployError as error:
            raise DeployError(f"{step.address}: {error}") from error

    def _mismatch(self, check: Check, step: Step) -> str:
        """How the answer differs from what is expected; "" when it does not. Busy or throttled, it is asked again."""
        for pause in BUSY_PAUSES:
            try:
                answer = read(check, self._send(check.request, step))
            except AwsError as error:
                if not is_throttled(error):  # callers may use all of the function's concurrency for a while
                    raise
            else:
                if not is_busy(check, answer):
                    break
            self.clock.sleep(pause)
        else:
            answer = read(check, self._send(check.request, step))
        return mismatch(check, answer)

    def _send(self, request: Request, step: Step) -> dict[str, Any]:
        """The answer; {} when AWS refuses because the request's effect is there already."""
        try:
            return self.call(self._filled(request))
        except AwsError as error:
            if is_made(error) or (step.action == "delete" and is_removed(error)):
                return {}
            raise

    def _filled(self, request: Request) -> Request:
        return replace(request, params=resolve(request.params, self.known))


def _awaited(act: Wait) -> tuple[str, ...]:
    return (act.until,) if isinstance(act.until, str) else act.until


def _expect(act: Wait, answer: Mapping[str, Any]) -> None:
    for path, value in act.expect.items():
        if dig(answer, path) != value:
            reason = dig(answer, act.reason) or act.unmet
            message = f"{act.request.operation}: rolled back: {path} is {dig(answer, path)}, not {value}: {reason}"
            raise DeployError(_with_fix(message, act))


def _with_fix(message: str, act: Wait) -> str:
    return f"{message}\n{act.fix}" if act.fix else message


def _named(error: AwsError, step: Step) -> DeployError:
    return DeployError(f"{step.address}: {error}\nthe steps before it are done; run the same command again to continue")
