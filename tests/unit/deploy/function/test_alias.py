"""The alias: which version is published, that only healthy versions go live, that concurrency survives a move."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from deploy.aws.client import Client
from deploy.config.settings import Settings
from deploy.errors import DeployError
from deploy.function.alias import Alias, before
from deploy.function.concurrency import Concurrency
from deploy.function.function import Function, FunctionConfig
from deploy.planning.apply import apply
from deploy.values import Check, Plan, Ref, State
from localcloud.containers.engine import Image
from tests.unit.deploy.conftest import Golden
from tests.unit.deploy.fakes import FakeTime
from tests.unit.deploy.function.fakes import LambdaCalls, ThroughClient, applied, deploy, requests, shown
from tests.unit.localcloud.awslambda.fakes import Fakes

TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}
CONFIG = FunctionConfig(image="fn:1", memory_mb=512, timeout_s=60, environment={"KENNEL_ENDPOINT_NAME": "kennel-local"})


class LambdaFixture:
    """A function with its alias and concurrency, which a test deploys to a Lambda in memory again and again."""

    def __init__(self) -> None:
        self.fakes = Fakes()
        self.calls = LambdaCalls(self.fakes)
        self.alias = Alias(function="f", name="live", config=CONFIG)
        self.warm = 0

    def deploy(self, **changed: Any) -> list[str]:
        self.alias = replace(self.alias, config=replace(self.alias.config, **changed))
        role = Ref(address="role/kennel-local-lambda", attribute="arn")
        function = Function(name="f", config=self.alias.config, role=role, tags=TAGS)
        concurrency = Concurrency(function="f", alias=self.alias.name, reserved=None, provisioned=self.warm, tags=TAGS)
        self.calls.sent.clear()
        return [step.address for step in deploy((function, self.alias, concurrency), self.calls)]

    def live(self) -> tuple[str, str]:
        """The version behind the alias and the image that it runs."""
        version = str(self.fakes.do("GetAlias", Name=self.alias.name)["FunctionVersion"])
        return version, str(self.fakes.do("GetFunction", Qualifier=version)["Code"]["ImageUri"])

    def versions(self) -> list[str]:
        return [each["Version"] for each in self.fakes.do("ListVersionsByFunction")["Versions"]]


@pytest.fixture
def lambda_() -> LambdaFixture:
    return LambdaFixture()


def test_a_second_deploy_moves_the_alias_and_a_third_changes_nothing(lambda_: LambdaFixture) -> None:
    lambda_.deploy()
    assert lambda_.live() == ("1", "fn:1")
    lambda_.deploy(image="fn:2")
    assert lambda_.live() == ("2", "fn:2")
    assert lambda_.deploy() == []
    assert lambda_.calls.changes == []


def test_exactly_the_code_that_was_read_is_published_and_checked_before_the_alias_moves(lambda_: LambdaFixture) -> None:
    lambda_.deploy()
    lambda_.deploy(memory_mb=1024)
    assert lambda_.calls.changes == ["UpdateFunctionConfiguration", "PublishVersion", "Invoke", "UpdateAlias"]
    publish = next(each for each in lambda_.calls.sent if each.operation == "PublishVersion")
    assert set(publish.params) == {"FunctionName", "CodeSha256", "RevisionId", "Description"}
    assert next(each for each in lambda_.calls.sent if each.operation == "Invoke").params["Qualifier"] == "2"


def test_a_version_that_does_not_answer_does_not_go_live(lambda_: LambdaFixture) -> None:
    lambda_.deploy()
    with pytest.raises(
        DeployError,
        match=r"(?s)version 2 is not healthy: Payload.statusCode is 424, not 200: .*alias stays where it is",
    ):
        lambda_.deploy(image="fn:bad")
    assert lambda_.live() == ("1", "fn:1")
    lambda_.deploy(image="fn:3")
    assert lambda_.live() == ("3", "fn:3")
    assert lambda_.versions() == ["$LATEST", "1", "3"]


def test_a_deploy_that_was_cut_short_is_finished_by_the_next_without_another_version(lambda_: LambdaFixture) -> None:
    lambda_.deploy()
    with pytest.raises(DeployError):
        lambda_.deploy(image="fn:bad")
    lambda_.fakes.do("UpdateFunctionCode", ImageUri="fn:2")
    lambda_.fakes.later.run()
    lambda_.fakes.do("PublishVersion", Description="kennel: fn:2")
    assert lambda_.deploy(image="fn:2") == ["alias/f:live"]
    assert "PublishVersion" not in lambda_.calls.changes
    assert lambda_.live() == ("3", "fn:2")


def test_an_image_that_cannot_run_at_first_is_replaced_and_later_is_put_right_by_the_next_deploy(
    lambda_: LambdaFixture,
) -> None:
    image = lambda_.fakes.engine.image
    lambda_.fakes.engine.image = lambda reference: _other(image(reference))  # type: ignore[method-assign]
    with pytest.raises(DeployError, match="arm64"):
        lambda_.deploy()
    lambda_.fakes.engine.image = image  # type: ignore[method-assign]
    lambda_.deploy()
    assert lambda_.live() == ("1", "fn:1")
    lambda_.fakes.engine.image = lambda reference: _other(image(reference))  # type: ignore[method-assign]
    with pytest.raises(DeployError, match="arm64"):
        lambda_.deploy(image="fn:2")
    assert lambda_.live() == ("1", "fn:1")
    lambda_.fakes.engine.image = image  # type: ignore[method-assign]
    lambda_.deploy()
    assert lambda_.live() == ("2", "fn:2")


def _other(image: Image | None) -> Image | None:
    return replace(image, architecture="arm64") if image else None


def test_only_the_live_version_and_the_one_before_it_are_kept_of_ours(lambda_: LambdaFixture) -> None:
    lambda_.deploy()
    lambda_.fakes.do("UpdateFunctionConfiguration", Timeout=7)
    lambda_.fakes.later.run()
    lambda_.fakes.do("PublishVersion", Description="somebody's own")
    for image in ("fn:2", "fn:3"):
        lambda_.deploy(image=image)
    assert lambda_.live() == ("4", "fn:3")
    assert lambda_.versions() == ["$LATEST", "2", "3", "4"]


def test_rollback_returns_to_the_version_before_and_the_next_deploy_goes_forward(lambda_: LambdaFixture) -> None:
    lambda_.deploy()
    lambda_.deploy(image="fn:2")
    todo = lambda_.alias.back(lambda_.alias.read(lambda_.calls))
    applied(Plan(steps=(todo,)), lambda_.calls)
    assert lambda_.live() == ("1", "fn:1")
    assert lambda_.deploy() == ["alias/f:live"]
    assert lambda_.live() == ("2", "fn:2")
    assert lambda_.versions() == ["$LATEST", "1", "2"]


def waking(lambda_: LambdaFixture, settings: Settings, idle: dict[str, str], said: list[str]) -> Client:
    boto = ThroughClient(lambda_.calls, idle)
    return Client(stage=settings.stage, session=boto, say=said.append, clock=FakeTime().clock())


def test_rollback_to_a_version_that_was_idle_for_weeks_wakes_it_and_says_so(
    lambda_: LambdaFixture, settings: Settings
) -> None:
    lambda_.deploy()
    lambda_.deploy(image="fn:2")
    todo, said = lambda_.alias.back(lambda_.alias.read(lambda_.calls)), list[str]()
    idle = {"1": "Inactive"}
    apply(Plan(steps=(todo,)), waking(lambda_, settings, idle, said), clock=FakeTime().clock())
    assert lambda_.live() == ("1", "fn:1")
    assert idle == {"1": "Active"}
    assert len(said) == 1
    assert said[0].startswith("Invoke: waiting up to 5 minutes until Lambda has made the function ready: it was idle")


def test_a_version_that_stays_pending_keeps_the_alias_where_it_is(lambda_: LambdaFixture, settings: Settings) -> None:
    lambda_.deploy()
    lambda_.deploy(image="fn:2")
    todo = lambda_.alias.back(lambda_.alias.read(lambda_.calls))
    client = waking(lambda_, settings, {"1": "Inactive"}, [])
    client.session.looks = -1000
    with pytest.raises(DeployError, match=r"(?s)following state: Pending.*tried again for 29\d s"):
        apply(Plan(steps=(todo,)), client, clock=FakeTime().clock())
    assert lambda_.live() == ("2", "fn:2")


def test_there_is_nothing_to_return_to_after_the_first_deploy(lambda_: LambdaFixture) -> None:
    lambda_.deploy()
    with pytest.raises(DeployError, match="no earlier version"):
        lambda_.alias.back(lambda_.alias.read(lambda_.calls))


def test_the_second_deploy_with_provisioned_concurrency_waits_until_the_new_version_is_warm(
    lambda_: LambdaFixture,
) -> None:
    lambda_.warm = 2
    lambda_.deploy()
    lambda_.deploy(image="fn:2")
    assert lambda_.live() == ("2", "fn:2")
    assert lambda_.fakes.engine.running() == ["sha256:fn:2", "sha256:fn:2"]
    assert "PutProvisionedConcurrencyConfig" not in lambda_.calls.changes
    lambda_.warm = 3
    lambda_.deploy(image="fn:3")
    assert lambda_.fakes.engine.running() == ["sha256:fn:3"] * 3
    assert lambda_.deploy() == []


def test_the_next_deploy_clears_the_weight_that_a_failed_move_left(lambda_: LambdaFixture) -> None:
    lambda_.warm = 2
    lambda_.deploy()
    lambda_.fakes.do("UpdateFunctionCode", ImageUri="fn:2")
    lambda_.fakes.later.run()
    lambda_.fakes.do("PublishVersion", Description="kennel: fn:2")
    lambda_.fakes.later.run()
    lambda_.fakes.engine.refused.add("sha256:fn:2")
    lambda_.fakes.do("UpdateAlias", Name="live", FunctionVersion="2", Description="kennel: before this, version 1")
    lambda_.fakes.later.run()
    assert "RoutingConfig" in lambda_.fakes.do("GetAlias", Name="live")
    lambda_.deploy(image="fn:3")
    assert lambda_.live() == ("3", "fn:3")
    assert "RoutingConfig" not in lambda_.fakes.do("GetAlias", Name="live")
    assert lambda_.fakes.engine.running() == ["sha256:fn:3", "sha256:fn:3"]


def test_renaming_an_alias_deletes_the_old_one_with_its_url_and_concurrency(lambda_: LambdaFixture) -> None:
    lambda_.warm = 1
    lambda_.deploy()
    lambda_.fakes.do("CreateFunctionUrlConfig", Qualifier="live", AuthType="AWS_IAM")
    lambda_.alias = replace(lambda_.alias, name="prod")
    lambda_.deploy()
    assert [each["Name"] for each in lambda_.fakes.do("ListAliases")["Aliases"]] == ["prod"]
    assert lambda_.fakes.do("ListFunctionUrlConfigs")["FunctionUrlConfigs"] == []
    assert len(lambda_.fakes.engine.running()) == 1
    assert lambda_.deploy() == []


def test_an_alias_that_is_not_ours_is_kept_with_its_version(lambda_: LambdaFixture) -> None:
    lambda_.deploy()
    lambda_.fakes.do("CreateAlias", Name="theirs", FunctionVersion="1")
    for image in ("fn:2", "fn:3"):
        lambda_.deploy(image=image)
    assert lambda_.versions() == ["$LATEST", "1", "2", "3"]


FOUND = {
    **CONFIG.fields(), "weights": {}, "version": "1", "previous": None, "versions": {"1": CONFIG.fields()},
    "ours": ["1"], "warm": "", "stale": {},
}  # fmt: skip
SETTLED = ["wait READY", "wait empty"]


@pytest.mark.parametrize(
    ("observed", "acts"),
    [
        ({"image": "fn:0"}, ["UpdateAlias new"]),
        ({"image": "fn:0", "warm": "READY"}, ["UpdateAlias new", *SETTLED]),
        ({"image": "fn:0", "warm": "IN_PROGRESS"}, [*SETTLED, "UpdateAlias new", *SETTLED]),
        ({"image": "fn:0", "warm": "FAILED", "weights": {"0": 1.0}}, ["UpdateAlias new"]),
        ({"weights": {"0": 1.0}, "warm": "IN_PROGRESS"}, SETTLED),
        ({"weights": {"0": 1.0}, "warm": "FAILED"}, ["UpdateAlias 1"]),
        ({"weights": {"0": 0.1}, "warm": "READY"}, ["UpdateAlias 1", *SETTLED]),
        ({"version": None}, ["CreateAlias 1"]),
    ],
)
def test_an_alias_is_moved_from_every_state(observed: dict[str, Any], acts: list[str]) -> None:
    fields = {**FOUND, **observed}
    if "image" in observed:
        fields["versions"] = {"1": {**CONFIG.fields(), "image": observed["image"]}}
    if observed.get("version", "1") is None:
        fields["image"] = None
    step = Alias(function="f", name="live", config=CONFIG).plan(State(fields=fields))
    notes = shown(step.acts)
    checks = [index for index, act in enumerate(step.acts) if isinstance(act, Check)]
    assert notes[checks[0] + 1 if checks else 0 :] == acts
    cleared = [each.params.get("RoutingConfig") for each in requests(step) if each.operation == "UpdateAlias"]
    stuck = fields["weights"] and fields["warm"] != "IN_PROGRESS"
    assert cleared == [] or (cleared[0] is not None) == bool(stuck)


def test_lambda_accepts_every_change_of_an_alias(golden: Golden) -> None:
    alias = Alias(function="f", name="live", config=CONFIG)
    stale = {"old": alias._removal("old", lambda _: {"FunctionUrl": "x"}, {"old": "READY"})}
    observed = {**FOUND, "image": "fn:0", "versions": {}, "weights": {"0": 1.0}, "ours": ["0"], "stale": stale}
    step = alias.plan(State(fields=observed))
    rules = {"PublishVersion": (66,), "Invoke": (65, 66, 93)}
    checks = [act.request for act in step.acts if isinstance(act, Check)]
    for request in (*requests(step), *checks):
        golden("alias", request, rules=rules.get(request.operation, ()))
    for request in requests(alias.plan(None)):
        if request.operation == "CreateAlias":
            golden("alias", request)
    move = requests(alias.plan(State(fields={**observed, "weights": {}})))
    golden("alias-whole", next(each for each in move if each.operation == "UpdateAlias"))


def test_lambda_accepts_the_requests_that_read_an_alias(lambda_: LambdaFixture, golden: Golden) -> None:
    lambda_.deploy()
    lambda_.calls.sent.clear()
    lambda_.alias.read(lambda_.calls)
    assert lambda_.calls.changes == []
    for request in lambda_.calls.sent:
        golden("alias-read", request)


def test_the_description_holds_the_previous_version() -> None:
    assert before("kennel: before this, version 12") == "12"
    assert before("kennel: the first") is None
    assert before("") is None
