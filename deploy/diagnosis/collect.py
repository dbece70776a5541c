"""Collects the facts of whatever has a name: each kind has its own describe; what may not be looked at is noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from deploy.aws.client import lookup
from deploy.aws.logs import LogReader, job_reader
from deploy.config.settings import Settings
from deploy.costs import quotas
from deploy.diagnosis.endpoint_facts import variants
from deploy.diagnosis.facts import Facts, FunctionSeen, ImageSeen, RoleSeen, WarmSeen
from deploy.errors import AwsError, DeployError
from deploy.images import checks
from deploy.images.recipe import KINDS
from deploy.jobs.training_job import describe
from deploy.values import Call, Request

KEPT_LINES = 50
SAGEMAKER, LAMBDA, EC2 = "sagemaker.amazonaws.com", "lambda.amazonaws.com", "ec2.amazonaws.com"
Described = Mapping[str, Any]


class Look(Protocol):
    """What tells of an image by its URI."""

    def look(self, uri: str, consumer: checks.Consumer) -> ImageSeen: ...


@dataclass(kw_only=True)
class Collector:
    """Collects facts by `call` and `images`; `now` is the time. Not one of its requests changes anything."""

    settings: Settings
    call: Call
    images: Look
    now: Callable[[], datetime]
    blind: list[str] = field(default_factory=list)

    def collect(self, name: str) -> Facts:
        """The facts of the first thing of that name; of what is not there, the facts of what it would be made of."""
        for look in (self._endpoint, self._job, self._function, self._transform, self._tuning, self._instance):
            try:
                facts = look(name)
            except AwsError as error:  # who may look at the stage's things only is refused for others
                self.blind.append(str(error).splitlines()[0])
                continue
            if facts is not None:
                return facts
        return self._absent(name)

    def _ask(self, service: str, operation: str, **params: Any) -> Described | None:
        return lookup(self.call, Request(service=service, operation=operation, params=params))

    def _try(self, what: str, look: Callable[[], Any], otherwise: Any) -> Any:
        """What `look` gives; what may not be looked at is noted, and the diagnosis goes on without it."""
        try:
            return look()
        except DeployError as error:
            self.blind.append(f"{what}: {str(error).splitlines()[0]}")
            return otherwise

    def _endpoint(self, name: str) -> Facts | None:
        found = self._ask("sagemaker", "DescribeEndpoint", EndpointName=name)
        if found is None:
            return None
        configs = [found.get("EndpointConfigName"), _pending(found)]
        known = [c for c in (self._config(config) for config in configs if config) if c]
        models = [m for config in known for m in self._models(config)]
        seen = self._try("variants", lambda: variants(self.settings, self.call, found, known), ())
        return Facts(
            kind="endpoint",
            name=name,
            status=str(found["EndpointStatus"]),
            reason=str(found.get("FailureReason", "")),
            changed=found.get("LastModifiedTime"),
            since_s=self._since(found.get("LastModifiedTime")),
            told=_endpoint_told(found),
            lines=self._lines(LogReader(call=self.call, group=f"/aws/sagemaker/Endpoints/{name}")),
            images=self._images((_container(model)["Image"] for model in models), "SageMaker"),
            roles=self._roles((model.get("ExecutionRoleArn", "") for model in models), SAGEMAKER),
            variants=seen,
            quotas=self._quotas("deploy"),
            blind=tuple(self.blind),
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
            told={"secondary status": job.secondary_status, "instances": f"{job.instance_count} × {job.instance_type}"},
            lines=self._lines(job_reader(name, self.call)),
            images=self._images([job.image], "SageMaker"),
            roles=self._roles([job.role], SAGEMAKER),
            quotas=self._quotas("train"),
            blind=tuple(self.blind),
        )

    def _function(self, name: str) -> Facts | None:
        found = self._ask("lambda", "GetFunction", FunctionName=name)
        if found is None:
            return None
        now = found["Configuration"]
        bad = now.get("LastUpdateStatus") == "Failed"
        return Facts(
            kind="function",
            name=name,
            status="Failed" if bad else str(now.get("State", "Active")),
            reason=str(now.get("LastUpdateStatusReason" if bad else "StateReason", "")),
            told={"image": str(found.get("Code", {}).get("ImageUri", ""))},
            lines=self._lines(LogReader(call=self.call, group=f"/aws/lambda/{name}")),
            images=self._images([found.get("Code", {}).get("ImageUri", "")], "Lambda"),
            roles=self._roles([now["Role"]], LAMBDA),
            function=self._try("aliases", lambda: self._concurrency(name), None),
            quotas=(),
            blind=tuple(self.blind),
        )

    def _concurrency(self, name: str) -> FunctionSeen:
        aliases = (self._ask("lambda", "ListAliases", FunctionName=name) or {}).get("Aliases", ())
        listed = self._ask("lambda", "ListProvisionedConcurrencyConfigs", FunctionName=name) or {}
        reserved = self._ask("lambda", "GetFunctionConcurrency", FunctionName=name) or {}
        return FunctionSeen(
            aliases={each["Name"]: each["FunctionVersion"] for each in aliases},
            moving=tuple(
                each["Name"] for each in aliases if each.get("RoutingConfig", {}).get("AdditionalVersionWeights")
            ),
            reserved=reserved.get("ReservedConcurrentExecutions"),
            warm=tuple(map(_warm, listed.get("ProvisionedConcurrencyConfigs", ()))),
        )

    def _transform(self, name: str) -> Facts | None:
        found = self._ask("sagemaker", "DescribeTransformJob", TransformJobName=name)
        return None if found is None else self._plain("transform job", name, found, "TransformJob")

    def _tuning(self, name: str) -> Facts | None:
        if len(name) > 32:  # longer names are refused rather than not found
            return None
        operation, key = "DescribeHyperParameterTuningJob", "HyperParameterTuningJobName"
        found = self._ask("sagemaker", operation, **{key: name})
        return None if found is None else self._plain("tuning job", name, found, "HyperParameterTuningJob")

    def _plain(self, kind: Any, name: str, found: Described, word: str) -> Facts:
        group = f"/aws/sagemaker/{word}s"
        return Facts(
            kind=kind,
            name=name,
            status=str(found[f"{word}Status"]),
            reason=str(found.get("FailureReason", "")),
            lines=self._lines(LogReader(call=self.call, group=group, prefix=f"{name}/")),
        )

    def _instance(self, name: str) -> Facts | None:
        """An EC2 run, by its instance's id or by the name of its job."""
        by = {"InstanceIds": [name]} if name.startswith("i-") else {"Filters": [_filter("tag:kennel:job", name)]}
        listed = self._try("instances", lambda: self._ask("ec2", "DescribeInstances", **by), None) or {}
        found = [each for group in listed.get("Reservations", ()) for each in group["Instances"]]
        if not found:
            return None
        last = max(found, key=lambda each: each["LaunchTime"])
        ended = str(last.get("StateReason", {}).get("Message", ""))
        return Facts(
            kind="instance",
            name=name,
            status=str(last["State"]["Name"]),
            reason="" if "InstanceInitiatedShutdown" in ended else ended,  # its own end is how it should end
            told={"instance": last["InstanceId"], "type": last["InstanceType"]},
            lines=self._lines(LogReader(call=self.call, group=f"/kennel/{self.settings.prefix}/ec2", prefix=name)),
            roles=self._roles([self.settings.role_name("ec2")], EC2),
            quotas=self._quotas("train"),
            blind=tuple(self.blind),
        )

    def _absent(self, name: str) -> Facts:
        """What could not be created leaves nothing to describe, but its images, roles and quotas can be looked at."""
        settings = self.settings
        purposes = (("training", SAGEMAKER), ("endpoint", SAGEMAKER), ("lambda", LAMBDA))
        roles = [role for purpose, service in purposes for role in self._roles([settings.role_name(purpose)], service)]
        return Facts(
            kind="nothing of that name",
            name=name,
            roles=tuple(role for role in roles if role.exists),  # one that is not there is made by deploy
            images=self._try("ECR", self._newest_images, ()),
            quotas=(*self._quotas("train"), *self._quotas("deploy")),
            blind=tuple(self.blind),
        )

    def _newest_images(self) -> tuple[ImageSeen, ...]:
        """The image that was pushed last into each of the stage's repositories."""
        found: list[ImageSeen] = []
        for kind in KINDS:
            repository = self.settings.repository_name(kind)
            listed = self._ask("ecr", "DescribeImages", repositoryName=repository) or {}
            last = max(listed.get("imageDetails", ()), key=lambda each: each["imagePushedAt"], default=None)
            if last:
                uri = f"ecr.registry/{repository}@{last['imageDigest']}"
                found.append(self.images.look(uri, checks.CONSUMERS[kind]))
        return tuple(found)

    def _lines(self, reader: LogReader) -> tuple[str, ...]:
        read = self._try("logs", lambda: [line.text for line in reader.read()], [])
        return tuple(read[-KEPT_LINES:])

    def _images(self, uris: Any, consumer: checks.Consumer) -> tuple[ImageSeen, ...]:
        known = [uri for uri in dict.fromkeys(uris) if uri]
        seen = [self._try(f"image {uri}", partial(self.images.look, uri, consumer), None) for uri in known]
        return tuple(each for each in seen if each)

    def _roles(self, names: Any, service: str) -> tuple[RoleSeen, ...]:
        known = dict.fromkeys(name.rpartition("/")[2] for name in names if name)
        seen = [self._try(f"role {name}", partial(self._role, name, service), None) for name in known]
        return tuple(each for each in seen if each)

    def _role(self, name: str, service: str) -> RoleSeen:
        found = self._ask("iam", "GetRole", RoleName=name)
        if found is None:
            return RoleSeen(name=name, service=service, exists=False)
        role = found["Role"]
        return RoleSeen(
            name=name,
            service=service,
            exists=True,
            takers=takers(role["AssumeRolePolicyDocument"]),
            age_s=self._since(role.get("CreateDate")),
        )

    def _quotas(self, command: str) -> tuple[quotas.Row, ...]:
        wanted = [need for need in quotas.needs(self.settings) if need.command == command]
        found: tuple[quotas.Row, ...] = self._try("quotas", lambda: quotas.compare(self.call, wanted), ())
        return found

    def _since(self, when: datetime | None) -> float:
        return (self.now() - when).total_seconds() if when else 0.0


