"""Every kind of resource, in the order in which `down` deletes: a resource goes before the ones that it uses."""

from __future__ import annotations

from deploy.autoscaling import scalable_target
from deploy.endpoints import alarm, endpoint, endpoint_config, model
from deploy.function import function
from deploy.iam import deployer_role, instance_profile, managed_policy, role
from deploy.images import repository
from deploy.jobs import ec2_instance, running_job, security_group
from deploy.notebook import resource
from deploy.planning.resource import ResourceKind
from deploy.storage import bucket, log_group

KINDS: tuple[ResourceKind, ...] = (
    scalable_target.KIND,
    *running_job.KINDS,
    *resource.KINDS,
    function.KIND,
    endpoint.KIND,
    endpoint_config.KIND,
    model.KIND,
    alarm.KIND,
    ec2_instance.KIND,
    instance_profile.KIND,
    security_group.KIND,
    repository.KIND,
    role.KIND,
    log_group.KIND,  # after the roles: services write last lines late, and would make the group again with their rights
    bucket.KIND,
    deployer_role.KIND,
    managed_policy.KIND,
)
BY_NAME = {kind.name: kind for kind in KINDS}
