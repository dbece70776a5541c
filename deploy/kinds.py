"""Every kind of resource, in the order in which `down` deletes: what uses another thing goes before it."""

from __future__ import annotations

from deploy.resources import (
    alarm,
    bucket,
    deployer,
    endpoint,
    endpoint_config,
    function,
    instance,
    instance_profile,
    log_group,
    managed_policy,
    model,
    notebook,
    repository,
    role,
    running_job,
    scalable_target,
    security_group,
)
from deploy.resources.base import Kind

KINDS: tuple[Kind, ...] = (
    scalable_target.KIND,
    *running_job.KINDS,
    *notebook.KINDS,
    function.KIND,
    endpoint.KIND,
    endpoint_config.KIND,
    model.KIND,
    alarm.KIND,
    instance.KIND,
    instance_profile.KIND,
    security_group.KIND,
    log_group.KIND,
    repository.KIND,
    role.KIND,
    bucket.KIND,
    deployer.KIND,
    managed_policy.KIND,
)
BY_NAME = {kind.name: kind for kind in KINDS}
