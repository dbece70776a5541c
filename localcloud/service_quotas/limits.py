"""The account's quotas: SageMaker's instances by type and use, EC2's vCPUs, Lambda's concurrency.

localcloud enforces them only with KENNEL_LOCALCLOUD_QUOTAS: `new-account`, or a JSON file with values of quotas. It
refuses requests beyond a quota as AWS does.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from localcloud.environment import QUOTAS
from localcloud.errors import ApiError, LocalcloudError
from localcloud.gateway.protocol import model

NEW_ACCOUNT = "new-account"
GENEROUS = 1000.0
# Use → the enum of botocore's model that lists its instance types, and a new account's quota of a CPU type (accounts
# differ). A new account's quota of a type with an accelerator is 0.
USES: Mapping[str, tuple[str, float]] = {
    "training job usage": ("TrainingInstanceType", 15.0),
    "spot training job usage": ("TrainingInstanceType", 4.0),
    "training warm pool usage": ("TrainingInstanceType", 0.0),  # rule 20
    "endpoint usage": ("ProductionVariantInstanceType", 4.0),
    "transform job usage": ("TransformInstanceType", 4.0),
    "notebook instance usage": ("InstanceType", 8.0),
}
ACCELERATED = ("ml.g", "ml.p", "ml.inf", "ml.trn", "ml.dl")
STANDARD = "Standard (A, C, D, H, I, M, R, T, Z)"
OTHERS: tuple[tuple[str, str, str, float], ...] = (  # service, code (rule 91), name, a new account's value
    ("ec2", "L-1216C47A", f"Running On-Demand {STANDARD} instances", 5.0),
    ("ec2", "L-34B43A08", f"All {STANDARD} Spot Instance Requests", 5.0),
    ("ec2", "L-DB2E81BA", "Running On-Demand G and VT instances", 0.0),
    ("ec2", "L-417A185B", "Running On-Demand P instances", 0.0),
    ("ec2", "L-3819A6DF", "All G and VT Spot Instance Requests", 0.0),
    ("ec2", "L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", 0.0),
    ("lambda", "L-B99A9384", "Concurrent executions", 10.0),
)


@dataclass(frozen=True, kw_only=True)
class Quota:
    """One quota: its service, code, name and value."""

    service: str
    code: str
    name: str
    value: float


@dataclass(kw_only=True)
class Quotas:
    """An account's quotas. `limited`: whether to enforce them. `values`: code → a value other than the default."""

    limited: bool = False
    values: dict[str, float] = field(default_factory=dict)

    def all(self, service: str) -> list[Quota]:
        """A service's quotas with the account's values."""
        return [self._valued(quota) for quota in catalogue() if quota.service == service]

    def named(self, service: str, name: str) -> Quota | None:
        return next((quota for quota in self.all(service) if quota.name == name), None)

    def require(self, instance_type: str, use: str, *, count: int, used: int = 0) -> None:
        """Raises ApiError ResourceLimitExceeded when `count` more instances for a use exceed its quota."""
        quota = self.named("sagemaker", f"{instance_type} for {use}") if self.limited else None
        if quota is not None and used + count > quota.value:
            raise ApiError(
                "ResourceLimitExceeded",
                f"The account-level service limit '{quota.name}' is {quota.value:g} Instances, with current "
                f"utilization of {used} Instances and a request delta of {count} Instances. Please use AWS Service "
                "Quotas to request an increase for this quota. If AWS Service Quotas is not available, contact AWS "
                "support to request an increase for this quota.",
            )

    def _valued(self, quota: Quota) -> Quota:
        default = quota.value if self.limited else GENEROUS
        return replace(quota, value=self.values.get(quota.code, default))


@cache
def catalogue() -> tuple[Quota, ...]:
    """Every quota with a new account's value. SageMaker's follow from the instance types in botocore's model."""
    return (*_instances(), *(Quota(service=s, code=c, name=n, value=v) for s, c, n, v in OTHERS))


def _instances() -> Iterator[Quota]:
    for use, (enum, value) in USES.items():
        for instance_type in model("sagemaker").shape_for(enum).enum:  # type: ignore[attr-defined]  # stubs know no enum
            name = f"{instance_type} for {use}"
            code = f"L-{hashlib.sha256(name.encode()).hexdigest()[:8].upper()}"
            accelerated = instance_type.startswith(ACCELERATED)
            yield Quota(service="sagemaker", code=code, name=name, value=0.0 if accelerated else value)


def quotas_of(environ: Mapping[str, str]) -> Quotas:
    """The account's quotas by KENNEL_LOCALCLOUD_QUOTAS.

    Unset: no limits. `new-account`: a new account's. Otherwise the path of a JSON file, quota name → value, for the
    quotas that differ from a new account's. Raises LocalcloudError for an invalid file.
    """
    text = environ.get(QUOTAS.name, "")
    if text in ("", NEW_ACCOUNT):
        return Quotas(limited=bool(text))
    try:
        table = json.loads(Path(text).read_text(encoding="utf-8"))
        codes = {quota.name: quota.code for quota in catalogue()}
        return Quotas(limited=True, values={codes[name]: float(value) for name, value in table.items()})
    except KeyError as error:
        raise LocalcloudError(
            f"{QUOTAS.name}: {text}: unknown quota {error}; ListServiceQuotas lists the names"
        ) from None
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise LocalcloudError(f'{QUOTAS.name}: {text}: not a JSON object {{"quota name": number}}: {error}') from None


def endpoint_use(fleets: Iterable[Any]) -> Counter[str]:
    """How many instances endpoints run, by instance type. Serverless variants have none."""
    used: Counter[str] = Counter()
    for fleet in fleets:
        for variant in fleet.variants.values() if fleet is not None else ():
            used[variant.spec.variant.get("InstanceType", "")] += len(variant.instances)
    return used


def require_variants(quotas: Quotas, variants: Iterable[Mapping[str, Any]], used: Counter[str]) -> None:
    """Raises ApiError ResourceLimitExceeded when the instances of a configuration exceed a quota."""
    requested: Counter[str] = Counter()
    for variant in variants:
        requested[variant.get("InstanceType", "")] += variant.get("InitialInstanceCount", 0)
    for instance_type, count in requested.items():
        quotas.require(instance_type, "endpoint usage", count=count, used=used[instance_type])
