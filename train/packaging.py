"""Which engine is to serve: each that this machine can run is timed, and the fastest that answers as well is taken.

What is left out is said and recorded. A failing engine or quantiser never fails a training: ONNX Runtime in fp32 stays.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contract import measure
from contract.choice import BATCHES, Candidate, Choice
from contract.engine import ENGINES, FALLBACK, INT8_NETWORK, NETWORK, Engine, EngineError, Network, open_network
from contract.golden import LARGEST, TOLERANCE, Golden, difference
from contract.machine import Machine, this_machine
from contract.preprocess import FloatArray, Preprocessing, open_picture, to_array
from train import quantise

AUTO = "auto"
DROP = 0.003  # of top-1, the most that a faster engine may cost
CLOSE = 1e-3  # of the largest logit: fp32 engines agree so far
MARGIN = 2.0  # times what was seen on a golden picture may be seen on another machine
SECONDS = 0.3  # of timing, for each engine and batch


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What candidates are held against. Pictures are float32 (N, 3, crop, crop), as serving makes them.

    `calibration` are training pictures, `held_out` validation ones with their labels `truth` int (N,).
    """

    folder: Path
    preprocessing: Preprocessing
    labels: int
    calibration: FloatArray
    held_out: FloatArray
    truth: npt.NDArray[np.int64]
    golden: tuple[Golden, ...]
    threads: int
    engine: str = AUTO
    precision: str = AUTO


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """The choice, its opened network, and the golden pictures with the tolerance that the accepted engines need."""

    choice: Choice
    network: Network
    golden: tuple[Golden, ...]


def package(bench: Bench, say: Callable[[str], None] = lambda _: None) -> Packaged:
    """Measures and chooses. Leaves model.int8.onnx in the folder only where it is accepted."""
    (bench.folder / INT8_NETWORK).unlink(missing_ok=True)
    machine = this_machine(bench.threads)
    reference = open_network(bench.folder / NETWORK, FALLBACK, threads=bench.threads)
    engines = asked(bench.engine, bench.precision)
    if engines == (FALLBACK,):
        choice = Choice(machine=machine, versions=versions(engines), reason="the only one asked for")
        return Packaged(choice=choice, network=reference, golden=bench.golden)
    try:
        return _measured(bench, engines, reference, machine, say)
    except Exception as error:  # hours of training are not lost to an engine
        reason = f"measuring failed: {type(error).__name__}: {error}"[:300]
        say(f"serving with {FALLBACK}: {reason}")
        (bench.folder / INT8_NETWORK).unlink(missing_ok=True)
        return Packaged(choice=Choice(machine=machine, reason=reason), network=reference, golden=bench.golden)


def _measured(
    bench: Bench, engines: Sequence[Engine], reference: Network, machine: Machine, say: Callable[[str], None]
) -> Packaged:
    wanted = logits(reference, bench.held_out)
    opened: dict[Engine, Network] = {FALLBACK: reference}
    found = []
    for engine in engines:
        try:
            if lack := engine.lacks(machine):
                raise EngineError(lack)
            opened[engine] = opened.get(engine) or _opened(bench, engine)
            found.append(_timed(bench, opened[engine]))
        except EngineError as error:
            found.append(Candidate(engine=engine, accepted=False, reason=str(error)))
    judged = judge(bench, found, opened, wanted)
    for each in judged:
        say(told(each))
    choice = replace(
        chosen(judged), machine=machine, versions=versions(engines), pictures=len(bench.truth),
        reference_top1=top1(wanted, bench.truth),
    )  # fmt: skip
    say(f"serving with {choice.engine}: {choice.reason}")
    if all(each.engine.network != INT8_NETWORK for each in choice.accepted()):
        (bench.folder / INT8_NETWORK).unlink(missing_ok=True)
    networks = [opened[each.engine] for each in choice.accepted() if each.engine.precision != "fp32"]
    golden = tuple(tolerant(each, networks, bench.preprocessing) for each in bench.golden)
    return Packaged(choice=choice, network=opened[choice.engine], golden=golden)


def asked(engine: str, precision: str) -> tuple[Engine, ...]:
    """The candidates that the hyperparameters leave: those named, and what every artifact can be served with."""
    fits = [
        each for each in ENGINES if engine in (AUTO, each.name) and precision in (AUTO, each.precision)
    ]  # fmt: skip
    return (FALLBACK, *(each for each in fits if each != FALLBACK))


def judge(
    bench: Bench, found: Sequence[Candidate], opened: dict[Engine, Network], wanted: FloatArray
) -> tuple[Candidate, ...]:
    """From the fastest on, until one is accepted that is not the fallback; fp32 is always looked at."""
    judged: list[Candidate] = []
    enough = False
    for each in sorted(found, key=lambda candidate: candidate.cost):
        if each.reason or not each.milliseconds:
            judged.append(each)
        elif each.engine == FALLBACK:
            judged.append(replace(each, accepted=True, top1=top1(wanted, bench.truth), drop=0.0))
        elif enough and each.engine.precision != "fp32":
            judged.append(replace(each, reason="slower than one that is accepted, so not looked at further"))
        else:
            judged.append(accepted(bench, each, opened[each.engine], wanted))
            enough = enough or judged[-1].accepted
    return tuple(judged)


