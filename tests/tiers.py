"""How `./inv test` runs the tests: tiers are defined by their I/O, and each package is tested where it runs.

Unit and functional tests of `train`, `serve` and `contract` run inside the images' test stages, so they test what is
shipped; all others run on the host. A suite that cannot run counts as failed, and so does a skipped test, unless its
reason is one of EXCUSED.

Unit and functional tests in the images run at the same time as those on the host, because they share only the machine.
Tests that measure speed (SPEED) run after them, alone on the machine.
"""

from __future__ import annotations

import ctypes.util
import itertools
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from deploy.images import engine_setup

Tier = Literal["unit", "functional", "container", "e2e"]
ImageWhere = Literal["train", "serve"]
Where = Literal["host"] | ImageWhere
TIERS: tuple[Tier, ...] = ("unit", "functional", "container", "e2e")
WHERES: tuple[Where, ...] = ("host", "serve", "train")
PACKAGE_HOMES: Mapping[str, tuple[Where, ...]] = {
    "train": ("train",),
    "serve": ("serve",),
    "contract": ("serve", "train"),
}
TIMEOUTS: Mapping[Tier, int] = {"unit": 30, "functional": 180, "container": 1200, "e2e": 2400}  # seconds, one test
GRACE = 60  # seconds more for tests that Python cannot end: a deadlocked thread may hold the interpreter's lock
SPEED = ("test_speed.py", "test_cold_start.py")  # measure ratios and times, which other load would disturb
BESIDE: tuple[Tier, ...] = ("unit", "functional")  # in these tiers, suites in images run at the same time as the host's
EXCUSED: Mapping[str, str] = {"needs a GPU": "most machines have none; the images are also tried by hand on one"}


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One pytest run. where: the host, or the image whose test stage it uses. speed: it runs alone on the machine."""

    tier: Tier
    where: Where
    paths: tuple[str, ...]
    speed: bool = False

    @property
    def name(self) -> str:
        """The suite's name, also of its result file."""
        return f"{self.tier}-{self.where}{'-speed' if self.speed else ''}"

    @property
    def title(self) -> str:
        """The line printed before it runs."""
        place = "on the host" if self.where == "host" else f"in the {self.where} image"
        return f"{self.tier} tests{' of speed' if self.speed else ''}, {place}"

    def arguments(self, results: str) -> list[str]:
        """pytest's arguments. results: the folder for the JUnit file, as a path in the suite's container or host."""
        seconds = TIMEOUTS[self.tier]
        chosen = [f"--timeout={seconds}", f"--junitxml={results}/{self.name}.xml"]
        chosen += ["-o", f"faulthandler_timeout={seconds + GRACE}", "-o", "faulthandler_exit_on_timeout=true"]
        if self.where == "serve":
            chosen.append("--ignore-glob=*/contract/test_models*")  # networks by name need torch
        if not self.speed:
            chosen += [f"--ignore-glob=*/{name}" for name in SPEED]
        return [*chosen, *self.paths]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A suite's result. `problems` are lines to print."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problems: tuple[str, ...] = field(default_factory=tuple)


def suites(files: Iterable[str], *, tier: str = "", package: str = "") -> list[Suite]:
    """The suites for these test files, cheapest tier first. files: paths like tests/unit/train/test_x.py."""
    placed = [(path, *_place(path)) for path in sorted(files)]
    chosen = []
    for level in TIERS:
        for speed in (False, True):
            for where in WHERES:
                paths = [
                    path if speed or not owner else f"tests/{level}/{owner}"
                    for path, at, owner in placed
                    if at == level and where in homes(level, owner) and tier in ("", level) and package in ("", owner)
                    if path.endswith(SPEED) is speed
                ]
                if paths:
                    chosen.append(Suite(tier=level, where=where, paths=tuple(dict.fromkeys(paths)), speed=speed))
    return chosen


Lanes = tuple[tuple[Suite, ...], ...]


def turns(chosen: Sequence[Suite]) -> list[Lanes]:
    """The order of the suites: turns run one after the other, a turn's lanes in parallel, a lane's suites in order."""
    ordered: list[Lanes] = []
    for (tier, speed), group in itertools.groupby(chosen, lambda suite: (suite.tier, suite.speed)):
        together = tuple(group)
        if tier in BESIDE and not speed:
            lanes = [tuple(each for each in together if (each.where == "host") is host) for host in (True, False)]
            ordered.append(tuple(lane for lane in lanes if lane))
        else:
            ordered += [((suite,),) for suite in together]
    return ordered


def _place(path: str) -> tuple[str, str]:
    """A test file's tier and package; the package is empty for a file directly in the tier's folder."""
    _, tier, *rest = path.split("/")
    return tier, rest[0] if len(rest) > 1 else ""


def homes(tier: Tier, package: str) -> tuple[Where, ...]:
    """Where a package's tests run."""
    if tier in ("unit", "functional"):
        return PACKAGE_HOMES.get(package, ("host",))
    return ("host",)


