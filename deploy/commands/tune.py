"""tune: a search for good hyperparameters, on SageMaker or on this machine; its best model is training `tuned`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contract import metrics
from deploy.aws.logs import Line
from deploy.commands.train import Local, here_request, job_request, register, train
from deploy.config.section import unknown
from deploy.config.settings import Settings
from deploy.costs import preflight
from deploy.errors import DeployError, JobError, SettingsError
from deploy.iam.role import training_role
from deploy.jobs import records, tuning
from deploy.jobs.backend import follow
from deploy.jobs.local import Here
from deploy.jobs.optuna_search import Ended, search
from deploy.jobs.request import JobRequest
from deploy.jobs.sagemaker import describe as describe_job
from deploy.jobs.tuning import Search, Trial
from deploy.session import Session
from deploy.stage.desired import foundation
from deploy.values import content_hash

PLACES = ("sagemaker", "local")
TUNED = "tuned"
ATTEMPTS = 9
EVERY_S = 5.0


def checked(settings: Settings, on: str) -> str:
    """Where to search. Raises SettingsError for a place that there is not, and for settings that cannot be searched."""
    where = on or ("local" if settings.training.on == "local" else "sagemaker")
    if where not in PLACES:
        raise SettingsError(f"--on: {unknown(where, PLACES)}")
    tuning.check(settings)
    return where


# ---------------------------------------------------------------------------------------------- on SageMaker


def tune(
    session: Session,
    data: str,
    *,
    on: str = "sagemaker",
    local: Local | None = None,
    studies: Path | None = None,
    train_best: bool = False,
) -> Search:
    """Searches on the pictures pushed (or, with `local`, lying here) as `data`; the best model is training `tuned`.

    `studies` is where searches on this machine are kept. With `train_best`, a model is trained anew with the best
    values, on what [training] says. Raises DeployError.
    """
    if on == "local":
        if local is None or studies is None:
            raise JobError("tuning here: no pictures of this machine are given; ./inv tune --on local --source FOLDER")
        found = tune_here(session, data, local, studies=studies)
    else:
        found = tune_there(session, data)
    if train_best and found.best is not None:
        train(session, data, purpose=TUNED, overrides=found.best.values, on=on, local=local, verbose=False)
    return found


def left_running(where: str) -> str:
    """What is said when a person leaves."""
    if where == "local":
        return "the trial is stopped; ./inv tune --on local goes on where it was"
    return "the tuning job goes on and is billed; ./inv tune follows it again, ./inv tune --stop stops it"


def tune_there(session: Session, data: str) -> Search:
    """Searches by a tuning job on the pictures pushed as `data`, or takes it up where it runs or is done.

    The best trial is registered as training `tuned`. Raises DeployError.
    """
    settings = session.settings
    tuning.check(settings)
    job = job_request(session, data, purpose="tune")
    name, found = _attempt(session, tuning.name_of(settings, job))
    if found is None:
        _start(session, job, name)
    else:
        session.screen.say(f"   {name}: {str(found['HyperParameterTuningJobStatus']).lower()}, taken up again")
    status = _follow(session, name)
    result = Search(name=name, status=status["HyperParameterTuningJobStatus"], trials=_trials(session, name))
    if result.best is None:
        reason = status.get("FailureReason") or "no trial has an objective"
        raise JobError(f"tuning job {name}: {result.status}: {reason}\n./inv why {name} looks for the cause")
    best = describe_job(result.best.job, session.call)
    if best is not None:
        _register(session, best, result.best)
    return result


def stop(session: Session) -> str:
    """Stops the newest tuning job that runs; returns its name. Raises JobError."""
    listed = session.call(tuning.running(session.settings)).get("HyperParameterTuningJobSummaries", ())
    if not listed:
        raise JobError(f"{session.settings.prefix}: no tuning job runs")
    session.begin_changes()
    name = str(listed[0][tuning.NAME])
    session.call(tuning.stop(name))
    return name


def _attempt(session: Session, base: str) -> tuple[str, Mapping[str, Any] | None]:
    """The tuning job to take up: one that runs or is done, else a new name: one can be used once only."""
    for number in range(1, ATTEMPTS + 1):
        name = base if number == 1 else f"{base}-{number}"
        found = tuning.describe(name, session.call)
        if found is None or found["HyperParameterTuningJobStatus"] in ("InProgress", "Completed"):
            return name, found
    raise JobError(f"tuning job {base}: {ATTEMPTS} attempts have failed; mend the cause before trying again")


def _start(session: Session, job: JobRequest, name: str) -> None:
    session.settle(foundation(session.settings))
    preflight.tuning(session)
    role = training_role(session.settings).read(session.call)
    session.begin_changes()
    arn = role.attributes["arn"] if role else job.role
    session.call(tuning.create(session.settings, replace(job, role=arn), name))
    wanted = session.settings.tuning
    session.screen.say(f"   {name}: {wanted.strategy}, {wanted.max_parallel} trials at once")


def _follow(session: Session, name: str) -> Mapping[str, Any]:
    """Waits for the end; each trial is told when it has ended."""
    told: set[str] = set()
    while True:
        found = tuning.describe(name, session.call)
        if found is None:
            raise JobError(f"tuning job {name}: is not there")
        for each in _trials(session, name):
            if each.status in tuning.ENDED and each.job not in told:
                told.add(each.job)
                _tell(session, each)
        if found["HyperParameterTuningJobStatus"] in tuning.ENDED:
            return found
        session.clock.sleep(EVERY_S)


def _trials(session: Session, name: str) -> tuple[Trial, ...]:
    return tuning.trials(name, session.settings.tuning, session.call)


def _tell(session: Session, each: Trial) -> None:
    _, objective, seconds, status, values, job = tuning.table([each])[0]
    why = f" ({each.reason})" if each.reason else ""
    session.screen.say(f"   {job}: {status.lower()}{why}, {objective} after {seconds} s with {values}")


def _register(session: Session, found: Mapping[str, Any], best: Trial) -> None:
    """Makes the best trial's model the newest of training `tuned`, which an endpoint may name."""
    settings = session.settings
    name = f"{settings.prefix}-{TUNED}-{content_hash(best.job)}"
    if records.read(settings.bucket, name, session.call) is not None:
        return
    kept = ("TrainingJobStatus", "SecondaryStatus", "ModelArtifacts", "TrainingStartTime", "TrainingEndTime")
    record = {
        **{key: found[key] for key in kept if key in found},
        "TrainingJobName": name,
        "HyperParameters": {**found.get("HyperParameters", {}), **best.values},
        "CreationTime": datetime.now(UTC),
    }
    session.call(records.put(settings.bucket, record))
    session.screen.say(f'   registered as {name}: an endpoint with training = "{TUNED}" serves it')


