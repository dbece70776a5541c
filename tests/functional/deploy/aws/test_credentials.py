"""Credentials as people have them: profiles, assumed roles, SSO. Errors say how to log in."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests
from moto.server import ThreadedMotoServer

from deploy.aws.client import connect
from deploy.config.settings import Settings, choose, parse
from deploy.errors import DeployError
from deploy.values import Request

REPOSITORY = Path(__file__).parents[4]
ACCOUNT = "123456789012"
WHO = Request(service="sts", operation="GetCallerIdentity")
START = "https://start.invalid"
CONFIG = f"""
[profile keys]
aws_access_key_id = AKIAKEYSOFAPROFILE00
aws_secret_access_key = a-secret-of-a-profile

[profile deployer]
role_arn = arn:aws:iam::{ACCOUNT}:role/deployer
source_profile = keys

[profile single-sign-on]
sso_start_url = {START}
sso_region = us-east-1
sso_account_id = {ACCOUNT}
sso_role_name = Engineer
"""


@pytest.fixture(scope="module")
def moto() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    requests.post(f"http://{host}:{port}/moto-api/reset", timeout=5)  # moto's records are the whole process's
    server.stop()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder with AWS's configuration, and nothing of this machine's environment."""
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(CONFIG)
    before = dict(os.environ)
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(HOME=str(tmp_path), AWS_EC2_METADATA_DISABLED="true")
    yield tmp_path
    os.environ.clear()
    os.environ.update(before)


def of_profile(profile: str, endpoint_url: str, *, account: str = ACCOUNT) -> Settings:
    text = f'[stages.prod]\naccount = "{account}"\nprofile = "{profile}"\nendpoint_url = "{endpoint_url}"\n'
    return choose(parse(text), "prod")


def test_a_profile_with_keys_works(moto: str, home: Path) -> None:
    assert connect(of_profile("keys", moto))(WHO)["Account"] == ACCOUNT


def test_a_profile_that_assumes_a_role_acts_as_that_role(moto: str, home: Path) -> None:
    os.environ["AWS_ENDPOINT_URL_STS"] = moto
    arn = connect(of_profile("deployer", moto)).check_account()
    assert arn.startswith(f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/")


def test_the_account_of_a_stage_is_pinned(moto: str, home: Path) -> None:
    with pytest.raises(
        DeployError, match=f"account {ACCOUNT}: these credentials .* do not belong to the account of the stage, 9"
    ):
        connect(of_profile("keys", moto, account="9" * 12)).check_account()


def test_a_single_sign_on_profile_works(moto: str, home: Path) -> None:
    log_in(home, expires=datetime.now(UTC) + timedelta(hours=1))
    with portal() as address:
        assert in_a_process_of_its_own(AWS_ENDPOINT_URL_SSO=address, MOTO=moto) == ACCOUNT


@pytest.mark.parametrize("logged_in", [True, False])
def test_an_expired_sign_on_names_the_command_that_renews_it(moto: str, home: Path, logged_in: bool) -> None:
    if logged_in:
        log_in(home, expires=datetime.now(UTC) - timedelta(hours=1))
    with pytest.raises(DeployError, match="aws sso login --profile single-sign-on"):
        connect(of_profile("single-sign-on", moto))(WHO)


def test_an_unknown_profile_is_refused_before_anything_is_sent(moto: str, home: Path) -> None:
    with pytest.raises(DeployError, match=r"stages\.prod\.profile: .*nobody.*\naws configure list-profiles"):
        connect(of_profile("nobody", moto))


def test_missing_credentials_say_how_to_log_in(moto: str, home: Path) -> None:
    with pytest.raises(DeployError, match="no credentials found: log in"):
        connect(of_profile("", moto))(WHO)


def in_a_process_of_its_own(**environment: str) -> str:
    """The account, asked where the home folder was this one from the start: botocore looks for tokens there."""
    script = (
        "import os; from tests.functional.deploy.aws.test_credentials import *;"
        "print(connect(of_profile('single-sign-on', os.environ['MOTO']))(WHO)['Account'])"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(
        command, env={**os.environ, **environment}, cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or done.stderr


def log_in(home: Path, *, expires: datetime) -> None:
    """As `aws sso login` leaves it."""
    cache = home / ".aws" / "sso" / "cache"
    cache.mkdir(parents=True)
    token = {
        "startUrl": START,
        "region": "us-east-1",
        "accessToken": "a-token",
        "expiresAt": f"{expires:%Y-%m-%dT%H:%M:%SZ}",
    }
    name = hashlib.sha1(START.encode()).hexdigest()
    (cache / f"{name}.json").write_text(json.dumps(token))


class portal:  # noqa: N801 (read as `with portal()`)
    """The part of the single-sign-on portal that gives a role's keys for a token."""

    def __enter__(self) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                good = self.headers["x-amz-sso_bearer_token"] == "a-token" and "role_name=Engineer" in self.path
                until = int((datetime.now(UTC) + timedelta(hours=1)).timestamp() * 1000)
                keys = {"accessKeyId": "ASIA", "secretAccessKey": "s", "sessionToken": "t", "expiration": until}
                body = json.dumps({"roleCredentials": keys}).encode()
                self.send_response(200 if good else 401)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
