"""What a request needs: each thing that it names, or everything where it names nothing."""

from __future__ import annotations

import pytest

from deploy.iam.document import allow, document
from localcloud.authorization.needs import Need, Params, Rule, arn, nothing, on
from localcloud.authorization.operations import OPERATIONS
from tests.functional.deploy.iam.account import StageAccount
from tests.functional.deploy.iam.golden_calls import ANY
from tests.functional.deploy.iam.simulator import Simulator

HERE = StageAccount()
ALL = arn("ecr", "repository/*")


@pytest.mark.parametrize(
    ("params", "resources"),
    [
        ({"repositoryNames": ["a", "b"]}, [arn("ecr", "repository/a"), arn("ecr", "repository/b")]),
        ({"repositoryNames": []}, [ALL]),
        ({}, [ALL]),
    ],
)
def test_a_listing_without_names_needs_the_right_on_everything(
    params: dict[str, list[str]], resources: list[str]
) -> None:
    needs = list(OPERATIONS["ecr.DescribeRepositories"](params, HERE))
    assert needs == [Need(action="ecr:DescribeRepositories", resource=resource) for resource in resources]


def test_only_a_right_on_everything_allows_a_listing_without_names(simulator: Simulator) -> None:
    needs = list(OPERATIONS["ecr.DescribeRepositories"]({}, HERE))

    def denied(*names: str) -> bool:
        places = [arn("ecr", f"repository/{name}") for name in names]
        held = document([allow("Images", ["ecr:DescribeRepositories"], places)])
        return simulator.denied([held], needs) == needs

    assert denied("kennel-local/train", "kennel-local/*")
    assert not denied("*")


def test_only_a_rule_with_a_condition_may_need_nothing() -> None:
    tagged = on("ecr:TagResource", "arn:{name}", when="tags")
    assert list(tagged({"name": "a"}, HERE)) == []
    assert list(tagged({"tags": [1]}, HERE)) == [Need(action="ecr:TagResource", resource="arn:*")]


def test_every_operation_needs_something_however_little_its_request_names() -> None:
    scaled = {"ServiceNamespace": "sagemaker"}
    asked = {name: rule for name, rule in OPERATIONS.items() if rule is not nothing}

    def is_needless(rule: Rule, params: Params) -> bool:
        try:
            return not list(rule(params, HERE))
        except KeyError:  # a request without this part is refused
            return False

    needless = [
        name
        for name, rule in asked.items()
        for params in (scaled if name.startswith("application") else {}, ANY[name.partition(".")[0]])
        if is_needless(rule, params)
    ]
    assert needless == []
