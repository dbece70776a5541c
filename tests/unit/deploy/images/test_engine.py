"""Which docker client builds, and what `./inv engine` would do on different machines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from deploy.images.engine import Builder, EngineError, builder, version
from deploy.images.engine_setup import Host, plan

DEBIAN = Host(apt=True, root=True)


class Clients:
    """Fake docker clients: by path, the version and whether it has buildx."""

    def __init__(self, known: dict[str, tuple[str, bool]]) -> None:
        self.known = known

    def __call__(self, command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]:
        client, subcommand = command[0], command[1]
        if client not in self.known:
            return 127, "no such program"
        release, buildx = self.known[client]
        if subcommand == "buildx":
            return (0, "v0.12") if buildx else (1, "docker: 'buildx' is not a docker command.")
        return 0, f"Docker version {release}, build 1234567\n"


def test_a_client_with_buildx_is_preferred_wherever_it_stands_on_the_path() -> None:
    run = Clients({"/usr/bin/docker": ("20.10.24", False), "/opt/docker": ("28.2.2", True)})
    assert builder(["/usr/bin/docker", "/opt/docker"], run) == Builder(client="/opt/docker", buildx=True)


def test_a_new_client_without_buildx_is_passed_over_for_an_old_one_that_builds() -> None:
    run = Clients({"/usr/local/bin/docker": ("28.2.2", False), "/usr/bin/docker": ("20.10.24+dfsg1", False)})
    chosen = builder(["/usr/local/bin/docker", "/usr/bin/docker"], run)
    assert chosen == Builder(client="/usr/bin/docker", buildx=False)
    assert chosen.environment({"A": "1"}) == {"A": "1", "DOCKER_BUILDKIT": "1"}


def test_when_no_client_builds_the_error_names_them_and_the_fix() -> None:
    with pytest.raises(EngineError, match=r"/a/docker: cannot build with BuildKit; install the docker buildx plugin"):
        builder(["/a/docker"], Clients({"/a/docker": ("28.2.2", False)}))
    with pytest.raises(EngineError, match=r"no docker client on PATH: run `\./inv engine`"):
        builder([], Clients({}))


def test_an_engine_that_does_not_answer_has_no_version() -> None:
    def silent(command: Sequence[str], *, timeout: float = 20) -> tuple[int, str]:
        return 1, "Cannot connect to the Docker daemon"

    assert version(["docker"], silent) == ""


def test_nothing_is_done_when_an_engine_answers_and_a_client_builds() -> None:
    assert plan(replace(DEBIAN, version="20.10.24")) == ()
    assert plan(Host(version="28.0.0")) == ()


def test_on_a_bare_debian_as_root_an_engine_is_installed_and_started() -> None:
    assert plan(DEBIAN) == ("install", "start")


def test_an_installed_engine_is_only_started() -> None:
    assert plan(replace(DEBIAN, daemon_installed=True)) == ("start",)


def test_the_pid_file_of_a_killed_daemon_is_removed_before_the_next_one_starts() -> None:
    assert plan(replace(DEBIAN, daemon_installed=True, stale_pid=4711)) == ("forget stale pid file", "start")


def test_a_running_daemon_that_does_not_answer_yet_is_waited_for_and_no_second_one_starts() -> None:
    assert plan(replace(DEBIAN, daemon_installed=True, daemon_pid=12)) == ("wait",)


def test_a_client_that_cannot_build_gets_its_plugin_and_the_engine_stays() -> None:
    assert plan(replace(DEBIAN, version="26.1.5", can_build=False, daemon_pid=12)) == ("install",)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        (Host(), "no Docker engine answers: install Docker with its buildx plugin and start it"),
        (Host(apt=True), "no Docker engine answers: run `./inv engine` as root"),
        (Host(apt=True, daemon_installed=True), "installed but not running: start it"),
        (Host(remote="tcp://10.0.0.1:2376", apt=True, root=True), "DOCKER_HOST=tcp://10.0.0.1:2376 does not answer"),
        (
            Host(version="28.2.2", can_build=False),
            "the docker client cannot build with BuildKit: install Docker with its buildx",
        ),
    ],
    ids=["no apt", "not root", "stopped", "remote", "no buildx"],
)
def test_on_other_machines_the_error_says_what_to_do(host: Host, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        plan(host)
    assert message in str(caught.value)
