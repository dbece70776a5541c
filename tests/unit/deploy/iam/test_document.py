"""IAM documents as values: rights gained and lost, conditions in words, sizes; and the lock of the tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deploy.iam.document import actions, allow, delta, document, principal_trust, service_trust, terms

LOCK = Path(__file__).parents[4] / "localcloud/authorization/package-lock.json"
A, B = "arn:aws:s3:::a/*", "arn:aws:s3:::b/*"


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ([], [], []),
        ([], [allow("X", ["s3:GetObject"], [A])], [f"+ s3:GetObject on {A}"]),
        ([allow("X", ["s3:GetObject"], [A])], [], [f"- s3:GetObject on {A}"]),
        ([allow("X", ["s3:GetObject"], [A])], [allow("Y", ["s3:GetObject"], [A])], []),
        ([allow("X", ["s3:GetObject"], [A, B])], [allow("X", ["s3:GetObject"], [A])], [f"- s3:GetObject on {B}"]),
        ([], [allow("X", ["s3:GetObject", "s3:PutObject"], [A, B])], [f"+ s3:GetObject, s3:PutObject on {A}, {B}"]),
        (
            [allow("X", ["s3:GetObject"], [A])],
            [allow("X", ["s3:GetObject"], [A], Bool={"aws:SecureTransport": "true"})],
            [f"+ s3:GetObject on {A} where aws:SecureTransport is true", f"- s3:GetObject on {A}"],
        ),
    ],
)
def test_rights_are_listed_by_action_resource_and_condition(
    before: list[Any], after: list[Any], lines: list[str]
) -> None:
    assert delta([document(before)], [document(after)]).splitlines() == lines


def test_documents_with_single_values_instead_of_lists_are_read() -> None:
    alone = {"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}
    assert actions([alone]) == ["not s3:*"]


def test_a_condition_is_shown_in_words() -> None:
    assert terms({"StringEquals": {"iam:PassedToService": "a"}, "ArnLike": {"aws:SourceArn": ["b", "c"]}}) == (
        "aws:SourceArn like b or c and iam:PassedToService is a"
    )


def test_a_trust_policy_names_one_service_several_or_a_principal() -> None:
    def principal(trust: dict[str, Any]) -> Any:
        return trust["Statement"][0]["Principal"]

    assert principal(service_trust(["a"])) == {"Service": "a"}
    assert principal(service_trust(["a", "b"])) == {"Service": ["a", "b"]}
    assert principal(principal_trust("arn:aws:iam::1:root")) == {"AWS": "arn:aws:iam::1:root"}


def test_every_package_of_the_simulator_is_locked_by_its_hash_and_without_a_url() -> None:
    text = LOCK.read_text(encoding="utf-8")
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    assert packages
    assert [name for name, entry in packages.items() if not entry["integrity"].startswith("sha512-")] == []
    assert "://" not in text
