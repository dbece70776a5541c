"""Every kind of resource, in the order in which `down` deletes: what uses another thing goes before it."""

from __future__ import annotations

from deploy.resources import alarm, bucket, endpoint, function, role
from deploy.resources.base import Kind

KINDS: tuple[Kind, ...] = (
    function.KIND,
    *endpoint.KINDS,
    alarm.KIND,
    role.KIND,
    bucket.KIND,
)
BY_NAME = {kind.name: kind for kind in KINDS}
