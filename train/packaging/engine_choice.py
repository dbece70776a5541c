"""Chooses the inference engine: times each engine on this machine and picks the fastest of equal accuracy.

The log and model.json tell why an engine is not chosen. A failing engine or quantiser never fails a training, because
ONNX Runtime in fp32 always remains.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contract import measure
from contract.choice import FULL, ONE, Candidate, Choice
from contract.engine import ENGINES, FALLBACK, INT8_NETWORK, NETWORK, Engine, EngineError, Network, open_network
from contract.golden import LARGEST, TOLERANCE, Golden, difference
from contract.machine import Machine
from contract.preprocess import FloatArray, Preprocessing, open_picture, to_array
from train.packaging import quantise

AUTO = "auto"
DROP = 0.003  # the most top-1 accuracy that a faster engine may lose
CLOSE = 1e-3  # how far the logits of fp32 engines may differ, as a share of the largest logit
MARGIN = 2.0  # another machine may differ this many times more on a golden picture than this machine
SECONDS = 0.3  # of timing, for each engine and batch size
NEAR = 1.5  # an engine this many times slower than the fastest at one picture is not timed further


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The model and the data to measure candidates with. Pictures are float32 (N, 3, crop, crop), as in serving.

    `calibration` are training pictures. `held_out` are validation pictures and `truth` int (N,) their labels.
    `machine` is this machine; `engine` and `precision` are the hyperparameters engine and serve_precision.
    """

    folder: Path
    preprocessing: Preprocessing
    labels: int
    calibration: FloatArray
    held_out: FloatArray
    truth: npt.NDArray[np.int64]
    golden: tuple[Golden, ...]
    machine: Machine
    engine: str = AUTO
    precision: str = AUTO


def open_engine(inputs: Inputs, engine: Engine) -> Network:
    """Opens the network in an engine; quantises the network first if the engine needs that. Raises EngineError."""
    path = inputs.folder / engine.network
    if engine.network == INT8_NETWORK and not path.is_file():
        try:
            quantise.quantise(inputs.folder / NETWORK, path, inputs.calibration)
        except Exception as error:  # the quantiser raises many unrelated types
            path.unlink(missing_ok=True)
            raise EngineError(f"cannot be quantised: {type(error).__name__}: {error}") from error
    network = open_network(path, engine, threads=inputs.machine.threads)
    network.check_shapes(crop=inputs.preprocessing.crop, labels=inputs.labels)
    return network


@dataclass(frozen=True, kw_only=True)
class Dependencies:
    """The side effects of packaging, for tests to replace."""

    open_engine: Callable[[Inputs, Engine], Network] = open_engine
    clock: Callable[[], float] = time.perf_counter
    log: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """The choice, its network, and the golden pictures with the tolerance that the accepted engines need."""

    choice: Choice
    network: Network
    golden: tuple[Golden, ...]


def package(inputs: Inputs, tools: Dependencies) -> Packaged:
    """Measures the engines and chooses one. Keeps model.int8.onnx in the folder only if an accepted engine uses it.

    Raises EngineError when even FALLBACK cannot open the network.
    """
    (inputs.folder / INT8_NETWORK).unlink(missing_ok=True)
    reference = tools.open_engine(inputs, FALLBACK)
    engines = candidate_engines(inputs.engine, inputs.precision)
    if engines == (FALLBACK,):
        choice = Choice(
            machine=inputs.machine, versions=versions(engines), reason="the only engine that the hyperparameters allow"
        )
        return Packaged(choice=choice, network=reference, golden=inputs.golden)
    try:
        return _measure_and_choose(inputs, engines, reference, tools)
    except Exception as error:  # an engine must not cost hours of training
        reason = f"measuring {failure_reason(error)}"
        tools.log(f"serving with {FALLBACK}: {reason}")
        (inputs.folder / INT8_NETWORK).unlink(missing_ok=True)
        return Packaged(choice=Choice(machine=inputs.machine, reason=reason), network=reference, golden=inputs.golden)


