"""The wrapper `inv` in a small project of its own: real environments, real processes, real interruptions."""

from __future__ import annotations

import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
TASKS = """
from cli.program import Inv
from invoke.tasks import task

@task
def where(_):
    import os
    print("in", os.getcwd())

@task
def build(_, image="all"):
    print("build", image)

@task
def push(_):
    print("push")

if __name__ == "__main__":
    Inv([where, build, push]).run()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the wrapper, three tasks and a lock of invoke alone. Its name has a space on purpose."""
    folder = tmp_path / "a project"
    (folder / "docker").mkdir(parents=True)
    shutil.copy(REPOSITORY / "inv", folder / "inv")
    shutil.copy(REPOSITORY / "docker" / "build.lock", folder / "docker" / "build.lock")
    (folder / "cli").mkdir()
    for module in ("__init__.py", "program.py"):
        shutil.copy(REPOSITORY / "cli" / module, folder / "cli" / module)
    (folder / "tasks.py").write_text(TASKS)
    lock = (REPOSITORY / "requirements.lock").read_text()
    entry = re.search(r"^invoke==.*?(?=^\S)", lock, re.MULTILINE | re.DOTALL)
    assert entry
    (folder / "requirements.lock").write_text(entry[0])
    return folder


def environment(path: str | None = None, **more: str) -> dict[str, str]:
    """The tests' own environment, without the variables that the wrapper reads."""
    kept = {name: value for name, value in os.environ.items() if name not in ("KENNEL_PYTHON", "VIRTUAL_ENV")}
    tools = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"  # with the uv of the locked environment
    return {**kept, "PATH": path or tools, **more}


