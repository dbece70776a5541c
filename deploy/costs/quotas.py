"""Compares the quotas that deploy.toml needs with those of the account (rules 20, 67, 91)."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from deploy.aws.client import pages
from deploy.aws.requests import service_quotas
from deploy.config.settings import Settings
from deploy.costs.bill import fleets
from deploy.endpoints.spec import EndpointSpec, endpoint_specs
from deploy.errors import AwsError, DeployError
from deploy.values import Call, Request

SERVERLESS_MB = 3072  # the memory that every account may give a serverless endpoint
UNRESERVED = 100  # concurrent executions that an account must keep unreserved (rule 67)
# EC2 counts vCPUs by family: first letters of the type → (on demand, spot).
VCPU_CODES: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(("g", "vt"), ("L-DB2E81BA", "L-3819A6DF")),
    "p": ("L-417A185B", "L-7212CCBC"),
    **dict.fromkeys(("a", "c", "d", "h", "i", "m", "r", "t", "z"), ("L-1216C47A", "L-34B43A08")),
}
SIZES = {"nano": 2, "micro": 2, "small": 2, "medium": 2, "large": 2, "xlarge": 4}


@dataclass(frozen=True, kw_only=True)
class Need:
    """The amount of one quota that one command needs. A quota is identified by its code or (SageMaker) by its name."""

    command: str
    service: str
    amount: float
    why: str
    name: str = ""
    code: str = ""

    @property
    def key(self) -> str:
        return self.code or self.name


@dataclass(frozen=True, kw_only=True)
class Quota:
    """A quota of the account."""

    code: str
    name: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Row:
    """A need and the account's quota; None where the account may not read it."""

    need: Need
    quota: Quota | None

    @property
    def is_short(self) -> bool:
        return self.quota is not None and self.quota.value < self.need.amount

    @property
    def verdict(self) -> str:
        if self.quota is None:
            return "unknown"
        return "too low: request more" if self.is_short else "enough"


def needs(settings: Settings) -> tuple[Need, ...]:
    """What each command needs, by deploy.toml. Pure."""
    specs = endpoint_specs(settings)
    return (
        *_training(settings),
        *_endpoints(specs),
        *_serverless(specs),
        *_transform(specs),
        *_lambda(settings),
        _notebook(settings),
    )


def compare(call: Call, needs: Sequence[Need]) -> tuple[Row, ...]:
    """Needs beside the account's quotas. Quotas that these credentials may not read stay unknown."""
    keys: dict[str, set[str]] = {}
    for need in needs:
        keys.setdefault(need.service, set()).add(need.key)
    quotas = {service: _quotas(call, service, own) for service, own in keys.items()}
    return tuple(Row(need=need, quota=quotas[need.service].get(need.key)) for need in needs)


def require(call: Call, settings: Settings, command: str) -> None:
    """Raises DeployError when a quota that the command needs is known to be too low (pain 8)."""
    require_all(call, [need for need in needs(settings) if need.command == command])


def require_all(call: Call, own: Sequence[Need]) -> None:
    """Raises DeployError when the quota of a need is known to be too low (pain 8)."""
    short = [row for row in compare(call, own) if row.is_short]
    if short:
        raise DeployError("\n".join([*map(_refusal, short), "./inv quotas --request requests an increase from AWS"]))


def transforming(instance_type: str, count: int, *, why: str) -> Need:
    """What a batch transform on `count` instances needs."""
    name = f"{instance_type} for transform job usage"
    return Need(command="transform", service="sagemaker", name=name, amount=count, why=why)


def increase(row: Row) -> Request:
    """The request to raise a quota to the needed amount."""
    code = row.quota.code if row.quota else row.need.code
    params = {"ServiceCode": row.need.service, "QuotaCode": code, "DesiredValue": float(row.need.amount)}
    return service_quotas("RequestServiceQuotaIncrease", **params)


def vcpus(instance_type: str) -> int:
    """The vCPUs of an EC2 instance type, by its size: large 2, xlarge 4, Nxlarge 4 N."""
    size = instance_type.rpartition(".")[2]
    many = size.removesuffix("xlarge")
    return 4 * int(many) if many.isdigit() else SIZES.get(size, 4)


def _training(settings: Settings) -> tuple[Need, ...]:
    training = settings.training
    if training.on == "local":
        return ()
    if training.on == "ec2":
        return _vcpus(training.ec2.instance_type, spot=training.ec2.spot)
    kind, count = training.instance_type, training.instance_count
    use = f"{'spot ' if training.spot else ''}training job usage"
    trials = min(settings.tuning.max_parallel, settings.tuning.max_jobs)
    own = [
        Need(
            command="train", service="sagemaker", name=f"{kind} for {use}", amount=count, why="training.instance_count"
        ),
        Need(
            command="tune",
            service="sagemaker",
            name=f"{kind} for {use}",
            amount=count * trials,
            why="tuning.max_parallel × training.instance_count",
        ),
    ]
    if training.keep_alive_minutes:
        name = f"{kind} for training warm pool usage"
        own.append(
            Need(command="train", service="sagemaker", name=name, amount=count, why="training.keep_alive_minutes")
        )
    return tuple(own)


