"""Every kind of resource, in the order in which `down` deletes: what uses another thing goes before it."""

from __future__ import annotations

from deploy.resources import alarm, bucket, deployer, endpoint, endpoint_config, function, managed_policy, model, repository, role
from deploy.resources.base import Kind

KINDS: tuple[Kind, ...] = (
    function.KIND,
    endpoint.KIND,
    endpoint_config.KIND,
    model.KIND,
    alarm.KIND,
    repository.KIND,
    role.KIND,
    bucket.KIND,
    deployer.KIND,
    managed_policy.KIND,
)
BY_NAME = {kind.name: kind for kind in KINDS}
