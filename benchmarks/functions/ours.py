"""The shipped handler with its client made at import, as boto3's is: it would make it at the first event."""

from __future__ import annotations

from lambda_container.handler import application, handler

application()
__all__ = ["handler"]
