"""Plans: tables of observed and desired states, and the steps between them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from deploy.config.settings import Settings
from deploy.endpoints.endpoint import Endpoint
from deploy.endpoints.endpoint_config import EndpointConfig
from deploy.endpoints.model import Model
from deploy.endpoints.resources import Serving
from deploy.endpoints.spec import endpoint_spec
from deploy.errors import DeployError
from deploy.function.alias import Alias
from deploy.function.concurrency import Concurrency
from deploy.function.function import Function
from deploy.function.function_url import FunctionUrl
from deploy.iam.role import Role
from deploy.images.facts import ImageFacts
from deploy.planning.plan import plan, summary, teardown
from deploy.planning.resource import Resource
from deploy.stage.desired import foundation, serving
from deploy.stage.kinds import BY_NAME, KINDS
from deploy.storage.bucket import Bucket
from deploy.storage.log_group import LogGroup
from deploy.values import Plan, Ref, Request, State
from localcloud.gateway.validation import validate

ARTIFACT = "s3://kennel-local-123456789012-us-east-1/jobs/j/output/model.tar.gz"
TAGS = {"kennel:project": "kennel", "kennel:stage": "local"}


def everything(settings: Settings, **changed: str) -> tuple[Resource, ...]:
    given = {"serve_image": "kennel/serve:1", "lambda_image": "kennel/lambda:1", "artifact": ARTIFACT, **changed}
    main = Serving(
        spec=endpoint_spec(settings, "main"),
        image=given["serve_image"],
        facts=ImageFacts(),
        artifacts={"main": given["artifact"]},
    )
    made = serving(settings, endpoints=[main], lambda_image=given["lambda_image"])
    return (*foundation(settings), *made)


def there(resource: Resource) -> State:
    """The state of a resource that is as it should be."""
    if isinstance(resource, Bucket | Role | Function | Alias | Concurrency | FunctionUrl | LogGroup):
        return State(
            fields=resource.desired(), attributes={"arn": f"arn:{resource.address}"}, tags=TAGS, status="Active"
        )
    fields = {"config": resource.config} if isinstance(resource, Endpoint) else {}
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:{resource.address}"
    return State(fields=fields, attributes={"arn": arn}, tags=TAGS, status="InService")


def of(resources: tuple[Resource, ...], kind: type) -> Any:
    return next(each for each in resources if isinstance(each, kind))


def test_from_nothing_everything_is_created_after_the_resources_that_it_uses(settings: Settings) -> None:
    resources = everything(settings)
    made = plan(resources, {})
    assert {step.action for step in made.changes} == {"create"}
    assert [step.kind for step in made.changes] == [
        "bucket", "role", "role", "role", "log-group", "model", "endpoint-config", "endpoint",
        "log-group", "function", "alias", "concurrency",
    ]  # fmt: skip


def test_when_everything_is_as_desired_nothing_changes(settings: Settings) -> None:
    resources = everything(settings)
    made = plan(resources, {each.address: there(each) for each in resources})
    assert made.changes == ()
    assert summary(made.steps) == "nothing to do"


def test_aws_accepts_every_request_of_a_plan(settings: Settings) -> None:
    resources = everything(settings)
    new = plan(resources, {})
    old = {each.address: there(each) for each in everything(settings, serve_image="kennel/serve:0", artifact=ARTIFACT)}
    listed = {each.address: there(each) for each in resources if each.address.partition("/")[0] in BY_NAME}
    gone = teardown(settings, listed, BY_NAME)
    for step in (*new.steps, *plan(resources, old).steps, *gone.steps):
        for act in step.acts:
            if isinstance(act, Request):
                validate(act.service, act.operation, resolved(act.params))


def resolved(value: Any) -> Any:
    if isinstance(value, Ref):
        return "1" if value.attribute == "published" else "arn:aws:iam::123456789012:role/kennel-local"
    return {key: resolved(inner) for key, inner in value.items()} if isinstance(value, dict) else value


def test_a_new_serving_image_makes_a_new_model_and_moves_the_endpoint_keeping_its_capacity(settings: Settings) -> None:
    before = everything(settings)
    after = everything(settings, serve_image="kennel/serve:2")
    made = plan(
        after,
        {each.address: there(each) for each in before} | {of(after, Endpoint).address: there(of(before, Endpoint))},
    )
    assert [(step.action, step.kind) for step in made.changes] == [
        ("create", "model"), ("create", "endpoint-config"), ("update", "endpoint"),
    ]  # fmt: skip
    update = next(act for act in made.changes[2].acts if isinstance(act, Request) and act.operation != "AddTags")
    assert update.operation == "UpdateEndpoint"
    assert update.params["RetainAllVariantProperties"] is True


def test_the_same_model_keeps_its_name_and_another_artifact_changes_it(settings: Settings) -> None:
    first, same, other = (
        of(everything(settings, artifact=uri), Model).name for uri in (ARTIFACT, ARTIFACT, ARTIFACT + "2")
    )
    assert first == same != other


@pytest.mark.parametrize(
    ("status", "is_same", "action", "operations"),
    [
        ("InService", True, "none", []),
        ("InService", False, "update", ["AddTags", "UpdateEndpoint", "DescribeEndpoint"]),
        ("Creating", True, "update", ["DescribeEndpoint"]),
        ("Updating", False, "update", ["DescribeEndpoint", "AddTags", "UpdateEndpoint", "DescribeEndpoint"]),
        ("Failed", True, "replace", ["DeleteEndpoint", "DescribeEndpoint", "CreateEndpoint", "DescribeEndpoint"]),
    ],
)
def test_the_step_for_an_endpoint_follows_from_its_status(
    settings: Settings, status: str, is_same: bool, action: str, operations: list[str]
) -> None:
    resource: Endpoint = of(everything(settings), Endpoint)
    observed = replace(there(resource), fields={"config": resource.config if is_same else "old"}, status=status)
    step = resource.plan(observed)
    assert step.action == action
    assert [act.operation if isinstance(act, Request) else act.request.operation for act in step.acts] == operations  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("field", "value", "operations"),
    [
        ("image", "kennel/lambda:0", ["UpdateFunctionCode"]),
        ("memory_mb", 128, ["UpdateFunctionConfiguration"]),
        ("environment", {}, ["UpdateFunctionConfiguration"]),
    ],
)
def test_a_function_is_updated_only_where_it_differs(
    settings: Settings, field: str, value: Any, operations: list[str]
) -> None:
    resource: Function = of(everything(settings), Function)
    state = there(resource)
    step = resource.plan(replace(state, fields={**state.fields, field: value}))
    assert [act.operation for act in step.acts if isinstance(act, Request)] == operations
    assert [(change.field, change.before) for change in step.changes] == [(field, value)]


@pytest.mark.parametrize("kind", [Role, Model, EndpointConfig, Endpoint, Function])
def test_a_resource_without_our_tags_is_never_touched(settings: Settings, kind: type) -> None:
    resource = of(everything(settings), kind)
    with pytest.raises(DeployError, match="does not carry the tags kennel:project=kennel, kennel:stage=local"):
        resource.plan(replace(there(resource), tags={"kennel:project": "kennel", "kennel:stage": "prod"}))


def test_a_bucket_with_other_tags_is_never_touched(settings: Settings) -> None:
    resource: Bucket = of(everything(settings), Bucket)
    with pytest.raises(DeployError, match="does not carry the tags"):
        resource.plan(replace(there(resource), tags={"team": "other"}))


def test_a_bucket_half_made_is_finished(settings: Settings) -> None:
    resource = Bucket(name="b", region="us-east-1", tags=TAGS)
    step = resource.plan(State(fields={"versioning": "Enabled"}))
    assert [act.operation for act in step.acts if isinstance(act, Request)] == [
        "PutBucketTagging", "PutPublicAccessBlock", "PutBucketEncryption", "PutBucketLifecycleConfiguration",
        "PutBucketPolicy",
    ]  # fmt: skip


def test_a_bucket_requires_tls_unless_the_stage_has_no_tls(settings: Settings) -> None:
    stage = settings.stage.model_copy(update={"endpoint_url": ""})
    on_aws = of(foundation(settings.model_copy(update={"stage": stage})), Bucket).desired()["policy"]["Statement"][0]
    assert (on_aws["Effect"], on_aws["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert "policy" not in of(foundation(settings), Bucket).desired()


def test_a_teardown_deletes_every_resource_before_the_ones_that_it_uses(settings: Settings) -> None:
    inventory = {f"{kind.name}/kennel-local": State(tags=TAGS) for kind in KINDS}
    steps = teardown(settings, inventory, BY_NAME).steps
    kinds = [step.kind for step in steps]
    assert {step.action for step in steps} == {"delete"}
    assert kinds.index("endpoint") < kinds.index("endpoint-config") < kinds.index("model") < kinds.index("role")
    assert kinds.index("function") < kinds.index("role")
    assert kinds[-3:] == ["bucket", "deployer", "policy"]


def test_a_plan_can_be_printed_as_json(settings: Settings) -> None:
    printed = json.loads(plan(everything(settings), {}).to_json())
    model = next(step for step in printed["steps"] if step["resource"].startswith("model/"))
    assert model["requests"][0]["params"]["ExecutionRoleArn"] == "${role/kennel-local-endpoint.arn}"


def test_a_plan_knows_what_exists_so_that_later_steps_can_name_it(settings: Settings) -> None:
    resources = everything(settings)
    role = of(resources, Role)
    made: Plan = plan(resources, {role.address: there(role)})
    assert made.known[role.address]["arn"] == f"arn:{role.address}"
