"""Prices and bills: what is said before money is spent."""

from __future__ import annotations

import json

import pytest

from deploy.config.endpoint import Autoscaling, Endpoint, Variant
from deploy.config.function import Function
from deploy.config.section import Section
from deploy.config.settings import Settings
from deploy.config.training import Ec2, Training
from deploy.costs import bill
from deploy.costs.prices import LIST_SOURCE, TABLE_SOURCE, Prices, hourly, products, table_price
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, refusal


def product(*usd: str, unit: str = "Hrs") -> str:
    """A price list's entry as GetProducts gives it: JSON in a string."""
    dimensions = {str(number): {"unit": unit, "pricePerUnit": {"USD": each}} for number, each in enumerate(usd)}
    return json.dumps({"product": {}, "terms": {"OnDemand": {"sku.term": {"priceDimensions": dimensions}}}})


def with_(settings: Settings, **sections: Section | dict[str, Endpoint]) -> Settings:
    return settings.model_copy(update=sections)


@pytest.mark.parametrize(
    ("price_list", "usd"),
    [
        ((), None),
        ((product("0.1150000000"),), 0.115),
        ((product("0.0000000000"), product("0.23")), 0.23),
        ((product("0.10", "0.30"),), 0.30),
        ((product("0.14", unit="GB-Mo"),), None),
        ((json.dumps({"terms": {}}),), None),
    ],
)
def test_the_highest_of_several_hourly_prices_counts(price_list: tuple[str, ...], usd: float | None) -> None:
    assert hourly(price_list) == usd


def test_each_price_is_asked_for_once() -> None:
    aws = FakeAws({"GetProducts": {"PriceList": [product("9.5")]}})
    prices = Prices(call=aws, region="eu-west-1")
    assert [prices.of("endpoint", "ml.m5.large").usd for _ in range(2)] == [9.5, 9.5]
    assert len(aws.sent) == 1
    assert prices.source == LIST_SOURCE


@pytest.mark.parametrize("answer", [{"PriceList": []}, refusal("AccessDeniedException")])
def test_without_the_price_list_prices_come_from_the_table_and_name_it(answer: dict[str, object]) -> None:
    prices = Prices(call=FakeAws({"GetProducts": answer}), region="us-east-1")
    assert prices.of("endpoint", "ml.m5.large").usd == 0.115
    assert prices.source == TABLE_SOURCE
    assert prices.of("endpoint", "ml.nobody.knows").usd is None


def test_the_table_knows_every_type_that_deploy_toml_starts_with(settings: Settings) -> None:
    used = [("training", settings.training.instance_type), ("ec2", settings.training.ec2.instance_type)]
    used += [("notebook", settings.notebook.instance_type), ("endpoint", settings.endpoint.instance_type)]
    assert [(use, kind) for use, kind in used if table_price(use, kind).usd is None] == []  # type: ignore[arg-type]


def test_the_price_list_is_asked_for_one_product(golden: Golden) -> None:
    golden("hosting", products("us-east-1", "endpoint", "ml.m5.large"))
    golden("training", products("us-east-1", "training", "ml.m5.xlarge"))
    golden("notebook", products("us-east-1", "notebook", "ml.t3.medium"))
    golden("instance", products("us-east-1", "ec2", "g4dn.xlarge"))


def table_prices() -> Prices:
    return Prices(call=FakeAws({"GetProducts": {"PriceList": []}}), region="us-east-1")


def test_an_endpoint_is_billed_until_down(settings: Settings) -> None:
    items = bill.serving(with_(settings, endpoint=Endpoint(instance_count=2)), table_prices())
    assert [str(item) for item in items] == [
        "endpoint kennel-local: 2 × ml.m5.large, 0.230 USD an hour until ./inv down"
    ]


def test_every_variant_and_every_endpoint_counts_and_scaling_is_shown(settings: Settings) -> None:
    single = Variant(instance_type="ml.c5.large")
    multi = Variant(training="multi", instance_count=3)
    further = Endpoint(autoscaling=Autoscaling(max=4))
    chosen = with_(settings, endpoint=Endpoint(variants={"a": single, "b": multi}), endpoints={"further": further})
    items = bill.serving(chosen, table_prices())
    assert [item.usd for item in items] == pytest.approx([0.102, 0.345, 0.115])
    assert "scales from 1 to 4" in items[2].until
    assert bill.lines(items, "a table")[-2:] == ["together 0.562 USD an hour", "prices: a table"]


def test_serverless_costs_nothing_while_idle_unless_provisioned(settings: Settings) -> None:
    idle = bill.serving(with_(settings, endpoint=Endpoint(kind="serverless")), table_prices())
    warm = Endpoint(kind="serverless", memory_mb=1024, provisioned_concurrency=2)
    assert (idle[0].usd, bill.serving(with_(settings, endpoint=warm), table_prices())[0].usd) == (0, 0.0432)


def test_provisioned_concurrency_is_paid_for_by_its_memory(settings: Settings) -> None:
    function = Function(memory_mb=2048, provisioned_concurrency=3)
    items = bill.serving(with_(settings, function=function), table_prices())
    assert items[-1].what == "function kennel-local-classify"
    assert items[-1].usd == pytest.approx(0.09)


@pytest.mark.parametrize(
    ("training", "costs"),
    [
        (Training(), [0.23]),
        (Training(instance_count=4), [0.92]),
        (Training(keep_alive_minutes=10), [0.23, 0.23]),
        (Training(on="local"), []),
        (Training(on="ec2"), [0.526]),
        (Training(instance_type="ml.x9.large"), [None]),
    ],
)
def test_a_job_is_paid_for_while_it_runs(settings: Settings, training: Training, costs: list[float | None]) -> None:
    items = bill.training(with_(settings, training=training), table_prices())
    assert [item.usd for item in items] == [pytest.approx(cost) for cost in costs]


def test_spot_says_that_it_is_less_and_an_unknown_price_that_it_is_not_known(settings: Settings) -> None:
    spot = Training(on="ec2", ec2=Ec2(spot=True, instance_type="x9.large"))
    (item,) = bill.training(with_(settings, training=spot), table_prices())
    assert str(item) == "training: 1 × x9.large, price unknown while it runs, 60 minutes at most (spot: less)"
