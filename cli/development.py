"""Build and test: the Docker engine, images, tests and locks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from invoke.exceptions import Exit

from cli.command import Run, command, misused
from cli.context import HERE

TOOLS = Path(sys.executable).parent


@command()
def engine(_: Run) -> None:
    """Install and start Docker where no Docker engine answers."""
    from deploy.images import engine_setup
    from deploy.images.builder import ImageBuilder

    host = engine_setup.look(dict(os.environ))
    acts = engine_setup.plan(host)
    if not acts:
        print(f"Docker engine {host.version} answers: nothing to do")
    executor = engine_setup.Acts(log=HERE / ".kennel" / "dockerd.log", say=print)
    for act in acts:
        executor.do(act)
    if host.apt and host.root and ImageBuilder(repository=HERE).lacks_base_maker():
        engine_setup.install(["mmdebstrap", "debian-archive-keyring"], say=print)


@command(help={"image": "train, serve or lambda (default: all three)"})
def build(_: Run, image: str = "") -> None:
    """Build the images, or reuse those that are up to date."""
    from deploy.images.builder import ImageBuilder
    from deploy.images.recipe import KINDS, kind_named

    builder = ImageBuilder(repository=HERE)
    for kind in [kind_named(image)] if image else KINDS:
        builder.build(kind)


@command(
    help={
        "tier": "unit, functional, container or e2e (default: lint and all tiers)",
        "package": "one package, such as serve (default: all)",
    }
)
def test(_: Run, tier: str = "", package: str = "") -> None:
    """Run lint and the tests; train and serve run in their images."""
    from deploy.images.builder import ImageBuilder
    from deploy.images.recipe import KINDS
    from tests import checks, tiers

    if tier and tier not in tiers.TIERS:
        raise misused(f"unknown tier {tier!r}; choose from {', '.join(tiers.TIERS)}")
    suites = tiers.suites(tiers.test_files(HERE), tier=tier, package=package)
    if not suites:
        raise misused(f"no tests match {tier} {package}".strip())
    builder = ImageBuilder(repository=HERE)
    clean = bool(tier or package) or checks.run(HERE, TOOLS)
    if {"container", "e2e"} & {suite.tier for suite in suites}:
        for kind in KINDS:
            builder.build(kind)
        tiers.install_programs(print)
    runner = tiers.Runner(repository=HERE, image=lambda kind: builder.build(kind, target="test"), say=builder.say)
    outcomes = runner.run(suites)
    if not clean:
        print("lint failed: see above")
    print(tiers.total(outcomes), flush=True)
    if not clean or any(outcome.failed for outcome in outcomes):
        raise Exit(code=1)


@command()
def lint(_: Run) -> None:
    """Check style, types, shell scripts and Dockerfiles."""
    from tests import checks

    if not checks.run(HERE, TOOLS):
        raise Exit(code=1)


@command()
def fmt(_: Run) -> None:
    """Format the code and fix what lint can fix."""
    subprocess.run([TOOLS / "ruff", "check", "--fix", "."], cwd=HERE, check=False)
    subprocess.run([TOOLS / "ruff", "format", "."], cwd=HERE, check=False)


@command(help={"upgrade": "take the newest versions (default: keep the locked ones)"})
def lock(_: Run, upgrade: bool = False) -> None:
    """Write requirements.lock and docker/*.lock."""
    from deploy.images import lockfiles

    for lock_ in lockfiles.LOCKS:
        print(lock_.output, flush=True)
        if subprocess.run([TOOLS / "uv", *lock_.arguments(upgrade=upgrade)], cwd=HERE, check=False).returncode:
            raise Exit(f"error: uv could not write {lock_.output}: see above", 1)
