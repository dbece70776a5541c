"""The page fetches nothing from other servers, and its policy lets only its own script run."""

import base64
import hashlib
import re

from serve import page
from tests.unit.serve.services import client


def test_the_policy_names_exactly_the_inline_script_and_style() -> None:
    html, policy = page.load()
    for tag in (b"script", b"style"):
        bodies = re.findall(rb"<%b>(.*?)</%b>" % (tag, tag), html, re.DOTALL)
        assert len(bodies) == html.count(b"<" + tag) == 1
        digest = base64.b64encode(hashlib.sha256(bodies[0]).digest()).decode()
        assert f"{tag.decode()}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'")


def test_the_page_refers_to_nothing_outside() -> None:
    html, _ = page.load()
    addresses = set(re.findall(rb"https?://[^\s'\"]+", html))
    assert addresses <= {b"http://www.w3.org/2000/svg"}
    assert b" style=" not in html
    assert not re.search(rb"\son\w+=", html)


def test_the_page_is_served_with_its_policy() -> None:
    response = client(loaded=False).get("/")
    assert response.media_type == "text/html"
    assert response.headers["content-security-policy"] == page.load()[1]
