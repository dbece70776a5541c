"""tune: searches for good hyperparameters, on SageMaker or on this machine; its best model becomes training `tuned`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from contract import metrics
from deploy.aws.client import pages
from deploy.aws.logs import Line
from deploy.commands.train import LocalPaths, job_request, local_request, register, train, with_role
from deploy.config.section import unknown
from deploy.config.settings import Settings
from deploy.costs import preflight
from deploy.errors import DeployError, JobError, SettingsError
from deploy.jobs import records, tuning
from deploy.jobs.backend import follow
from deploy.jobs.lifecycle import ENDED, JobStatus, find_attempt, poll, reused
from deploy.jobs.local import LocalBackend
from deploy.jobs.optuna_search import TrialResult, search
from deploy.jobs.request import JobRequest
from deploy.jobs.training_job import TrainingJob
from deploy.jobs.training_job import describe as describe_job
from deploy.jobs.tuning import Search, Trial
from deploy.session import Session
from deploy.stage.desired import foundation
from deploy.values import content_hash

BACKENDS = ("sagemaker", "local")
TUNED = "tuned"
ATTEMPTS = 9
EVERY_S = 5.0


def checked(settings: Settings, on: str) -> str:
    """The backend to search on: sagemaker or local. Raises SettingsError for any other, and for an invalid [tuning]."""
    backend = on or ("local" if settings.training.on == "local" else "sagemaker")
    if backend not in BACKENDS:
        raise SettingsError(f"--on: {unknown(backend, BACKENDS)}")
    tuning.check(settings)
    return backend


# ---------------------------------------------------------------------------------------------- on SageMaker


def tune(
    session: Session,
    data: str,
    *,
    on: str = "sagemaker",
    local: LocalPaths | None = None,
    studies: Path | None = None,
    train_best: bool = False,
) -> Search:
    """Searches on the pictures pushed as `data`; the best model becomes training `tuned`.

    With on="local" it searches on the pictures of `local` and keeps its studies in the folder `studies`. With
    `train_best` it then trains one more model, with the best values and the machines of [training]. Raises DeployError.
    """
    if on == "local":
        if local is None or studies is None:
            raise JobError("local tuning: no folder of pictures given; run ./inv tune --on local --source FOLDER")
        result = tune_locally(session, data, local, studies=studies)
    else:
        result = tune_on_sagemaker(session, data)
    if train_best and result.best is not None:
        train(session, data, purpose=TUNED, overrides=result.best.values, on=on, local=local, show_log=False)
    return result


def left_running(backend: str) -> str:
    """The message after Ctrl-C: whether the search still runs."""
    if backend == "local":
        return "the trial is stopped; ./inv tune --on local resumes the search"
    return "the tuning job is still running and billed; ./inv tune follows it again, ./inv tune --stop stops it"


def tune_on_sagemaker(session: Session, data: str) -> Search:
    """Runs a tuning job on the pictures pushed as `data`, or follows the one that runs or has completed.

    Registers the best trial as training `tuned`. Raises DeployError.
    """
    settings = session.settings
    tuning.check(settings)
    job = job_request(session, data, purpose="tune")
    name, state = find_attempt(
        "tuning job",
        tuning.name_of(settings, job),
        partial(tuning.describe, call=session.call),
        reusable=lambda each: each.status in ("InProgress", "Completed"),
        attempts=ATTEMPTS,
    )
    if state is None:
        _start(session, job, name)
    else:
        session.screen.say(reused(name, state.status))
    state = _follow(session, name)
    result = Search(name=name, status=state.status, trials=_trials(session, name))
    if result.best is None:
        reason = state.failure_reason or "no trial has an objective"
        raise JobError(f"tuning job {name}: {state.status}: {reason}\n./inv why {name} diagnoses the failure")
    best = describe_job(result.best.job, session.call)
    if best is not None:
        _register(session, best, result.best)
    return result


def stop(session: Session) -> str:
    """Stops the newest running tuning job; returns its name. Raises JobError."""
    running = pages(session.call, tuning.running(session.settings), items="HyperParameterTuningJobSummaries")
    names = (str(each[tuning.NAME]) for each in running)
    name = next((name for name in names if session.settings.may_own(name)), "")
    if not name:
        raise JobError(f"{session.settings.prefix}: no tuning job is running")
    session.begin_changes()
    session.call(tuning.stop(name))
    return name


def _start(session: Session, job: JobRequest, name: str) -> None:
    session.settle(foundation(session.settings))
    preflight.tuning(session)
    request = tuning.create(session.settings, with_role(session, job), name)
    session.begin_changes()
    session.call(request)
    options = session.settings.tuning
    session.screen.say(f"   {name}: {options.strategy}, {options.max_parallel} trials at once")


def _follow(session: Session, name: str) -> JobStatus:
    """Follows the tuning job to its end and shows each trial as it ends."""
    shown: set[str] = set()
    describe = partial(tuning.describe, call=session.call)
    for state in poll("tuning job", name, describe, clock=session.clock, every=EVERY_S):  # noqa: B007 (the last state is returned)
        for each in _trials(session, name):
            if each.status in ENDED and each.job not in shown:
                shown.add(each.job)
                _show(session, each)
    return state


def _trials(session: Session, name: str) -> tuple[Trial, ...]:
    return tuning.trials(name, session.settings.tuning, session.call)


def _show(session: Session, each: Trial) -> None:
    _, objective, seconds, status, values, job = tuning.table([each])[0]
    why = f" ({each.reason})" if each.reason else ""
    session.screen.say(f"   {job}: {status.lower()}{why}, {objective} after {seconds} s with {values}")


def _register(session: Session, job: TrainingJob, best: Trial) -> None:
    """Records the best trial's model as the newest of training `tuned`, which an endpoint may serve."""
    settings = session.settings
    name = f"{settings.prefix}-{TUNED}-{content_hash(best.job)}"
    if records.read(settings.bucket, name, session.call) is not None:
        return
    tuned = TrainingJob(
        name=name,
        status=job.status,
        secondary_status=job.secondary_status,
        artifact=job.artifact,
        hyperparameters={**job.hyperparameters, **best.values},
        created=datetime.now(UTC),
        started=job.started,
        ended=job.ended,
    )
    session.call(records.put(settings.bucket, tuned))
    session.screen.say(f'   registered as {name}: an endpoint with training = "{TUNED}" serves it')


