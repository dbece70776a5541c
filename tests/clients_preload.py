"""A module for a fork server to preload, so that its processes open AWS clients quickly."""

from tests import clients

clients.read_ahead()
