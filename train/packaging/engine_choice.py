"""Which engine is to serve: each that this machine can run is timed, and the fastest that answers as well is taken.

What is left out is said and recorded. A failing engine or quantiser never fails a training: ONNX Runtime in fp32 stays.
"""

from __future__ import annotations

import importlib.metadata
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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
DROP = 0.003  # of top-1, the most that a faster engine may cost
CLOSE = 1e-3  # of the largest logit: fp32 engines agree so far
MARGIN = 2.0  # times what was seen on a golden picture may be seen on another machine
SECONDS = 0.3  # of timing, for each engine and batch
NEAR = 1.5  # times the fastest engine's milliseconds at one picture: slower ones are not timed any further


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What candidates are held against, on this `machine`. Pictures are float32 (N, 3, crop, crop), as serving makes
    them.

    `calibration` are training pictures, `held_out` validation ones with their labels `truth` int (N,). `engine` and
    `precision` are the hyperparameters.
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


def opened(bench: Bench, engine: Engine) -> Network:
    """The engine with its network, which is quantised first where that is asked for. Raises EngineError."""
    path = bench.folder / engine.network
    if engine.network == INT8_NETWORK and not path.is_file():
        try:
            quantise.quantise(bench.folder / NETWORK, path, bench.calibration)
        except Exception as error:  # whatever the quantiser raises means that it cannot
            path.unlink(missing_ok=True)
            raise EngineError(f"cannot be quantised: {type(error).__name__}: {error}") from error
    network = open_network(path, engine, threads=bench.machine.threads)
    network.check_shapes(crop=bench.preprocessing.crop, labels=bench.labels)
    return network


@dataclass(frozen=True, kw_only=True)
class Hooks:
    """What packaging needs of the world."""

    opened: Callable[[Bench, Engine], Network] = opened
    clock: Callable[[], float] = time.perf_counter
    say: Callable[[str], None] = field(default=lambda _: None)


@dataclass(frozen=True, kw_only=True)
class Packaged:
    """The choice, its opened network, and the golden pictures with the tolerance that the accepted engines need."""

    choice: Choice
    network: Network
    golden: tuple[Golden, ...]


def package(bench: Bench, hooks: Hooks) -> Packaged:
    """Measures and chooses. Leaves model.int8.onnx in the folder only where it is accepted.

    Raises EngineError when the network cannot even be opened by the engine that always can.
    """
    (bench.folder / INT8_NETWORK).unlink(missing_ok=True)
    reference = hooks.opened(bench, FALLBACK)
    engines = asked(bench.engine, bench.precision)
    if engines == (FALLBACK,):
        choice = Choice(machine=bench.machine, versions=versions(engines), reason="the only one asked for")
        return Packaged(choice=choice, network=reference, golden=bench.golden)
    try:
        return _measured(bench, engines, reference, hooks)
    except Exception as error:  # hours of training are not lost to an engine
        reason = f"measuring {why(error)}"
        hooks.say(f"serving with {FALLBACK}: {reason}")
        (bench.folder / INT8_NETWORK).unlink(missing_ok=True)
        return Packaged(choice=Choice(machine=bench.machine, reason=reason), network=reference, golden=bench.golden)


def _measured(bench: Bench, engines: Sequence[Engine], reference: Network, hooks: Hooks) -> Packaged:
    with ThreadPoolExecutor(1) as beside:  # half of quantising keeps one CPU busy only
        answers = beside.submit(logits, reference, bench.held_out)
        networks, refused = _opened(bench, engines, reference, hooks)
    wanted = answers.result()  # nothing else computes any more: time can be taken
    found = [*refused, *timed(bench, list(networks.values()), hooks.clock)]
    judged = judge(bench, found, networks, wanted)
    for each in judged:
        hooks.say(told(each))
    choice = replace(
        chosen(judged), machine=bench.machine, versions=versions(engines), pictures=len(bench.truth),
        reference_top1=top1(wanted, bench.truth),
    )  # fmt: skip
    hooks.say(f"serving with {choice.engine}: {choice.reason}")
    if all(each.engine.network != INT8_NETWORK for each in choice.accepted()):
        (bench.folder / INT8_NETWORK).unlink(missing_ok=True)
    rounded = [networks[each.engine] for each in choice.accepted() if each.engine.precision != "fp32"]
    golden = tuple(tolerant(each, rounded, bench.preprocessing) for each in bench.golden)
    return Packaged(choice=choice, network=networks[choice.engine], golden=golden)


def _opened(
    bench: Bench, engines: Sequence[Engine], reference: Network, hooks: Hooks
) -> tuple[dict[Engine, Network], list[Candidate]]:
    """The engines that open here, and the others with their reasons."""
    networks, refused = {FALLBACK: reference}, []
    for engine in engines:
        try:
            if lack := engine.lacks(bench.machine):
                raise EngineError(lack)
            if engine not in networks:
                networks[engine] = hooks.opened(bench, engine)
        except Exception as error:  # each engine has its own types; the others go on
            refused.append(Candidate(engine=engine, accepted=False, reason=why(error)))
    return networks, refused


