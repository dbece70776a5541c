"""What training, tuning and transform jobs share: final statuses, names for attempts, and polling until the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeVar

from deploy.aws.client import Clock
from deploy.errors import JobError

ENDED = ("Completed", "Failed", "Stopped")


class HasStatus(Protocol):
    """A job's current state: `status` is AWS's word, such as InProgress."""

    @property
    def status(self) -> str: ...


Job = TypeVar("Job", bound=HasStatus)
Describe = Callable[[str], Job | None]


@dataclass(frozen=True, kw_only=True)
class JobStatus:
    """The state of a transform or tuning job."""

    status: str
    failure_reason: str = ""


def find_attempt(
    noun: str, base: str, describe: Describe[Job], *, reusable: Callable[[Job], bool], attempts: int
) -> tuple[str, Job | None]:
    """The first name of `base`, base-2, base-3, … that is free (None) or belongs to a reusable job.

    AWS does not accept the name of an earlier job, even of a failed one. Raises JobError after `attempts` names.
    """
    for number in range(1, attempts + 1):
        name = base if number == 1 else f"{base}-{number}"
        job = describe(name)
        if job is None or reusable(job):
            return name, job
    raise JobError(f"{noun} {base}: {attempts} attempts have failed; fix the cause before trying again")


def poll(noun: str, name: str, describe: Describe[Job], *, clock: Clock, every: float) -> Iterator[Job]:
    """The job's state now and every `every` seconds until it has ended. Raises JobError when it does not exist."""
    while True:
        job = describe(name)
        if job is None:
            raise JobError(f"{noun} {name}: does not exist")
        yield job
        if job.status in ENDED:
            return
        clock.sleep(every)


def reused(name: str, status: str) -> str:
    """The progress line for a job that is followed rather than started."""
    return f"   {name}: already {status.lower()}, not started again"
