"""The one door to AWS: makes boto3's clients for a stage, sends Requests, and turns refusals into words for people."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from deploy.aws.requests import sts
from deploy.config.general import Stage
from deploy.config.settings import Settings
from deploy.errors import AwsError, DeployError
from deploy.values import Params, Request

Log = Callable[[Request], None]

# Refusals that pass by themselves: a new role, a configuration not yet seen everywhere (rules 83, 84).
PASSING = (
    "Could not assume role",
    "Could not access model data at",
    "cannot be assumed by Lambda",
    "Invalid IAM Instance Profile name",
    "Could not find endpoint configuration",
    "A conflicting conditional operation is currently in progress",  # the same bucket, made by two at once
)
# The autoscaler may begin to move an endpoint between a plan and its update (rule 59); its instances take minutes.
BUSY = "Cannot update in-progress endpoint"
BUSY_S = 1800.0
DUMMY = "kennel-local"
PRICE_LIST_REGION = "us-east-1"  # one of the few that answer for all
MISSING = frozenset(
    {"404", "NoSuchBucket", "NoSuchKey", "NoSuchEntity", "ResourceNotFoundException", "ResourceNotFound", "NotFound"}
    | {"ObjectNotFoundException"}
    | {"RepositoryNotFoundException", "RepositoryPolicyNotFoundException", "LifecyclePolicyNotFoundException"}
)
# SageMaker's words on a notebook instance or a job that does not run.
STOPPED = re.compile(r"Unable to transition to \(Stopping\)|rejected because the .*job is in status")
FIXES = {
    "AccessDenied": "ask for this right, or choose other credentials",
    "AccessDeniedException": "ask for this right, or choose other credentials",
    "ExpiredToken": "the credentials have expired: log in again",
    "ExpiredTokenException": "the credentials have expired: log in again",
    "InvalidClientTokenId": "the credentials are not valid here: check the profile and the stage",
    "UnrecognizedClientException": "the credentials are not valid here: check the profile and the stage",
    "ResourceLimitExceeded": "ask for a higher quota of this instance type, or choose another in deploy.toml",
    "TooManyRequestsException": "its concurrency is used up: try again, or raise lambda.reserved_concurrency",
    "ThrottlingException": "AWS asks to slow down: try again in a minute",
}


@dataclass(kw_only=True)
class Clock:
    """Time, so that tests need not wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(kw_only=True)
class Client:
    """Sends Requests to the AWS of one stage. `log` sees each before it goes; `passing_s` bounds the patience with
    refusals that pass by themselves."""

    stage: Stage
    session: Any
    log: Log = lambda _: None
    clock: Clock = field(default_factory=Clock)
    passing_s: float = 120.0
    _clients: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> dict[str, Any]:
        """The answer. Raises AwsError for a refusal, DeployError when nothing answers."""
        self.log(request)
        began, pause = self.clock.now(), 1.0
        while True:
            try:
                return self._send(request)
            except AwsError as error:
                patience = BUSY_S if BUSY in error.message else self.passing_s * may_pass(request, error)
                if self.clock.now() - began + pause > patience:
                    raise
            self.clock.sleep(pause)
            pause = min(2 * pause, 10.0)

    def check_account(self) -> str:
        """Who we are there. Raises DeployError when it is not the account that the stage is pinned to."""
        answer = self(sts("GetCallerIdentity"))
        if answer["Account"] != self.stage.account:
            raise DeployError(
                f"account {answer['Account']}: these credentials ({answer['Arn']}) are not of the stage's account "
                f"{self.stage.account}; choose another profile or stage, nothing was changed"
            )
        return str(answer["Arn"])

    def _send(self, request: Request) -> dict[str, Any]:
        from botocore import xform_name
        from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError

        where = f"{request.service}.{request.operation}"
        try:
            send = getattr(self._client(request.service), xform_name(request.operation))
            answer: dict[str, Any] = send(**request.params)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", "Unknown"))
            message = str(error.response.get("Error", {}).get("Message", error))
            raise AwsError(operation=where, code=code, message=message, fix=FIXES.get(code, "")) from error
        except EndpointConnectionError as error:
            fix = "run ./inv up" if self.stage.endpoint_url else "check the network and the region"
            raise DeployError(f"{where}: nothing answers at {self.stage.endpoint_url or error}: {fix}") from error
        except BotoCoreError as error:
            raise DeployError(f"{where}: {error}{_way_out(error, self.stage.profile)}") from error
        return answer

    def _client(self, service: str) -> Any:
        with self._lock:  # clients may be shared by threads, but not made by two at once
            if service not in self._clients:
                local = self.stage.endpoint_url or None
                elsewhere = PRICE_LIST_REGION if service == "pricing" and not local else None
                self._clients[service] = self.session.client(
                    service, endpoint_url=local, config=_config(), region_name=elsewhere
                )
            return self._clients[service]


