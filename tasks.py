"""The project's tasks, in the order of use. ./inv runs this file. Each task is a thin function in cli/ that calls a
command of deploy/commands/."""

from cli.deployment import autoscale, deploy, invoke, plan, prune, push, rollback
from cli.development import build, engine, fmt, lint, lock, test
from cli.operations import audit, iam, logs, quotas, status, why
from cli.program import Inv
from cli.stage import demo, down, on, page, up
from cli.training import data, notebook, train, transform, tune

TASKS = (
    engine, build, test, lint, fmt, lock,
    demo, on, up, page, down,
    data, train, tune, transform, notebook,
    push, prune, plan, deploy, autoscale, rollback, invoke,
    status, logs, why, iam, audit, quotas,
)  # fmt: skip

if __name__ == "__main__":
    Inv(TASKS).run()
