"""One table has every error code that the server answers, and no other, with its status and meaning."""

from __future__ import annotations

import re
from pathlib import Path

import contract.preprocess
import serve
from serve import page
from serve.errors import ERRORS, BadRequestError, UnavailableError
from tests.unit.error_codes import raised_codes

SERVE, CONTRACT = Path(str(serve.__file__)).parent, Path(str(contract.preprocess.__file__)).parent
PASSED_ON = {"error.kind", "error.code"}  # a PictureError's kind and an exception's own code


def test_the_codes_that_are_raised_are_those_of_the_table() -> None:
    ours = raised_codes(SERVE, {"BadRequestError", "UnavailableError", "_error"})
    pictures = raised_codes(CONTRACT, {"PictureError"})
    raised = {code: place for code, place in (pictures | ours).items() if code not in PASSED_ON}
    assert {code: place for code, place in raised.items() if code not in ERRORS} == {}
    assert set(ERRORS) - set(raised) == set()


def test_each_code_has_a_status_of_its_class_and_one_sentence() -> None:
    for code, (status, meaning) in ERRORS.items():
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code)
        assert 400 <= status <= 503, code
        assert meaning.endswith("."), code


def test_an_error_has_the_status_of_its_code_and_a_retry_time_only_where_repeating_helps() -> None:
    bad, unavailable = BadRequestError("empty", "no picture"), UnavailableError("overloaded", "wait", 2.1)
    assert (bad.status, bad.retry_after) == (400, None)
    assert (unavailable.status, unavailable.retry_after) == (503, 3)


def test_bad_requests_are_4xx_and_unavailable_ones_503() -> None:
    for kind, statuses in (("BadRequestError", range(400, 500)), ("UnavailableError", range(503, 504))):
        codes = raised_codes(SERVE, {kind}).keys() - PASSED_ON
        assert codes
        assert {code for code in codes if ERRORS[code].status not in statuses} == set()


def test_the_page_has_titles_for_codes_of_the_table_only() -> None:
    titles = re.search(r"const titles = \{(.*?)\};", page.load()[0].decode(), re.DOTALL)
    assert titles
    assert set(re.findall(r'"([a-z-]+)":', titles[1])) - set(ERRORS) == set()
