"""The script of the lifecycle configuration: installs the idle check (idle.py) and a timer that runs it."""

from __future__ import annotations

from importlib import resources

from deploy.errors import DeployError

LIMIT = 16384  # characters, encoded (botocore's model of NotebookInstanceLifecycleConfigContent)


def on_start(idle_minutes: int) -> str:
    """The script that runs as root at each start of the instance. Raises DeployError where it is too long."""
    files = resources.files(__package__)
    program = files.joinpath("idle.py").read_text(encoding="utf-8").rstrip("\n")
    script = files.joinpath("on_start.sh").read_text(encoding="utf-8")
    filled = script.replace("@IDLE_MINUTES@", str(idle_minutes)).replace("@PROGRAM@", program)
    if len(filled.encode()) * 4 / 3 + 4 > LIMIT:
        raise DeployError(f"notebook: the start script has {len(filled.encode())} bytes, more than SageMaker takes")
    return filled
