"""The price of an instance by the hour: from AWS's price list where this account may read it, else from a table.

The table holds AWS's public on-demand prices in us-east-1 as of 2024, from memory. Prices change; check them before you
rely on them: https://aws.amazon.com/sagemaker/pricing/. Most other regions cost more.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from deploy.aws.requests import pricing
from deploy.errors import DeployError
from deploy.values import Call, Request

Use = Literal["training", "endpoint", "notebook", "ec2"]
TABLE_SOURCE = "built-in table (us-east-1, 2024); check current prices"
LIST_SOURCE = "AWS's price list"
# USD an hour. On these types SageMaker charges the same for training and hosting.
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
# USD for a GB of memory, provisioned for an hour (a second costs 0.0000041667 on Lambda, about 0.000006 on endpoints).
LAMBDA_GB_HOUR = 0.015
SERVERLESS_GB_HOUR = 0.0216
COMPONENTS: Mapping[Use, str] = {"training": "Training", "endpoint": "Hosting", "notebook": "Notebook"}


@dataclass(frozen=True, kw_only=True)
class Price:
    """USD an hour of one instance; None when no source lists it."""

    usd: float | None
    source: str


@dataclass(frozen=True, kw_only=True)
class Prices:
    """Prices of one region, each looked up once. Without access to the price list they come from the table."""

    call: Call
    region: str
    _known: dict[tuple[Use, str], Price] = field(default_factory=dict, init=False, repr=False)

    @property
    def source(self) -> str:
        """Where the prices looked up so far came from."""
        return ", ".join(sorted({price.source for price in self._known.values()})) or TABLE_SOURCE

    def of(self, use: Use, instance_type: str) -> Price:
        """The price of an instance in a use. Never raises: a missing price must not stop a command."""
        if (use, instance_type) not in self._known:
            self._known[use, instance_type] = self._listed(use, instance_type) or table_price(use, instance_type)
        return self._known[use, instance_type]

    def _listed(self, use: Use, instance_type: str) -> Price | None:
        try:
            answer = self.call(products(self.region, use, instance_type))
        except DeployError:
            return None
        usd = hourly(answer.get("PriceList", ()))
        return None if usd is None else Price(usd=usd, source=LIST_SOURCE)


def products(region: str, use: Use, instance_type: str) -> Request:
    """The request for an instance's entries in the price list."""
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
    """The on-demand price of an hour in GetProducts' answer: the highest of several, None when there is none."""
    prices = [_usd(dimension) for text in price_list for dimension in _dimensions(json.loads(text))]
    return max((price for price in prices if price), default=None)


def table_price(use: Use, instance_type: str) -> Price:
    """The built-in table's price."""
    table = EC2 if use == "ec2" else SAGEMAKER
    return Price(usd=table.get(instance_type), source=TABLE_SOURCE)


def _dimensions(product: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        yield from term.get("priceDimensions", {}).values()


def _usd(dimension: Mapping[str, Any]) -> float:
    hours = str(dimension.get("unit", "")).lower() in ("hrs", "hours", "hour")
    return float(dimension.get("pricePerUnit", {}).get("USD", 0)) if hours else 0.0
