"""Reads the desired resources as they are on AWS now: the snapshot that planning compares with."""

from __future__ import annotations

from collections.abc import Iterable

from deploy.planning.resource import Resource
from deploy.values import Call, Snapshot


def observe(resources: Iterable[Resource], call: Call) -> Snapshot:
    """What is there of each resource, by address."""
    return {resource.address: resource.read(call) for resource in resources}
