"""Each role allows what its containers do and nothing else; a missing right or a wider resource fails a test."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deploy.config.settings import Settings
from deploy.iam.document import Document
from deploy.iam.policies import ec2, endpoint, function, notebook, training
from localcloud.authorization.needs import Need
from tests.functional.deploy.iam import mutants
from tests.functional.deploy.iam.containers import BUCKET, NEVER, USES, Use, trains, wants
from tests.functional.deploy.iam.mutants import neighbours, unseen
from tests.functional.deploy.iam.simulator import Simulator

POLICIES: dict[str, Callable[[Settings], Document]] = {
    "training": training.policy,
    "endpoint": endpoint.policy,
    "lambda": function.policy,
    "ec2": ec2.policy,
    "notebook": notebook.policy,
}
KEY = "arn:aws:kms:us-east-1:123456789012:key/0123"
SUBNET, GROUP = (
    "arn:aws:ec2:us-east-1:123456789012:subnet/subnet-1a",
    "arn:aws:ec2:us-east-1:123456789012:security-group/sg-1a",
)
INTERFACE = "arn:aws:ec2:us-east-1:123456789012:network-interface/eni-1"


@pytest.fixture(params=list(POLICIES))
def role(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def forbidden(use: Use, document: Document) -> list[Need]:
    return [*use.denied, *NEVER, *neighbours(use.allowed, [document])]


def test_a_role_allows_everything_that_its_containers_do(role: str, simulator: Simulator, settings: Settings) -> None:
    assert simulator.denied([POLICIES[role](settings)], USES[role].allowed) == []


def test_a_role_allows_nothing_of_other_stages_or_regions(role: str, simulator: Simulator, settings: Settings) -> None:
    document = POLICIES[role](settings)
    forbidden_needs = forbidden(USES[role], document)
    denied = simulator.denied([document], forbidden_needs)
    assert [str(need) for need in forbidden_needs if need not in denied] == []


def test_without_any_one_of_its_actions_something_fails(role: str, simulator: Simulator, settings: Settings) -> None:
    faults = list(mutants.without_an_action([POLICIES[role](settings)]))
    assert unseen(simulator, faults, USES[role].allowed, allowed=True) == []


def test_any_wider_resource_or_lost_condition_lets_something_in(
    role: str, simulator: Simulator, settings: Settings
) -> None:
    documents = [POLICIES[role](settings)]
    faults = [*mutants.widened(documents), *mutants.unconditional(documents)]
    assert unseen(simulator, faults, forbidden(USES[role], documents[0]), allowed=False) == []


def test_a_key_and_a_vpc_give_rights_only_when_they_are_set(simulator: Simulator, settings: Settings) -> None:
    private = {"kms_key": KEY, "subnets": ("subnet-1a",), "security_groups": ("sg-1a",)}
    set_up = settings.model_copy(update={"training": settings.training.model_copy(update=private)})
    looks = "NetworkInterfaces Vpcs DhcpOptions Subnets SecurityGroups"
    needs = [
        *trains(),
        *wants("kms:CreateGrant kms:Decrypt kms:Encrypt kms:GenerateDataKey", KEY),
        *wants("ec2:CreateNetworkInterface", SUBNET, GROUP, INTERFACE),
        *wants("ec2:CreateNetworkInterfacePermission ec2:DeleteNetworkInterface", INTERFACE),
        *wants("ec2:DeleteNetworkInterfacePermission", INTERFACE),
        *(need for each in looks.split() for need in wants(f"ec2:Describe{each}", "*")),
    ]
    private_policy = [training.policy(set_up)]
    assert simulator.denied(private_policy, needs) == []
    new = needs[len(trains()) :]
    assert simulator.denied([training.policy(settings)], new) == new
    added = [fault for fault in mutants.without_an_action(private_policy) if fault.fault.startswith(("Key", "Vpc"))]
    assert added
    assert unseen(simulator, added, needs, allowed=True) == []
    assert simulator.denied([endpoint.policy(set_up)], wants("kms:Decrypt", KEY)) == []
    other = wants("kms:Decrypt", KEY.replace("0123", "9999"))
    assert simulator.denied([*private_policy, endpoint.policy(set_up)], other) == other


def test_answers_of_an_asynchronous_endpoint_may_be_written_where_there_is_one(
    simulator: Simulator, settings: Settings
) -> None:
    bulk = settings.endpoint.model_copy(update={"kind": "async"})
    with_bulk = settings.model_copy(update={"endpoints": {"bulk": bulk}})
    needs = [
        *wants("s3:GetObject s3:PutObject", f"{BUCKET}/async/bulk/1.out"),
        *wants(
            "logs:PutLogEvents",
            "arn:aws:logs:us-east-1:123456789012:log-group:/aws/sagemaker/Endpoints/kennel-local-bulk:log-stream:a/b",
        ),
    ]
    assert simulator.denied([endpoint.policy(with_bulk)], needs) == []
    assert simulator.denied([endpoint.policy(settings)], needs) == needs
