"""Quotas: what deploy.toml needs, what the account has, and what is refused before the first paid call."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from deploy.commands.quotas import quotas, request_more, table
from deploy.config.endpoint import Autoscaling, Endpoint, Variant
from deploy.config.function import Function
from deploy.config.section import Section
from deploy.config.settings import Settings
from deploy.config.training import Ec2, Training, Tuning
from deploy.console import Screen
from deploy.costs.quotas import (
    Need,
    Quota,
    Row,
    compare,
    increase,
    needs,
    require,
    require_all,
    transforming,
    vcpus,
)
from deploy.errors import DeployError
from deploy.session import Session
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, refusal

TRAINING = "ml.m5.xlarge for training job usage"
ENDPOINT = "ml.m5.large for endpoint usage"


@pytest.fixture
def plain(settings: Settings) -> Settings:
    """Settings with each section's defaults."""
    return settings.model_copy(
        update={"training": Training(), "tuning": Tuning(), "endpoint": Endpoint(), "function": Function()}
    )


def listing(**values: float) -> dict[str, Any]:
    return {"Quotas": [{"QuotaCode": f"L-{name}", "QuotaName": name, "Value": value} for name, value in values.items()]}


def account(values: Mapping[str, float], **more: Any) -> FakeAws:
    return FakeAws({"ListServiceQuotas": listing(**values), **more})


def needed(settings: Settings, command: str = "", **sections: Section) -> list[tuple[str, float]]:
    own = needs(settings.model_copy(update=sections))
    return [(need.name or need.code, need.amount) for need in own if command in ("", need.command)]


@pytest.mark.parametrize(
    ("training", "expected"),
    [
        (Training(), [(TRAINING, 1)]),
        (Training(instance_count=7), [(TRAINING, 7)]),
        (Training(spot=True), [("ml.m5.xlarge for spot training job usage", 1)]),
        (Training(keep_alive_minutes=5), [(TRAINING, 1), ("ml.m5.xlarge for training warm pool usage", 1)]),
        (Training(on="local"), []),
        (Training(on="ec2"), [("L-DB2E81BA", 4)]),
        (Training(on="ec2", ec2=Ec2(spot=True)), [("L-3819A6DF", 4)]),
        (Training(on="ec2", ec2=Ec2(instance_type="p3.8xlarge")), [("L-417A185B", 32)]),
        (Training(on="ec2", ec2=Ec2(instance_type="t3.medium")), [("L-1216C47A", 2)]),
        (Training(on="ec2", ec2=Ec2(instance_type="inf1.xlarge")), []),
    ],
)
def test_training_needs_its_instances_or_their_vcpus(
    plain: Settings, training: Training, expected: list[tuple[str, float]]
) -> None:
    assert needed(plain, "train", training=training) == expected


def test_tuning_needs_them_for_as_many_jobs_as_run_at_once(plain: Settings) -> None:
    training, tuning = Training(instance_count=2), Tuning(max_parallel=3)
    assert needed(plain, "tune", training=training, tuning=tuning) == [(TRAINING, 6)]


def test_endpoints_need_their_largest_and_an_update_a_second_fleet(plain: Settings) -> None:
    variants = {"a": Variant(), "b": Variant(instance_count=2)}
    chosen = plain.model_copy(update={"endpoints": {"further": Endpoint(autoscaling=Autoscaling(max=4))}})
    main = Endpoint(variants=variants)
    assert needed(chosen, "deploy", endpoint=main) == [(ENDPOINT, 7)]
    assert needed(chosen, "update", endpoint=main) == [(ENDPOINT, 11)]


CONCURRENCY = "Maximum total concurrency that can be allocated across all serverless endpoints"
MEMORY = "Memory size in MB per serverless endpoint"


def test_serverless_endpoints_need_concurrency_together_and_memory_beyond_what_every_account_has(
    plain: Settings,
) -> None:
    small, large = Endpoint(kind="serverless", max_concurrency=8), Endpoint(kind="serverless", memory_mb=6144)
    assert needed(plain, "deploy", endpoint=small) == [(CONCURRENCY, 8)]
    both = plain.model_copy(update={"endpoints": {"large": large}})
    assert needed(both, "deploy", endpoint=small) == [(CONCURRENCY, 13), (MEMORY, 6144)]
    with pytest.raises(DeployError, match=f"{MEMORY}: is 3072, and 6144 is needed"):
        require(account({MEMORY: 3072.0, CONCURRENCY: 10.0}), plain.model_copy(update={"endpoint": large}), "deploy")


def test_a_transform_needs_an_instance_of_its_endpoints_type(plain: Settings) -> None:
    further = Endpoint(instance_type="ml.g5.xlarge")
    chosen = plain.model_copy(update={"endpoints": {"one": further, "two": further}})
    assert needed(chosen, "transform") == [
        ("ml.m5.large for transform job usage", 1),
        ("ml.g5.xlarge for transform job usage", 1),
    ]
    with pytest.raises(DeployError, match=r"for transform job usage: is 0, and 3 is needed \(--instances\)"):
        require_all(
            account({"ml.m5.large for transform job usage": 0.0}), [transforming("ml.m5.large", 3, why="--instances")]
        )


