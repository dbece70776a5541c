"""The table of rights that requests need, compared with AWS's service authorization reference."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.functional.deploy.iam.test_deployer import calls
from tests.functional.deploy.iam.tools import Tools

DRIVER = Path(__file__).with_name("dependents.py")
# What the reference names and our requests do not need, with the reason.
EXCUSED: Mapping[tuple[str, str], str] = {
    ("ec2:AuthorizeSecurityGroupIngress", "ec2:CreateTags"): "the rule is not tagged, its group is",
    ("ec2:RunInstances", "ssm:GetParameters"): "the AMI is looked up by itself, not by resolve:ssm",
    ("lambda:CreateFunction", "lambda:PassCapacityProvider"): "no capacity provider",
    ("sagemaker:CreateEndpointConfig", "iam:PassRole"): "the role is the model's; only inference components need one",
}
OTHERS_QUOTAS = "servicequotas:"  # depends on rights of services whose quotas are not asked for


def test_a_request_needs_every_action_that_its_action_depends_on(tools: Tools) -> None:
    needs: dict[str, set[str]] = {}
    for call in calls():
        needs.setdefault(call.operation, set()).update(need.action for need in call.needs)
    actions = sorted({action for actions in needs.values() for action in actions})
    done = subprocess.run(
        [tools.python, DRIVER], input=json.dumps(actions), capture_output=True, text=True, timeout=60, check=True
    )
    depends: dict[str, list[str]] = json.loads(done.stdout)
    missing = {
        (action, further)
        for actions in needs.values()
        for action in actions
        if not action.startswith(OTHERS_QUOTAS)
        for further in depends[action]
        if further not in actions
    }
    assert missing == set(EXCUSED)
