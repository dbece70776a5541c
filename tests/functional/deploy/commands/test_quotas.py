"""Quotas and prices over HTTP: a new account is too small, asks for more, and is granted it."""

from __future__ import annotations

import io
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.commands.quotas import quotas, request_more
from deploy.config.settings import choose, parse
from deploy.config.training import Training
from deploy.console import Screen
from deploy.costs.prices import TABLE_SOURCE, Prices
from deploy.session import Session
from deploy.values import Request
from localcloud.gateway.server import Application, Listener, bind
from localcloud.service_quotas import api
from localcloud.service_quotas.limits import Quotas
from tests.clients import connect
from tests.unit.localcloud.fakes import cloud

TOML = Path(__file__).parents[4] / "deploy.toml"


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A session with a new account, whose settings need a GPU."""
    new = replace(cloud(tmp_path), quotas=Quotas(limited=True))
    sockets = bind(0, ["127.0.0.1"])
    emulated = [api.service(new.quotas, arn=new.arn, now=new.now), api.price_list()]
    listener = Listener(sockets, Application(emulated, region="us-east-1", health=dict))
    listener.start()
    chosen = choose(parse(TOML.read_text()), "local")
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    stage = chosen.stage.model_copy(update={"endpoint_url": url, "account": "123456789012"})
    training = Training(instance_type="ml.g5.xlarge")
    settings = chosen.model_copy(update={"stage": stage, "training": training})
    yield Session(settings=settings, call=connect(settings), build=str, screen=Screen(out=io.StringIO()))
    listener.stop()


def short(session: Session) -> list[str]:
    return [row.quota.name for row in quotas(session) if row.is_short and row.quota]


def test_a_new_account_lacks_a_quota_until_its_increase_is_granted(session: Session) -> None:
    gpu = "ml.g5.xlarge for training job usage"
    assert gpu in short(session)
    results = request_more(session, quotas(session), lambda _: True)
    assert f"{gpu}: 2 requested, PENDING" in results
    assert f"{gpu}: already requested, PENDING" in request_more(session, quotas(session), lambda _: True)
    requested = session.call(Request(service="service-quotas", operation="ListRequestedServiceQuotaChangeHistory"))[
        "RequestedQuotas"
    ]
    number = next(each["Id"] for each in requested if each["QuotaName"] == gpu)
    grant = f"{session.settings.stage.endpoint_url}/_localcloud/quotas/{number}/approve"
    urllib.request.urlopen(urllib.request.Request(grant, method="POST"), timeout=5).close()
    assert gpu not in short(session)


def test_with_an_empty_price_list_prices_come_from_the_table(session: Session) -> None:
    prices = Prices(call=session.call, region="us-east-1")
    assert (prices.of("training", "ml.g5.xlarge").usd, prices.source) == (1.408, TABLE_SOURCE)
