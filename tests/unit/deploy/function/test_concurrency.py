"""Reserved and provisioned concurrency: every transition, in the order that Lambda accepts."""

from __future__ import annotations

from itertools import product

import pytest

from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.function.concurrency import Concurrency, concurrency
from deploy.values import State
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.function.fakes import LambdaCalls, deploy, requests, shown
from tests.unit.localcloud.awslambda.fakes import Fakes

TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}
PUT, READY = "PutProvisionedConcurrencyConfig", "wait READY"
GONE, RESERVE = "DeleteProvisionedConcurrencyConfig", "PutFunctionConcurrency"


def desired(reserved: int | None, provisioned: int, *, least: int = 0, most: int = 0) -> Concurrency:
    return Concurrency(
        function="f", alias="live", reserved=reserved, provisioned=provisioned, least=least, most=most, tags=TAGS
    )


def observed(reserved: int | None, provisioned: int, status: str = "READY", **account: int) -> State:
    limits = {"limit": 1000, "unreserved": 1000 - (provisioned if reserved is None else reserved), **account}
    return State(fields={"reserved": reserved, "provisioned": provisioned, "status": status, "scales": False, **limits})


@pytest.mark.parametrize(
    ("now", "after", "acts"),
    [
        ((None, 0), (None, 0), []),
        ((None, 0), (5, 0), [f"{RESERVE} 5"]),
        ((None, 0), (5, 3), [f"{RESERVE} 5", f"{PUT} 3", READY]),
        ((None, 0), (None, 3), [f"{PUT} 3", READY]),
        ((5, 3), (5, 3), []),
        ((5, 3), (10, 8), [f"{RESERVE} 10", f"{PUT} 8", READY]),
        ((10, 8), (5, 3), [f"{PUT} 3", READY, f"{RESERVE} 5"]),
        ((10, 8), (9, 3), [f"{RESERVE} 9", f"{PUT} 3", READY]),
        ((10, 8), (5, 0), [GONE, f"{RESERVE} 5"]),
        ((5, 3), (None, 3), ["DeleteFunctionConcurrency"]),
        ((5, 3), (None, 0), ["DeleteFunctionConcurrency", GONE]),
        ((5, 3), (None, 8), ["DeleteFunctionConcurrency", f"{PUT} 8", READY]),
        ((None, 8), (5, 3), [f"{PUT} 3", READY, f"{RESERVE} 5"]),
        ((None, 3), (5, 3), [f"{RESERVE} 5"]),
    ],
)
def test_the_order_of_changes_keeps_provisioned_within_reserved(
    now: tuple[int | None, int], after: tuple[int | None, int], acts: list[str]
) -> None:
    assert shown(desired(*after).plan(observed(*now)).acts) == acts


COUNTS = [pair for pair in product((None, 2, 3, 5), (0, 1, 2, 3, 5)) if pair[0] is None or pair[1] <= pair[0]]


def test_lambda_accepts_every_transition_and_a_second_deploy_does_nothing() -> None:
    fakes = Fakes()
    fakes.active()
    fakes.do("PublishVersion")
    fakes.later.run()
    fakes.do("CreateAlias", Name="live", FunctionVersion="1")
    calls = LambdaCalls(fakes)
    for now, after in product(COUNTS, COUNTS):
        deploy([desired(*now)], calls)
        deploy([desired(*after)], calls)
        assert deploy([desired(*after)], calls) == (), (now, after)
        assert len(fakes.engine.running()) == after[1], (now, after)


@pytest.mark.parametrize(("status", "acts"), [("READY", []), ("IN_PROGRESS", [READY]), ("FAILED", [f"{PUT} 3", READY])])
def test_the_step_follows_from_the_status_of_provisioned_concurrency(status: str, acts: list[str]) -> None:
    assert shown(desired(5, 3).plan(observed(5, 3, status)).acts) == acts


def test_an_alias_that_was_idle_for_weeks_is_woken_before_it_is_kept_warm(golden: Golden) -> None:
    state = observed(5, 0, "")
    step = desired(5, 3).plan(State(fields={**state.fields, "state": "Inactive"}))
    assert shown(step.acts) == ["Invoke", f"{PUT} 3", READY]
    golden("concurrency", requests(step)[0], rules=(93,))
    warm = observed(5, 3)
    assert desired(5, 3).plan(State(fields={**warm.fields, "state": "Inactive"})).action == "none"


def test_the_state_of_the_version_is_read_where_it_is_to_be_kept_warm() -> None:
    fakes = Fakes()
    fakes.active()
    fakes.do("PublishVersion")
    fakes.later.run()
    fakes.do("CreateAlias", Name="live", FunctionVersion="1")
    read = [desired(5, count).read(LambdaCalls(fakes)) for count in (0, 3)]
    assert [state.fields["state"] for state in read if state] == ["", "Active"]


@pytest.mark.parametrize(("now", "stays"), [(0, 2), (1, 1), (4, 4), (9, 5)])
def test_the_value_that_scaling_reached_is_kept_within_its_bounds(now: int, stays: int) -> None:
    assert desired(10, 2, least=1, most=5).desired(now)["provisioned"] == stays


def test_a_target_that_no_longer_scales_is_deregistered_first() -> None:
    state = observed(5, 3)
    state = State(fields={**state.fields, "scales": True})
    assert shown(desired(5, 0).plan(state).acts) == ["DeregisterScalableTarget", GONE]
    step = desired(5, 3).plan(state)
    assert (shown(step.acts), step.reason) == (["DeregisterScalableTarget"], "does not scale any more")
    assert desired(5, 3, least=1, most=4).plan(state).action == "none"


@pytest.mark.parametrize(
    ("after", "account", "message"),
    [
        ((5, 0), {"limit": 10, "unreserved": 10}, "reserved_concurrency: 5 .*10 must stay unreserved, which leaves 0"),
        ((11, 0), {"limit": 1000, "unreserved": 110}, "reserved_concurrency: 11 .* leaves 10"),
        ((None, 11), {"limit": 1000, "unreserved": 110}, "provisioned_concurrency: 11 .* leaves 10"),
    ],
)
def test_concurrency_that_the_account_cannot_spare_is_refused_before_anything_is_sent(
    after: tuple[int | None, int], account: dict[str, int], message: str
) -> None:
    with pytest.raises(DeployError, match=rf"lambda\.{message}.*L-B99A9384"):
        desired(*after).plan(observed(None, 0, "", **account))


def test_reserved_concurrency_is_kept_though_the_account_is_full() -> None:
    account = {"limit": 1000, "unreserved": 20}
    assert desired(5, 2).plan(observed(5, 2, "READY", **account)).action == "none"
    assert desired(4, 2).plan(observed(5, 2, "READY", **account)).action == "update"


def test_it_follows_from_the_settings(settings: Settings) -> None:
    changes = {"reserved_concurrency": 9, "provisioned_concurrency": 4, "alias": "prod"}
    function = settings.function.model_copy(update=changes)
    made = concurrency(settings.model_copy(update={"function": function}))
    assert (made.address, made.reserved, made.provisioned) == ("concurrency/kennel-local-classify:prod", 9, 4)


def test_lambda_accepts_every_request(golden: Golden) -> None:
    for request in requests(desired(5, 3).plan(observed(None, 0))):
        golden("concurrency", request, rules=(67,))
    for request in requests(desired(None, 0).plan(State(fields={**observed(5, 3).fields, "scales": True}))):
        golden("concurrency", request, rules=(67,))
    calls = LambdaCalls(Fakes())
    desired(5, 3).read(calls)
    for request in calls.sent:
        golden("concurrency", request, rules=(67,))
