"""Which package may import which, read from the sources: at the top level, and inside deploy, localcloud and train."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("contract", "train", "serve", "lambda_container", "deploy", "localcloud", "starter")
ALLOWED: dict[str, set[str]] = {
    "contract": set(),
    "train": {"contract"},
    "serve": {"contract"},
    "lambda_container": set(),
    "localcloud": set(),
    "deploy": {"contract.golden", "contract.hyperparameters", "contract.metrics", "starter"},
    "starter": set(),
}
TORCH = {"torch", "torchvision"}
PURE = (
    "deploy/values.py",
    "deploy/planning/answer.py",
    "deploy/planning/plan.py",
    "deploy/images/recipe.py",
    "train/host/launch.py",
)
IO_MODULES = {"socket", "subprocess", "boto3", "botocore", "docker", "requests", "http", "urllib"}

# Inside a package: each subpackage, and each module that stands beside subpackages, with what it may import of the
# same package. From the bottom up: a line imports only what stands above it. `iam` means all of iam's lines above, `*`
# all lines above.
INSIDE: dict[str, dict[str, str]] = {
    "deploy": {
        "console": "",
        "errors": "",
        "values": "",
        "config": "errors",
        "iam.document": "errors",
        "aws": "config errors values",
        "iam.statements": "config iam.document",
        "audit": "aws errors values",
        "iam.policies": "config iam.document iam.statements",
        "planning": "aws config errors values",
        "autoscaling": "aws config planning values",
        "iam.instance_profile": "aws config planning values",
        "iam.managed_policy": "aws config iam.document planning values",
        "iam.role": "aws config iam.document iam.policies planning values",
        "images": "aws config errors planning values",
        "notebook": "aws config errors iam.policies planning values",
        "storage": "aws config errors planning values",
        "function": "autoscaling aws config errors planning values",
        "iam.deployer_role": "aws config iam.document iam.managed_policy iam.policies iam.role planning values",
        "session": "aws config console errors images planning storage values",
        "jobs": "aws config errors iam.instance_profile iam.role images planning session storage values",
        "endpoints": "autoscaling aws config errors images jobs planning values",
        "costs": "aws config endpoints errors jobs session values",
        "diagnosis": "aws config costs endpoints errors images jobs values",
        "stage": "autoscaling aws config endpoints errors function iam images jobs notebook planning storage values",
        "commands": "*",
    },
    "localcloud": {
        "aws_client": "",
        "ec2.machine": "",
        "ec2.metadata": "aws_client",
        "ec2.records": "",
        "errors": "",
        "s3": "aws_client",
        "threads": "",
        "weighted": "",
        "containers": "errors",
        "gateway": "aws_client errors",
        "authorization": "aws_client errors gateway",
        "environment": "errors",
        "faults": "environment errors gateway",
        "iam": "errors",
        "sagemaker.defaults": "",
        "sagemaker.s3_input": "errors s3",
        "state": "errors",
        "cloudwatch": "aws_client errors gateway threads",
        "daemon": "containers errors state",
        "ec2.tools": "containers errors",
        "ecr": "authorization aws_client containers errors gateway",
        "service_quotas": "environment errors gateway",
        "tags": "gateway",
        "cloud": "authorization aws_client cloudwatch containers ecr environment iam s3 service_quotas tags",
        "applicationautoscaling": "aws_client cloud cloudwatch errors gateway",
        "awslambda": "authorization cloud cloudwatch containers errors gateway iam threads weighted",
        "ec2.instances": "aws_client cloud cloudwatch containers ec2.metadata ec2.records ec2.tools errors gateway iam "
        "threads",
        "sagemaker.records": "cloud errors s3",
        "sagemaker.notebooks": "cloud gateway iam sagemaker.records threads",
        "sagemaker.training": "aws_client cloud cloudwatch containers errors gateway iam s3 sagemaker.defaults "
        "sagemaker.records sagemaker.s3_input",
        "sagemaker.hosting": "aws_client cloud cloudwatch containers errors iam s3 sagemaker service_quotas weighted",
        "sagemaker.tuning": "cloud errors gateway iam sagemaker.defaults sagemaker.records sagemaker.training threads",
        "sagemaker.transform": "cloud containers errors gateway s3 sagemaker",
        "sagemaker.services": "aws_client cloud gateway s3 sagemaker threads",
        "services": "*",
        "__main__": "*",
    },
    "train": {
        "config": "",
        "pictures": "",
        "host": "",
        "learning": "pictures",
        "reporting": "pictures",
        "run": "host",
        "__main__": "config host learning pictures run",
        "job": "learning pictures reporting run",
        "packaging": "job learning pictures reporting",
        "worker": "host job learning packaging pictures run",
    },
}


def modules(package: str) -> list[Path]:
    return sorted(path for path in (REPOSITORY / package).rglob("*.py") if "__pycache__" not in path.parts)


def imported(source: str) -> Iterator[str]:
    """Every module that a source imports; `from a import b` counts as a.b, since b may be a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield "." * node.level
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def breaches(package: str, source: str) -> list[str]:
    """Imports of other packages that `package` may not import, and relative ones, which hide where they lead."""
    found = []
    for name in imported(source):
        top = name.split(".")[0]
        foreign = top in (*PACKAGES, "tasks", "cli", "tests", "benchmarks") and top != package
        allowed = any(name == right or name.startswith(f"{right}.") for right in ALLOWED[package])
        if name.startswith(".") or (foreign and not allowed):
            found.append(name)
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_the_packages_below_it(package: str) -> None:
    found = {path.name: breaches(package, path.read_text(encoding="utf-8")) for path in modules(package)}
    assert {name: names for name, names in found.items() if names} == {}


