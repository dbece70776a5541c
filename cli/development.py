"""The ground: engine, images, tests, locks: what those who work on Kennel type, too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from cli.context import HERE, user_errors

TOOLS = Path(sys.executable).parent


@task
def engine(_: Context) -> None:
    """Have a Docker engine that answers: installed and started where that is ours to do."""
    from deploy.images import engine_setup
    from deploy.images.builder import ImageBuilder

    with user_errors():
        host = engine_setup.look(dict(os.environ))
        acts = engine_setup.plan(host)
        if not acts:
            print(f"Docker engine {host.version} answers: nothing to do")
        doer = engine_setup.Acts(log=HERE / ".kennel" / "dockerd.log", say=print)
        for act in acts:
            doer.do(act)
        if host.apt and host.root and ImageBuilder(repository=HERE).lacks_base_maker():
            engine_setup.install(["mmdebstrap", "debian-archive-keyring"], say=print)


@task(help={"image": "train, serve or lambda; all when not given"})
def build(_: Context, image: str = "") -> None:
    """Build the images, or find them built: ./inv build [train|serve|lambda]."""
    from deploy.images.builder import ImageBuilder
    from deploy.images.recipe import KINDS, kind_named

    builder = ImageBuilder(repository=HERE)
    with user_errors():
        for kind in [kind_named(image)] if image else KINDS:
            builder.build(kind)


@task(help={"tier": "unit, functional, container or e2e; all when not given", "package": "one package's tests only"})
def test(_: Context, tier: str = "", package: str = "") -> None:
    """Lint, then run the tests: train and serve in their own images, the rest here."""
    from deploy.images.builder import ImageBuilder
    from deploy.images.recipe import KINDS
    from tests import checks, tiers

    if tier and tier not in tiers.TIERS:
        raise Exit(f"no tier is called {tier!r}: choose from {', '.join(tiers.TIERS)}", 2)
    chosen = tiers.suites(tiers.test_files(HERE), tier=tier, package=package)
    if not chosen:
        raise Exit(f"no tests match {tier} {package}".strip(), 2)
    builder = ImageBuilder(repository=HERE)
    clean = bool(tier or package) or checks.run(HERE, TOOLS)
    if {"container", "e2e"} & {suite.tier for suite in chosen}:
        with user_errors():
            for kind in KINDS:
                builder.build(kind)
            tiers.install_programs(print)
    runner = tiers.Runner(repository=HERE, image=lambda kind: builder.build(kind, target="test"), say=builder.say)
    outcomes = runner.run(chosen)
    if not clean:
        print("lint failed: see above")
    print(tiers.total(outcomes), flush=True)
    if not clean or any(outcome.failed for outcome in outcomes):
        raise Exit(code=1)


@task
def lint(_: Context) -> None:
    """Check style, types, shell scripts and Dockerfiles."""
    from tests import checks

    if not checks.run(HERE, TOOLS):
        raise Exit(code=1)


@task
def fmt(_: Context) -> None:
    """Format the code and mend what lint can mend."""
    subprocess.run([TOOLS / "ruff", "check", "--fix", "."], cwd=HERE, check=False)
    subprocess.run([TOOLS / "ruff", "format", "."], cwd=HERE, check=False)


@task(help={"upgrade": "take the newest versions instead of keeping those that are locked"})
def lock(_: Context, upgrade: bool = False) -> None:
    """Write the locks: requirements.lock from pyproject.toml, docker/*.lock from docker/*.in."""
    from deploy.images import lockfiles

    for lock_ in lockfiles.LOCKS:
        print(lock_.output, flush=True)
        if subprocess.run([TOOLS / "uv", *lock_.arguments(upgrade=upgrade)], cwd=HERE, check=False).returncode:
            raise Exit(f"{lock_.output} could not be made: see above", 1)
