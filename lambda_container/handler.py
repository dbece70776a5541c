"""The function's entry point. It connects to nothing and reads no certificate before the first event needs it.

This package uses NamedTuples instead of dataclasses, whose import would lengthen the cold start by a quarter.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lambda_container.answer import Answer, direct_answer, error_answer, http_answer, preflight_answer
from lambda_container.deadline import Deadline
from lambda_container.endpoint import Inference, infer
from lambda_container.errors import RequestError
from lambda_container.event import Source, StoredObject, Url, is_http, is_preflight, read_event
from lambda_container.fetch import fetch
from lambda_container.network import SystemNetwork
from lambda_container.objects import read_object
from lambda_container.picture import check_size, media_type
from lambda_container.service import Service
from lambda_container.settings import read_credentials, read_settings

if TYPE_CHECKING:
    from lambda_container.protocols import Context, Network

MARGIN_SECONDS = 0.5  # reserved for the answer: after its own timeout Lambda answers an error without a code
FETCH_SECONDS = 10.0  # at most for the download, so that a slow server leaves time for the endpoint


class Application:
    """Answers events. Environment, network, clocks and log are passed in."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *,
        network: Network | None = None,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        log: Callable[[str], object] = lambda line: sys.stdout.write(line + "\n"),
    ) -> None:
        """Raises SettingsError."""
        self._environment = environment
        self._settings = read_settings(environment)
        self._network = network or SystemNetwork()
        self._endpoint = Service(self._settings.runtime, self._network)
        self._clock = clock
        self._now = now
        self._log = log

    def answer(self, event: object, context: Context) -> Answer:
        """Returns an answer and raises nothing, whatever the event, the picture's server or the endpoint does."""
        began = self._clock()
        http = is_http(event)
        if is_preflight(event):
            return preflight_answer()
        try:
            inference = self._infer(event, context)
            answer = http_answer(inference) if http else direct_answer(inference, context)
            code = "ok"
        except RequestError as error:
            answer, code = error_answer(error, http=http), error.code
        milliseconds = round((self._clock() - began) * 1000)
        self._log(json.dumps({"status": answer["statusCode"], "code": code, "milliseconds": milliseconds}))
        return answer

    def close(self) -> None:
        """Closes the kept connection. Lambda never calls this."""
        self._endpoint.close()

    def _infer(self, event: object, context: Context) -> Inference:
        deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - MARGIN_SECONDS, self._clock)
        picture = self._picture(read_event(event), deadline)
        check_size(picture, self._settings.max_bytes)
        return infer(
            picture,
            media_type(picture),
            settings=self._settings,
            service=self._endpoint,
            credentials=read_credentials(self._environment),
            now=self._now(),
            deadline=deadline,
        )

    def _picture(self, source: Source, deadline: Deadline) -> bytes:
        if isinstance(source, Url):
            return fetch(
                source.url,
                policy=self._settings.policy,
                network=self._network,
                deadline=deadline.within(FETCH_SECONDS),
                limit=self._settings.max_bytes,
            )
        if isinstance(source, StoredObject):
            return read_object(
                *source,
                settings=self._settings,
                network=self._network,
                credentials=read_credentials(self._environment),
                now=self._now(),
                deadline=deadline.within(FETCH_SECONDS),
            )
        return source.content


@functools.cache
def application() -> Application:
    """The application of this execution environment, kept between events with its open connection."""
    return Application(os.environ)


def handler(event: object, context: Context) -> dict[str, Any]:
    return application().answer(event, context)
