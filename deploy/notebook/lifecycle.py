"""The lifecycle configuration's script: the idle check, and what runs it every few minutes."""

from __future__ import annotations

from importlib import resources

from deploy.errors import DeployError

LIMIT = 16384  # characters, encoded (botocore's model of NotebookInstanceLifecycleConfigContent)


def on_start(idle_minutes: int) -> str:
    """What runs as root at each start of the instance. Raises DeployError when it is longer than SageMaker takes."""
    files = resources.files(__package__)
    program = files.joinpath("idle.py").read_text(encoding="utf-8").rstrip("\n")
    script = files.joinpath("on_start.sh").read_text(encoding="utf-8")
    made = script.replace("@IDLE_MINUTES@", str(idle_minutes)).replace("@PROGRAM@", program)
    if len(made.encode()) * 4 / 3 + 4 > LIMIT:
        raise DeployError(f"notebook: its start script has {len(made.encode())} bytes, too many for SageMaker")
    return made
