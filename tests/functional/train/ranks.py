"""Real ranks as processes: runs `train.worker.main` with torchrun's environment variables, but without torchrun.

A fork server imports torch once, so that a rank starts in a fraction of a second.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from contract import artifact
from train import config as hyper
from train import run
from train.host.environment import Environment
from train.pictures import index as data

SECONDS = 120.0
COLOURS = {"blue": (40, 60, 200), "green": (60, 180, 60), "red": (200, 50, 40)}
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["train.worker", "torch.export", "torch.onnx", "onnxscript", "networkx"])


def pictures(folder: Path, *, train: int = 9, valid: int = 5, test: int = 4, labels: Sequence[str] = ()) -> Path:
    """Noisy pictures of many sizes, one colour per class."""
    random = np.random.default_rng(7)
    for split, count in (("train", train), ("valid", valid), ("test", test)):
        for label in labels or COLOURS:
            place = folder / split / label
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                shape = (40 + 3 * number, 60 - 2 * number, 3)
                noise = random.normal(0, 60, shape) + np.array(COLOURS.get(label, (90, 90, 90)))
                Image.fromarray(np.clip(noise, 0, 255).astype(np.uint8)).save(place / f"{number}.jpg", quality=90)
    return folder


def make_run(root: Path, pictures_in: Path, *, memory: int | None = None, **hyperparameters: Any) -> dict[str, str]:
    """Writes the supervisor's files for ranks, on a host with `memory` bytes; returns their environment variables."""
    root.mkdir(parents=True, exist_ok=True)
    for name in ("model", "output", "checkpoints", "marks"):
        (root / name).mkdir(exist_ok=True)
    place = Environment(
        channels={"training": pictures_in},
        model_dir=root / "model",
        output_data_dir=root / "output",
        checkpoint_dir=root / "checkpoints",
        failure_file=root / "failure",
        job_name="trial",
        memory=memory,
    )
    index = data.scan(
        place.data_channels, extract_to=root / "extracted", max_bad_share=0.0, valid_share=0.2, seed=0, threads=1
    )
    data.write_index(index, root / "index.json")
    defaults = {
        "model": "mobilenet_v3_small", "weights": "none", "epochs": 3, "batch_size": 6, "resize": 40, "crop": 32,
        "precision": "fp32", "workers": 1, "engine": "onnxruntime", "serve_precision": "fp32",
    }  # fmt: skip
    chosen = hyper.from_hyperparameters({**defaults, **hyperparameters})
    described = run.Run(config=chosen, environment=place, index_path=root / "index.json")
    (root / "run.json").write_text(described.to_json(), encoding="utf-8")
    return {run.RUN_VARIABLE: str(root / "run.json"), run.ERRORS_VARIABLE: str(root / "marks")}


def with_channel(variables: Mapping[str, str], name: str, path: Path) -> None:
    """Adds a channel to a run of `make_run`."""
    file = Path(variables[run.RUN_VARIABLE])
    what = run.Run.from_json(file.read_text(encoding="utf-8"))
    place = replace(what.environment, channels={**what.environment.channels, name: path})
    file.write_text(replace(what, environment=place).to_json(), encoding="utf-8")


def start(work: Callable[..., None], *arguments: Any, output: Path | None = None) -> BaseProcess:
    """A process that runs `work` and prints to `output`."""
    process = CONTEXT.Process(target=_inside, args=(work, arguments, output))
    process.start()
    return process


def start_ranks(variables: Mapping[str, str], count: int, root: Path) -> list[BaseProcess]:
    """`count` ranks of one host; the output of rank R goes to `root`/rank-R.log."""
    port = str(free_port())
    shared = {**variables, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count)}
    each = [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)]
    return [start(worker, own, output=root / f"rank-{rank}.log") for rank, own in enumerate(each)]


def train(variables: Mapping[str, str], count: int, root: Path) -> list[int | None]:
    """Runs ranks until they exit; returns their exit codes."""
    return finish(start_ranks(variables, count, root))


def finish(processes: Sequence[BaseProcess]) -> list[int | None]:
    for process in processes:
        process.join(SECONDS)
        if process.is_alive():
            process.kill()
            raise TimeoutError(f"rank {process.name} did not end within {SECONDS} s")
    return [process.exitcode for process in processes]


def weights_of(root: Path) -> str:
    """The checksum of a finished run's weights. The file's own differs, because its header has no fixed order."""
    from safetensors.torch import load_file

    from train.learning import distributed

    return distributed.digest_of(load_file(root / "model" / artifact.WEIGHTS))


def worker(environ: Mapping[str, str]) -> None:
    os.environ.update(environ)  # torch reads MASTER_ADDR and its like there
    import torch

    from train import worker as rank

    torch.set_num_threads(1)
    raise SystemExit(rank.main(dict(os.environ)))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _inside(work: Callable[..., None], arguments: Sequence[Any], output: Path | None) -> None:
    if output is not None:
        log = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
    work(*arguments)
