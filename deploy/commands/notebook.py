"""notebook: creates, opens, stops, starts and deletes a small notebook instance, which stops itself when idle."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from deploy.costs.prices import Prices
from deploy.errors import DeployError
from deploy.iam.role import notebook_role
from deploy.notebook.resource import NotebookInstance, notebook
from deploy.planning.resource import require_ours
from deploy.session import Session
from deploy.values import Plan, State

MINUTES = 30  # that a URL of `open` is valid for
GB_MONTH = 0.14  # USD, of the disk, in us-east-1
Confirm = Callable[[str, Sequence[str]], bool]


def create(session: Session, confirm: Confirm) -> str:
    """Creates the instance after its cost is confirmed; returns its name. Raises DeployError."""
    settings = session.settings
    config, instance = notebook(settings)
    if instance.read(session.call) is None:
        for line in cost(session):
            session.screen.say(f"   {line}")
        if not confirm("create it?", ()):
            raise DeployError(f"{instance.name}: not created")
    session.settle((notebook_role(settings), config, instance))
    return instance.name


def cost(session: Session) -> list[str]:
    """The cost of the instance, as lines to confirm."""
    options = session.settings.notebook
    prices = Prices(call=session.call, region=session.settings.stage.region)
    price = prices.of("notebook", options.instance_type)
    hourly = f"{price.usd:.3f} USD an hour" if price.usd is not None else "an unknown price"
    return [
        f"notebook on {options.instance_type}: {hourly} while it runs ({price.source}); "
        f"it stops itself after {options.idle_minutes} minutes without use",
        f"its disk of {options.volume_gb} GB: about {options.volume_gb * GB_MONTH:.2f} USD a month until it is deleted",
    ]


def address(session: Session) -> str:
    """A URL that opens the notebook logged in, valid for half an hour. Raises DeployError unless it runs."""
    instance, state = _existing(session)
    if state.status != "InService":
        fix = "./inv notebook start" if state.status == "Stopped" else "wait until it is InService"
        raise DeployError(f"{instance.name}: is {state.status}; {fix}")
    request = instance.ask("CreatePresignedNotebookInstanceUrl", SessionExpirationDurationInSeconds=60 * MINUTES)
    return str(session.call(request)["AuthorizedUrl"])


def stop(session: Session) -> None:
    """Stops the instance unless it is stopped. Raises DeployError."""
    instance, state = _existing(session)
    if state.status not in ("Stopped", "Stopping", "Failed"):
        session.apply(Plan(steps=(instance.stop(),)))


def start(session: Session) -> None:
    """Starts the instance unless it runs. Raises DeployError."""
    instance, state = _existing(session)
    if state.status not in ("InService", "Pending"):
        session.apply(Plan(steps=(instance.start(),)))


def delete(session: Session, confirm: Confirm) -> None:
    """Deletes the instance with its disk, its lifecycle configuration and its role. Raises DeployError."""
    instance, _ = _existing(session)
    config, _ = notebook(session.settings)
    if not confirm("delete it?", [f"- notebook {instance.name}, with all files on its disk"]):
        raise DeployError(f"{instance.name}: not deleted")
    role = notebook_role(session.settings)
    session.apply(Plan(steps=(instance.remove(), config.remove(), role.remove())))


def _existing(session: Session) -> tuple[NotebookInstance, State]:
    _, instance = notebook(session.settings)
    state = instance.read(session.call)
    if state is None:
        raise DeployError(f"{instance.name}: does not exist; ./inv notebook create creates it")
    require_ours(instance.address, state, session.settings.tags)
    return instance, state
