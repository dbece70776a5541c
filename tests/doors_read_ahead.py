"""For a fork server to preload: its processes open doors to AWS at once."""

from tests import doors

doors.read_ahead()