# ---------------------------------------------------------------------------------------------- on this machine


@dataclass(kw_only=True)
class _Listener:
    """Hears a trial's lines: the objective of each epoch, and whether the search wants it stopped."""

    objective: str
    hear: Callable[[float], bool]
    halt: Callable[[], None]
    halted: bool = False

    def __post_init__(self) -> None:
        self.history: list[float] = []

    def line(self, line: Line) -> None:
        for values in metrics.parse(line.text):
            if self.objective in values:
                self.history.append(values[self.objective])
                if self.hear(values[self.objective]) and not self.halted:
                    self.halted = True
                    self.halt()


def tune_here(session: Session, data: str, local: Local, *, studies: Path) -> Search:
    """The same search in containers of this box, one after another; broken off, it goes on where it was."""
    settings = session.settings
    tuning.check(settings)
    base = here_request(session, local, data, purpose="trial")
    name = tuning.name_of(settings, base)
    place = Here(runs=local.runs, sources=local.sources, say=session.screen.say)
    objective = settings.tuning.objective.replace(":", "_")

    def attempt(values: Mapping[str, str], hear: Callable[[float], bool]) -> Ended:
        key = content_hash(base.name, values)
        hyperparameters = {**base.hyperparameters, **values}
        job = replace(base, name=f"{settings.prefix}-trial-{key}", hyperparameters=hyperparameters)
        return _trial_here(session, place, job, objective=objective, hear=hear)

    def seen(trial: Trial) -> None:
        _tell(session, trial)

    found = search(settings.tuning, name=name, folder=studies, train=attempt, seen=seen)
    trials = tuning.ranked(found, maximise=settings.tuning.direction == "Maximize")
    result = Search(name=name, status="Completed", trials=trials)
    if result.best is None:
        raise JobError(f"search {name}: no trial has an objective: {trials[0].reason if trials else 'none was made'}")
    _register_here(session, place, result.best)
    return result


def _trial_here(
    session: Session, place: Here, job: JobRequest, *, objective: str, hear: Callable[[float], bool]
) -> Ended:
    """One trial to its end. What cannot train is a failed trial; the search goes on."""
    _, found = place.take_up(job)
    listener = _Listener(objective=objective, hear=hear, halt=lambda: place.stop(job.name))
    reason = ""
    try:
        if found is None:
            place.start(job)
        follow(job.name, place, clock=session.clock, line=listener.line)
    except KeyboardInterrupt:
        place.stop(job.name)
        raise
    except JobError as error:
        reason = str(error)
    told = place.describe(job.name) or {}
    began, ended = told.get("TrainingStartTime"), told.get("TrainingEndTime")
    return Ended(
        job=job.name,
        status="Stopped" if listener.halted else str(told.get("TrainingJobStatus", "Failed")),
        history=tuple(listener.history),
        seconds=(ended - began).total_seconds() if began and ended else 0.0,
        artifact=str(told.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")),
        reason="stopped early: it fell behind the median" if listener.halted else reason,
    )


def _register_here(session: Session, place: Here, best: Trial) -> None:
    """Uploads the best model, where the stage answers."""
    found = place.describe(best.job)
    try:
        result = follow(best.job, place, clock=session.clock)
        registered = register(session, place, result)
        uploaded = {**(found or {}), "ModelArtifacts": {"S3ModelArtifacts": registered.artifact}}
        _register(session, uploaded, best)
    except DeployError as error:
        session.screen.say(f"   not registered with stage {session.settings.stage_name}: {error}")
