"""One table has every error code of the function, and no other, with its status and meaning."""

from __future__ import annotations

import re
from pathlib import Path

import lambda_container
from lambda_container.errors import ERRORS, RequestError
from tests.unit.error_codes import raised_codes

FOLDER = Path(str(lambda_container.__file__)).parent


def test_the_codes_that_are_raised_are_those_of_the_table() -> None:
    raised = raised_codes(FOLDER, {"RequestError"})
    assert {code: place for code, place in raised.items() if code not in ERRORS} == {}
    assert set(ERRORS) - set(raised) == set()


def test_each_code_has_a_status_of_its_class_and_one_sentence() -> None:
    for code, (status, meaning) in ERRORS.items():
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code)
        assert 400 <= status <= 504, code
        assert meaning.endswith("."), code


def test_an_error_has_the_status_of_its_code_and_may_carry_the_endpoints_code() -> None:
    error = RequestError("unusable-picture", "broken", endpoint_code="truncated", original_status=422)
    assert (error.status, error.code) == (422, "truncated")
    assert error.fields() == {"code": "truncated", "message": "broken", "original_status": 422}