def test_the_rule_sees_a_breach() -> None:
    assert breaches("train", "from serve import codec\nfrom contract import artifact\nimport torch") == ["serve.codec"]
    assert breaches("deploy", "from contract.metrics import LINE\nfrom contract import artifact") == [
        "contract.artifact"
    ]
    assert breaches("serve", "from . import app") == ["."]


@pytest.mark.parametrize("package", [name for name in PACKAGES if name not in ("train", "contract")])
def test_torch_stays_in_training_and_the_contract(package: str) -> None:
    found = {
        path.name for path in modules(package) for name in imported(path.read_text()) if name.split(".")[0] in TORCH
    }
    assert found == set()


def test_in_the_contract_only_models_imports_torch() -> None:
    users = {
        path.name for path in modules("contract") for name in imported(path.read_text()) if name.split(".")[0] in TORCH
    }
    assert users <= {"models.py"}


@pytest.mark.parametrize("module", sorted(name for name in ALLOWED["deploy"] if name.startswith("contract.")))
def test_what_deploy_takes_of_the_contract_needs_the_standard_library_only(module: str) -> None:
    path = REPOSITORY.joinpath(*module.split(".")).with_suffix(".py")
    names = {name.split(".")[0] for name in imported(path.read_text(encoding="utf-8"))}
    assert names - sys.stdlib_module_names == set()


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_import_no_io(module: str) -> None:
    found = {name.split(".")[0] for name in imported((REPOSITORY / module).read_text(encoding="utf-8"))}
    assert found & IO_MODULES == set()


def test_one_module_of_deploy_talks_to_aws() -> None:
    users = {path.name for path in modules("deploy") for name in imported(path.read_text()) if name.startswith("boto3")}
    assert users <= {"client.py"}


def unit(module: str) -> str:
    """The line of INSIDE that a module belongs to: its package, or itself where its folder has subpackages."""
    parts = module.split(".")
    for count in range(len(parts), 0, -1):
        path = REPOSITORY.joinpath(*parts[:count])
        if path.with_suffix(".py").is_file():
            stands_beside_packages = any((each / "__init__.py").is_file() for each in path.parent.iterdir())
            return ".".join(parts[1 : count if stands_beside_packages else count - 1])
        if (path / "__init__.py").is_file():
            return ".".join(parts[1:count])
    raise AssertionError(f"{module} is not there")


def layers(lines: Mapping[str, str]) -> dict[str, set[str]]:
    """What each line allows, with `*` and the names of whole packages spelled out. Raises ValueError."""
    allowed: dict[str, set[str]] = {}
    for own, names in lines.items():
        allowed[own] = set(allowed) if names == "*" else set()
        for name in names.split() if names != "*" else ():
            meant = {above for above in allowed if above == name or above.startswith(f"{name}.")} - {own}
            if not meant:
                raise ValueError(f"{own}: no line above it is {name}")
            allowed[own] |= meant
    return allowed


def inside(package: str) -> dict[str, set[str]]:
    """What each line of INSIDE really imports."""
    found: dict[str, set[str]] = {}
    for path in modules(package):
        if path.name == "__init__.py":
            continue
        own = unit(".".join(path.relative_to(REPOSITORY).with_suffix("").parts))
        names = [name for name in imported(path.read_text(encoding="utf-8")) if name.startswith(f"{package}.")]
        found.setdefault(own, set()).update(unit(name) for name in names)
    return {own: names - {own} for own, names in found.items()}


@pytest.mark.parametrize("package", INSIDE)
def test_inside_a_package_each_imports_only_what_its_line_allows(package: str) -> None:
    allowed = layers(INSIDE[package])
    found = inside(package)
    assert found.keys() == allowed.keys()
    assert {own: names - allowed[own] for own, names in found.items() if names - allowed[own]} == {}


def test_a_line_allows_no_circle_because_it_names_lines_above_it() -> None:
    assert layers({"a": "", "b.x": "a", "b.y": "", "c": "b", "d": "*"}) == {
        "a": set(), "b.x": {"a"}, "b.y": set(), "c": {"b.x", "b.y"}, "d": {"a", "b.x", "b.y", "c"}
    }  # fmt: skip
    with pytest.raises(ValueError, match="b: no line above it is c"):
        layers({"b": "c", "c": "b"})


def test_a_module_beside_packages_is_a_line_of_its_own() -> None:
    assert unit("deploy.iam.role.training_role") == "iam.role"
    assert unit("deploy.iam.policies.deployer") == "iam.policies"
    assert unit("deploy.endpoints.alarm.KIND") == "endpoints"
    assert unit("localcloud.sagemaker.training.api") == "sagemaker.training"
