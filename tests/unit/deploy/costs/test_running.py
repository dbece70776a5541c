"""What runs now, in detail, with its cost by the hour and since when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from deploy.commands.status import bill, table
from deploy.config.settings import Settings
from deploy.costs.prices import Prices
from deploy.costs.running import Ledger, Row, Running
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeAws, refusal

T = datetime(2026, 11, 21, 4, 30, tzinfo=UTC)
SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, "ProvisionedConcurrency": 1}


def ledger(settings: Settings, replies: Mapping[str, Any]) -> Ledger:
    aws = FakeAws({"GetProducts": {"PriceList": []}, **replies})
    return Ledger(settings=settings, call=aws, prices=Prices(call=aws, region="us-east-1"))


def endpoint(*variants: dict[str, Any], **types: str) -> dict[str, Any]:
    config = [{"VariantName": name, "InstanceType": kind} for name, kind in types.items()]
    return {
        "DescribeEndpoint": {"EndpointConfigName": "c", "ProductionVariants": variants, "CreationTime": T},
        "DescribeEndpointConfig": {"ProductionVariants": config},
    }


def variant(name: str, now: int, desired: int, weight: float = 1.0) -> dict[str, Any]:
    counts = {"CurrentInstanceCount": now, "DesiredInstanceCount": desired}
    return {"VariantName": name, "CurrentWeight": weight, **counts}


def test_an_endpoint_lists_each_variant_with_its_actual_and_desired_count(settings: Settings) -> None:
    replies = endpoint(variant("a", 1, 3, 0.9), variant("b", 2, 2, 0.1), a="ml.m5.large", b="ml.c5.large")
    bounds = {"ResourceId": "endpoint/e/variant/a", "MinCapacity": 1, "MaxCapacity": 4}
    other = {"ResourceId": "endpoint/e2/variant/b", "MinCapacity": 1, "MaxCapacity": 9}
    running = ledger(settings, {**replies, "DescribeScalableTargets": {"ScalableTargets": [bounds, other]}}).of(
        "endpoint", "e"
    )
    assert running.detail == "a 1 of 3 × ml.m5.large, weight 0.9, scales 1–4; b 2 × ml.c5.large, weight 0.1"
    assert running.usd == pytest.approx(0.115 + 2 * 0.102)
    assert running.since == T


def test_of_an_endpoint_that_went_since_it_was_listed_nothing_more_is_asked(settings: Settings) -> None:
    aws = FakeAws({"DescribeEndpoint": refusal("ValidationException", "Could not find endpoint")})
    shown = Ledger(settings=settings, call=aws, prices=Prices(call=aws, region="r")).of("endpoint", "e")
    assert (shown, aws.operations) == (Running(), ["DescribeEndpoint"])


def test_a_serverless_endpoint_costs_what_is_provisioned(settings: Settings) -> None:
    shown = {"VariantName": "main", "CurrentWeight": 1.0, "CurrentServerlessConfig": SERVERLESS}
    running = ledger(settings, endpoint(shown, main="")).of("endpoint", "e")
    assert running.detail == "main serverless 2048 MB, at most 5 at once, weight 1"
    assert running.usd == pytest.approx(0.0432)


def test_an_unknown_price_is_not_taken_for_zero(settings: Settings) -> None:
    assert ledger(settings, endpoint(variant("a", 1, 1), a="ml.x9.large")).of("endpoint", "e").usd is None


@pytest.mark.parametrize(("warm", "usd"), [(0, None), (3, 0.0225)])
def test_a_function_costs_by_the_hour_what_is_kept_warm(settings: Settings, warm: int, usd: float | None) -> None:
    configs = [{"AllocatedProvisionedConcurrentExecutions": warm}]
    replies = {
        "ListProvisionedConcurrencyConfigs": {"ProvisionedConcurrencyConfigs": configs},
        "GetFunctionConfiguration": {"MemorySize": 512},
    }
    assert ledger(settings, replies).of("function", "f").usd == usd


@pytest.mark.parametrize(("state", "usd"), [("running", 0.526), ("shutting-down", None)])
def test_an_instance_costs_while_it_runs(settings: Settings, state: str, usd: float | None) -> None:
    shown = {"InstanceId": "i-1", "InstanceType": "g4dn.xlarge", "State": {"Name": state}, "LaunchTime": T}
    replies = {"DescribeInstances": {"Reservations": [{"Instances": [shown]}]}}
    assert ledger(settings, replies).of("instance", "i-1").usd == usd


@pytest.mark.parametrize(("status", "usd"), [("InService", 0.05), ("Stopped", None)])
def test_a_notebook_costs_while_it_is_on(settings: Settings, status: str, usd: float | None) -> None:
    replies = {"DescribeNotebookInstance": {"NotebookInstanceStatus": status, "InstanceType": "ml.t3.medium"}}
    assert ledger(settings, replies).of("notebook", "n").usd == usd


def test_what_costs_nothing_by_the_hour_is_not_looked_at(settings: Settings) -> None:
    aws = FakeAws()
    assert Ledger(settings=settings, call=aws, prices=Prices(call=aws, region="r")).of("bucket", "b").usd is None
    assert aws.sent == []


def test_only_jobs_that_run_cost_and_all_kinds_of_jobs_are_listed(settings: Settings) -> None:
    jobs = [("kennel-local-new", "InProgress"), ("kennel-local-old", "Completed"), ("x-kennel-local-1", "InProgress")]
    listed = [{"TrainingJobName": name, "TrainingJobStatus": status} for name, status in jobs]
    replies = {
        "ListTrainingJobs": {"TrainingJobSummaries": listed},
        "ListTransformJobs": {
            "TransformJobSummaries": [{"TransformJobName": "kennel-local-t", "TransformJobStatus": "Completed"}]
        },
        "DescribeTrainingJob": {
            "TrainingJobName": "kennel-local-new",
            "TrainingJobStatus": "InProgress",
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2},
            "TrainingStartTime": T,
        },
    }
    rows = list(ledger(settings, replies).jobs())
    assert [(row.kind, row.name, row.detail, row.usd) for row in rows] == [
        ("job", "kennel-local-new", "2 × ml.m5.xlarge", 0.46),
        ("job", "kennel-local-old", "", None),
        ("transform", "kennel-local-t", "", None),
    ]


def test_the_table_shows_costs_and_times_where_there_are_any_and_the_bill_their_sum() -> None:
    rows = [Row(kind="a", name="b", state="c", usd=0.5, since=T), Row(kind="d", name="e", state="f")]
    assert table(rows) == [("a", "b", "c", "", "0.500", "2026-11-21 04:30"), ("d", "e", "f", "", "", "")]
    assert bill(rows, "a table") == "0.500 USD an hour now (prices: a table)"
    assert bill(rows[1:], "a table") == "nothing is billed by the hour now"


def test_every_question_is_one_that_aws_takes(settings: Settings, golden: Golden) -> None:
    aws = FakeAws({
        **endpoint(variant("main", 1, 1), main="ml.m5.large"),
        "ListProvisionedConcurrencyConfigs": {
            "ProvisionedConcurrencyConfigs": [{"AllocatedProvisionedConcurrentExecutions": 1}]
        },
        "ListTrainingJobs": {
            "TrainingJobSummaries": [{"TrainingJobName": "kennel-local-train-1", "TrainingJobStatus": "InProgress"}]
        },
        "DescribeTrainingJob": {"TrainingJobName": "kennel-local-train-1", "TrainingJobStatus": "InProgress"},
        "DescribeEndpoint": {"EndpointConfigName": "kennel-local-c"},
    })  # fmt: skip
    looked = Ledger(settings=settings, call=aws, prices=Prices(call=aws, region="us-east-1"))
    for kind, name in (("endpoint", "kennel-local"), ("function", "kennel-local-classify"), ("instance", "i-1")):
        looked.of(kind, name)
    looked.of("notebook", "kennel-local-notebook")
    assert list(looked.jobs())
    for request in aws.sent:
        if request.service != "pricing":
            golden("status", request)