def may_pass(request: Request, error: AwsError) -> bool:
    """Whether a refusal passes by itself. To a question "could not find" is an answer; only to a change it may pass."""
    is_change = request.operation.startswith(("Create", "Update", "RunInstances"))
    return is_change and any(text in error.message for text in PASSING)


def connect(settings: Settings, *, log: Log = lambda _: None, clock: Clock | None = None) -> Client:
    """A door to the settings' stage. Nothing is sent yet. Raises DeployError for a profile that is not there."""
    import boto3
    from botocore.exceptions import BotoCoreError

    stage = settings.stage
    dummy = DUMMY if stage.credentials == "dummy" else None
    try:
        session = boto3.Session(
            region_name=stage.region,
            profile_name=(stage.profile or None) if dummy is None else None,
            aws_access_key_id=dummy,
            aws_secret_access_key=dummy,
        )
    except BotoCoreError as error:
        where = f"stages.{settings.stage_name}.profile"
        raise DeployError(f"{where}: {error}{_way_out(error, stage.profile)}") from error
    return Client(stage=stage, session=session, log=log, clock=clock or Clock())


def lookup(call: Callable[[Request], dict[str, Any]], request: Request) -> dict[str, Any] | None:
    """The answer, or None when what is asked for is not there."""
    try:
        return call(request)
    except AwsError as error:
        if is_missing(error):
            return None
        raise


def is_missing(error: AwsError) -> bool:
    """SageMaker says that something is not there with a ValidationException of its own wording."""
    if error.code in MISSING:
        return True
    return error.code in ("ValidationException", "ResourceNotFound") and any(
        text in error.message for text in ("Could not find", "does not exist", "not found", "RecordNotFound")
    )


def is_made(error: AwsError) -> bool:
    """Whether AWS refuses to make a thing because we own it already: another deploy was quicker."""
    return error.code == "BucketAlreadyOwnedByYou"


def is_removed(error: AwsError) -> bool:
    """Whether AWS refuses a deletion or a stop because the thing is gone or does not run."""
    return is_missing(error) or STOPPED.search(error.message) is not None


def pages(
    call: Callable[[Request], dict[str, Any]],
    request: Request,
    *,
    items: str,
    token: tuple[str, str] = ("NextToken", "NextToken"),
) -> Iterator[Any]:
    """Every item of a list operation. `token` names the continuation in the answer and in the next request."""
    params: Params = request.params
    while True:
        answer = call(Request(service=request.service, operation=request.operation, params=params))
        yield from answer.get(items, ())
        if not answer.get(token[0]):
            return
        params = {**params, token[1]: answer[token[0]]}


def _way_out(error: Exception, profile: str) -> str:
    """What to do about a fault on this side of the network."""
    ways = {
        "NoCredentialsError": "no credentials are found: log in (aws sso login), or set the stage's profile",
        "PartialCredentialsError": "the environment holds half of a pair of keys: set both, or neither",
        "ProfileNotFound": "aws configure list-profiles lists those of this machine",
        "TokenRetrievalError": f"log in again: aws sso login --profile {profile or 'NAME'}",
        "UnauthorizedSSOTokenError": f"log in again: aws sso login --profile {profile or 'NAME'}",
        "SSOTokenLoadError": f"log in first: aws sso login --profile {profile or 'NAME'}",
        "ReadTimeoutError": "what was asked for may have happened: run the same command again, it goes on from there",
        "ConnectTimeoutError": "check the network and the region",
    }
    found = next((ways[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in ways), "")
    return f"\n{found}" if found else ""


def _config() -> Any:
    from botocore.config import Config

    return Config(
        connect_timeout=5,
        read_timeout=120,
        retries={"mode": "standard", "total_max_attempts": 5},
        s3={"addressing_style": "path"},
        max_pool_connections=32,
        user_agent_extra="kennel",
    )