def test_reserved_concurrency_leaves_a_hundred_unreserved(plain: Settings) -> None:
    assert ("L-B99A9384", 105) in needed(plain, "deploy", function=Function(reserved_concurrency=5))


@pytest.mark.parametrize(("kind", "count"), [("g4dn.xlarge", 4), ("g5.12xlarge", 48), ("m5.large", 2)])
def test_vcpus_follow_from_the_size(kind: str, count: int) -> None:
    assert vcpus(kind) == count


@pytest.mark.parametrize(("value", "verdict"), [(0.0, "too low"), (1.0, "enough"), (None, "unknown")])
def test_a_need_is_compared_with_the_quota_of_the_account(value: float | None, verdict: str) -> None:
    need = Need(command="train", service="sagemaker", name=TRAINING, amount=1, why="")
    (row,) = compare(account({} if value is None else {TRAINING: value}), [need])
    assert row.verdict.startswith(verdict)


def test_the_accounts_own_value_goes_before_aws_default() -> None:
    need = Need(command="train", service="sagemaker", name=TRAINING, amount=1, why="")
    aws = account({TRAINING: 4.0}, ListAWSDefaultServiceQuotas=listing(**{TRAINING: 0.0, "other": 1.0}))
    assert compare(aws, [need])[0].quota == Quota(code=f"L-{TRAINING}", name=TRAINING, value=4.0)


def test_listing_quotas_stops_once_all_needed_ones_are_there() -> None:
    need = Need(command="train", service="sagemaker", name=TRAINING, amount=1, why="")
    pages = [{**listing(other=1.0), "NextToken": "1"}, {**listing(**{TRAINING: 2.0}), "NextToken": "2"}]
    aws = FakeAws({"ListServiceQuotas": pages})
    assert not compare(aws, [need])[0].is_short
    assert aws.operations == ["ListServiceQuotas"] * 2


def test_a_quota_known_to_be_too_low_ends_the_command_before_it_costs(plain: Settings) -> None:
    with pytest.raises(DeployError, match=f"{TRAINING}: is 0, and 1 is needed .*\n./inv quotas --request"):
        require(account({TRAINING: 0.0}), plain, "train")


@pytest.mark.parametrize("aws", [account({TRAINING: 1.0}), FakeAws({"ListServiceQuotas": refusal("AccessDenied")})])
def test_enough_or_unknown_goes_on(plain: Settings, aws: FakeAws) -> None:
    require(aws, plain, "train")


def session_with(settings: Settings, aws: FakeAws) -> Session:
    return Session(settings=settings, call=aws, build=str, screen=Screen(out=io.StringIO()))


def ask(session: Session, *, yes: bool = True) -> tuple[list[str], list[Sequence[str]]]:
    questions: list[Sequence[str]] = []

    def confirm(lines: Sequence[str]) -> bool:
        questions.append(lines)
        return yes

    return request_more(session, quotas(session), confirm), questions


def test_an_increase_is_requested_once_a_quota_for_the_largest_need(plain: Settings) -> None:
    aws = account({TRAINING: 0.0, ENDPOINT: 9.0}, RequestServiceQuotaIncrease={"RequestedQuota": {"Status": "PENDING"}})
    lines, questions = ask(session_with(plain, aws))
    assert questions == [[f"{TRAINING}: 2"]]  # tuning's two jobs at once
    assert lines == [f"{TRAINING}: 2 requested, PENDING"]
    assert [each.params["DesiredValue"] for each in aws.sent if each.operation == "RequestServiceQuotaIncrease"] == [
        2.0
    ]


def test_a_pending_increase_is_not_requested_again_and_a_no_requests_nothing(plain: Settings) -> None:
    waiting = {"RequestedQuotas": [{"QuotaCode": f"L-{TRAINING}", "Status": "CASE_OPENED"}]}
    aws = account({TRAINING: 0.0}, ListRequestedServiceQuotaChangeHistory=waiting)
    assert ask(session_with(plain, aws))[0] == [f"{TRAINING}: already requested, CASE_OPENED"]
    assert ask(session_with(plain, aws), yes=False)[0] == ["nothing was requested"]
    assert "RequestServiceQuotaIncrease" not in aws.operations
    assert ask(session_with(plain, account({})))[0] == ["every known quota is high enough"]


def test_the_table_shows_an_unknown_quota(plain: Settings) -> None:
    rows = table(quotas(session_with(plain, account({TRAINING: 1.0}))))
    assert rows[0][:5] == ("train", TRAINING, "1", "1", "enough")
    assert ("deploy", ENDPOINT, "1", "?", "unknown") in [row[:5] for row in rows]


def test_the_requests_are_as_aws_takes_them(plain: Settings, golden: Golden) -> None:
    aws = FakeAws()
    quotas(session_with(plain, aws))
    for request in aws.sent:
        golden(str(request.params["ServiceCode"]), request)
    need = Need(command="train", service="sagemaker", name=TRAINING, amount=4, why="")
    golden("training", increase(Row(need=need, quota=Quota(code="L-CCE2AFA6", name=TRAINING, value=0))))
