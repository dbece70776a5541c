"""notebook: a small notebook instance that stops itself when idle: create, open, stop, start, delete."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deploy.costs.prices import Prices
from deploy.errors import DeployError
from deploy.iam.role import notebook_role
from deploy.notebook.resource import NotebookInstance, notebook
from deploy.planning.resource import require_ours
from deploy.session import Session
from deploy.values import Plan, State

MINUTES = 30  # for which an address of `open` is good
GB_MONTH = 0.14  # USD, of the disk, in us-east-1
Confirm = Callable[[str, Sequence[str]], bool]


def create(session: Session, confirm: Confirm) -> str:
    """Makes the instance, when what it costs is agreed to; returns its name. Raises DeployError."""
    settings = session.settings
    config, instance = notebook(settings)
    if instance.read(session.call) is None:
        for line in cost(session):
            session.screen.say(f"   {line}")
        if not confirm("make it?", ()):
            raise DeployError(f"{instance.name}: not made")
    session.settle((notebook_role(settings), config, instance))
    return instance.name


def cost(session: Session) -> list[str]:
    """What the instance will cost, for a person to agree to."""
    wanted = session.settings.notebook
    prices = Prices(call=session.call, region=session.settings.stage.region)
    price = prices.of("notebook", wanted.instance_type)
    hourly = f"{price.usd:.3f} USD an hour" if price.usd is not None else "a price that is not known"
    return [
        f"notebook on {wanted.instance_type}: {hourly} while it runs ({price.source}); "
        f"it stops itself after {wanted.idle_minutes} minutes without use",
        f"its disk of {wanted.volume_gb} GB: about {wanted.volume_gb * GB_MONTH:.2f} USD a month until it is deleted",
    ]


def address(session: Session) -> str:
    """Where the notebook is opened, logged in, for half an hour. Raises DeployError when it does not run."""
    instance, seen = _there(session)
    if seen.status != "InService":
        fix = "./inv notebook start" if seen.status == "Stopped" else "wait until it is InService"
        raise DeployError(f"{instance.name}: is {seen.status}; {fix}")
    request = instance.ask("CreatePresignedNotebookInstanceUrl", SessionExpirationDurationInSeconds=60 * MINUTES)
    return str(session.call(request)["AuthorizedUrl"])


def stop(session: Session) -> None:
    """Stops it, unless it is stopped already. Raises DeployError."""
    instance, seen = _there(session)
    if seen.status not in ("Stopped", "Stopping", "Failed"):
        session.apply(Plan(steps=(instance.stop(),)))


def start(session: Session) -> None:
    """Starts it, unless it runs already. Raises DeployError."""
    instance, seen = _there(session)
    if seen.status not in ("InService", "Pending"):
        session.apply(Plan(steps=(instance.start(),)))


def delete(session: Session, confirm: Confirm) -> None:
    """Deletes it with its disk, its start script and its role. Raises DeployError."""
    instance, _ = _there(session)
    config, _ = notebook(session.settings)
    if not confirm("delete it?", [f"- notebook {instance.name}, with what lies on its disk"]):
        raise DeployError(f"{instance.name}: not deleted")
    role = notebook_role(session.settings)
    session.apply(Plan(steps=(instance.remove(), config.remove(), role.remove())))


def _there(session: Session) -> tuple[NotebookInstance, State]:
    _, instance = notebook(session.settings)
    seen = instance.read(session.call)
    if seen is None:
        raise DeployError(f"{instance.name}: is not there; ./inv notebook create makes it")
    require_ours(instance.address, seen, session.settings.tags)
    return instance, seen
