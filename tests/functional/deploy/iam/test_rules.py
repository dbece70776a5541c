"""What a request needs: each thing that it names, or everything where it names nothing."""

from __future__ import annotations

import pytest

from deploy.iam.document import allow, document
from tests.functional.deploy.iam.authorization import OPERATIONS
from tests.functional.deploy.iam.golden_calls import ANY
from tests.functional.deploy.iam.rules import EVERYTHING, arn, nothing, on
from tests.functional.deploy.iam.simulator import Need, Simulator

ALL = arn("ecr", f"repository/{EVERYTHING}")


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
    needs = list(OPERATIONS["ecr.DescribeRepositories"](params))
    assert needs == [Need(action="ecr:DescribeRepositories", resource=resource) for resource in resources]


def test_only_a_right_on_everything_allows_a_listing_without_names(simulator: Simulator) -> None:
    needs = list(OPERATIONS["ecr.DescribeRepositories"]({}))

    def denied(*names: str) -> bool:
        places = [arn("ecr", f"repository/{name}") for name in names]
        held = document([allow("Images", ["ecr:DescribeRepositories"], places)])
        return simulator.denied([held], needs) == needs

    assert denied("kennel-local/train", "kennel-local/*")
    assert not denied("*")


def test_only_a_rule_with_a_condition_may_need_nothing() -> None:
    tagged = on("ecr:TagResource", "arn:{name}", when="tags")
    assert list(tagged({"name": "a"})) == []
    assert list(tagged({"tags": [1]})) == [Need(action="ecr:TagResource", resource=f"arn:{EVERYTHING}")]


def test_every_operation_needs_something_however_little_its_request_names() -> None:
    whole = {"ec2.RunInstances", "ec2.CreateSecurityGroup"}  # whose requests cannot be without their parts
    scaled = {"ServiceNamespace": "sagemaker"}
    asked = {name: rule for name, rule in OPERATIONS.items() if rule is not nothing and name not in whole}
    needless = [
        name
        for name, rule in asked.items()
        if not list(rule(scaled if name.startswith("application") else {})) or not list(rule(ANY[name.split(".")[0]]))
    ]
    assert needless == []
