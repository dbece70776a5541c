"""The layers of DESIGN.md: which room may import which, read from the sources."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ROOMS = ("contract", "train", "serve", "lambda_container", "deploy", "localcloud", "starter")
ALLOWED: dict[str, set[str]] = {
    "contract": set(),
    "train": {"contract"},
    "serve": {"contract"},
    "lambda_container": set(),
    "localcloud": set(),
    "deploy": {"contract.golden", "contract.metrics", "starter"},
    "starter": set(),
}
TORCH = {"torch", "torchvision"}
PURE = ("deploy/values.py", "deploy/planning/plan.py", "deploy/images/recipe.py", "train/host/launch.py")
DOORS = {"socket", "subprocess", "boto3", "botocore", "docker", "requests", "http", "urllib"}


def modules(room: str) -> list[Path]:
    return sorted(path for path in (REPOSITORY / room).rglob("*.py") if "__pycache__" not in path.parts)


def imported(source: str) -> Iterator[str]:
    """Every module that a source imports; `from a import b` counts as a.b, since b may be a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "." * node.level
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaches(room: str, source: str) -> list[str]:
    """Imports of other rooms that `room` has no right to, and relative ones, which hide where they lead."""
    found = []
    for name in imported(source):
        top = name.split(".")[0]
        foreign = top in (*ROOMS, "tasks", "cli", "tests", "benchmarks") and top != room
        allowed = any(name == right or name.startswith(f"{right}.") for right in ALLOWED[room])
        if name.startswith(".") or (foreign and not allowed):
            found.append(name)
    return found


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_the_rooms_below_it(room: str) -> None:
    found = {path.name: breaches(room, path.read_text(encoding="utf-8")) for path in modules(room)}
    assert {name: names for name, names in found.items() if names} == {}


def test_the_rule_sees_a_breach() -> None:
    assert breaches("train", "from serve import codec\nfrom contract import artifact\nimport torch") == ["serve.codec"]
    assert breaches("deploy", "from contract.metrics import LINE\nfrom contract import artifact") == [
        "contract.artifact"
    ]
    assert breaches("serve", "from . import app") == ["."]


@pytest.mark.parametrize("room", [room for room in ROOMS if room not in ("train", "contract")])
def test_torch_stays_in_training_and_the_contract(room: str) -> None:
    found = {path.name for path in modules(room) for name in imported(path.read_text()) if name.split(".")[0] in TORCH}
    assert found == set()


def test_in_the_contract_only_models_imports_torch() -> None:
    users = {
        path.name for path in modules("contract") for name in imported(path.read_text()) if name.split(".")[0] in TORCH
    }
    assert users <= {"models.py"}


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_open_no_door(module: str) -> None:
    found = {name.split(".")[0] for name in imported((REPOSITORY / module).read_text(encoding="utf-8"))}
    assert found & DOORS == set()


def test_one_module_of_deploy_talks_to_aws() -> None:
    users = {path.name for path in modules("deploy") for name in imported(path.read_text()) if name.startswith("boto3")}
    assert users <= {"client.py"}
