"""How the tests run: tiers by what they touch, each room in the world that it ships with. Used by `./inv test`.

What ships is what is tested: unit and functional tests of `train`, `serve` and `contract` run inside the images' test
stages; all others on the host. A suite that cannot run has failed, and so has a skipped test, unless its reason is one
of EXCUSED.

Unit and functional tests of the images run beside those of the host: they share nothing but the machine. What measures
how fast something is (SPEED) comes after them and has the machine to itself.
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
GRACE = 60  # seconds more for what Python cannot end: threads that wait for each other with the interpreter's lock
SPEED = ("test_speed.py", "test_cold_start.py")  # ratios and times, which other work on the machine would disturb
BESIDE: tuple[Tier, ...] = ("unit", "functional")  # whose suites of the images run beside the host's
EXCUSED: Mapping[str, str] = {"needs a GPU": "most machines have none; the images are also tried by hand on one"}


@dataclass(frozen=True, kw_only=True)
class Suite:
    """One pytest run. `where`: the host, or the image whose test stage it runs in. `speed`: nothing runs beside it."""

    tier: Tier
    where: Where
    paths: tuple[str, ...]
    speed: bool = False

    @property
    def name(self) -> str:
        """The suite's name, for people and for its result file."""
        return f"{self.tier}-{self.where}{'-speed' if self.speed else ''}"

    @property
    def title(self) -> str:
        """What is said before it runs."""
        place = "on the host" if self.where == "host" else f"in the {self.where} image"
        return f"{self.tier} tests{' of speed' if self.speed else ''}, {place}"

    def arguments(self, results: str) -> list[str]:
        """pytest's arguments. `results`: the folder for the JUnit file, as the suite sees it."""
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
    """What a suite came to. `problems` are lines for a person."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    problems: tuple[str, ...] = field(default_factory=tuple)


def suites(files: Iterable[str], *, tier: str = "", package: str = "") -> list[Suite]:
    """The suites that these test files make up, cheapest tier first. `files`: paths like tests/unit/train/test_x.py."""
    placed = [(path, *_place(path)) for path in sorted(files)]
    found = []
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
                    found.append(Suite(tier=level, where=where, paths=tuple(dict.fromkeys(paths)), speed=speed))
    return found


Lanes = tuple[tuple[Suite, ...], ...]


def turns(chosen: Sequence[Suite]) -> list[Lanes]:
    """What runs when: turns follow one another, a turn's lanes run side by side, and a lane's suites in their order."""
    found: list[Lanes] = []
    for (tier, speed), group in itertools.groupby(chosen, lambda suite: (suite.tier, suite.speed)):
        together = tuple(group)
        if tier in BESIDE and not speed:
            lanes = [tuple(each for each in together if (each.where == "host") is host) for host in (True, False)]
            found.append(tuple(lane for lane in lanes if lane))
        else:
            found += [((suite,),) for suite in together]
    return found


def _place(path: str) -> tuple[str, str]:
    """A test file's tier and room (empty for one that stands in the tier's own folder)."""
    _, tier, *rest = path.split("/")
    return tier, rest[0] if len(rest) > 1 else ""


def homes(tier: Tier, package: str) -> tuple[Where, ...]:
    """Where a room's tests run."""
    if tier in ("unit", "functional"):
        return PACKAGE_HOMES.get(package, ("host",))
    return ("host",)


def in_image(reference: str, suite: Suite, repository: Path, results: Path) -> list[str]:
    """The argv that runs a suite in an image: all is read-only but /tmp and /opt/ml, no network but loopback."""
    mounts = {repository / "tests": "tests", repository / "pyproject.toml": "pyproject.toml"}
    return [
        *("docker", "run", "--rm", "--label=kennel.test", "--network=none", "--read-only"),
        *("--tmpfs=/tmp:exec,mode=1777", "--tmpfs=/opt/ml"),
        *(f"--volume={path}:/opt/kennel/{name}:ro" for path, name in mounts.items()),
        f"--volume={results}:/results",
        # Small tensors on shared cores: threads would only wait for each other.
        *("--env=OMP_NUM_THREADS=1", "--env=HYPOTHESIS_STORAGE_DIRECTORY=/tmp/hypothesis"),
        reference,
        *("-c", "/opt/kennel/pyproject.toml", "-p", "no:cacheprovider", *suite.arguments("/results")),
    ]


def on_host(suite: Suite, results: Path) -> list[str]:
    """The argv that runs a suite here."""
    return [sys.executable, "-m", "pytest", *suite.arguments(str(results))]


def outcome(report: Path, status: int) -> Outcome:
    """Reads a suite's JUnit file; without one, or with a failing status and no failed test, the suite has failed."""
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
            problems.append(f"{name}: skipped ({skip.get('message')}); a test that cannot run has failed")
    if status and not failed:
        failed, problems = 1, [*problems, f"{report.stem}: pytest ended with exit status {status}"]
    return Outcome(passed=passed, failed=failed, skipped=skipped, problems=tuple(problems))


def total(outcomes: Sequence[Outcome]) -> str:
    """The closing line."""
    line = f"{sum(each.passed for each in outcomes)} passed, {sum(each.failed for each in outcomes)} failed"
    skipped = sum(each.skipped for each in outcomes)
    return f"{line}, {skipped} skipped" if skipped else line


def install_programs(say: Callable[[str], None]) -> None:
    """Programs that container tests call as users would; where they are ours to install, they are installed."""
    missing = [program for program in ("chromium", "docker-compose", "git") if not shutil.which(program)]
    if not ctypes.util.find_library("atomic"):
        missing.append("libatomic1")  # the driver of the page's test wants it
    if missing and shutil.which("apt-get") and os.geteuid() == 0:
        engine_setup.install(missing, say=say)


def test_files(repository: Path) -> list[str]:
    """Every test file, relative to the repository."""
    return [path.relative_to(repository).as_posix() for path in (repository / "tests").rglob("test_*.py")]


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs suites; `image` gives the reference of an image's test stage, `say` takes a line for a person."""

    repository: Path
    image: Callable[[ImageWhere], str]
    say: Callable[[str], None]

    @property
    def results(self) -> Path:
        return self.repository / ".kennel" / "tests"

    def run(self, chosen: Sequence[Suite]) -> list[Outcome]:
        """Never raises for a suite."""
        self.results.mkdir(parents=True, exist_ok=True)
        outcomes = []
        for first, *others in turns(chosen):
            for lane in others:
                self.say(f"== {', '.join(suite.title for suite in lane)}: beside what follows, told after it")
            with ThreadPoolExecutor(1 + len(others)) as pool:
                apart = [pool.submit(self._apart, lane) for lane in others]
                outcomes += [self._suite(suite, self.say) for suite in first]
                for each in apart:
                    found, told = each.result()
                    self.say("\n".join(told))
                    outcomes += found
        return outcomes

    def _apart(self, lane: Sequence[Suite]) -> tuple[list[Outcome], list[str]]:
        """Outcomes, and what is to be said of them: lines of two suites would mix."""
        told: list[str] = []
        return [self._suite(suite, told.append, streams=False) for suite in lane], told

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
            found = Outcome(failed=1, problems=(f"{suite.name}: could not run: {error}",))
        else:
            found = outcome(report, done.returncode)
            if done.stdout:
                say(str(done.stdout))
        for problem in found.problems:
            say(problem)
        return found
