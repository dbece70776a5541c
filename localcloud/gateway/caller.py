"""Who calls: the access key of the request that this thread serves. Handlers that hand out something of the caller's,
such as ECR's login token, read it."""

from contextvars import ContextVar

ACCESS_KEY: ContextVar[str] = ContextVar("access_key", default="")
