"""Collects the facts of a job, endpoint, function or instance by its name. Only reads.

Each kind has its own describe operation. What these credentials may not read is listed in the facts, and the diagnosis
goes on without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from deploy.aws.client import lookup
from deploy.aws.logs import LogReader, job_reader
from deploy.config.settings import Settings
from deploy.costs import quotas
from deploy.diagnosis.endpoint_facts import variants
from deploy.diagnosis.facts import (
    FactKind,
    Facts,
    ObservedFunction,
    ObservedImage,
    ObservedRole,
    ProvisionedConcurrency,
)
from deploy.errors import AwsError, DeployError
from deploy.images import checks
from deploy.images.recipe import KINDS
from deploy.jobs.training_job import describe
from deploy.values import Call, Request

KEPT_LINES = 50
SAGEMAKER, LAMBDA, EC2 = "sagemaker.amazonaws.com", "lambda.amazonaws.com", "ec2.amazonaws.com"
Described = Mapping[str, Any]


class Images(Protocol):
    """Looks an image up by its URI."""

    def look(self, uri: str, consumer: checks.Consumer) -> ObservedImage: ...


@dataclass(frozen=True, kw_only=True)
class Collector:
    """Collects facts with `call` and `images`; `now` is the time. None of its requests changes anything."""

    settings: Settings
    call: Call
    images: Images
    now: Callable[[], datetime]
    unreadable: list[str] = field(default_factory=list)

    def collect(self, name: str) -> Facts:
        """The facts of the first thing with that name. For an unknown name: the facts of what it would be made of."""
        facts = self._first(name) or self._absent(name)
        return replace(facts, unreadable=tuple(self.unreadable))

    def _first(self, name: str) -> Facts | None:
        for look in (self._endpoint, self._job, self._function, self._transform, self._tuning, self._instance):
            try:
                facts = look(name)
            except AwsError as error:  # a role that may read this stage only is refused other names
                self.unreadable.append(str(error).splitlines()[0])
                continue
            if facts is not None:
                return facts
        return None

    def _ask(self, service: str, operation: str, **params: Any) -> Described | None:
        return lookup(self.call, Request(service=service, operation=operation, params=params))

    def _try(self, what: str, read: Callable[[], Any], otherwise: Any) -> Any:
        """What `read` returns; `otherwise` when it fails, with a line in `unreadable`."""
        try:
            return read()
        except DeployError as error:
            self.unreadable.append(f"{what}: {str(error).splitlines()[0]}")
            return otherwise

    def _endpoint(self, name: str) -> Facts | None:
        endpoint = self._ask("sagemaker", "DescribeEndpoint", EndpointName=name)
        if endpoint is None:
            return None
        configs = [endpoint.get("EndpointConfigName"), _pending(endpoint)]
        known = [c for c in (self._config(config) for config in configs if config) if c]
        models = [m for config in known for m in self._models(config)]
        observed = self._try("variants", lambda: variants(self.settings, self.call, endpoint, known), ())
        return Facts(
            kind="endpoint",
            name=name,
            status=str(endpoint["EndpointStatus"]),
            reason=str(endpoint.get("FailureReason", "")),
            changed=endpoint.get("LastModifiedTime"),
            since_s=self._since(endpoint.get("LastModifiedTime")),
            details=_endpoint_details(endpoint),
            lines=self._lines(LogReader(call=self.call, group=f"/aws/sagemaker/Endpoints/{name}")),
            images=self._images((_container(model)["Image"] for model in models), "SageMaker"),
            roles=self._roles((model.get("ExecutionRoleArn", "") for model in models), SAGEMAKER),
            variants=observed,
            quotas=self._quotas("deploy"),
        )

    def _config(self, name: str) -> Described | None:
        return self._ask("sagemaker", "DescribeEndpointConfig", EndpointConfigName=name)

    def _models(self, config: Described) -> Iterator[Described]:
        for variant in config["ProductionVariants"]:
            model = self._ask("sagemaker", "DescribeModel", ModelName=variant.get("ModelName", ""))
            if model is not None:
                yield model

    def _job(self, name: str) -> Facts | None:
        job = describe(name, self.call)
        if job is None:
            return None
        return Facts(
            kind="training job",
            name=name,
            status=job.status,
            reason=job.failure_reason,
            changed=job.modified,
            since_s=self._since(job.modified),
            details={
                "secondary status": job.secondary_status,
                "instances": f"{job.instance_count} × {job.instance_type}",
            },
            lines=self._lines(job_reader(name, self.call)),
            images=self._images([job.image], "SageMaker"),
            roles=self._roles([job.role], SAGEMAKER),
            quotas=self._quotas("train"),
        )

    def _function(self, name: str) -> Facts | None:
        function = self._ask("lambda", "GetFunction", FunctionName=name)
        if function is None:
            return None
        config = function["Configuration"]
        update_failed = config.get("LastUpdateStatus") == "Failed"
        return Facts(
            kind="function",
            name=name,
            status="Failed" if update_failed else str(config.get("State", "Active")),
            reason=str(config.get("LastUpdateStatusReason" if update_failed else "StateReason", "")),
            details={"image": str(function.get("Code", {}).get("ImageUri", ""))},
            lines=self._lines(LogReader(call=self.call, group=f"/aws/lambda/{name}")),
            images=self._images([function.get("Code", {}).get("ImageUri", "")], "Lambda"),
            roles=self._roles([config["Role"]], LAMBDA),
            function=self._try("aliases", lambda: self._concurrency(name), None),
        )

    def _concurrency(self, name: str) -> ObservedFunction:
        aliases = (self._ask("lambda", "ListAliases", FunctionName=name) or {}).get("Aliases", ())
        listed = self._ask("lambda", "ListProvisionedConcurrencyConfigs", FunctionName=name) or {}
        reserved = self._ask("lambda", "GetFunctionConcurrency", FunctionName=name) or {}
        return ObservedFunction(
            aliases={each["Name"]: each["FunctionVersion"] for each in aliases},
            moving=tuple(
                each["Name"] for each in aliases if each.get("RoutingConfig", {}).get("AdditionalVersionWeights")
            ),
            reserved=reserved.get("ReservedConcurrentExecutions"),
            provisioned=tuple(map(_provisioned, listed.get("ProvisionedConcurrencyConfigs", ()))),
        )

    def _transform(self, name: str) -> Facts | None:
        job = self._ask("sagemaker", "DescribeTransformJob", TransformJobName=name)
        return None if job is None else self._plain("transform job", name, job, "TransformJob")

    def _tuning(self, name: str) -> Facts | None:
        if len(name) > 32:  # AWS refuses longer names instead of answering that there is no such job
            return None
        operation, key = "DescribeHyperParameterTuningJob", "HyperParameterTuningJobName"
        job = self._ask("sagemaker", operation, **{key: name})
        return None if job is None else self._plain("tuning job", name, job, "HyperParameterTuningJob")

    def _plain(self, kind: FactKind, name: str, job: Described, word: str) -> Facts:
        group = f"/aws/sagemaker/{word}s"
        return Facts(
            kind=kind,
            name=name,
            status=str(job[f"{word}Status"]),
            reason=str(job.get("FailureReason", "")),
            lines=self._lines(LogReader(call=self.call, group=group, prefix=f"{name}/")),
        )

    def _instance(self, name: str) -> Facts | None:
        """A training job on EC2, by the id of its instance or by its name."""
        by = {"InstanceIds": [name]} if name.startswith("i-") else {"Filters": [_filter("tag:kennel:job", name)]}
        listed = self._try("instances", lambda: self._ask("ec2", "DescribeInstances", **by), None) or {}
        instances = [each for group in listed.get("Reservations", ()) for each in group["Instances"]]
        if not instances:
            return None
        last = max(instances, key=lambda each: each["LaunchTime"])
        ended = str(last.get("StateReason", {}).get("Message", ""))
        return Facts(
            kind="instance",
            name=name,
            status=str(last["State"]["Name"]),
            reason="" if "InstanceInitiatedShutdown" in ended else ended,  # how a run ends that went well
            details={"instance": last["InstanceId"], "type": last["InstanceType"]},
            lines=self._lines(LogReader(call=self.call, group=f"/kennel/{self.settings.prefix}/ec2", prefix=name)),
            roles=self._roles([self.settings.role_name("ec2")], EC2),
            quotas=self._quotas("train"),
        )

    def _absent(self, name: str) -> Facts:
        """A resource that could not be created cannot be described, but its images, roles and quotas can."""
        settings = self.settings
        purposes = (("training", SAGEMAKER), ("endpoint", SAGEMAKER), ("lambda", LAMBDA))
        roles = [role for purpose, service in purposes for role in self._roles([settings.role_name(purpose)], service)]
        return Facts(
            kind="unknown name",
            name=name,
            roles=tuple(role for role in roles if role.exists),  # deploy creates missing roles
            images=self._try("ECR", self._newest_images, ()),
            quotas=(*self._quotas("train"), *self._quotas("deploy")),
        )

    def _newest_images(self) -> tuple[ObservedImage, ...]:
        """The newest image of each of the stage's repositories."""
        newest: list[ObservedImage] = []
        for kind in KINDS:
            repository = self.settings.repository_name(kind)
            listed = self._ask("ecr", "DescribeImages", repositoryName=repository) or {}
            last = max(listed.get("imageDetails", ()), key=lambda each: each["imagePushedAt"], default=None)
            if last:
                uri = f"ecr.registry/{repository}@{last['imageDigest']}"
                newest.append(self.images.look(uri, checks.CONSUMERS[kind]))
        return tuple(newest)

    def _lines(self, reader: LogReader) -> tuple[str, ...]:
        lines = self._try("logs", lambda: [line.text for line in reader.read()], [])
        return tuple(lines[-KEPT_LINES:])

    def _images(self, uris: Iterable[str], consumer: checks.Consumer) -> tuple[ObservedImage, ...]:
        known = [uri for uri in dict.fromkeys(uris) if uri]
        images = [self._try(f"image {uri}", partial(self.images.look, uri, consumer), None) for uri in known]
        return tuple(each for each in images if each)

    def _roles(self, names: Iterable[str], service: str) -> tuple[ObservedRole, ...]:
        known = dict.fromkeys(name.rpartition("/")[2] for name in names if name)
        roles = [self._try(f"role {name}", partial(self._role, name, service), None) for name in known]
        return tuple(each for each in roles if each)

    def _role(self, name: str, service: str) -> ObservedRole:
        answer = self._ask("iam", "GetRole", RoleName=name)
        if answer is None:
            return ObservedRole(name=name, service=service, exists=False)
        role = answer["Role"]
        return ObservedRole(
            name=name,
            service=service,
            exists=True,
            trusted=trusted_services(role["AssumeRolePolicyDocument"]),
            age_s=self._since(role.get("CreateDate")),
        )

    def _quotas(self, command: str) -> tuple[quotas.Row, ...]:
        needs = [need for need in quotas.needs(self.settings) if need.command == command]
        rows: tuple[quotas.Row, ...] = self._try("quotas", lambda: quotas.compare(self.call, needs), ())
        return rows

    def _since(self, when: datetime | None) -> float:
        return (self.now() - when).total_seconds() if when else 0.0


