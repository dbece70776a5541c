"""What settings will cost by the hour, as `plan` and `train` say it before the act. Pure but for the prices."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from deploy.config.endpoint import Endpoint
from deploy.config.settings import Settings
from deploy.costs.prices import LAMBDA_GB_HOUR, SERVERLESS_GB_HOUR, Price, Prices, Use

UNTIL = "until ./inv down"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One thing that is paid by the hour. `usd` is for all of it, None when its price is not known."""

    what: str
    detail: str
    usd: float | None
    until: str = UNTIL

    def __str__(self) -> str:
        price = "price not known" if self.usd is None else f"{self.usd:.3f} USD an hour"
        return f"{self.what}: {self.detail}, {price} {self.until}"


def serving(settings: Settings, prices: Prices) -> tuple[Item, ...]:
    """What goes on being paid once `deploy` has run: endpoints and provisioned concurrency (pains 9, 10)."""
    items = [
        item
        for name, endpoint in settings.all_endpoints.items()
        for item in _endpoint(f"endpoint {name}", endpoint, prices)
    ]
    function = settings.function
    if function.provisioned_concurrency:
        gigabytes = function.provisioned_concurrency * function.memory_mb / 1024
        detail = f"{function.provisioned_concurrency} × {function.memory_mb} MB provisioned"
        items.append(Item(what=f"function {settings.function_name}", detail=detail, usd=gigabytes * LAMBDA_GB_HOUR))
    return tuple(items)


def training(settings: Settings, prices: Prices) -> tuple[Item, ...]:
    """What a training job costs while it runs, and the warm pool that it leaves."""
    wanted = settings.training
    if wanted.on == "local":
        return ()
    use: Use = "ec2" if wanted.on == "ec2" else "training"
    instance_type = wanted.ec2.instance_type if wanted.on == "ec2" else wanted.instance_type
    count = 1 if wanted.on == "ec2" else wanted.instance_count
    spot = wanted.ec2.spot if wanted.on == "ec2" else wanted.spot
    until = f"while it runs, {wanted.max_run_minutes} minutes at most" + (" (spot: less)" if spot else "")
    items = [_instances("training", count, instance_type, prices.of(use, instance_type), until)]
    if wanted.on == "sagemaker" and wanted.keep_alive_minutes:
        after = f"for {wanted.keep_alive_minutes} minutes after it"
        items.append(_instances("warm pool", count, instance_type, prices.of(use, instance_type), after))
    return tuple(items)


def tuning(settings: Settings, prices: Prices) -> tuple[Item, ...]:
    """What a search on SageMaker costs while as many trials run as may run at once."""
    wanted, search = settings.training, settings.tuning
    trials = min(search.max_parallel, search.max_jobs)
    until = (
        f"while {trials} trials run at once, {search.max_jobs} in all, {wanted.max_run_minutes} minutes each at most"
    )
    price = prices.of("training", wanted.instance_type)
    return (_instances("tuning", trials * wanted.instance_count, wanted.instance_type, price, until),)


def told(items: Iterable[Item], source: str) -> list[str]:
    """Items for people: a line each, their sum where there are several, and where the prices are from."""
    known = list(items)
    lines = [str(item) for item in known]
    if len(known) > 1 and all(item.usd is not None for item in known):
        lines.append(f"together {sum(item.usd or 0 for item in known):.3f} USD an hour")
    return [*lines, f"prices: {source}"] if known else []


def _endpoint(what: str, endpoint: Endpoint, prices: Prices) -> Iterator[Item]:
    if endpoint.kind == "serverless":
        gigabytes = endpoint.provisioned_concurrency * endpoint.memory_mb / 1024
        detail = f"serverless, {endpoint.provisioned_concurrency} × {endpoint.memory_mb} MB provisioned"
        yield Item(what=what, detail=detail, usd=gigabytes * SERVERLESS_GB_HOUR, until=f"and each request, {UNTIL}")
        return
    for count, instance_type in fleets(endpoint):
        until = UNTIL
        if endpoint.autoscaling.is_on:
            until = f"(scales from {endpoint.autoscaling.min} to {endpoint.autoscaling.max}) {UNTIL}"
        yield _instances(what, count, instance_type, prices.of("endpoint", instance_type), until)


def fleets(endpoint: Endpoint) -> Iterator[tuple[int, str]]:
    """(how many, of which type) for each variant of an endpoint with instances."""
    if endpoint.kind == "serverless":
        return
    for variant in endpoint.variants.values():
        yield variant.instance_count or endpoint.instance_count, variant.instance_type or endpoint.instance_type
    if not endpoint.variants:
        yield endpoint.instance_count, endpoint.instance_type


def _instances(what: str, count: int, instance_type: str, price: Price, until: str) -> Item:
    usd = None if price.usd is None else count * price.usd
    return Item(what=what, detail=f"{count} × {instance_type}", usd=usd, until=until)