def asked(engine: str, precision: str) -> tuple[Engine, ...]:
    """The candidates that the hyperparameters leave: those named, and what every artifact can be served with."""
    fits = [each for each in ENGINES if engine in (AUTO, each.name) and precision in (AUTO, each.precision)]
    return (FALLBACK, *(each for each in fits if each != FALLBACK))


def judge(
    bench: Bench, found: Sequence[Candidate], networks: Mapping[Engine, Network], wanted: FloatArray
) -> tuple[Candidate, ...]:
    """From the fastest on, until one is accepted that is not fp32; fp32 is always looked at, and FALLBACK accepted.

    The whole validation split costs a slow engine minutes, so one that is slower here is not looked at for the sake of
    other machines, not even when it opens a file that was accepted: engines round the same integers differently. A
    machine of other abilities is left with those accepted here, at least with fp32.
    """
    judged: list[Candidate] = []
    enough = False
    for each in sorted(found, key=lambda candidate: candidate.cost):
        if each.engine == FALLBACK:
            judged.append(replace(each, accepted=True, top1=top1(wanted, bench.truth), drop=0.0))
        elif each.reason:
            judged.append(each)
        elif each.engine.precision == "fp32":
            judged.append(accepted(bench, each, networks[each.engine], wanted))
        elif enough:
            judged.append(replace(each, reason="slower than one that is accepted, so not looked at further"))
        else:
            judged.append(accepted(bench, each, networks[each.engine], wanted))
            enough = judged[-1].accepted
    return tuple(judged)


def accepted(bench: Bench, candidate: Candidate, network: Network, wanted: FloatArray) -> Candidate:
    """The candidate accepted, or with the reason why not. `wanted` are the fp32 reference's logits (N, labels)."""
    try:
        look = _same if candidate.engine.precision == "fp32" else _as_good
        return look(bench, candidate, network, wanted)
    except Exception as error:  # each engine has its own types
        return replace(candidate, reason=why(error))


def _same(bench: Bench, candidate: Candidate, network: Network, wanted: FloatArray) -> Candidate:
    """fp32 gives the same numbers, or something is wrong with it: a few pictures tell."""
    few = slice(0, FULL)
    far = float(np.abs(_finite(logits(network, bench.held_out[few])) - wanted[few]).max())
    close = far <= CLOSE * max(1.0, float(np.abs(wanted[few]).max()))
    return replace(candidate, accepted=close, reason="" if close else f"logits differ from {FALLBACK}'s by {far:g}")


def _as_good(bench: Bench, candidate: Candidate, network: Network, wanted: FloatArray) -> Candidate:
    top = top1(_finite(logits(network, bench.held_out)), bench.truth)
    drop, count = top1(wanted, bench.truth) - top, len(bench.truth)
    reason = ""
    if drop > DROP + 1e-9:
        reason = f"top-1 drops {100 * drop:.1f} pt ({round(drop * count)} of {count} validation pictures)"
    else:
        off = max((apart(each, network, bench.preprocessing) for each in bench.golden), default=0.0)
        if MARGIN * off > LARGEST:
            reason = f"a golden picture's probability is off by {off:.2f}"
    return replace(candidate, accepted=not reason, reason=reason, top1=top, drop=drop)


def chosen(judged: Sequence[Candidate]) -> Choice:
    """The fastest that is accepted. FALLBACK is one of `judged`, and accepted."""
    choice = Choice(candidates=tuple(judged))
    best = choice.accepted()[0]
    if best.engine == FALLBACK:
        return replace(choice, reason=f"{best.cost:.1f} ms a picture, and no faster one is accepted")
    [slow] = [each for each in judged if each.engine == FALLBACK]
    times = slow.milliseconds[str(ONE)] / best.milliseconds[str(ONE)]  # the batch that both were timed with
    reason = f"{best.cost:.1f} ms a picture, {times:.1f} times as fast as {FALLBACK}"
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
    size = FULL
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


def timed(bench: Bench, networks: Sequence[Network], clock: Callable[[], float]) -> list[Candidate]:
    """A candidate for each network, not yet judged, with its milliseconds: all at one picture, then at a full batch
    those that are not NEAR times slower than the fastest. One that fails has its reason."""
    found = [
        _timed(bench, network, Candidate(engine=network.engine, accepted=False), ONE, clock) for network in networks
    ]
    fastest = min(each.cost for each in found)
    return [
        _timed(bench, network, each, FULL, clock) if each.milliseconds and each.cost <= NEAR * fastest else each
        for network, each in zip(networks, found, strict=True)
    ]


def _timed(bench: Bench, network: Network, known: Candidate, count: int, clock: Callable[[], float]) -> Candidate:
    try:
        pictures = measure.blank(count, bench.preprocessing.crop)
        taken = round(measure.milliseconds(network, pictures, seconds=SECONDS, clock=clock), 2)
    except Exception as error:  # each engine has its own types
        return replace(known, reason=why(error), milliseconds={})
    return replace(known, milliseconds={**known.milliseconds, str(count): taken})


def why(error: Exception) -> str:
    """What went wrong, for the record."""
    line = " ".join(str(error).split())
    return (line if isinstance(error, EngineError) else f"fails: {type(error).__name__}: {line}")[:300]


def _finite(values: FloatArray) -> FloatArray:
    if not np.isfinite(values).all():
        raise EngineError("gives numbers that are not finite")
    return values
