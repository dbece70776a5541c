"""A localcloud that enforces IAM, over HTTP: moto's records, the real simulator, handlers that answer at once."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests

from localcloud.authorization.account import MotoAccount
from localcloud.authorization.enforcement import Enforcement
from localcloud.authorization.guard import Guard
from localcloud.aws_client import Credentials, client
from localcloud.gateway.server import Application, Listener, bind
from localcloud.gateway.service import Service

ACCOUNT, REGION = "123456789012", "us-east-1"
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:shared"
ACCOUNT_TRUST = {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def allow(actions: str, *resources: str, effect: str = "Allow", **more: Any) -> dict[str, Any]:
    """A statement about actions (words) on resources."""
    return {"Effect": effect, "Action": actions.split(), "Resource": list(resources), **more}


def document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def trust(principal: Mapping[str, Any], **more: Any) -> str:
    return document({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole", **more})


@dataclass(frozen=True, kw_only=True)
class Enforced:
    """The running server. `function_policy` is the policy of the function `shared`."""

    url: str
    enforcement: Enforcement
    function_policy: list[str]

    def root(self, service: str) -> Any:
        return client(service, self.url, REGION)

    def client(self, service: str, credentials: Credentials) -> Any:
        return client(service, self.url, REGION, credentials)

    def role(self, name: str, *statements: Mapping[str, Any], trusts: str = "", **more: Any) -> str:
        """A role with one inline policy, which the account trusts unless `trusts` says whom."""
        iam = self.root("iam")
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusts or trust(ACCOUNT_TRUST), **more)
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="rights", PolicyDocument=document(*statements))
        return str(made["Role"]["Arn"])

    def session(self, role: str, **more: Any) -> Credentials:
        """Credentials of a role, begun by root through STS."""
        answer = self.root("sts").assume_role(RoleArn=role, RoleSessionName="me", **more)["Credentials"]
        return Credentials(key=answer["AccessKeyId"], secret=answer["SecretAccessKey"], token=answer["SessionToken"])


@contextmanager
def enforced() -> Iterator[Enforced]:
    """A server whose account is empty at the beginning and at the end."""
    policy: list[str] = []
    enforcement = Enforcement(account=MotoAccount(account=ACCOUNT, region=REGION))
    enforcement.add_policies(lambda arn: policy[0] if policy and arn == FUNCTION else None)
    services = [
        Service(name="sagemaker-runtime", handlers={"InvokeEndpoint": lambda _: {"Body": b"answered"}}),
        Service(name="lambda", handlers={"Invoke": lambda _: {"StatusCode": 200, "Payload": b"{}"}}),
    ]
    sockets = bind(0, ["127.0.0.1"])
    application = Application(services, region=REGION, health=lambda: {}, guard=Guard(enforcement=enforcement))
    listener = Listener(sockets, application)
    url = f"http://127.0.0.1:{sockets[0].getsockname()[1]}"
    listener.start()
    try:
        requests.post(f"{url}/moto-api/reset", timeout=10)
        yield Enforced(url=url, enforcement=enforcement, function_policy=policy)
    finally:
        requests.post(f"{url}/moto-api/reset", timeout=10)
        listener.stop()
        enforcement.close()
