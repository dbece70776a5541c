"""Reads the resources from AWS as they are now: the snapshot that planning compares with."""

from __future__ import annotations

from collections.abc import Iterable

from deploy.planning.resource import Resource
from deploy.values import Call, Snapshot


def observe(resources: Iterable[Resource], call: Call) -> Snapshot:
    """The state of each resource by address; None for one that does not exist."""
    return {resource.address: resource.read(call) for resource in resources}