def accepted(bench: Bench, candidate: Candidate, network: Network, wanted: FloatArray) -> Candidate:
    """The candidate with its accuracy, accepted or with the reason why not."""
    few = slice(0, None if candidate.engine.precision != "fp32" else max(BATCHES))
    try:
        got = logits(network, bench.held_out[few])
    except Exception as error:
        return replace(candidate, reason=f"fails: {type(error).__name__}: {error}"[:300])
    if not np.isfinite(got).all():
        return replace(candidate, reason="gives numbers that are not finite")
    if candidate.engine.precision == "fp32":  # the same numbers, or something is wrong with it
        far = float(np.abs(got - wanted[few]).max())
        close = far <= CLOSE * max(1.0, float(np.abs(wanted[few]).max()))
        reason = "" if close else f"logits differ from ONNX Runtime's by {far:g}"
        return replace(candidate, accepted=close, reason=reason)
    top = top1(got, bench.truth)
    drop = top1(wanted, bench.truth) - top
    reason = ""
    if drop > DROP + 1e-9:
        lost = round(drop * len(bench.truth))
        reason = f"top-1 drops {100 * drop:.1f} pt ({lost} of {len(bench.truth)} validation pictures)"
    else:
        off = max((apart(each, network, bench.preprocessing) for each in bench.golden), default=0.0)
        if MARGIN * off > LARGEST:
            reason = f"a golden picture's probability is off by {off:.2f}"
    return replace(candidate, accepted=not reason, reason=reason, top1=top, drop=drop)


def chosen(judged: Sequence[Candidate]) -> Choice:
    """The fastest that is accepted, else the fallback."""
    choice = Choice(candidates=tuple(judged))
    able = choice.accepted()
    if not able:
        return Choice(reason="no candidate could be measured")
    best = able[0]
    slow = next((each for each in able if each.engine == FALLBACK), best)
    reason = f"{best.cost:.1f} ms a picture, {slow.cost / best.cost:.1f} times as fast as {FALLBACK}"
    return replace(choice, engine=best.engine, reason=reason)


def told(candidate: Candidate) -> str:
    """A line for the log."""
    times = ", ".join(f"{value:.1f} ms at {batch}" for batch, value in candidate.milliseconds.items())
    top = "" if candidate.top1 is None else f", validation top-1 {candidate.top1:.4f}"
    verdict = "accepted" if candidate.accepted else f"not taken: {candidate.reason}"
    return f"{candidate.engine}: {times}{top}{'; ' if times else ''}{verdict}"


def tolerant(golden: Golden, networks: Sequence[Network], preprocessing: Preprocessing) -> Golden:
    """The golden picture, allowing what these networks need, with a margin."""
    off = max((apart(golden, each, preprocessing) for each in networks), default=0.0)
    return replace(golden, tolerance=round(min(LARGEST, max(TOLERANCE, MARGIN * off)), 4))


def apart(golden: Golden, network: Network, preprocessing: Preprocessing) -> float:
    """How far the network's probabilities of a golden picture are from training's, at most."""
    picture = to_array(open_picture(golden.picture, shorter_side=preprocessing.resize), preprocessing)
    row = network.logits(picture[None])[0].astype(np.float64)
    shares = np.exp(row - row.max())
    return difference(golden, (shares / shares.sum()).tolist())


def logits(network: Network, pictures: FloatArray) -> FloatArray:
    """float32 (N, labels), asked as serving would: a batch at a time."""
    size = max(BATCHES)
    return np.concatenate([network.logits(pictures[at : at + size]) for at in range(0, len(pictures), size)])


def top1(values: FloatArray, truth: npt.NDArray[np.int64]) -> float:
    return float((values.argmax(axis=1) == truth).mean())


def versions(engines: Sequence[Engine]) -> dict[str, str]:
    """The engines' versions, where they are installed."""
    found = {}
    for name in sorted({engine.name for engine in engines}):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _opened(bench: Bench, engine: Engine) -> Network:
    path = bench.folder / engine.network
    if engine.network == INT8_NETWORK and not path.is_file():
        try:
            quantise.quantise(bench.folder / NETWORK, path, bench.calibration)
        except Exception as error:
            path.unlink(missing_ok=True)
            raise EngineError(f"cannot be quantised: {type(error).__name__}: {error}"[:300]) from error
    network = open_network(path, engine, threads=bench.threads)
    network.check_shapes(crop=bench.preprocessing.crop, labels=bench.labels)
    return network


def _timed(bench: Bench, network: Network) -> Candidate:
    pictures = measure.blank(max(BATCHES), bench.preprocessing.crop)
    try:
        times = {
            str(count): round(measure.milliseconds(network, pictures[:count], seconds=SECONDS), 2) for count in BATCHES
        }
    except Exception as error:
        raise EngineError(f"fails: {type(error).__name__}: {error}"[:300]) from error
    return Candidate(engine=network.engine, accepted=False, milliseconds=times)
