"""Runs torchrun, or the only rank, as a child process.

Forwards signals to every rank, finds the reason of a failure, and leaves no process behind.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from train.host.launch import Launch

REASON_CHARACTERS = 1024  # rule 13
GRACE_SECONDS = 108.0  # from the first signal to SIGKILL for all; SageMaker kills at 120 s (rule 16)
FAILED_SECONDS = 20.0  # how long the other ranks may run after one has failed
DONE, FAILED, STOPPED = 0, 1, 143

_SET_PDEATHSIG, _SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_CONSEQUENCE = re.compile(  # the error of a rank when another rank is gone
    r"connection (closed|reset|refused)|broken pipe|DistBackendError|DistNetworkError|timed out (initializing|waiting)"
    r"|socket timeout|SIGTERM",
    re.IGNORECASE,
)
_ROOT_CAUSE = re.compile(r"Root Cause.*?rank\s*:\s*(\d+).*?exitcode\s*:\s*(-?\d+)", re.DOTALL)  # torchrun's summary
_SUMMARY = re.compile(r"torch/distributed/elastic/multiprocessing/api\.py")  # torchrun's log line of a failed rank
_EXCEPTION = re.compile(r"(\[rank\d+\]: *)?[\w.]*(Error|Exception|Exit|Interrupt)(:|$)")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the run ended: its exit code, and the reason if it failed."""

    code: int
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Ending:
    """The facts after the child has ended.

    `code` is its exit code, `signal` the first signal that the supervisor got (0 for none). `marks` are the files that
    ranks wrote (name → text, oldest first), `tail` the last lines of stderr. `out_of_memory`: the kernel killed a
    process of this container.
    """

    code: int
    signal: int = 0
    marks: Mapping[str, str]
    tail: tuple[str, ...] = ()
    out_of_memory: bool = False
    ranks: int = 1
    alone: bool = False  # no torchrun: the exit code is that of the rank


def outcome(ending: Ending) -> Outcome:
    """0 if every rank is done, 143 (130 for Ctrl-C) after a stop signal, else 1 with the root cause.

    SageMaker reports a stopped job as Stopped whatever its exit code (rule 16), so the code can be a shell's code for
    SIGTERM.
    """
    done = sum(name.endswith(".done") for name in ending.marks)
    stopped = any(name.endswith(".stopped") for name in ending.marks)
    if done == ending.ranks or (ending.code == 0 and not stopped):
        return Outcome(code=DONE)
    errors = {name: text for name, text in ending.marks.items() if name.endswith(".error")}
    if stopped or (ending.signal and not errors):
        return Outcome(code=128 + (ending.signal or signal.SIGTERM))
    return Outcome(code=FAILED, reason=shorten(_reason(ending, errors)))


def shorten(text: str) -> str:
    """At most 1024 characters (rule 13)."""
    return text if len(text) <= REASON_CHARACTERS else text[: REASON_CHARACTERS - 1] + "…"


