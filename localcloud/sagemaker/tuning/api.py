"""Hyperparameter tuning jobs as SageMaker's API shows them: create, describe, list, stop, delete."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from localcloud.cloud import Cloud
from localcloud.errors import ApiError
from localcloud.gateway.service import Service
from localcloud.iam import require_sagemaker_role
from localcloud.sagemaker.defaults import DEFINITION, TUNING, filled
from localcloud.sagemaker.records import Params, invalid, page
from localcloud.sagemaker.tuning.job import Trainer, TuningJob
from localcloud.sagemaker.tuning.record import Trial
from localcloud.sagemaker.tuning.request import NAME, OBJECTIVE, Objective, TuningRequest, parse
from localcloud.sagemaker.tuning.search import Search, search
from localcloud.threads import Threads


@dataclass(kw_only=True)
class Tunings:
    """Every tuning job of this localcloud, by name. `spawn` runs a job in a thread."""

    cloud: Cloud
    trainer: Trainer
    spawn: Callable[..., None]
    closing: threading.Event = field(default_factory=threading.Event)
    jobs: dict[str, TuningJob] = field(default_factory=dict)
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
        """CreateHyperParameterTuningJob: refuses what is known to be wrong; what turns out later fails the job."""
        request = parse(params)
        chooser = self._search(request)
        self.trainer.check(request.training_request(1, {}))
        arn = self.cloud.arn("sagemaker", f"hyper-parameter-tuning-job/{request.name.lower()}")
        require_sagemaker_role(self.cloud.roles, request.role, arn)
        job = TuningJob(request, arn, search=chooser, trainer=self.trainer, now=self.cloud.now, closing=self.closing)
        with self.lock:
            if request.name in self.jobs:
                raise ApiError(
                    "ResourceInUse",
                    "Hyperparameter tuning job names must be unique within an AWS account and region, and a "
                    f"hyperparameter tuning job with this name already exists ({arn})",
                )
            self.jobs[request.name] = job
        self.cloud.tags.put(arn, request.tags)
        self.spawn(job.work)
        return {"HyperParameterTuningJobArn": arn}

    def _search(self, request: TuningRequest) -> Search:
        """A search that knows the trials of the parents (warm start)."""
        chooser = search(request.strategy, request.ranges, maximise=request.objective.maximise, seed=request.seed)
        for parent in self._parents(request):
            for trial in parent.record.trials:
                value = trial.objective(parent.request.objective.metric)
                if value is not None:
                    chooser.learn(trial.chosen, value)
        return chooser

    def _parents(self, request: TuningRequest) -> list[TuningJob]:
        parents = [self._job(name) for name in request.parents]
        running = [parent.name for parent in parents if parent.record.ended is None]
        if running:
            raise invalid(f"Parent hyperparameter tuning job {running[0]} has not ended yet.")
        return parents

    def _job(self, name: str) -> TuningJob:
        with self.lock:
            if name not in self.jobs:
                raise ApiError("ResourceNotFound", f"Amazon SageMaker can't find a tuning job with the name {name}.")
            return self.jobs[name]

    def describe(self, params: Params) -> Params:
        """Answer DescribeHyperParameterTuningJob."""
        job = self._job(params[NAME])
        record, objective, described = job.record, job.request.objective, job.request.described
        best = record.best(objective)
        summary = {key: value for key, value in _summary(job).items() if key not in ("Strategy", "ResourceLimits")}
        return {
            **summary,
            "HyperParameterTuningJobConfig": filled(described["HyperParameterTuningJobConfig"], TUNING),
            "TrainingJobDefinition": _definition(job.request),
            "BestTrainingJob": _trial(best, objective) if best else None,
            "OverallBestTrainingJob": self._overall_best(job),
            "ConsumedResources": {"RuntimeInSeconds": record.seconds()},
            "WarmStartConfig": described.get("WarmStartConfig"),
            "FailureReason": record.reason if record.status == "Failed" else None,
        }

    def _overall_best(self, job: TuningJob) -> Params | None:
        """The best training job of the job and its parents, for a warm start with the same data and algorithm."""
        if job.request.described.get("WarmStartConfig", {}).get("WarmStartType") != "IdenticalDataAndAlgorithm":
            return None
        with self.lock:
            family = [job, *(self.jobs[name] for name in job.request.parents if name in self.jobs)]
        objective = job.request.objective
        found = [(each.name, best) for each in family if (best := each.record.best(objective))]
        values = {name: best.objective(objective.metric) or 0.0 for name, best in found}
        if not found:
            return None
        name, best = (max if objective.maximise else min)(found, key=lambda pair: values[pair[0]])
        return {**_trial(best, objective), "TuningJobName": name}

    def list(self, params: Params) -> Params:
        """Answer ListHyperParameterTuningJobs with its filters, order and pages."""
        with self.lock:
            jobs = list(self.jobs.values())
        rows = [_summary(job) for job in jobs]
        out = "HyperParameterTuningJobSummaries"
        return page(rows, params, name=NAME, out=out, status="HyperParameterTuningJobStatus")

    def list_trials(self, params: Params) -> Params:
        """Answer ListTrainingJobsForHyperParameterTuningJob; trials without an objective come last."""
        job = self._job(params[NAME])
        rows = [_trial(trial, job.request.objective) for trial in job.record.trials]
        if params.get("SortBy") == "FinalObjectiveMetricValue":
            descending = params.get("SortOrder", "Descending") == "Descending"
            rows.sort(key=lambda row: _rank(row, descending=descending))
            return _cut([row for row in rows if params.get("StatusEquals") in (None, row["TrainingJobStatus"])], params)
        return page(rows, params, name="TrainingJobName", out="TrainingJobSummaries", status="TrainingJobStatus")

    def stop(self, params: Params) -> Params:
        self._job(params[NAME]).stop()
        return {}

    def delete(self, params: Params) -> Params:
        """Delete a tuning job that has ended; its training jobs stay."""
        job = self._job(params[NAME])
        record = job.record
        if record.ended is None:
            raise invalid(f"Hyperparameter tuning job {job.name} is {record.status}; stop it first.")
        with self.lock:
            self.jobs.pop(job.name, None)
        self.cloud.tags.forget(job.arn)
        return {}


def service(cloud: Cloud, trainer: Trainer) -> Service:
    """Tuning jobs as a service of the gateway; `trainer` runs their training jobs."""
    threads = Threads()
    tunings = Tunings(cloud=cloud, trainer=trainer, spawn=threads.spawn, closing=threads.closing)
    return Service(name="sagemaker", handlers=tunings.handlers(), close=threads.close)


def _definition(request: TuningRequest) -> Params:
    """TrainingJobDefinition with its defaults, its ResourceConfig, and the hyperparameter that SageMaker adds."""
    definition: Params = request.described["TrainingJobDefinition"]
    static = {**definition.get("StaticHyperParameters", {}), OBJECTIVE: request.objective.metric}
    resources = request.template["ResourceConfig"]
    return {**filled(definition, DEFINITION), "ResourceConfig": resources, "StaticHyperParameters": static}


def _summary(job: TuningJob) -> Params:
    """A HyperParameterTuningJobSummary."""
    record, request = job.record, job.request
    return {
        NAME: job.name,
        "HyperParameterTuningJobArn": job.arn,
        "HyperParameterTuningJobStatus": record.status,
        "Strategy": request.strategy,
        "CreationTime": record.created,
        "HyperParameterTuningEndTime": record.ended,
        "LastModifiedTime": record.modified,
        "TrainingJobStatusCounters": record.counters(),
        "ObjectiveStatusCounters": record.objective_counters(request.objective.metric),
        "ResourceLimits": request.described["HyperParameterTuningJobConfig"]["ResourceLimits"],
    }


def _trial(trial: Trial, objective: Objective) -> Params:
    """A HyperParameterTrainingJobSummary."""
    record, value = trial.job.record, trial.objective(objective.metric)
    final = {
        "Type": "Maximize" if objective.maximise else "Minimize", "MetricName": objective.metric, "Value": value
    }  # fmt: skip
    return {
        "TrainingJobName": trial.job.name,
        "TrainingJobArn": trial.job.arn,
        "CreationTime": record.created,
        "TrainingStartTime": record.started,
        "TrainingEndTime": record.ended,
        "TrainingJobStatus": record.status,
        "TunedHyperParameters": dict(trial.chosen),
        "FailureReason": record.failure,
        "FinalHyperParameterTuningJobObjectiveMetric": final if value is not None else None,
        "ObjectiveStatus": trial.objective_status(objective.metric),
    }


def _rank(row: Params, *, descending: bool) -> tuple[bool, float]:
    final: Any = row["FinalHyperParameterTuningJobObjectiveMetric"]
    value = final["Value"] if final else 0.0
    return final is None, -value if descending else value


def _cut(rows: list[Params], params: Params) -> Params:
    start, size = int(params.get("NextToken") or 0), int(params.get("MaxResults") or 10)
    more = {"NextToken": str(start + size)} if start + size < len(rows) else {}
    return {"TrainingJobSummaries": rows[start : start + size], **more}