def _measure_and_choose(inputs: Inputs, engines: Sequence[Engine], reference: Network, tools: Dependencies) -> Packaged:
    with ThreadPoolExecutor(1) as beside:  # quantising uses only one CPU half of the time
        answers = beside.submit(logits, reference, inputs.held_out)
        networks, refused = _open_engines(inputs, engines, reference, tools)
    expected = answers.result()  # timing starts only now, when nothing else computes
    candidates = [*refused, *time_networks(inputs, list(networks.values()), tools.clock)]
    judged = judge(inputs, candidates, networks, expected)
    for each in judged:
        tools.log(log_line(each))
    choice = replace(
        choose(judged), machine=inputs.machine, versions=versions(engines), pictures=len(inputs.truth),
        reference_top1=top1(expected, inputs.truth),
    )  # fmt: skip
    tools.log(f"serving with {choice.engine}: {choice.reason}")
    if all(each.engine.network != INT8_NETWORK for each in choice.accepted()):
        (inputs.folder / INT8_NETWORK).unlink(missing_ok=True)
    rounded = [networks[each.engine] for each in choice.accepted() if each.engine.precision != "fp32"]
    golden = tuple(with_tolerance(each, rounded, inputs.preprocessing) for each in inputs.golden)
    return Packaged(choice=choice, network=networks[choice.engine], golden=golden)


def _open_engines(
    inputs: Inputs, engines: Sequence[Engine], reference: Network, tools: Dependencies
) -> tuple[dict[Engine, Network], list[Candidate]]:
    """The networks of the engines that open, and a refused candidate with its reason for each other engine."""
    networks, refused = {FALLBACK: reference}, []
    for engine in engines:
        try:
            if lack := engine.lacks(inputs.machine):
                raise EngineError(lack)
            if engine not in networks:
                networks[engine] = tools.open_engine(inputs, engine)
        except Exception as error:  # engines raise many unrelated types; the other engines continue
            refused.append(Candidate(engine=engine, accepted=False, reason=failure_reason(error)))
    return networks, refused


def candidate_engines(engine: str, precision: str) -> tuple[Engine, ...]:
    """FALLBACK and the engines that the hyperparameters allow."""
    fits = [each for each in ENGINES if engine in (AUTO, each.name) and precision in (AUTO, each.precision)]
    return (FALLBACK, *(each for each in fits if each != FALLBACK))


def judge(
    inputs: Inputs, candidates: Sequence[Candidate], networks: Mapping[Engine, Network], expected: FloatArray
) -> tuple[Candidate, ...]:
    """Accepts or refuses each candidate. `expected` are the logits (N, labels) of FALLBACK, which is always accepted.

    Checks fp32 engines on a few pictures. Checks the others on the whole validation split, from the fastest to the
    slowest, and stops at the first one that is accepted, because the split takes a slow engine minutes. The slower
    ones stay refused even for other machines, and even if they open an accepted file: engines round the same integers
    differently. A machine with other abilities can use the accepted engines, at least fp32.
    """
    judged: list[Candidate] = []
    enough = False
    for each in sorted(candidates, key=lambda candidate: candidate.cost):
        if each.engine == FALLBACK:
            judged.append(replace(each, accepted=True, top1=top1(expected, inputs.truth), drop=0.0))
        elif each.reason:
            judged.append(each)
        elif each.engine.precision == "fp32":
            judged.append(check_candidate(inputs, each, networks[each.engine], expected))
        elif enough:
            judged.append(replace(each, reason="slower than an accepted engine, so not checked"))
        else:
            judged.append(check_candidate(inputs, each, networks[each.engine], expected))
            enough = judged[-1].accepted
    return tuple(judged)


def check_candidate(inputs: Inputs, candidate: Candidate, network: Network, expected: FloatArray) -> Candidate:
    """The candidate, accepted or with the reason why not. `expected` are the logits (N, labels) of FALLBACK."""
    try:
        check = _check_logits if candidate.engine.precision == "fp32" else _check_accuracy
        return check(inputs, candidate, network, expected)
    except Exception as error:  # engines raise many unrelated types
        return replace(candidate, reason=failure_reason(error))


def _check_logits(inputs: Inputs, candidate: Candidate, network: Network, expected: FloatArray) -> Candidate:
    """An fp32 engine must give the same logits. A few pictures are enough to see that."""
    few = slice(0, FULL)
    off = float(np.abs(_finite(logits(network, inputs.held_out[few])) - expected[few]).max())
    close = off <= CLOSE * max(1.0, float(np.abs(expected[few]).max()))
    return replace(candidate, accepted=close, reason="" if close else f"logits differ from {FALLBACK}'s by {off:g}")


def _check_accuracy(inputs: Inputs, candidate: Candidate, network: Network, expected: FloatArray) -> Candidate:
    """An engine of lower precision may lose at most DROP of top-1, and must stay near on golden pictures."""
    top = top1(_finite(logits(network, inputs.held_out)), inputs.truth)
    drop, count = top1(expected, inputs.truth) - top, len(inputs.truth)
    reason = ""
    if drop > DROP + 1e-9:
        reason = f"top-1 drops {100 * drop:.1f} pt ({round(drop * count)} of {count} validation pictures)"
    else:
        off = max((golden_difference(each, network, inputs.preprocessing) for each in inputs.golden), default=0.0)
        if MARGIN * off > LARGEST:
            reason = f"a golden picture's probability is off by {off:.2f}"
    return replace(candidate, accepted=not reason, reason=reason, top1=top, drop=drop)


