"""`python3 -m serve [serve]`: configures gunicorn from the environment and runs it (rules 25, 27).

There is one worker process, with an event loop for HTTP and threads for pictures: the engine releases the GIL and uses
all CPUs itself, memory holds one copy of the model, and one batcher gathers the pictures of all requests. The worker
loads the model after the fork, while the port already listens.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gunicorn.app.base import BaseApplication

from contract import cgroup
from serve import environment
from serve.environment import Settings, SettingsError

USAGE = """usage: python3 -m serve [serve]

Serves the artifact in /opt/ml/model on port 8080. Environment variables, with their defaults:
  SAGEMAKER_BIND_TO_PORT   the port (8080)
  KENNEL_MODEL_DIR         the folder with model.json and model.onnx (/opt/ml/model)
  KENNEL_TOP_K             labels in an answer (5)
  KENNEL_MAX_BODY_BYTES    largest request body (6,291,456; in a transform job its maximum payload)
  KENNEL_MAX_PIXELS        largest picture (100,000,000; fewer when memory is short)
  KENNEL_MAX_PICTURES      pictures in one request (64)
  KENNEL_MAX_BATCH         pictures in one inference (4)
  KENNEL_MAX_WAIT          seconds that a request may wait for earlier ones, else 503 (0.4; 55 in a transform job)
  KENNEL_MAX_WAITING       pictures in progress at a time, else 503 (256)
  KENNEL_MAX_REQUESTS      requests in progress at a time, else 503 (64)
  KENNEL_THREADS           CPU threads (the container's CPU limit)
  KENNEL_ENGINE            auto, onnxruntime-fp32, onnxruntime-int8, openvino-fp32, openvino-bf16 or openvino-int8
                           (auto: the engine that packaging chose)
  KENNEL_GOLDEN_TOLERANCE  how far a golden picture's probability may differ from training's, 1 for any difference
                           (as packaged)
  KENNEL_LOG_LEVEL         debug, info, warning or error (info)
"""


class Server(BaseApplication):
    """Gunicorn, configured by values instead of a command line and files."""

    def __init__(self, options: Mapping[str, Any], make: Callable[[], Any]) -> None:
        self._options, self._make = options, make
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._make()


def gunicorn_options(settings: Settings) -> dict[str, Any]:
    """Gunicorn's settings."""
    return {
        "bind": f"0.0.0.0:{settings.port}",
        "workers": 1,
        "worker_class": "serve.worker.DrainingWorker",
        "asgi_lifespan": "off",
        "http_parser": "python",  # the C parser drops a connection when a large request follows another at once
        "graceful_timeout": settings.drain_timeout,
        "timeout": 120,
        "keepalive": 75,
        "worker_tmp_dir": "/dev/shm",  # noqa: S108 (a heartbeat file; the root file system may be read-only)
        "control_socket_disable": True,
        "accesslog": None,
        "loglevel": "warning" if settings.log_level == "info" else settings.log_level,
        "proc_name": "kennel-serve",
    }


def make_app(settings: Settings) -> Any:
    from serve import startup  # in the worker, after the fork: the master process needs neither numpy nor an engine

    return startup.make_app(settings)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """Returns an exit code only if it ends before gunicorn takes over."""
    if any(argument in ("-h", "--help") for argument in argv):
        sys.stdout.write(USAGE)
        return 0
    if list(argv) not in ([], ["serve"]):
        sys.stderr.write(f"kennel serve: unknown arguments {list(argv)}\n{USAGE}")
        return 2
    try:
        settings = environment.from_environ(environ, cpus=cgroup.usable_cpus(), memory=cgroup.memory_limit())
    except SettingsError as error:
        sys.stderr.write(f"kennel serve: {error}\n")
        return 2
    logging.basicConfig(
        stream=sys.stdout, level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    Server(gunicorn_options(settings), lambda: make_app(settings)).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
