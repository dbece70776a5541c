"""A version that nobody invokes becomes Inactive; the first invocation is refused and makes it ready again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.localcloud.awslambda.fakes import Fakes

IDLE = 60.0


@pytest.fixture
def fakes() -> Fakes:
    """A function with an Active $LATEST and version 1."""
    made = Fakes()
    made.functions.cloud = replace(made.functions.cloud, idle=IDLE)
    made.active(Publish=True)
    return made


def state(fakes: Fakes, qualifier: str = "$LATEST") -> tuple[str, str | None]:
    config = fakes.do("GetFunctionConfiguration", Qualifier=qualifier)
    return config["State"], config.get("StateReasonCode")


def test_an_idle_version_is_inactive_pending_and_active_again(fakes: Fakes) -> None:
    fakes.clock.now += IDLE - 1
    assert state(fakes, "1") == ("Active", None)
    fakes.clock.now += 1
    assert state(fakes, "1") == ("Inactive", "Idle")
    assert fakes.do("GetFunction", Qualifier="1")["Configuration"]["StateReason"] == "The function is currently idle."
    for _ in range(2):  # the first invocation, and one before the version is ready again
        refused = fakes.refused("Invoke", Qualifier="1")
        assert (refused.code, refused.status) == ("CodeArtifactUserPendingException", 409)
        assert refused.message == "Lambda is initializing your function. It will be ready to invoke shortly."
        assert state(fakes, "1") == ("Pending", "Restoring")
    fakes.later.run()
    assert state(fakes, "1") == ("Active", None)
    assert fakes.call(Qualifier="1")["StatusCode"] == 200


def test_every_invocation_begins_the_time_anew(fakes: Fakes) -> None:
    for _ in range(3):
        fakes.clock.now += IDLE - 1
        assert fakes.call(Qualifier="1")["StatusCode"] == 200
    assert state(fakes, "1") == ("Active", None)
    assert state(fakes) == ("Inactive", "Idle")  # each version has its own time


def test_provisioned_environments_keep_a_version_active(fakes: Fakes) -> None:
    fakes.do("PutProvisionedConcurrencyConfig", Qualifier="1", ProvisionedConcurrentExecutions=1)
    fakes.later.run()
    fakes.clock.now += 10 * IDLE
    assert state(fakes, "1") == ("Active", None)
    fakes.do("DeleteProvisionedConcurrencyConfig", Qualifier="1")
    assert state(fakes, "1") == ("Active", None)
    fakes.clock.now += IDLE
    assert state(fakes, "1") == ("Inactive", "Idle")


def test_an_inactive_function_can_be_changed_and_published(fakes: Fakes) -> None:
    fakes.clock.now += IDLE
    assert state(fakes)[0] == "Inactive"
    fakes.do("UpdateFunctionCode", ImageUri="fn:2")
    fakes.later.run()
    version = fakes.do("PublishVersion")["Version"]
    fakes.later.run()
    assert (version, state(fakes, version)) == ("2", ("Active", None))


def test_a_change_meets_the_usual_conflict_while_a_version_is_made_ready_again(fakes: Fakes) -> None:
    fakes.clock.now += IDLE
    fakes.refused("Invoke")
    refused = fakes.refused("UpdateFunctionCode", ImageUri="fn:2")
    assert (refused.code, refused.status) == ("ResourceConflictException", 409)
    assert refused.message.endswith("in the following state: Pending")


def test_an_alias_stands_for_its_version(fakes: Fakes) -> None:
    fakes.do("CreateAlias", Name="live", FunctionVersion="1")
    fakes.clock.now += IDLE
    assert fakes.refused("Invoke", Qualifier="live").status == 409
    fakes.later.run()
    assert fakes.call(Qualifier="live")["ExecutedVersion"] == "1"
