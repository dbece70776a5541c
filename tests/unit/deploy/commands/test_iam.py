"""./inv iam: every role for people and for scripts, and the deployer's policies to paste."""

from __future__ import annotations

import io
import json

import pytest

from deploy.commands.iam import HEADINGS, sheets, show, show_deployer
from deploy.config.general import Iam
from deploy.config.settings import Settings
from deploy.console import Screen
from deploy.iam.document import MANAGED_LIMIT, size


@pytest.fixture
def screen() -> Screen:
    return Screen(out=io.StringIO())


def output(screen: Screen) -> str:
    return screen.out.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_every_role_is_shown_with_who_may_assume_it_and_its_permissions(settings: Settings, screen: Screen) -> None:
    show(sheets(settings), screen)
    text = output(screen)
    for purpose in ("training", "endpoint", "lambda", "ec2", "notebook", "deployer", "auditor"):
        assert f"\nkennel-local-{purpose}: " in text
    assert "kennel-local-lambda: assumed by lambda.amazonaws.com\n" in text
    assert (
        "kennel-local-training: assumed by sagemaker.amazonaws.com where aws:SourceArn like "
        "arn:aws:sagemaker:us-east-1:123456789012:training-job/* or "
    ) in text
    rights = next(line for line in text.splitlines() if line.startswith("InvokeEndpoint "))
    endpoint = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/kennel-local"
    assert rights.split() == ["InvokeEndpoint", "sagemaker:", "InvokeEndpoint", endpoint]
    assert "iam:PassedToService is lambda.amazonaws.com" in text


def test_a_statement_has_a_row_with_its_services_and_resources(settings: Settings) -> None:
    lambdas = next(sheet for sheet in sheets(settings) if sheet.name == "kennel-local-lambda")
    rows = [dict(zip(HEADINGS, row, strict=True)) for row in lambdas.rows()]
    assert rows[0] == {
        "permission": "InvokeEndpoint",
        "allows": "sagemaker: InvokeEndpoint",
        "on": "arn:aws:sagemaker:us-east-1:123456789012:endpoint/kennel-local",
        "where": "",
    }


def test_the_deployers_role_shows_who_may_assume_it_and_its_boundary(settings: Settings, screen: Screen) -> None:
    ci = "arn:aws:iam::123456789012:role/ci"
    bounded = Iam(deployer_principal=ci, permissions_boundary="arn:aws:iam::123456789012:policy/bounds")
    show(sheets(settings.model_copy(update={"iam": bounded})), screen)
    assert f"kennel-local-deployer: assumed by {ci}\n" in output(screen)
    assert "; bounded by arn:aws:iam::123456789012:policy/bounds\n" in output(screen)


def test_the_deployers_policies_are_json_to_paste_with_the_instructions_apart(settings: Settings) -> None:
    out, notes = Screen(out=io.StringIO()), Screen(out=io.StringIO())
    show_deployer(settings, out, notes)
    decoder, text, documents = json.JSONDecoder(), output(out), []
    while text.strip():
        document, end = decoder.raw_decode(text.lstrip())
        documents.append(document)
        text = text.lstrip()[end:]
    assert len(documents) == 4
    assert all(size(document) <= MANAGED_LIMIT for document in documents)
    assert "4 policies, because a policy has at most 6144 characters" in output(notes)
    assert "kennel-local-deployer-storage: " in output(notes)


def test_documents_are_there_for_scripts(settings: Settings) -> None:
    made = [sheet.to_json() for sheet in sheets(settings)]
    assert json.loads(json.dumps(made)) == made
    assert made[0]["trust"]["Statement"][0]["Principal"] == {"Service": "sagemaker.amazonaws.com"}
