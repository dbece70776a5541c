"""What instances cost by the hour: the public price list where it can be asked, else the table below.

The table is from memory of AWS's public on-demand prices in us-east-1, as of 2024; prices change, so check them before
you rely on them: https://aws.amazon.com/sagemaker/pricing/. Other regions are mostly dearer.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from deploy.aws.requests import pricing
from deploy.errors import DeployError
from deploy.values import Call, Request

Use = Literal["training", "endpoint", "notebook", "ec2"]
TABLE_SOURCE = "a table of 2024, us-east-1: check it"
LIST_SOURCE = "AWS's price list"
# USD an hour. SageMaker asks the same for training and hosting on these types.
SAGEMAKER: Mapping[str, float] = {
    "ml.t2.medium": 0.056, "ml.t3.medium": 0.05, "ml.t3.large": 0.10,
    "ml.m5.large": 0.115, "ml.m5.xlarge": 0.23, "ml.m5.2xlarge": 0.461, "ml.m5.4xlarge": 0.922,
    "ml.c5.large": 0.102, "ml.c5.xlarge": 0.204, "ml.c5.2xlarge": 0.408,
    "ml.g4dn.xlarge": 0.736, "ml.g4dn.2xlarge": 0.94, "ml.g5.xlarge": 1.408, "ml.g5.2xlarge": 1.515,
    "ml.p3.2xlarge": 3.825,
}  # fmt: skip
EC2: Mapping[str, float] = {
    "t3.medium": 0.0416, "t3.large": 0.0832, "m5.large": 0.096, "m5.xlarge": 0.192, "m5.2xlarge": 0.384,
    "g4dn.xlarge": 0.526, "g4dn.2xlarge": 0.752, "g5.xlarge": 1.006, "g5.2xlarge": 1.212, "p3.2xlarge": 3.06,
}  # fmt: skip
# A GB of memory, provisioned for an hour: 0.0000041667 USD a second (Lambda), 0.000006 (serverless endpoints, about).
LAMBDA_GB_HOUR = 0.015
SERVERLESS_GB_HOUR = 0.0216
COMPONENTS: Mapping[Use, str] = {"training": "Training", "endpoint": "Hosting", "notebook": "Notebook"}


@dataclass(frozen=True, kw_only=True)
class Price:
    """USD an hour of one instance; None when neither source knows it."""

    usd: float | None
    source: str


@dataclass(kw_only=True)
class Prices:
    """Prices of one region, each asked for once. Who may not ask the price list is told the table's."""

    call: Call
    region: str

    def __post_init__(self) -> None:
        self._known: dict[tuple[Use, str], Price] = {}

    @property
    def source(self) -> str:
        """Where the prices that were asked for came from."""
        return ", ".join(sorted({price.source for price in self._known.values()})) or TABLE_SOURCE

    def of(self, use: Use, instance_type: str) -> Price:
        """The price of an instance in a use. Raises nothing: a price is never worth a failure."""
        if (use, instance_type) not in self._known:
            self._known[use, instance_type] = self._asked(use, instance_type) or listed(use, instance_type)
        return self._known[use, instance_type]

    def _asked(self, use: Use, instance_type: str) -> Price | None:
        try:
            answer = self.call(products(self.region, use, instance_type))
        except DeployError:
            return None
        found = hourly(answer.get("PriceList", ()))
        return None if found is None else Price(usd=found, source=LIST_SOURCE)


def products(region: str, use: Use, instance_type: str) -> Request:
    """The question to the price list."""
    if use == "ec2":
        fields = {
            "instanceType": instance_type,
            "operatingSystem": "Linux",
            "tenancy": "Shared",
            "preInstalledSw": "NA",
            "capacitystatus": "Used",
        }
    else:
        fields = {"instanceName": instance_type, "component": COMPONENTS[use]}
    filters = [
        {"Type": "TERM_MATCH", "Field": name, "Value": value}
        for name, value in {**fields, "regionCode": region}.items()
    ]
    service = "AmazonEC2" if use == "ec2" else "AmazonSageMaker"
    return pricing("GetProducts", ServiceCode=service, Filters=filters)


def hourly(price_list: Iterable[str]) -> float | None:
    """The on-demand price of an hour out of GetProducts' answer; of several the highest, None when there is none."""
    prices = [_usd(dimension) for text in price_list for dimension in _dimensions(json.loads(text))]
    return max((price for price in prices if price), default=None)


def listed(use: Use, instance_type: str) -> Price:
    """The table's price."""
    table = EC2 if use == "ec2" else SAGEMAKER
    return Price(usd=table.get(instance_type), source=TABLE_SOURCE)


def _dimensions(product: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        yield from term.get("priceDimensions", {}).values()


def _usd(dimension: Mapping[str, Any]) -> float:
    hours = str(dimension.get("unit", "")).lower() in ("hrs", "hours", "hour")
    return float(dimension.get("pricePerUnit", {}).get("USD", 0)) if hours else 0.0
