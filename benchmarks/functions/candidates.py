"""The candidates: each a handler's module and a Python with its packages, compiled to bytecode as in an image."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.harness import environment, newest_python
from benchmarks.harness.environments import HOME, ROOT


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A handler. `code` is the folder that its module is imported from."""

    name: str
    python: Path
    code: Path
    module: str

    @property
    def command(self) -> list[str]:
        """The command that Lambda runs."""
        return [str(self.python), "-m", "awslambdaric", f"{self.module}.handler"]


def candidates() -> tuple[Candidate, Candidate, Candidate]:
    """Our handler, the plain boto3 handler and one that does nothing, all on the image's Python and runtime client."""
    client = f"awslambdaric=={client_version()}"
    python = newest_python()
    bare = environment("lambda", ["--compile-bytecode", client, f"httptools=={locked('httptools')}"], python=python)
    boto = environment("lambda-boto3", ["--compile-bytecode", client, f"boto3=={version('boto3')}"], python=python)
    code = compiled()
    functions = "benchmarks.functions"
    return (
        Candidate(name="ours", python=bare, code=code, module=f"{functions}.ours"),
        Candidate(name="boto3", python=boto, code=code, module=f"{functions}.plain"),
        Candidate(name="nothing", python=bare, code=code, module=f"{functions}.nothing"),
    )


def client_version() -> str:
    """The version of the runtime client in the image."""
    return locked("awslambdaric")


def locked(package: str) -> str:
    """The version of a package in the image's lock."""
    lock = (ROOT / "docker" / "lambda.lock").read_text(encoding="utf-8")
    match = re.search(rf"^{re.escape(package)}==(\S+)", lock, re.M)
    if match is None:
        raise RuntimeError(f"docker/lambda.lock does not pin {package}")
    return match.group(1)


def compiled() -> Path:
    """Copies the handlers to a folder. The first round, which does not count, writes their bytecode there."""
    folder = HOME / "functions"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "benchmarks").mkdir(parents=True)
    (folder / "benchmarks" / "__init__.py").touch()
    shutil.copytree(ROOT / "lambda_container", folder / "lambda_container", ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copytree(ROOT / "benchmarks" / "functions", folder / "benchmarks" / "functions")
    return folder


def variables(candidate: Candidate, endpoint: str, **more: str) -> Mapping[str, str]:
    """The environment variables that Lambda and the operator set. `endpoint`: a URL."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": "/nonexistent",
        "PYTHONPATH": str(candidate.code),
        "KENNEL_ENDPOINT_NAME": "dogs",
        "AWS_LAMBDA_FUNCTION_NAME": "kennel",
        "AWS_LAMBDA_FUNCTION_VERSION": "1",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1024",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "30",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_SESSION_TOKEN": "token",
        "AWS_ENDPOINT_URL": endpoint,
        **more,
    }
