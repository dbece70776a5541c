"""docs/localcloud-operations.md is what the code and localcloud/witnesses.toml say, and every witness can be found."""

from __future__ import annotations

import ast
import re

import botocore.session
import pytest

from cli import localcloud_operations as operations
from localcloud.errors import ApiError
from localcloud.gateway.service import PassToMoto
from tests.functional.localcloud.recorded import CASES
from tests.unit.deploy.golden.test_golden import BARE

ROWS = operations.operations()
BY_NAME = {(row.service, row.name): row for row in ROWS}
RECORDINGS = "localstack/localstack: tests/aws/services/"
PLACE = re.compile(r"[\w-]+/[\w-]+: tests/[\w/]+\.py::(\w+::)?test_\w+")


def test_the_page_is_what_the_code_says() -> None:
    page = operations.PAGE.read_text(encoding="utf-8")
    assert page == operations.page(), "run .venv/bin/python -m cli.localcloud_operations"


def test_every_operation_that_kennel_calls_or_localcloud_answers_is_a_line_and_nothing_else_is() -> None:
    handlers, wrappers = operations.answered()
    assert set(BY_NAME) == operations.called() | handlers.keys() | wrappers.keys() | set(operations.BARE)
    assert {name for _, name in operations.BARE} == BARE
    assert len(BY_NAME) > 200


def test_every_operation_has_a_witness_and_no_witness_is_of_an_operation_that_does_not_exist() -> None:
    assert operations.witnesses().keys() == BY_NAME.keys()
    assert [row for row in ROWS if row.witness[0] == "none"] == []


def test_every_operation_is_one_that_aws_has() -> None:
    session = botocore.session.get_session()
    known = {
        (service, name)
        for service in {row.service for row in ROWS}
        for name in session.get_service_model(service).operation_names
    }
    assert BY_NAME.keys() - known == set()


def test_a_witness_has_one_kind_and_only_a_recording_can_differ() -> None:
    for operation, entry in operations.witnesses().items():
        kinds = entry.keys() - {"differs"}
        assert len(kinds) == 1, operation
        assert kinds <= operations.KINDS.keys(), operation
        assert "differs" not in entry or "recorded" in entry, operation


@pytest.mark.parametrize("kind", ["recorded", "validated"])
def test_what_others_saw_of_real_aws_names_repository_path_and_test(kind: str) -> None:
    places = [row.witness[1] for row in ROWS if row.witness[0] == kind]
    assert places
    assert [place for place in places if not PLACE.fullmatch(place)] == []


def test_a_client_s_test_is_one_of_this_repository() -> None:
    places = {row.witness[1] for row in ROWS if row.witness[0] == "client"}
    assert places
    for place in places:
        path, _, test = place.partition("::")
        tree = ast.parse((operations.REPOSITORY / path).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, place


def test_documentation_is_a_page_of_aws_that_names_the_operation() -> None:
    rows = [row for row in ROWS if row.witness[0] == "documentation"]
    pattern = r"https://docs\.aws\.amazon\.com/[\w/-]+/API_(runtime_|pricing_)?{}\.html"
    assert [row for row in rows if not re.fullmatch(pattern.format(row.name), row.witness[1])] == []


def test_every_recording_except_lambdas_is_asked_and_every_difference_is_told() -> None:
    recorded = {
        (row.service, row.name): row for row in ROWS if row.witness[0] == "recorded" and row.service != "lambda"
    }
    asked = {(service, case.operation): case for service, cases in CASES.items() for case in cases}
    assert recorded.keys() - asked.keys() == set()
    sources = {(service, case.operation, case.source) for service, cases in CASES.items() for case in cases}
    named = {(*name, row.witness[1].removeprefix(RECORDINGS)) for name, row in recorded.items()}
    assert named - sources == set()
    differing = {(service, case.operation) for service, cases in CASES.items() for case in cases if case.here}
    assert {name for name, row in recorded.items() if row.differs} == differing & BY_NAME.keys()


# ---------------------------------------------------------------------------------------------- errors, by ast


class Sample:
    """A handler's class as localcloud writes them."""

    def deep(self, params: dict[str, str]) -> dict[str, str]:
        return self._below(params)

    def _below(self, params: dict[str, str]) -> dict[str, str]:
        if params:
            raise ApiError("First" if len(params) == 1 else "Second", "")
        raise PassToMoto

    def refuse(self, _: dict[str, str]) -> dict[str, str]:
        """Says no."""
        raise ApiError("Never", "")


def test_errors_are_found_in_what_a_handler_calls_and_a_handler_that_only_raises_refuses() -> None:
    found = operations.reached(Sample().deep)
    assert (set(found.codes), found.passes, found.refuses) == ({"First", "Second"}, True, False)
    found = operations.reached(Sample().refuse)
    assert (set(found.codes), found.passes, found.refuses) == ({"Never"}, False, True)


@pytest.mark.parametrize(
    ("service", "name", "who", "code"),
    [
        ("lambda", "CreateAlias", "localcloud", "ResourceConflictException"),
        ("ecr", "DeleteRepository", "localcloud", "RepositoryNotEmptyException"),
        ("ecr", "UploadLayerPart", "refused", "ServerException"),
        ("ec2", "RunInstances", "both", "IdempotentParameterMismatch"),
        ("sagemaker", "CreateTrainingJob", "localcloud", "ResourceInUse"),
    ],
)
def test_an_operation_tells_who_answers_and_an_error_of_its_code(service: str, name: str, who: str, code: str) -> None:
    row = BY_NAME[service, name]
    assert row.who == who
    assert code in row.errors


def test_an_operation_that_localcloud_does_not_know_is_motos() -> None:
    assert (BY_NAME["iam", "CreateRole"].who, BY_NAME["iam", "CreateRole"].errors) == ("moto", ())
