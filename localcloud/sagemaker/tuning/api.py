"""Hyperparameter tuning jobs as SageMaker's API shows them: create, describe, list, stop, delete."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloud import Cloud
from localcloud.errors import ApiError
from localcloud.gateway.service import Service
from localcloud.iam import require_sagemaker_role
from localcloud.sagemaker.records import Params, invalid, page
from localcloud.sagemaker.tuning import request as plan
from localcloud.sagemaker.tuning.job import Trainer, Trial, TuningRun, objective_status
from localcloud.sagemaker.tuning.search import search
from localcloud.threads import Threads

NAME = "HyperParameterTuningJobName"


@dataclass(kw_only=True)
class Tunings:
    """Every tuning job of this localcloud, by name. `spawn` does work later."""

    cloud: Cloud
    jobs: Trainer
    spawn: Callable[..., None]
    closing: threading.Event = field(default_factory=threading.Event)
    runs: dict[str, TuningRun] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
            "CreateHyperParameterTuningJob": self.create,
            "DescribeHyperParameterTuningJob": self.describe,
            "ListHyperParameterTuningJobs": self.list,
            "ListTrainingJobsForHyperParameterTuningJob": self.list_trials,
            "StopHyperParameterTuningJob": self.stop,
            "DeleteHyperParameterTuningJob": self.delete,
        }

    def create(self, params: Params) -> Params:
        """CreateHyperParameterTuningJob: what can be known to be wrong is told now."""
        ranges = plan.check(params)
        config = params["HyperParameterTuningJobConfig"]
        maximise = config["HyperParameterTuningJobObjective"]["Type"] == "Maximize"
        found = search(config["Strategy"], ranges, maximise=maximise, seed=config.get("RandomSeed"))
        for parent in self._parents(params):
            for trial in parent.trials:
                value = trial.objective(parent.metric)
                if value is not None:
                    found.learn(trial.chosen, value)
        self.jobs.check(plan.training_request(params, 1, {}))
        name, now = params[NAME], self.cloud.now()
        arn = self.cloud.arn("sagemaker", f"hyper-parameter-tuning-job/{name.lower()}")
        require_sagemaker_role(self.cloud.roles, params["TrainingJobDefinition"]["RoleArn"], arn)
        run = TuningRun(
            params=params, arn=arn, limits=plan.limits(params, ranges), search=found, trainer=self.jobs,
            now=self.cloud.now, closing=self.closing, created=now, modified=now,
        )  # fmt: skip
        with self.lock:
            if name in self.runs:
                raise ApiError(
                    "ResourceInUse",
                    "Hyperparameter tuning job names must be unique within an AWS account and region, and a "
                    f"hyperparameter tuning job with this name already exists ({arn})",
                )
            self.runs[name] = run
        self.cloud.tags.put(arn, params.get("Tags"))
        self.spawn(run.work)
        return {"HyperParameterTuningJobArn": arn}

    def _parents(self, params: Params) -> list[TuningRun]:
        asked = params.get("WarmStartConfig", {}).get("ParentHyperParameterTuningJobs", ())
        parents = [self._run(each[NAME]) for each in asked]
        running = [parent.name for parent in parents if parent.ended is None]
        if running:
            raise invalid(f"Parent hyperparameter tuning job {running[0]} has not ended yet.")
        return parents

    def _run(self, name: str) -> TuningRun:
        if name not in self.runs:
            raise ApiError("ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name {name}.")
        return self.runs[name]

    def describe(self, params: Params) -> Params:
        """Answer DescribeHyperParameterTuningJob."""
        run = self._run(params[NAME])
        with run.lock:
            best = run.best()
            shown = {key: value for key, value in _summary(run).items() if key not in ("Strategy", "ResourceLimits")}
            return {
                **shown,
                "HyperParameterTuningJobConfig": run.config,
                "TrainingJobDefinition": run.params["TrainingJobDefinition"],
                "BestTrainingJob": _trial(best, run) if best else None,
                "WarmStartConfig": run.params.get("WarmStartConfig"),
                "FailureReason": run.reason if run.status == "Failed" else None,
            }

    def list(self, params: Params) -> Params:
        """Answer ListHyperParameterTuningJobs with its filters, order and pages."""
        rows = [_summary(run) for run in list(self.runs.values())]
        out = "HyperParameterTuningJobSummaries"
        return page(rows, params, name=NAME, out=out, status="HyperParameterTuningJobStatus")

    def list_trials(self, params: Params) -> Params:
        """Answer ListTrainingJobsForHyperParameterTuningJob; those without an objective come last."""
        run = self._run(params[NAME])
        with run.lock:
            rows = [_trial(trial, run) for trial in run.trials]
        if params.get("SortBy") == "FinalObjectiveMetricValue":
            down = params.get("SortOrder", "Descending") == "Descending"
            rows.sort(key=lambda row: _rank(row, down=down))
            wanted = [row for row in rows if params.get("StatusEquals") in (None, row["TrainingJobStatus"])]
            return _cut(wanted, params)
        return page(rows, params, name="TrainingJobName", out="TrainingJobSummaries", status="TrainingJobStatus")

    def stop(self, params: Params) -> Params:
        self._run(params[NAME]).stop()
        return {}

    def delete(self, params: Params) -> Params:
        """Delete a tuning job that has ended; its training jobs stay."""
        run = self._run(params[NAME])
        if run.ended is None:
            raise invalid(f"Hyperparameter tuning job {run.name} is {run.status}; stop it first.")
        with self.lock:
            self.runs.pop(run.name, None)
        self.cloud.tags.forget(run.arn)
        return {}


def service(cloud: Cloud, jobs: Trainer) -> Service:
    """The room, ready for the server."""
    threads = Threads()
    tunings = Tunings(cloud=cloud, jobs=jobs, spawn=threads.spawn, closing=threads.closing)
    return Service(name="sagemaker", handlers=tunings.handlers(), close=threads.close)


def _summary(run: TuningRun) -> Params:
    return {
        NAME: run.name,
        "HyperParameterTuningJobArn": run.arn,
        "HyperParameterTuningJobStatus": run.status,
        "Strategy": run.config["Strategy"],
        "CreationTime": run.created,
        "HyperParameterTuningEndTime": run.ended,
        "LastModifiedTime": run.modified,
        "TrainingJobStatusCounters": run.counters(),
        "ObjectiveStatusCounters": run.objective_counters(),
        "ResourceLimits": run.config["ResourceLimits"],
    }


def _trial(trial: Trial, run: TuningRun) -> Params:
    """A HyperParameterTrainingJobSummary."""
    record, value = trial.run.record, trial.objective(run.metric)
    objective = {"Type": run.config["HyperParameterTuningJobObjective"]["Type"], "MetricName": run.metric}
    return {
        "TrainingJobName": trial.run.name,
        "TrainingJobArn": trial.run.arn,
        "CreationTime": record.created,
        "TrainingStartTime": record.started,
        "TrainingEndTime": record.ended,
        "TrainingJobStatus": record.status,
        "TunedHyperParameters": dict(trial.chosen),
        "FailureReason": record.failure,
        "FinalHyperParameterTuningJobObjectiveMetric": objective | {"Value": value} if value is not None else None,
        "ObjectiveStatus": objective_status(trial, run.metric),
    }


def _rank(row: Params, *, down: bool) -> tuple[bool, float]:
    found: Any = row["FinalHyperParameterTuningJobObjectiveMetric"]
    value = found["Value"] if found else 0.0
    return found is None, -value if down else value


def _cut(rows: list[Params], params: Params) -> Params:
    start, size = int(params.get("NextToken") or 0), int(params.get("MaxResults") or 10)
    more = {"NextToken": str(start + size)} if start + size < len(rows) else {}
    return {"TrainingJobSummaries": rows[start : start + size], **more}
