"""Operations: state, logs, diagnosis, permissions, security, quotas."""

from __future__ import annotations

import sys
from pathlib import Path

from invoke.exceptions import Exit

from cli import context
from cli.command import Run, command


@command(json="print the resources as JSON")
def status(run: Run) -> None:
    """List the stage's resources, their state and hourly cost."""
    from deploy.commands.status import HEADINGS, status, table

    rows, bill = status(run.session)
    run.output([vars(row) for row in rows], lambda: run.session.screen.table(HEADINGS, table(rows)))
    run.session.screen.say(bill)


@command(
    positional=["name"],
    help={
        "name": "a job, an endpoint (or main), the function (or lambda), an EC2 run or the notebook",
        "follow": "keep printing until the job ends",
        "since": "print only the last 90s, 10m, 2h or 1d",
    },
)
def logs(run: Run, name: str, follow: bool = False, since: str = "") -> None:
    """Print the log of a job, an endpoint or the function."""
    from deploy.commands.logs import logs

    logs(run.session, name, since=since, follow=follow)


@command(
    positional=["name"],
    help={"name": "a job, an endpoint, the function or an EC2 run"},
    json="print facts and findings as JSON",
)
def why(run: Run, name: str) -> None:
    """Diagnose failures: likely causes, evidence, next command."""
    from deploy.commands.why import show, to_json, why

    facts, causes = why(run.session, name, context.image_inspector(run.session))
    run.output(to_json(facts, causes), lambda: show(facts, causes, run.session.screen))
    if causes or not (facts.is_well or facts.is_busy):
        raise Exit(code=1)


@command(help={"deployer": "print only the policies for whoever deploys, to paste"}, json="print roles as JSON")
def iam(run: Run, deployer: bool = False) -> None:
    """Show each role: who may assume it and what it may do."""
    from deploy.commands.iam import deployer_documents, sheets, show, show_deployer
    from deploy.console import Screen

    settings = run.settings
    if deployer:
        run.output(deployer_documents(settings), lambda: show_deployer(settings, Screen(), Screen(out=sys.stderr)))
    else:
        run.output([sheet.to_json() for sheet in sheets(settings)], lambda: show(sheets(settings), Screen()))


@command(help={"out": "a Markdown file to write the review to"}, json="print the findings as JSON")
def audit(run: Run, out: str = "") -> None:
    """Review the account's security, worst first; change nothing."""
    from datetime import UTC, datetime

    from deploy.audit.finding import HEADINGS, is_severe, markdown
    from deploy.commands.audit import audit

    stage, now = run.settings.stage, datetime.now(UTC)
    findings = audit(run.session, now=now)
    run.table(HEADINGS, [finding.row for finding in findings])
    if out:
        text = markdown(findings, account=stage.account, region=stage.region, when=f"{now:%Y-%m-%d %H:%M} UTC")
        context.write(Path(out), text)
    if is_severe(findings):
        raise Exit(code=1)


@command(
    help={"request": "ask AWS to raise the quotas that are too low", "yes": "do not ask for confirmation"},
    json="print the quotas as JSON",
)
def quotas(run: Run, request: bool = False, yes: bool = False) -> None:
    """Compare the account's quotas with what deploy.toml needs."""
    from deploy.commands.quotas import HEADINGS, quotas, request_more, table

    rows = quotas(run.session)
    run.table(HEADINGS, table(rows))
    if request:
        lines = request_more(run.session, rows, context.confirm_request if not yes else lambda _: True)
        run.session.screen.say("\n".join(lines))
