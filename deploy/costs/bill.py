"""What settings will cost by the hour. `plan`, `deploy`, `train` and `tune` show it first. Pure but for the prices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from deploy.config.endpoint import Endpoint
from deploy.config.settings import Settings
from deploy.costs.prices import LAMBDA_GB_HOUR, SERVERLESS_GB_HOUR, Price, Prices, Use
from deploy.endpoints.spec import EndpointSpec, endpoint_specs

UNTIL = "until ./inv down"


@dataclass(frozen=True, kw_only=True)
class Item:
    """Something billed by the hour. `usd` is the price of all of it; None where no price is known."""

    what: str
    detail: str
    usd: float | None
    until: str = UNTIL

    def __str__(self) -> str:
        price = "price unknown" if self.usd is None else f"{self.usd:.3f} USD an hour"
        return f"{self.what}: {self.detail}, {price} {self.until}"


def serving(settings: Settings, prices: Prices) -> tuple[Item, ...]:
    """What is billed after `deploy` until `down`: endpoints and provisioned concurrency (pains 9, 10)."""
    items = [item for spec in endpoint_specs(settings) for item in _endpoint(spec, prices)]
    function = settings.function
    if function.provisioned_concurrency:
        gigabytes = function.provisioned_concurrency * function.memory_mb / 1024
        detail = f"{function.provisioned_concurrency} × {function.memory_mb} MB provisioned"
        items.append(Item(what=f"function {settings.function_name}", detail=detail, usd=gigabytes * LAMBDA_GB_HOUR))
    return tuple(items)


def training(settings: Settings, prices: Prices) -> tuple[Item, ...]:
    """What a training job costs while it runs, and the warm pool after it."""
    job = settings.training
    if job.on == "local":
        return ()
    use: Use = "ec2" if job.on == "ec2" else "training"
    instance_type = job.ec2.instance_type if job.on == "ec2" else job.instance_type
    count = 1 if job.on == "ec2" else job.instance_count
    spot = job.ec2.spot if job.on == "ec2" else job.spot
    until = f"while it runs, {job.max_run_minutes} minutes at most" + (" (spot: less)" if spot else "")
    items = [_instances("training", count, instance_type, prices.of(use, instance_type), until)]
    if job.on == "sagemaker" and job.keep_alive_minutes:
        after = f"for {job.keep_alive_minutes} minutes after it"
        items.append(_instances("warm pool", count, instance_type, prices.of(use, instance_type), after))
    return tuple(items)


def tuning(settings: Settings, prices: Prices) -> tuple[Item, ...]:
    """What a search on SageMaker costs while the most trials run at once."""
    job, search = settings.training, settings.tuning
    trials = min(search.max_parallel, search.max_jobs)
    until = f"while {trials} trials run at once, {search.max_jobs} in all, {job.max_run_minutes} minutes each at most"
    price = prices.of("training", job.instance_type)
    return (_instances("tuning", trials * job.instance_count, job.instance_type, price, until),)


def lines(items: Sequence[Item], source: str) -> list[str]:
    """A bill for people: a line for each item, the sum of several, and the source of the prices."""
    text = [str(item) for item in items]
    if len(items) > 1 and all(item.usd is not None for item in items):
        text.append(f"together {sum(item.usd or 0 for item in items):.3f} USD an hour")
    return [*text, f"prices: {source}"] if items else []


def _endpoint(spec: EndpointSpec, prices: Prices) -> Iterator[Item]:
    what, endpoint = f"endpoint {spec.name}", spec.section
    if spec.is_serverless:
        gigabytes = endpoint.provisioned_concurrency * endpoint.memory_mb / 1024
        detail = f"serverless, {endpoint.provisioned_concurrency} × {endpoint.memory_mb} MB provisioned"
        yield Item(
            what=what, detail=detail, usd=gigabytes * SERVERLESS_GB_HOUR, until=f"{UNTIL}, and each request is billed"
        )
        return
    for count, instance_type in fleets(endpoint):
        until = UNTIL
        if endpoint.autoscaling.is_on:
            until = f"(scales from {endpoint.autoscaling.min} to {endpoint.autoscaling.max}) {UNTIL}"
        yield _instances(what, count, instance_type, prices.of("endpoint", instance_type), until)


def fleets(endpoint: Endpoint) -> Iterator[tuple[int, str]]:
    """The instance count and type of each variant; nothing for a serverless endpoint."""
    if endpoint.kind == "serverless":
        return
    for variant in endpoint.variants.values():
        yield variant.instance_count or endpoint.instance_count, variant.instance_type or endpoint.instance_type
    if not endpoint.variants:
        yield endpoint.instance_count, endpoint.instance_type


def _instances(what: str, count: int, instance_type: str, price: Price, until: str) -> Item:
    usd = None if price.usd is None else count * price.usd
    return Item(what=what, detail=f"{count} × {instance_type}", usd=usd, until=until)
