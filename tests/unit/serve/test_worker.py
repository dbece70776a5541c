"""The worker relies on internals of gunicorn: these tests fail when a new version changes them."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.config import Config

from serve.asgi import CONNECTION
from serve.worker import Connection, DrainingWorker


@pytest.fixture
def worker() -> Iterator[Any]:
    instance = DrainingWorker(0, 0, [], SimpleNamespace(), 1, Config(), SimpleNamespace())
    instance.asgi = SimpleNamespace()
    yield instance
    instance.tmp.close()


def test_the_application_is_told_whether_the_caller_has_left(worker: Any) -> None:
    connection = Connection(worker)
    request = SimpleNamespace(
        headers_bytes=[], version=(1, 1), method="GET", scheme="http", path="/", raw_path=b"/", query=""
    )
    passed = connection._build_http_scope(request, None, None)["extensions"][CONNECTION]
    before = passed.has_left
    connection._closed = True
    assert (before, passed.has_left) == (False, True)
