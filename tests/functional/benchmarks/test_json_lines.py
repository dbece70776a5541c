"""Reading the JSON lines of a measuring process."""

import sys

import pytest

from benchmarks.harness import json_lines

PROGRAM = """
import json, os
print(json.dumps({"round": 0, "who": os.environ["WHO"]}), flush=True)
raise SystemExit(3)
"""


def test_rows_are_yielded_as_they_are_printed_and_a_failure_raises() -> None:
    rows = json_lines([sys.executable, "-c", PROGRAM], {"WHO": "ours"})
    assert next(rows) == {"round": 0, "who": "ours"}
    with pytest.raises(RuntimeError, match="exit code 3"):
        next(rows)