def write_failure(path: Path, reason: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(shorten(reason), encoding="utf-8")


def run(launch: Launch, environ: Mapping[str, str], marks: Path, *, memory_kills: Callable[[], int]) -> Outcome:
    """Starts the child, forwards SIGTERM and SIGINT, waits, and ends every process that is left.

    `marks` is the folder where ranks write their outcome. A second signal ends everything at once.
    """
    kills_before = memory_kills()
    _prctl(_SET_CHILD_SUBREAPER, 1)  # ranks become our children when torchrun dies, so that we can end them
    with _Signals(alone=launch.alone) as signals:
        ours, theirs = os.openpty() if sys.stderr.isatty() else os.pipe()  # ranks show progress only on a terminal
        child = subprocess.Popen(
            launch.argv,
            env={**environ, **launch.variables},
            stderr=theirs,
            start_new_session=True,  # Ctrl-C reaches ranks only through us, as SIGTERM
            preexec_fn=_die_with_parent,  # noqa: PLW1509 - no threads yet
        )
        os.close(theirs)
        signals.forward_to(child)
        tail = _Tail(ours)
        _wait(child, signals, marks)
        end_descendants(os.getpid())
        tail.join()
    return outcome(
        Ending(
            code=child.returncode,
            signal=signals.first,
            marks=_read_marks(marks),
            tail=tail.lines(),
            out_of_memory=memory_kills() > kills_before,
            ranks=launch.ranks,
            alone=launch.alone,
        )
    )


def end_descendants(root: int, *, grace: float = 2.0) -> None:
    """Sends SIGTERM, then SIGKILL, to every process below `root`. Returns when none is left or 5 s after SIGKILL."""
    for number, seconds in ((signal.SIGTERM, grace), (signal.SIGKILL, 5.0)):
        deadline = time.monotonic() + seconds
        for pid in _descendants(root):
            _kill(pid, number)
        while _descendants(root) and time.monotonic() < deadline:
            time.sleep(0.05)
        if not _descendants(root):
            return


def _wait(child: subprocess.Popen[bytes], signals: _Signals, marks: Path) -> None:
    """Waits for the child to end. Kills it too long after a signal or after a rank's failure."""
    failed_at: float | None = None
    while True:
        try:
            child.wait(timeout=0.2)
            return
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if failed_at is None and any(marks.glob("*.error")):
            failed_at = now
        late = signals.count > 1 or (signals.first and now - signals.since > GRACE_SECONDS)
        if late or (failed_at is not None and now - failed_at > FAILED_SECONDS):
            end_descendants(child.pid)
            _kill(child.pid, signal.SIGKILL)


class _Signals:
    """Catches SIGTERM and SIGINT while torchrun runs, and forwards them to each of its ranks as SIGTERM.

    Before torchrun has started ranks, the signal goes to torchrun itself. Later torchrun gets no signal: it would
    forward the signal too, but then exit with a traceback, as if an orderly stop were a crash. `alone`: the child is
    the only rank.
    """

    def __init__(self, *, alone: bool) -> None:
        self.first, self.count, self.since = 0, 0, 0.0
        self._alone = alone
        self._child: subprocess.Popen[bytes] | None = None
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> _Signals:
        self._handlers = {number: signal.signal(number, self._receive) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def forward_to(self, child: subprocess.Popen[bytes]) -> None:
        """From now on signals go to `child`. A signal that came while it started is forwarded now."""
        self._child = child
        if self.count:
            self._forward(child)

    def _receive(self, number: int, _: FrameType | None) -> None:
        self.count += 1
        if self.count == 1:
            self.first, self.since = number, time.monotonic()
            name = signal.Signals(number).name
            os.write(2, f"kennel: {name}: every rank saves a checkpoint and exits\n".encode())
        if self._child is not None:
            self._forward(self._child)

    def _forward(self, child: subprocess.Popen[bytes]) -> None:
        ranks = [] if self._alone else _children(child.pid)
        for pid in ranks or [child.pid]:
            _kill(pid, signal.SIGTERM)


class _Tail:
    """Passes the child's stderr through at once (progress bars too) and keeps the last lines."""

    def __init__(self, source: int, keep: int = 32768) -> None:
        self._bytes: deque[bytes] = deque(maxlen=64)
        self._keep = keep
        self._thread = threading.Thread(target=self._pump, args=(source,), daemon=True)
        self._thread.start()

    def lines(self) -> tuple[str, ...]:
        text = b"".join(self._bytes)[-self._keep :].decode("utf-8", "replace")
        return tuple(line for line in re.split(r"[\r\n]+", text) if line.strip())

    def join(self) -> None:
        self._thread.join(timeout=5.0)

    def _pump(self, source: int) -> None:
        with suppress(OSError):  # a terminal reports its end of file as an error
            while block := os.read(source, 65536):
                self._bytes.append(block)
                sys.stderr.buffer.write(block)
                sys.stderr.buffer.flush()
        os.close(source)


def _reason(ending: Ending, errors: Mapping[str, str]) -> str:
    """The root cause: a killed rank, else the earliest error that is not the consequence of another rank's end."""
    rank, number = _killed_rank(ending)
    if ending.out_of_memory or number:
        return _signal_reason(rank if number else "a rank", number or signal.SIGKILL, ending.out_of_memory)
    causes = [text for text in errors.values() if not _CONSEQUENCE.search(text)]
    if causes:  # a rank's own error is better than another rank's report of it
        return min(causes, key=lambda text: text.startswith("RankError: rank "))
    if errors:
        return f"{next(iter(errors.values()))} (probably another host or rank ended first: see its log)"
    return f"training ended with exit code {ending.code}: {_last_error(ending.tail)}"


def _killed_rank(ending: Ending) -> tuple[str, int]:
    """(rank, signal) of a killed rank, from torchrun's summary or from the only rank's exit code; ("", 0) for none."""
    if ending.alone:
        failed_before = any(name.endswith(".error") for name in ending.marks)  # then the supervisor ended it
        return ("rank 0", -ending.code) if ending.code < 0 and not failed_before else ("", 0)
    cause = _ROOT_CAUSE.search("\n".join(ending.tail))
    number = -int(cause.group(2)) if cause else 0
    return (f"rank {cause.group(1)}", number) if cause and number > 0 else ("", 0)


def _last_error(tail: Sequence[str]) -> str:
    """The last exception that a rank printed before torchrun's summary, else the last three lines."""
    start = next((at for at, line in enumerate(tail) if _SUMMARY.search(line)), len(tail))
    own = tail[:start] or tail
    exceptions = [line.strip() for line in own if _EXCEPTION.match(line)]
    return exceptions[-1] if exceptions else " | ".join(line.strip() for line in own[-3:]) or "no output on stderr"


def _signal_reason(who: str, number: int, out_of_memory: bool) -> str:
    name = signal.Signals(number).name
    if out_of_memory or number == signal.SIGKILL:
        sure = "out of memory" if out_of_memory else "most likely out of memory"
        return (
            f"{who} was killed ({name}, exit code 137): {sure}. "
            "Lower batch_size or workers, or use an instance with more memory"
        )
    hint = ": /dev/shm is too small; set workers=0, or run docker with --shm-size" if number == signal.SIGBUS else ""
    return f"{who} died of {name}{hint}"


def _read_marks(folder: Path) -> dict[str, str]:
    files = sorted(folder.glob("rank-*"), key=lambda path: path.stat().st_mtime_ns)
    return {path.name: path.read_text(encoding="utf-8", errors="replace") for path in files}


def _descendants(root: int) -> list[int]:
    """Living processes below `root`."""
    parents = _parents()
    pids, frontier = [], {root}
    while frontier:
        frontier = {pid for pid, parent in parents.items() if parent in frontier and pid not in pids}
        pids += sorted(frontier)
    return pids


def _children(root: int) -> list[int]:
    return sorted(pid for pid, parent in _parents().items() if parent == root)


def _parents() -> dict[int, int]:
    """The parent of each living process, from /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
            except (OSError, ValueError):
                continue
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    return parents


def _kill(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _die_with_parent() -> None:
    _prctl(_SET_PDEATHSIG, signal.SIGTERM)


def _prctl(option: int, value: int) -> None:
    """Best effort. Without it, processes are left only when the supervisor gets SIGKILL outside a container."""
    ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
