"""logs: what a job, an endpoint or the function wrote."""

from __future__ import annotations

from deploy.errors import DeployError
from deploy.log_reader import LogReader, job_reader
from deploy.session import Session


def logs(session: Session, name: str) -> None:
    """Says all of it. Raises DeployError when nothing of that name has written."""
    readers = (
        job_reader(name, session.call),
        LogReader(call=session.call, group=f"/aws/sagemaker/Endpoints/{name}"),
        LogReader(call=session.call, group=f"/aws/lambda/{name}"),
    )
    lines = 0
    for reader in readers:
        for line in reader.read():
            session.screen.say(f"{line.host}  {line.text}")
            lines += 1
    if not lines:
        raise DeployError(f"{name}: nothing of that name has written a log; ./inv status lists the names")
