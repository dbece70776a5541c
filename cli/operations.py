"""Looking after it: how it is, why it is ill, who may do what, what it needs."""

from __future__ import annotations

import sys
from json import dumps
from pathlib import Path

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from cli import context
from cli.context import user_errors


@task(help={"json": "for a script to read"})
def status(_: Context, json: bool = False) -> None:
    """Everything of the stage, how it is, and what it costs by the hour."""
    from deploy.commands.status import HEADINGS, status, table

    with user_errors():
        session = context.session(aside=json)
        rows, bill = status(session)
        if json:
            print(dumps([vars(row) for row in rows], indent=2, default=str))
        else:
            session.screen.table(HEADINGS, table(rows))
        session.screen.say(bill)


@task(
    positional=["name"],
    help={
        "name": "a job, an endpoint (or main), the function (or lambda), an EC2 run or the notebook",
        "follow": "go on until the job has ended, or Ctrl-C",
        "since": "the last 90s, 10m, 2h or 1d only",
    },
)
def logs(_: Context, name: str, follow: bool = False, since: str = "") -> None:
    """What a job, an endpoint or the function wrote: ./inv logs NAME --follow --since 10m."""
    from deploy.commands.logs import logs

    with user_errors():
        logs(context.session(), name, since=since, follow=follow)


@task(
    positional=["name"], help={"name": "a job, an endpoint, the function, an EC2 run", "json": "for a script to read"}
)
def why(_: Context, name: str, json: bool = False) -> None:
    """Why something does not work, and what to type next: ./inv why NAME."""
    from deploy.commands.why import show, to_json, why

    with user_errors():
        session = context.session(aside=json)
        facts, found = why(session, name, context.image_inspector(session))
        if json:
            print(dumps(to_json(facts, found), indent=2))
        else:
            show(facts, found, session.screen)
    if found or not (facts.is_well or facts.is_busy):
        raise Exit(code=1)


@task(help={"deployer": "only the policies to paste for who deploys, as JSON", "json": "for a script to read"})
def iam(_: Context, deployer: bool = False, json: bool = False) -> None:
    """Each role: who may take it, and what it may do on what; --deployer: the policies to paste for who deploys."""
    from deploy.commands.iam import deployer_documents, sheets, show, show_deployer
    from deploy.console import Screen

    with user_errors():
        settings = context.settings()
        if json:
            found = deployer_documents(settings) if deployer else [sheet.to_json() for sheet in sheets(settings)]
            print(dumps(found, indent=2))
        elif deployer:
            show_deployer(settings, Screen(), Screen(out=sys.stderr))
        else:
            show(sheets(settings), Screen())


@task(help={"out": "a file to write the review to, as Markdown", "json": "for a script to read"})
def audit(_: Context, out: str = "", json: bool = False) -> None:
    """A security review of the account, the worst first; it reads and changes nothing."""
    from datetime import UTC, datetime

    from deploy.audit.finding import HEADINGS, is_severe, markdown
    from deploy.commands.audit import audit

    with user_errors():
        session = context.session(aside=json)
        stage, now = session.settings.stage, datetime.now(UTC)
        found = audit(session, now=now)
        context.show(session.screen, HEADINGS, [each.row for each in found], json=json)
        if out:
            text = markdown(found, account=stage.account, region=stage.region, when=f"{now:%Y-%m-%d %H:%M} UTC")
            context.write(Path(out), text)
    if is_severe(found):
        raise Exit(code=1)


@task(help={"request": "ask AWS for what is too low", "yes": "do not ask before that", "json": "for a script to read"})
def quotas(_: Context, request: bool = False, yes: bool = False, json: bool = False) -> None:
    """The quotas that deploy.toml needs, against the account's."""
    from deploy.commands.quotas import HEADINGS, quotas, request_more, table

    with user_errors():
        session = context.session(aside=json)
        rows = quotas(session)
        context.show(session.screen, HEADINGS, table(rows), json=json)
        if request:
            lines = request_more(session, rows, context.confirm_request if not yes else lambda _: True)
            session.screen.say("\n".join(lines))