def choose(judged: Sequence[Candidate]) -> Choice:
    """The fastest accepted engine. `judged` must hold FALLBACK, accepted."""
    choice = Choice(candidates=tuple(judged))
    best = choice.accepted()[0]
    if best.engine == FALLBACK:
        return replace(choice, reason=f"{best.cost:.1f} ms per picture; no faster engine is accepted")
    [slow] = [each for each in judged if each.engine == FALLBACK]
    times = slow.milliseconds[str(ONE)] / best.milliseconds[str(ONE)]  # both have a time for one picture
    reason = f"{best.cost:.1f} ms per picture, {times:.1f} times as fast as {FALLBACK}"
    return replace(choice, engine=best.engine, reason=reason)


def log_line(candidate: Candidate) -> str:
    """The log line of a judged candidate."""
    times = ", ".join(f"{value:.1f} ms at {batch}" for batch, value in candidate.milliseconds.items())
    top = "" if candidate.top1 is None else f", validation top-1 {candidate.top1:.4f}"
    verdict = "accepted" if candidate.accepted else f"refused: {candidate.reason}"
    return f"{candidate.engine}: {times}{top}{'; ' if times else ''}{verdict}"


def with_tolerance(golden: Golden, networks: Sequence[Network], preprocessing: Preprocessing) -> Golden:
    """The golden picture with the tolerance that these networks need, plus a margin."""
    off = max((golden_difference(golden, each, preprocessing) for each in networks), default=0.0)
    return replace(golden, tolerance=round(min(LARGEST, max(TOLERANCE, MARGIN * off)), 4))


def golden_difference(golden: Golden, network: Network, preprocessing: Preprocessing) -> float:
    """The largest difference between the network's probabilities of a golden picture and those of training."""
    picture = to_array(open_picture(golden.picture, shorter_side=preprocessing.resize), preprocessing)
    row = network.logits(picture[None])[0].astype(np.float64)
    shares = np.exp(row - row.max())
    return difference(golden, (shares / shares.sum()).tolist())


def logits(network: Network, pictures: FloatArray) -> FloatArray:
    """float32 (N, labels), computed in batches as in serving."""
    size = FULL
    return np.concatenate([network.logits(pictures[at : at + size]) for at in range(0, len(pictures), size)])


def top1(values: FloatArray, truth: npt.NDArray[np.int64]) -> float:
    return float((values.argmax(axis=1) == truth).mean())


def versions(engines: Sequence[Engine]) -> dict[str, str]:
    """The version of each installed engine package, by its name."""
    installed = {}
    for name in sorted({engine.name for engine in engines}):
        try:
            installed[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def time_networks(inputs: Inputs, networks: Sequence[Network], clock: Callable[[], float]) -> list[Candidate]:
    """A candidate with its milliseconds for each network, not judged yet. A network that fails has its reason.

    Times all networks with one picture, then those within NEAR of the fastest with a full batch too.
    """
    candidates = [
        _time_network(inputs, network, Candidate(engine=network.engine, accepted=False), ONE, clock)
        for network in networks
    ]
    fastest = min(each.cost for each in candidates)
    return [
        _time_network(inputs, network, each, FULL, clock) if each.milliseconds and each.cost <= NEAR * fastest else each
        for network, each in zip(networks, candidates, strict=True)
    ]


def _time_network(
    inputs: Inputs, network: Network, candidate: Candidate, count: int, clock: Callable[[], float]
) -> Candidate:
    try:
        pictures = measure.blank(count, inputs.preprocessing.crop)
        milliseconds = round(measure.milliseconds(network, pictures, seconds=SECONDS, clock=clock), 2)
    except Exception as error:  # engines raise many unrelated types
        return replace(candidate, reason=failure_reason(error), milliseconds={})
    return replace(candidate, milliseconds={**candidate.milliseconds, str(count): milliseconds})


def failure_reason(error: Exception) -> str:
    """The reason to record for an engine that failed."""
    line = " ".join(str(error).split())
    return (line if isinstance(error, EngineError) else f"fails: {type(error).__name__}: {line}")[:300]


def _finite(values: FloatArray) -> FloatArray:
    if not np.isfinite(values).all():
        raise EngineError("its logits are not finite")
    return values
