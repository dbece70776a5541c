"""What commands really ask in an account with neighbours, judged with the deployer's policies: nothing is refused but
the reading of a neighbour's tags, and that does not end the command."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from deploy.commands.logs import ended, readers_of
from deploy.commands.status import status
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.images.referenced import referenced
from deploy.session import Session
from deploy.values import Call, Request
from tests.functional.deploy.iam.golden_calls import Call as Asked
from tests.functional.deploy.iam.simulator import Simulator
from tests.functional.deploy.iam.test_deployer import documents
from tests.unit.deploy.stage.account import NEIGHBOUR, OURS, Account

JOBS = {"training-job": "job", "transform-job": "transform", "tuning-job": "tuning"}  # as `status` calls them
NAMES = ("main", "lambda", "other", "kennel-local", "kennel-local-train-0123456789", "kennel-prod-classify")


def refused(simulator: Simulator, settings: Settings, sent: list[Request]) -> list[Request]:
    """Those of some requests that the deployer's policies do not allow."""
    needs = {
        id(each): Asked(operation=f"{each.service}.{each.operation}", params=each.params, where="").needs
        for each in sent
    }
    denied = {str(need) for need in simulator.denied(documents(settings), [n for own in needs.values() for n in own])}
    return [each for each in sent if any(str(need) in denied for need in needs[id(each)])]


def shown(settings: Settings, call: Call) -> list[str]:
    """What `status` shows, and so what `down` finds, as kind/name."""
    session = Session(settings=settings, call=call, build=str, screen=Screen(out=io.StringIO()))
    return [f"{row.kind}/{row.name}" for row in status(session)[0]]


def test_status_and_down_are_refused_nothing_but_neighbours_and_find_all_that_is_ours(
    simulator: Simulator, settings: Settings
) -> None:
    free = Account(is_denied=lambda _: False)
    shown(settings, free)
    denied = refused(simulator, settings, free.sent)
    assert [each for each in denied if NEIGHBOUR not in str(each.params)] == []
    known = {str(each) for each in denied}
    assert known, "the account has neighbours that the deployer may not read"
    judged = Account(is_denied=lambda request: str(request) in known)
    expected = {JOBS.get(kind, kind) + f"/{name}" for kind, _, name in (each.partition("/") for each in OURS)}
    assert {each for each in shown(settings, judged) if NEIGHBOUR not in each} == expected


def of_prune(settings: Settings, call: Call) -> None:
    referenced(settings, call)


def of_logs(settings: Settings, call: Call) -> None:
    for name in NAMES:
        ended(settings, name, call)
        for reader in readers_of(settings, call, name):
            list(reader.read())


@pytest.mark.parametrize("asks", [of_prune, of_logs])
def test_what_a_command_asks_is_allowed(
    simulator: Simulator, settings: Settings, asks: Callable[[Settings, Call], None]
) -> None:
    account = Account(is_denied=lambda _: False)
    asks(settings, account)
    assert account.sent
    assert refused(simulator, settings, account.sent) == []
