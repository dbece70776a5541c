"""The web page: index.html, and a Content-Security-Policy that lets a browser run only this page's own script."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path


def load() -> tuple[bytes, str]:
    """The page's bytes and its Content-Security-Policy."""
    html = (Path(__file__).parent / "index.html").read_bytes()
    return html, policy(html)


def policy(html: bytes) -> str:
    """Allows the page's own inline style and script, pictures from memory, and calls to this server; nothing else."""
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hashes(html, b'script')}",
            f"style-src {_hashes(html, b'style')}",
            "img-src 'self' blob: data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        ]
    )


def _hashes(html: bytes, tag: bytes) -> str:
    bodies = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), html, re.DOTALL)
    return " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(body).digest()).decode()}'" for body in bodies)