def takers(trust: Any) -> tuple[str, ...]:
    """The services that a trust policy lets in. Pure."""
    document = json.loads(trust) if isinstance(trust, str) else trust
    found: list[str] = []
    for statement in document.get("Statement", ()):
        services = statement.get("Principal", {}).get("Service", ()) if statement.get("Effect") == "Allow" else ()
        found += [services] if isinstance(services, str) else list(services)
    return tuple(found)


def _pending(found: Described) -> str:
    return str((found.get("PendingDeploymentSummary") or {}).get("EndpointConfigName", ""))


def _container(model: Described) -> Described:
    container: Described = model.get("PrimaryContainer") or (model.get("Containers") or [{"Image": ""}])[0]
    return container


def _endpoint_told(found: Described) -> dict[str, str]:
    variants = ", ".join(
        f"{each['VariantName']} {each.get('CurrentInstanceCount', 'serverless')}"
        for each in found.get("ProductionVariants", ())
    )
    return {"configuration": str(found.get("EndpointConfigName", "")), "variants": variants}


def _warm(config: Described) -> WarmSeen:
    return WarmSeen(
        qualifier=str(config["FunctionArn"]).rpartition(":")[2],
        asked=int(config.get("RequestedProvisionedConcurrentExecutions", 0)),
        there=int(config.get("AvailableProvisionedConcurrentExecutions", 0)),
        status=str(config.get("Status", "")),
        reason=str(config.get("StatusReason", "")),
    )


def _filter(name: str, value: str) -> dict[str, Any]:
    return {"Name": name, "Values": [value]}
