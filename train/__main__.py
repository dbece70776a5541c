"""The entry point of the training container: `docker run IMAGE train` on SageMaker, or by hand with flags (rule 1).

Exit codes: 0 done · 1 failed · 2 wrong flags, hyperparameters, environment or pictures · 3 weights unreachable ·
143 stopped by SIGTERM · 130 stopped by Ctrl-C. A failure writes its reason to the failure file (rules 12, 13).
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from contract import cgroup
from contract.hyperparameters import TABLE, HyperparameterError, Hyperparameters, normalised, unknown
from train import config as hyper
from train import run
from train.host import environment, launch, machine, supervise
from train.host.environment import Environment, SetupError
from train.pictures import index as data
from train.pictures.index import DataError

ROOT_VARIABLE = "KENNEL_OPT_ML"  # replaces /opt/ml, for tests outside a container
FAILURE = Path("output", "failure")
NO_DATA = (
    "nothing to train on: {config} does not exist and --data is not given. SageMaker mounts {config}; by hand run:\n"
    "docker run -v /my/pictures:/data -v /my/out:/out IMAGE --data /data --output /out (see --help)"
)
EPILOG = (
    "--data DIR holds train/CLASS/*.jpg, and valid/CLASS/*.jpg and test/CLASS/*.jpg if you have them; or a zip or tar "
    "of these folders. The command `weights MODEL FILE.safetensors` downloads torchvision's ImageNet weights instead."
)


def main(argv: Sequence[str], environ: Mapping[str, str]) -> int:
    arguments = list(argv)
    if arguments[:1] == ["weights"]:
        from train.learning import download

        return download.main(arguments[1:])
    root = Path(environ.get(ROOT_VARIABLE) or environment.OPT_ML)
    output = root
    try:
        chosen = _parse(arguments[1:] if arguments[:1] == ["train"] else arguments)
        output = Path(chosen.output) if chosen.data and chosen.output else root
        (output / FAILURE).unlink(missing_ok=True)
        outcome = _train(chosen, environ, root)
    except (HyperparameterError, SetupError, DataError) as error:
        outcome = supervise.Outcome(code=2, reason=str(error))
    except Exception as error:  # a bug keeps its traceback
        traceback.print_exc()
        outcome = supervise.Outcome(code=supervise.FAILED, reason=f"{type(error).__name__}: {error}")
    if outcome.reason:
        _log(f"training failed: {outcome.reason}")
        if output != root or root.is_dir():  # a mistyped command must not create /opt/ml
            supervise.write_failure(output / FAILURE, outcome.reason)
    return outcome.code


def _train(chosen: argparse.Namespace, environ: Mapping[str, str], root: Path) -> supervise.Outcome:
    place, config = _read(chosen, environ, root)
    with tempfile.TemporaryDirectory(prefix="kennel-") as scratch:  # /tmp: rule 22
        folder = Path(scratch)
        marks = folder / "marks"
        marks.mkdir()
        variables = {
            "MPLCONFIGDIR": str(folder / "matplotlib"),  # the root file system may be read-only
            **environ,
            run.RUN_VARIABLE: str(folder / "run.json"),
            run.ERRORS_VARIABLE: str(marks),
        }
        plan = launch.plan(place, config, variables)
        _prepare(place, config, folder)
        launch.wait_for_master(
            place, lambda host: socket.getaddrinfo(host, None), clock=time.monotonic, sleep=time.sleep
        )
        _log(f"{plan.ranks} rank(s) on this host, {place.nnodes} host(s), {place.gpus} GPU(s), {place.cpus} CPU(s)")
        return supervise.run(plan, variables, marks, memory_kills=cgroup.memory_kills)


def _prepare(place: Environment, config: Hyperparameters, folder: Path) -> None:
    """Scans the pictures, so that their faults show before the ranks start, and writes the files that ranks read."""
    started = time.monotonic()
    index = data.scan(
        place.data_channels,
        extract_to=folder / "extracted",
        max_bad_share=config.max_bad_share,
        valid_share=config.valid_share,
        seed=config.seed,
        threads=2 * place.cpus,  # a thread reads while another decodes
    )
    for note in index.notes:
        _log(note)
    counts = f"{len(index.train)} train, {len(index.valid)} valid, {len(index.test)} test"
    seconds = time.monotonic() - started
    _log(f"{len(index.labels)} classes; {counts}; {len(index.skipped)} skipped; scanned in {seconds:.1f} s")
    data.write_index(index, folder / "index.json")
    for path in (place.model_dir, place.output_data_dir, place.checkpoint_dir):
        path.mkdir(parents=True, exist_ok=True)
    described = run.Run(config=config, environment=place, index_path=folder / "index.json")
    (folder / "run.json").write_text(described.to_json(), encoding="utf-8")


def _read(chosen: argparse.Namespace, environ: Mapping[str, str], root: Path) -> tuple[Environment, Hyperparameters]:
    """The environment and the hyperparameters. Flags override hyperparameters.json."""
    given = {name: value for name, value in vars(chosen).items() if name in TABLE}
    if chosen.data:
        config = hyper.from_hyperparameters(given)
        return environment.from_command_line(Path(chosen.data), Path(chosen.output or root), machine.observe()), config
    folder = root / "input" / "config"
    if not folder.is_dir():
        raise SetupError(NO_DATA.format(config=folder))
    names = (environment.HYPERPARAMETERS, environment.CHANNELS, environment.RESOURCES)
    files = {name: _json(folder / name) for name in names}
    values = files[environment.HYPERPARAMETERS] or {}
    if not isinstance(values, dict):
        raise SetupError(f"{folder / environment.HYPERPARAMETERS}: must hold an object")
    config = hyper.from_hyperparameters(
        {key: value for key, value in values.items() if normalised(key) not in given} | given
    )
    return environment.from_sagemaker(files, environ, machine.observe(), root=root), config


class _Parser(argparse.ArgumentParser):
    """Raises HyperparameterError instead of exiting, so that the failure file gets a wrong flag's message too."""

    def error(self, message: str) -> NoReturn:
        raise HyperparameterError(f"{message} (see --help)")


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="kennel-train",
        description="Train a picture classifier. The flags are the hyperparameters that SageMaker passes in a file.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--data", metavar="DIR", help="pictures in class folders, or an archive of them")
    parser.add_argument("--output", metavar="DIR", help="folder for model, checkpoints and output (default /opt/ml)")
    hyper.add_arguments(parser)
    chosen, rest = parser.parse_known_args(argv)
    if rest:
        flag = rest[0].partition("=")[0]
        raise HyperparameterError(
            unknown(flag) if flag.startswith("-") else f"unexpected argument {flag!r} (see --help)"
        )
    return chosen


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise SetupError(f"{path}: cannot be read: {error}") from error


def _log(text: str) -> None:
    print(f"kennel: {text}", file=sys.stderr, flush=True)  # noqa: T201


def _stop(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)  # process 1 of a container ignores SIGTERM by default
    sys.exit(main(sys.argv[1:], dict(os.environ)))
