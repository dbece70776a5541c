"""`python3 -m serve [serve]`: the environment becomes gunicorn's configuration and gunicorn runs (rules 25, 27).

One worker process: an event loop for HTTP, threads for pictures. The engine releases the GIL and uses all CPUs itself,
one copy of the model is in memory, requests meet in one batcher. The worker loads the model after the fork and after
the port listens.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gunicorn.app.base import BaseApplication

from contract import cgroup
from contract.machine import this_machine
from serve import environment
from serve.environment import Settings, SettingsError

USAGE = """usage: python3 -m serve [serve]

Serves the artifact in /opt/ml/model on port 8080. Settings come from the environment:
  SAGEMAKER_BIND_TO_PORT   the port
  KENNEL_MODEL_DIR         the folder with model.json and model.onnx
  KENNEL_TOP_K             labels in an answer (5)
  KENNEL_MAX_BODY_BYTES    largest body (6,291,456)
  KENNEL_MAX_PIXELS        largest picture (100,000,000, less where memory is short)
  KENNEL_MAX_PICTURES      pictures a request (64)
  KENNEL_MAX_BATCH         pictures an inference (4)
  KENNEL_MAX_WAIT          seconds that a request may have to wait for those before it (0.4; 55 in a transform job)
  KENNEL_MAX_WAITING       pictures at work (256), KENNEL_MAX_REQUESTS requests at work (64); beyond any: 503
  KENNEL_THREADS           CPU threads (the container's CPU limit)
  KENNEL_ENGINE            auto (as packaged), onnxruntime-fp32, onnxruntime-int8, openvino-fp32, -bf16 or -int8
  KENNEL_GOLDEN_TOLERANCE  how far a probability of a golden picture may be from training's (as packaged); 1: any
  KENNEL_LOG_LEVEL         debug, info, warning or error (info)
"""
REFUSED = 3  # gunicorn ends with this code when its worker does, instead of starting another one


class Server(BaseApplication):
    """Gunicorn, configured by values instead of its command line and files."""

    def __init__(self, options: Mapping[str, Any], make: Callable[[], Any]) -> None:
        self._options, self._make = options, make
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return self._make()


def gunicorn_options(settings: Settings) -> dict[str, Any]:
    """Gunicorn's settings as a value."""
    return {
        "bind": f"0.0.0.0:{settings.port}",
        "workers": 1,
        "worker_class": "serve.worker.DrainingWorker",
        "asgi_lifespan": "off",
        "http_parser": "python",  # the one in C drops a connection whose next large request comes at once
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
    """Runs in the worker: starts loading, gives the application that says 503 until then."""
    from serve import golden
    from serve.app import App, Service
    from serve.batcher import Batcher, Streams
    from serve.loader import Loaded, Loader
    from serve.metrics import Metrics
    from serve.predictor import Predictor, load

    metrics = Metrics()
    log = logging.getLogger("kennel.serve")

    def serve(predictor: Predictor) -> Batcher:
        return Batcher(predictor.logits, max_batch=settings.max_batch, observe=metrics.batch)

    def load_checked() -> Predictor:
        found = load(settings.model_dir, this_machine(settings.cpus), wanted=settings.engine)
        golden.check(found, settings.golden_tolerance)
        return found

    def ready(loaded: Loaded) -> None:
        model = loaded.predictor
        found = f"{model.manifest.architecture}, {len(model.labels)} labels"
        log.info("ready on port %d after %.2f s: %s, %d threads", settings.port, loaded.seconds, found, settings.cpus)
        log.info("engine %s (%s)", model.network.engine, model.reason)
        try:  # only now: callers are answered without streams too, one inference at a time
            if apart := model.streams():
                loaded.batcher.add(Streams(infer=apart.logits, count=model.threads, ahead=int(apart.queues)))
        except Exception as error:  # each engine has its own types
            log.warning("one inference at a time: %s", error)

    loader = Loader(load_checked, serve, on_ready=ready, on_refused=end_refused)
    app = App(Service(settings=settings, loader=loader, metrics=metrics))
    loader.start()
    return app


def end_refused(reason: str) -> None:
    """Called in the loader's thread: says why in one line and ends the worker, and with it the container."""
    sys.stderr.write(f"kennel serve: {' '.join(reason.split())}\n")
    sys.stderr.flush()
    os._exit(REFUSED)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit code, when there is one before gunicorn takes over."""
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
