"""Runs the real serving image as SageMaker does, but stricter: read-only root and model, CPU and memory limits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # its helper image may not be pullable

from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy

from deploy.images.builder import ImageBuilder

ROOT = Path(__file__).resolve().parents[3]
Serve = Callable[..., DockerContainer]


@pytest.fixture(scope="session")
def image() -> str:
    return ImageBuilder(repository=ROOT).build("serve")


@pytest.fixture(scope="module")
def serve(image: str) -> Iterator[Serve]:
    """Starts containers that end with the module, with the variables `environ` and Docker's `options`."""
    with ExitStack() as stack:

        def start(model: Path, environ: dict[str, str] | None = None, *, wait: bool = True, **options: Any) -> Any:
            limits = {"read_only": True, "nano_cpus": 1_000_000_000, "mem_limit": "1g"}
            container = (
                DockerContainer(image)
                .with_command("serve")
                .with_exposed_ports(8080)
                .with_volume_mapping(str(model), "/opt/ml/model", "ro")
                .with_tmpfs_mount("/tmp", "size=64m")
                .with_envs(**(environ or {}))
                .with_kwargs(**(limits | options))
            )
            if wait:
                container.waiting_for(HttpWaitStrategy(8080, "/ping").for_status_code(200).with_startup_timeout(60))
            return stack.enter_context(container)

        yield start


def address(container: DockerContainer) -> str:
    return f"http://{container.get_container_host_ip()}:{container.get_exposed_port(8080)}"