def inv(
    project: Path,
    *words: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    program: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(program or project / "inv"), *words],
        cwd=cwd or project,
        env=dict(env or environment()),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def script(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def bare_tools(folder: Path) -> str:
    """A PATH with the shell's usual tools, but no Python and no uv."""
    folder.mkdir()
    for tool in ("sh", "dirname", "readlink", "cmp", "mkdir", "rm", "cp", "mv", "id", "cat", "env"):
        (folder / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    return str(folder)


def test_it_runs_from_any_folder_and_through_a_link_and_leaves_the_folder_alone(project: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    first = inv(project, "where", cwd=elsewhere)
    assert (first.returncode, first.stdout) == (0, f"in {elsewhere}\n")
    link = elsewhere / "kennel"
    link.symlink_to(project / "inv")
    assert inv(project, "where", cwd=Path("/"), program=link).stdout == "in /\n"


def test_the_environment_is_made_once(project: Path) -> None:
    assert "making .venv" in inv(project, "push").stderr
    made = (project / ".venv" / "pyvenv.cfg").stat().st_mtime_ns
    again = inv(project, "push")
    assert (again.returncode, again.stdout, again.stderr) == (0, "push\n", "")
    assert (project / ".venv" / "pyvenv.cfg").stat().st_mtime_ns == made


def test_without_a_task_it_lists_them(project: Path) -> None:
    listed = inv(project)
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines() if line.startswith("  ")] == [
        "where",
        "build",
        "push",
    ]


def test_a_task_that_fails_gives_its_exit_status(project: Path) -> None:
    assert inv(project, "no-such-task").returncode != 0


def test_options_reach_their_task_and_tasks_can_follow_each_other(project: Path) -> None:
    assert inv(project, "build", "--image", "train", "push").stdout == "build train\npush\n"
    assert inv(project, "build", "push").stdout == "build all\npush\n"


def test_words_reach_invoke_as_they_were_typed(project: Path) -> None:
    assert inv(project, "build", "--image", "a b  'c' $d", "push").stdout == "build a b  'c' $d\npush\n"
    bare = inv(project, "build", "serve")
    assert (bare.returncode, bare.stdout) == (2, "")
    assert bare.stderr.endswith("error: build takes serve as --image: ./inv build --image serve\n")


def test_up_to_date_it_costs_less_than_a_tenth_of_a_second(project: Path) -> None:
    inv(project, "push")
    alone = [str(project / ".venv/bin/python"), str(project / "tasks.py"), "push"]

    def seconds(command: list[str]) -> float:
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - began

    pairs = [(seconds([str(project / "inv"), "push"]), seconds(alone)) for _ in range(7)]
    assert statistics.median(wrapped - direct for wrapped, direct in pairs) < 0.1


def test_a_changed_lock_makes_the_environment_again(project: Path) -> None:
    inv(project, "push")
    with (project / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    changed = inv(project, "push")
    assert "making .venv" in changed.stderr
    assert changed.stdout == "push\n"
    assert inv(project, "push").stderr == ""


def test_two_at_once_make_it_once_and_both_run(project: Path) -> None:
    command = [str(project / "inv"), "push"]
    both = [
        subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ended = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [out for out, _ in ended] == ["push\n", "push\n"]
    assert sum(err.count("making .venv") for _, err in ended) == 1


@pytest.mark.parametrize("when", ["before the packages", "before the stamp"])
def test_killed_half_way_the_next_run_makes_it_anew(project: Path, tmp_path: Path, when: str) -> None:
    real = shutil.which("uv", path=environment()["PATH"])
    reached = tmp_path / "reached"
    act = f'"{real}" "$@"' if when == "before the stamp" else ":"
    script(tmp_path / "bin", "uv", f'case "$1" in pip) {act}; : >"{reached}"; sleep 60;; *) exec "{real}" "$@";; esac')
    slow = environment()
    slow["PATH"] = f"{tmp_path / 'bin'}{os.pathsep}{slow['PATH']}"
    process = subprocess.Popen([str(project / "inv"), "push"], env=slow, stderr=subprocess.PIPE, start_new_session=True)
    with process:
        until = time.monotonic() + 60
        while not reached.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
    after = inv(project, "push")
    assert "making .venv" in after.stderr
    assert (after.returncode, after.stdout) == (0, "push\n")


def test_a_damaged_environment_is_made_anew(project: Path) -> None:
    inv(project, "push")
    (project / ".venv" / "bin" / "python").unlink()
    assert inv(project, "push").stdout == "push\n"


def test_without_uv_it_brings_its_own(project: Path, tmp_path: Path) -> None:
    path = bare_tools(tmp_path / "tools")
    (tmp_path / "tools" / "python3").symlink_to(os.path.realpath(sys.executable))
    made = inv(project, "push", env=environment(path, PIP_FIND_LINKS="file:///no/such/folder"))
    assert (made.returncode, made.stdout) == (0, "push\n"), made.stderr
    assert [line for line in made.stderr.splitlines() if not line.startswith("inv: ")] == []


def test_without_uv_pips_errors_are_shown(project: Path, tmp_path: Path) -> None:
    path = bare_tools(tmp_path / "tools")
    (tmp_path / "tools" / "python3").symlink_to(os.path.realpath(sys.executable))
    failed = inv(project, "push", env=environment(path, PIP_NO_INDEX="1"))
    assert failed.returncode == 1
    assert "ERROR: " in failed.stderr
    assert "inv: could not install uv (docker/build.lock)" in failed.stderr


def test_a_failing_installation_is_an_error_and_the_next_run_tries_again(project: Path) -> None:
    lock = project / "requirements.lock"
    good = lock.read_text()
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, good))
    failed = inv(project, "push")
    assert failed.returncode == 1
    assert "could not install requirements.lock" in failed.stderr
    lock.write_text(good)
    assert inv(project, "push").stdout == "push\n"


def test_without_a_python_the_error_says_what_to_install(project: Path, tmp_path: Path) -> None:
    missing = inv(project, "push", env=environment(bare_tools(tmp_path / "tools")))
    assert missing.returncode == 1
    assert missing.stderr == (
        "inv: Python 3.11 or newer is needed, but there is no python3: install one (Debian, Ubuntu: apt-get install "
        "python3 python3-venv) or name one: KENNEL_PYTHON=/path/to/python3 ./inv\n"
    )
    assert not (project / ".venv").exists()


def test_a_python_that_is_too_old_is_named(project: Path, tmp_path: Path) -> None:
    path = bare_tools(tmp_path / "tools")
    script(tmp_path / "tools", "python3", "echo 3.9")
    old = inv(project, "push", env=environment(path))
    assert old.returncode == 1
    assert "Python 3.11 or newer is needed, but python3 is 3.9" in old.stderr


@pytest.mark.parametrize(("python", "says"), [("/no/such/python", "no such Python"), ("old", "is 3.10")])
def test_the_python_that_kennel_python_names_is_used_or_refused(
    project: Path, tmp_path: Path, python: str, says: str
) -> None:
    named = python if python.startswith("/") else str(script(tmp_path / "a bin", "old-python", "echo 3.10"))
    refused = inv(project, "push", env=environment(KENNEL_PYTHON=named))
    assert refused.returncode == 1
    assert f"KENNEL_PYTHON={named}: " in refused.stderr
    assert says in refused.stderr


def test_for_a_python_without_venv_the_error_says_what_to_install(project: Path, tmp_path: Path) -> None:
    path = bare_tools(tmp_path / "tools")
    real = os.path.realpath(sys.executable)
    script(tmp_path / "tools", "python3", f'case "$2" in *ensurepip*) exit 1;; esac\nexec "{real}" "$@"')
    lacking = inv(project, "push", env=environment(path))
    assert lacking.returncode == 1
    assert "python3 has no venv module: install it (Debian, Ubuntu: apt-get install python3-venv)" in lacking.stderr
