"""Runs a plan's steps through the door: puts Refs in, sends, waits. After a failure the next run goes on from there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deploy.aws.client import Clock, is_missing
from deploy.aws.requests import s3
from deploy.errors import AwsError, DeployError
from deploy.values import Act, Call, Check, Empty, Plan, Ref, Request, Step, Wait

# SageMaker's words on what does not run: a notebook instance, a job.
STOPPED = re.compile(r"Unable to transition to \(Stopping\)|rejected because the .*job is in status")

Say = Callable[[Step, str], None]


def silent(step: Step, status: str) -> None:
    """Says nothing."""


def apply(plan: Plan, call: Call, *, clock: Clock | None = None, say: Say = silent) -> tuple[Step, ...]:
    """Runs every step that changes something and returns those. `say` hears a step's progress and, at its end, "done".

    Raises DeployError, naming the step; what came before it stays and is not done again by the next run.
    """
    known = {f"{address}.{name}": value for address, found in plan.known.items() for name, value in found.items()}
    run = _Run(call=call, clock=clock or Clock(), say=say, known=known)
    for step in plan.changes:
        say(step, "…")
        for act in step.acts:
            run.act(act, step)
        say(step, "done")
    return plan.changes


def resolve(value: Any, known: Mapping[str, str]) -> Any:
    """`value` with each Ref replaced by what it names. Raises KeyError for one that no step gave: a bug of the plan."""
    if isinstance(value, Ref):
        return known[f"{value.address}.{value.attribute}"]
    if isinstance(value, Mapping):
        return {key: resolve(inner, known) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(inner, known) for inner in value]
    return value


def dig(answer: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted place of an answer (a number is a place in a list), or None."""
    value: Any = answer
    for part in path.split("."):
        if isinstance(value, list) and part.isdigit():
            value = value[int(part)] if int(part) < len(value) else None
        elif isinstance(value, Mapping):
            value = value.get(part)
        else:
            return None
    return value


def wait(act: Wait, call: Call, *, clock: Clock, seen: Callable[[str], None] = lambda _: None) -> None:
    """Asks until it is so; `seen` hears each new status. Raises DeployError on failure or when time is up."""
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
            seen(status)
            last = status
        if not act.gone and (not dig(answer, act.path) if act.empty else status in _wanted(act)):
            _expect(act, answer)
            return
        if status in act.failed:
            why = dig(answer, act.reason) or "no reason given"
            raise DeployError(_with_fix(f"{act.request.operation}: {status}: {why}", act))
        if clock.now() - began > act.timeout:
            late = f"{act.request.operation}: still {status} after {act.timeout:.0f} s; ./inv status shows it"
            raise DeployError(_with_fix(late, act))
        clock.sleep(pause)
        pause = min(1.5 * pause, act.every)


@dataclass(kw_only=True)
class _Run:
    """One run of a plan: `known` grows with what the answers give."""

    call: Call
    clock: Clock
    say: Say
    known: dict[str, str]

    def act(self, act: Act, step: Step) -> None:
        try:
            if isinstance(act, Wait):
                known = replace(act, request=self._filled(act.request))
                wait(known, self.call, clock=self.clock, seen=lambda status: self.say(step, status))
            elif isinstance(act, Check):
                if fault := act.fault(self._send(act.request, step)):
                    raise DeployError(fault)
            elif isinstance(act, Empty):
                for request in emptying(act.bucket, self.call):
                    self.call(request)
            else:
                answer = self._send(act, step)
                self.known.update({name: str(dig(answer, place)) for name, place in act.gives.items()})
        except AwsError as error:
            raise _named(error, step) from error
        except DeployError as error:
            raise DeployError(f"{step.address}: {error}") from error

    def _send(self, request: Request, step: Step) -> dict[str, Any]:
        """What a deletion finds gone is as good as deleted, what does not run as good as stopped, and a bucket that we
        own already as good as made."""
        try:
            return self.call(self._filled(request))
        except AwsError as error:
            if step.action == "delete" and (is_missing(error) or STOPPED.search(error.message)):
                return {}
            if error.code == "BucketAlreadyOwnedByYou":  # another deploy was quicker
                return {}
            raise

    def _filled(self, request: Request) -> Request:
        return replace(request, params=resolve(request.params, self.known))


def _wanted(act: Wait) -> tuple[str, ...]:
    return (act.until,) if isinstance(act.until, str) else act.until


def _expect(act: Wait, answer: Mapping[str, Any]) -> None:
    for path, value in act.expect.items():
        if dig(answer, path) != value:
            why = dig(answer, act.reason) or "the new instances did not become healthy"
            told = f"{act.request.operation}: rolled back: {path} is {dig(answer, path)}, not {value}: {why}"
            raise DeployError(_with_fix(told, act))


def _with_fix(told: str, act: Wait) -> str:
    return f"{told}\n{act.fix}" if act.fix else told


def _named(error: AwsError, step: Step) -> DeployError:
    return DeployError(f"{step.address}: {error}\nwhat came before is done; run it again to go on from there")


def emptying(bucket: str, call: Call) -> Iterator[Request]:
    """The requests that delete every version of every object, a thousand at a time."""
    params = {"Bucket": bucket}
    while True:
        answer = call(s3("ListObjectVersions", **params))
        found = [*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())]
        if not found:
            return
        objects = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
        yield s3("DeleteObjects", **params, Delete={"Objects": objects, "Quiet": True})