def in_image(reference: str, suite: Suite, repository: Path, results: Path) -> list[str]:
    """The argv that runs a suite in an image, read-only except for /tmp and /opt/ml, with no network but loopback."""
    mounts = {repository / "tests": "tests", repository / "pyproject.toml": "pyproject.toml"}
    return [
        *("docker", "run", "--rm", "--label=kennel.test", "--network=none", "--read-only"),
        *("--tmpfs=/tmp:exec,mode=1777", "--tmpfs=/opt/ml"),
        *(f"--volume={path}:/opt/kennel/{name}:ro" for path, name in mounts.items()),
        f"--volume={results}:/results",
        # With small tensors on shared cores, threads would only wait for each other.
        *("--env=OMP_NUM_THREADS=1", "--env=HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis"),
        reference,
        *("-c", "/opt/kennel/pyproject.toml", "-p", "no:cacheprovider", *suite.arguments("/results")),
    ]


def on_host(suite: Suite, results: Path) -> list[str]:
    """The argv that runs a suite on the host."""
    return [sys.executable, "-m", "pytest", *suite.arguments(str(results))]


def outcome(report: Path, status: int) -> Outcome:
    """Reads a suite's JUnit file. Without one, or with a status other than 0 and no failed test, the suite failed."""
    if not report.is_file():
        return Outcome(failed=1, problems=(f"{report.stem}: could not run (exit status {status})",))
    passed = failed = skipped = 0
    problems = []
    for case in ET.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        skip = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skip is None:
            passed += 1
        elif any((skip.get("message") or "").startswith(reason) for reason in EXCUSED):
            skipped += 1
        else:
            failed += 1
            problems.append(f"{name}: skipped ({skip.get('message')}); a test that cannot run counts as failed")
    if status and not failed:
        failed, problems = 1, [*problems, f"{report.stem}: pytest exited with status {status}"]
    return Outcome(passed=passed, failed=failed, skipped=skipped, problems=tuple(problems))


def total(outcomes: Sequence[Outcome]) -> str:
    """The closing line."""
    line = f"{sum(each.passed for each in outcomes)} passed, {sum(each.failed for each in outcomes)} failed"
    skipped = sum(each.skipped for each in outcomes)
    return f"{line}, {skipped} skipped" if skipped else line


def install_programs(say: Callable[[str], None]) -> None:
    """Installs programs that container tests call, if this is root on a Debian; otherwise does nothing."""
    missing = [program for program in ("chromium", "docker-compose", "git") if not shutil.which(program)]
    if not ctypes.util.find_library("atomic"):
        missing.append("libatomic1")  # needed by the browser driver that tests the page
    if missing and shutil.which("apt-get") and os.geteuid() == 0:
        engine_setup.install(missing, say=say)


def test_files(repository: Path) -> list[str]:
    """Every test file, relative to the repository."""
    return [path.relative_to(repository).as_posix() for path in (repository / "tests").rglob("test_*.py")]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs suites. image: returns the reference of an image's test stage. say: prints a line."""

    repository: Path
    image: Callable[[ImageWhere], str]
    say: Callable[[str], None]

    @property
    def results(self) -> Path:
        return self.repository / ".kennel" / "tests"

    def run(self, chosen: Sequence[Suite]) -> list[Outcome]:
        """Runs the suites. A suite that cannot run becomes a failed outcome, not an exception."""
        self.results.mkdir(parents=True, exist_ok=True)
        outcomes = []
        for first, *others in turns(chosen):
            for lane in others:
                self.say(f"== {', '.join(suite.title for suite in lane)}: in parallel; output follows below")
            with ThreadPoolExecutor(1 + len(others)) as pool:
                apart = [pool.submit(self._apart, lane) for lane in others]
                outcomes += [self._suite(suite, self.say) for suite in first]
                for each in apart:
                    finished, lines = each.result()
                    self.say("\n".join(lines))
                    outcomes += finished
        return outcomes

    def _apart(self, lane: Sequence[Suite]) -> tuple[list[Outcome], list[str]]:
        """The outcomes of a lane and its output, collected because the lines of parallel suites would mix."""
        lines: list[str] = []
        return [self._suite(suite, lines.append, streams=False) for suite in lane], lines

    def _suite(self, suite: Suite, say: Callable[[str], None], *, streams: bool = True) -> Outcome:
        report = self.results / f"{suite.name}.xml"
        report.unlink(missing_ok=True)
        say(f"== {suite.title}")
        try:
            if suite.where == "host":
                argv = on_host(suite, self.results)
            else:
                argv = in_image(self.image(suite.where), suite, self.repository, self.results)
            output, errors = (None, None) if streams else (subprocess.PIPE, subprocess.STDOUT)
            done = subprocess.run(
                argv,
                cwd=self.repository,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                text=True,
                check=False,
            )
        except (RuntimeError, OSError) as error:
            result = Outcome(failed=1, problems=(f"{suite.name}: could not run: {error}",))
        else:
            result = outcome(report, done.returncode)
            if done.stdout:
                say(str(done.stdout))
        for problem in result.problems:
            say(problem)
        return result
