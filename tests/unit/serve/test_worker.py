"""What our worker asks of gunicorn's insides, so that another version of it cannot change that unseen."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from serve.asgi import LEFT
from serve.worker import Connection, DrainingWorker


@pytest.fixture
def worker() -> Iterator[Any]:
    found = DrainingWorker(0, 0, [], SimpleNamespace(), 1, Config(), SimpleNamespace())
    found.asgi = SimpleNamespace()
    yield found
    found.tmp.close()


def test_the_application_is_told_whether_the_caller_has_left(worker: Any) -> None:
    connection = Connection(worker)
    request = SimpleNamespace(
        headers_bytes=[], version=(1, 1), method="GET", scheme="http", path="/", raw_path=b"/", query=""
    )
    left = connection._build_http_scope(request, None, None)["extensions"][LEFT]
    before = left()
    connection._closed = True
    assert (before, left()) == (False, True)
