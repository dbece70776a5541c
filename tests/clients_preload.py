"""For a fork server to preload: its processes open doors to AWS at once."""

from tests import clients

clients.read_ahead()