def _vcpus(instance_type: str, *, spot: bool) -> tuple[Need, ...]:
    letters = re.match("[a-z]+", instance_type)
    codes = VCPU_CODES.get(letters[0]) if letters else None
    if codes is None:
        return ()
    why = f"vCPUs of training.ec2.instance_type, {instance_type}"
    return (Need(command="train", service="ec2", code=codes[spot], amount=vcpus(instance_type), why=why),)


def _endpoints(specs: Sequence[EndpointSpec]) -> tuple[Need, ...]:
    """Instances by type over all endpoints at their maximum. An update runs a second fleet beside the first."""
    total: dict[str, int] = {}
    largest: dict[str, int] = {}
    for spec in specs:
        own: dict[str, int] = {}
        for count, kind in fleets(spec.section):
            own[kind] = own.get(kind, 0) + max(count, spec.section.autoscaling.max)
        for kind, count in own.items():
            total[kind] = total.get(kind, 0) + count
            largest[kind] = max(largest.get(kind, 0), count)
    rows = []
    for kind, count in total.items():
        both = count + largest[kind]
        for command, amount, why in (
            ("deploy", count, "instances of all endpoints"),
            ("update", both, "the new fleet beside the old one"),
        ):
            name = f"{kind} for endpoint usage"
            rows.append(Need(command=command, service="sagemaker", name=name, amount=amount, why=why))
    return tuple(rows)


def _serverless(specs: Sequence[EndpointSpec]) -> tuple[Need, ...]:
    """The concurrency of all serverless endpoints together, and memory beyond what every account has."""
    sections = [spec.section for spec in specs if spec.is_serverless]
    if not sections:
        return ()
    at_once = Need(
        command="deploy",
        service="sagemaker",
        name="Maximum total concurrency that can be allocated across all serverless endpoints",
        amount=sum(section.max_concurrency for section in sections),
        why="max_concurrency of all serverless endpoints",
    )
    memory = Need(
        command="deploy",
        service="sagemaker",
        name="Memory size in MB per serverless endpoint",
        amount=max(section.memory_mb for section in sections),
        why="memory_mb",
    )
    return (at_once, memory) if memory.amount > SERVERLESS_MB else (at_once,)


def _transform(specs: Sequence[EndpointSpec]) -> tuple[Need, ...]:
    """One instance of each type that `./inv transform` would run on."""
    types = dict.fromkeys(spec.section.instance_type for spec in specs)
    return tuple(transforming(each, 1, why="instance_type of the endpoint whose model it runs") for each in types)


def _lambda(settings: Settings) -> tuple[Need, ...]:
    reserved = settings.function.reserved_concurrency or 0
    if not reserved:
        return ()
    why = f"lambda.reserved_concurrency and {UNRESERVED} that must stay unreserved"
    return (Need(command="deploy", service="lambda", code="L-B99A9384", amount=reserved + UNRESERVED, why=why),)


def _notebook(settings: Settings) -> Need:
    name = f"{settings.notebook.instance_type} for notebook instance usage"
    return Need(command="notebook", service="sagemaker", name=name, amount=1, why="notebook.instance_type")


def _quotas(call: Call, service: str, keys: Collection[str]) -> dict[str, Quota]:
    """Quotas of a service by code or name: the account's own, or AWS's default where the account has none.

    SageMaker lists thousands, a hundred a page, so reading stops once all `keys` are found.
    """
    quotas: dict[str, Quota] = {}
    for operation in ("ListServiceQuotas", "ListAWSDefaultServiceQuotas"):
        params = {"ServiceCode": service, "MaxResults": 100}
        request = service_quotas(operation, **params)
        try:
            for item in pages(call, request, items="Quotas"):
                quota = Quota(code=item["QuotaCode"], name=item["QuotaName"], value=float(item["Value"]))
                for key in {quota.code, quota.name} & set(keys):
                    quotas.setdefault(key, quota)
                if len(quotas) == len(keys):
                    return quotas
        except AwsError:
            continue
    return quotas


def _refusal(row: Row) -> str:
    quota, need = row.quota, row.need
    name = quota.name if quota else need.key
    value = quota.value if quota else 0
    return f"quota {name}: is {value:g}, and {need.amount:g} is needed ({need.why})"