def trusted_services(trust: Any) -> tuple[str, ...]:
    """The services that a trust policy allows to assume its role. Pure."""
    document = json.loads(trust) if isinstance(trust, str) else trust
    trusted: list[str] = []
    for statement in document.get("Statement", ()):
        services = statement.get("Principal", {}).get("Service", ()) if statement.get("Effect") == "Allow" else ()
        trusted += [services] if isinstance(services, str) else list(services)
    return tuple(trusted)


def _pending(endpoint: Described) -> str:
    return str((endpoint.get("PendingDeploymentSummary") or {}).get("EndpointConfigName", ""))


def _container(model: Described) -> Described:
    container: Described = model.get("PrimaryContainer") or (model.get("Containers") or [{"Image": ""}])[0]
    return container


def _endpoint_details(endpoint: Described) -> dict[str, str]:
    variants = ", ".join(
        f"{each['VariantName']} {each.get('CurrentInstanceCount', 'serverless')}"
        for each in endpoint.get("ProductionVariants", ())
    )
    return {"configuration": str(endpoint.get("EndpointConfigName", "")), "variants": variants}


def _instances(job: Described) -> str:
    resources = job.get("ResourceConfig", {})
    return f"{resources.get('InstanceCount', '')} × {resources.get('InstanceType', '')}"


def _provisioned(config: Described) -> ProvisionedConcurrency:
    return ProvisionedConcurrency(
        qualifier=str(config["FunctionArn"]).rpartition(":")[2],
        requested=int(config.get("RequestedProvisionedConcurrentExecutions", 0)),
        available=int(config.get("AvailableProvisionedConcurrentExecutions", 0)),
        status=str(config.get("Status", "")),
        reason=str(config.get("StatusReason", "")),
    )


def _filter(name: str, value: str) -> dict[str, Any]:
    return {"Name": name, "Values": [value]}
