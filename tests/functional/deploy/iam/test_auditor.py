"""The auditor's policy allows the requests of `./inv audit`, which only read."""

from __future__ import annotations

import re

from deploy.config.settings import Settings
from deploy.iam.policies import auditor
from localcloud.authorization.needs import Need
from tests.functional.deploy.iam import mutants
from tests.functional.deploy.iam.golden_calls import examples
from tests.functional.deploy.iam.mutants import unseen
from tests.functional.deploy.iam.simulator import Simulator


def needs() -> list[Need]:
    return [need for call in examples((), of="auditor") for need in call.needs]


def test_every_read_of_the_audit_is_allowed(simulator: Simulator, settings: Settings) -> None:
    missing = simulator.denied([auditor.policy(settings)], needs())
    assert not missing, "\n".join(f"{need}: allow it in deploy/iam/policies/auditor.py" for need in missing)


def test_without_any_one_action_some_read_fails(simulator: Simulator, settings: Settings) -> None:
    faults = list(mutants.without_an_action([auditor.policy(settings)]))
    assert unseen(simulator, faults, needs(), allowed=True) == []


def test_it_only_reads() -> None:
    assert all(re.search(r":(Get|List|Describe)[A-Z]", action) for action in auditor.READS)