# ---------------------------------------------------------------------------------------------- on this machine


@dataclass(kw_only=True)
class _Listener:
    """Reads each epoch's objective from a trial's lines, and stops the trial when the search says so."""

    objective: str
    should_stop: Callable[[float], bool]
    stop: Callable[[], None]
    stopped: bool = False

    def __post_init__(self) -> None:
        self.history: list[float] = []

    def line(self, line: Line) -> None:
        for values in metrics.parse(line.text):
            if self.objective in values:
                self.history.append(values[self.objective])
                if self.should_stop(values[self.objective]) and not self.stopped:
                    self.stopped = True
                    self.stop()


def tune_locally(session: Session, data: str, local: LocalPaths, *, studies: Path) -> Search:
    """The same search in containers on this machine, one after another; an interrupted search resumes."""
    settings = session.settings
    tuning.check(settings)
    base = local_request(session, local, data, purpose="trial")
    name = tuning.name_of(settings, base)
    backend = LocalBackend(runs=local.runs, sources=local.sources, say=session.screen.say)
    objective = settings.tuning.objective.replace(":", "_")

    def attempt(values: Mapping[str, str], should_stop: Callable[[float], bool]) -> TrialResult:
        key = content_hash(base.name, values)
        hyperparameters = {**base.hyperparameters, **values}
        job = replace(base, name=f"{settings.prefix}-trial-{key}", hyperparameters=hyperparameters)
        return _run_locally(session, backend, job, objective=objective, should_stop=should_stop)

    ended = search(settings.tuning, name=name, folder=studies, train=attempt, on_trial=partial(_show, session))
    trials = tuning.ranked(ended, maximise=settings.tuning.direction == "Maximize")
    result = Search(name=name, status="Completed", trials=trials)
    if result.best is None:
        raise JobError(f"search {name}: no trial has an objective: {trials[0].reason if trials else 'none was made'}")
    _register_local(session, backend, result.best)
    return result


def _run_locally(
    session: Session, backend: LocalBackend, job: JobRequest, *, objective: str, should_stop: Callable[[float], bool]
) -> TrialResult:
    """Runs one trial to its end. An error of its training makes it a failed trial, and the search continues."""
    _, state = backend.find_attempt(job)
    listener = _Listener(objective=objective, should_stop=should_stop, stop=lambda: backend.stop(job.name))
    reason = ""
    try:
        if state is None:
            backend.start(job)
        follow(job.name, backend, clock=session.clock, on_line=listener.line)
    except KeyboardInterrupt:
        backend.stop(job.name)
        raise
    except JobError as error:
        reason = str(error)
    ended = backend.describe(job.name) or TrainingJob(name=job.name, status="Failed")
    return TrialResult(
        job=job.name,
        status="Stopped" if listener.stopped else ended.status,
        history=tuple(listener.history),
        seconds=ended.seconds,
        artifact=ended.artifact,
        reason="stopped early: worse than the median" if listener.stopped else reason,
    )


def _register_local(session: Session, backend: LocalBackend, best: Trial) -> None:
    """Uploads the best model if the stage answers."""
    try:
        result = follow(best.job, backend, clock=session.clock)
        registered = register(session, backend, result)
        job = backend.describe(best.job) or TrainingJob(name=best.job, status=result.status)
        _register(session, replace(job, artifact=registered.artifact), best)
    except DeployError as error:
        session.screen.say(f"   not registered with stage {session.settings.stage_name}: {error}")
