"""The project's tasks, as Invoke finds them. Each is a thin function in cli/ over a verb in deploy/commands/."""

from cli.deployment import autoscale, deploy, invoke, plan, prune, push, rollback
from cli.development import build, engine, fmt, lint, lock, test
from cli.operations import audit, iam, logs, quotas, status, why
from cli.stage import demo, down, on, page, up
from cli.training import data, notebook, train, transform, tune

# fmt: off
__all__ = [  # noqa: RUF022 (in the order of use)
    "engine", "build", "test", "lint", "fmt", "lock",
    "on", "up", "down", "page", "demo",
    "data", "train", "tune", "transform", "notebook",
    "push", "prune", "plan", "deploy", "autoscale", "rollback", "invoke",
    "status", "logs", "why", "iam", "audit", "quotas",
]
# fmt: on
