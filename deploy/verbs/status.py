"""status: everything of the stage, and how it is."""

from __future__ import annotations

from deploy.kinds import BY_NAME
from deploy.models import Request
from deploy.observe import inventory
from deploy.session import Session

HEADINGS = ("kind", "name", "state")


def status(session: Session) -> list[tuple[str, str, str]]:
    """Kind, name and state of everything of the stage, and of its jobs."""
    settings, call = session.settings, session.call
    rows = []
    for address in reversed(list(inventory(settings, call))):
        kind, _, name = address.partition("/")
        rows.append((kind, name, BY_NAME[kind].state(name, settings, call)))
    params = {"NameContains": f"{settings.prefix}-", "SortBy": "CreationTime", "SortOrder": "Descending"}
    listed = call(Request(service="sagemaker", operation="ListTrainingJobs", params=params))
    return rows + [("job", job["TrainingJobName"], job["TrainingJobStatus"]) for job in listed["TrainingJobSummaries"]]
