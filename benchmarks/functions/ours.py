"""The shipped handler, but with its client created at import, like boto3's; as shipped, the first event creates it."""

from __future__ import annotations

from lambda_container.handler import application, handler

application()
__all__ = ["handler"]
