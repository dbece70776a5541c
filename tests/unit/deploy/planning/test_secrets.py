"""Secrets appear in no log and no plan."""

from __future__ import annotations

import io
import json

import pytest

from deploy.commands.plan import show
from deploy.console import Screen
from deploy.values import HIDDEN, Change, Plan, Request, Step, redacted

SECRET = "hunter2"
REQUEST = Request(
    service="sagemaker",
    operation="CreateModel",
    params={"PrimaryContainer": {"Environment": {"API_KEY": SECRET, "KENNEL_THREADS": "2"}}},
)


@pytest.mark.parametrize("name", ["DB_PASSWORD", "hf_token", "AWS_SECRET_ACCESS_KEY", "apiKey", "Credentials"])
def test_a_value_whose_name_says_that_it_is_secret_is_hidden(name: str) -> None:
    assert redacted({"Environment": {name: SECRET}}) == {"Environment": {name: HIDDEN}}


@pytest.mark.parametrize("name", ["KENNEL_THREADS", "AttributeKey", "NextTokens"])
def test_other_values_and_structures_are_shown(name: str) -> None:
    kept = ["x"] if name == "NextTokens" else "2"
    assert redacted({name: kept}) == {name: kept}


def test_a_secret_appears_in_no_trace_no_plan_and_no_json() -> None:
    change = Change(field="environment", before={}, after={"API_KEY": SECRET})
    plan = Plan(steps=(Step(action="create", address="model/m", reason="new", acts=(REQUEST,), changes=(change,)),))
    out = io.StringIO()
    show(plan, Screen(out=out))
    for text in (str(REQUEST), plan.to_json(), out.getvalue()):
        assert SECRET not in text
        assert HIDDEN in text
    assert json.loads(plan.to_json())["steps"][0]["changes"][0]["after"] == {"API_KEY": HIDDEN}


def test_a_secret_is_sent_as_it_is() -> None:
    assert REQUEST.params["PrimaryContainer"]["Environment"]["API_KEY"] == SECRET
