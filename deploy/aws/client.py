"""The one module that talks to AWS: makes boto3's clients, sends Requests, turns refusals into AwsErrors."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.aws.requests import sts
from deploy.aws.retries import THROTTLED, Patience, passing
from deploy.config.general import Stage
from deploy.config.settings import Settings
from deploy.errors import AwsError, DeployError
from deploy.values import Params, Request

Log = Callable[[Request], None]
Say = Callable[[str], None]

DUMMY = "kennel-local"
PRICE_LIST_REGION = "us-east-1"  # few regions have the price list; it covers all regions
# Each service has codes of its own for "is not there". EC2 has one for each kind of thing: InvalidGroup.NotFound.
MISSING = frozenset(
    {"404", "NoSuchBucket", "NoSuchKey", "NoSuchEntity", "ResourceNotFoundException", "ResourceNotFound", "NotFound"}
    | {"NoSuchResourceException", "NoSuchUpload", "NotFoundException", "ObjectNotFoundException"}
    | {"RepositoryNotFoundException", "RepositoryPolicyNotFoundException", "LifecyclePolicyNotFoundException"}
    | {"ImageNotFoundException", "UploadNotFoundException"}
    | {"ParameterNotFound", "ParameterVersionNotFound", "ProvisionedConcurrencyConfigNotFoundException"}
)
# "403" is S3's answer to a HEAD request, which has no body and so no words.
DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError", "403"}
    | {"DependencyAccessDeniedException"}
)
# Requests about many things that AWS answers with 200 even where it refuses some of them (rule 95): where the refusals
# are in the answer, and the names of a refusal's code and reason.
PARTLY_REFUSED = {
    "s3.DeleteObjects": ("Errors", "Code", "Message"),
    "ecr.BatchDeleteImage": ("failures", "failureCode", "failureReason"),
}
DONE_ALREADY = ("ImageNotFound", "NoSuchKey", "NoSuchVersion")
# SageMaker's answers when the notebook instance or job to be stopped does not run.
STOPPED = re.compile(r"Unable to transition to \(Stopping\)|rejected because the .*job is in status")
FIXES = {
    **dict.fromkeys(DENIED, "ask for this permission, or use other credentials"),
    "VPCIdNotSpecified": "this region has no default VPC: set training.ec2.subnet to a subnet of yours, or make a "
    "default VPC (aws ec2 create-default-vpc)",
    "ExpiredToken": "the credentials have expired: log in again",
    "ExpiredTokenException": "the credentials have expired: log in again",
    "InvalidClientTokenId": "AWS does not know these credentials: check the profile and the stage",
    "UnrecognizedClientException": "AWS does not know these credentials: check the profile and the stage",
    "ResourceLimitExceeded": "ask for a higher quota (./inv quotas --request), or for less in deploy.toml",
    "TooManyRequestsException": "the function is at its concurrency: try again, or raise lambda.reserved_concurrency",
}
# Limits that Service Quotas does not list. Part of a message → what to do.
LIMITS = {
    "'MemorySize' value failed to satisfy constraint: Member must have value less than or equal to 3008": (
        "a new account's functions have at most 3008 MB: lower lambda.memory_mb, or ask AWS Support for more"
    ),
}


@dataclass(kw_only=True)
class Clock:
    """The time and how to wait, so that tests need not wait."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(kw_only=True)
class Client:
    """Sends Requests to the AWS of one stage. `log` gets each request before it is sent. Refusals that pass by
    themselves (retries.py) are waited for, and `say` gets what is awaited."""

    stage: Stage
    session: Any
    log: Log = lambda _: None
    say: Say = lambda _: None
    clock: Clock = field(default_factory=Clock)
    _clients: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, request: Request) -> dict[str, Any]:
        """The answer. Raises AwsError when AWS refuses, DeployError when nothing answers."""
        self.log(request)
        patience = Patience(began=self.clock.now())
        while True:
            try:
                return self._send(request)
            except AwsError as error:
                pause = self._pause(request, error, patience)
            self.clock.sleep(pause)

    def _pause(self, request: Request, error: AwsError, patience: Patience) -> float:
        """The seconds to wait before the request is sent again. Raises AwsError when that is of no use."""
        refusal, now = passing(request, error), self.clock.now()
        if refusal is None:
            raise error
        pause = patience.next_pause(refusal, now)
        if pause is None:
            raise patience.in_vain(refusal, error, now) from error
        if news := patience.news(request, refusal, error):
            self.say(news)
        return pause

    def check_account(self) -> str:
        """The ARN of these credentials. Raises DeployError when they belong to another account than the stage's."""
        answer = self(sts("GetCallerIdentity"))
        if answer["Account"] != self.stage.account:
            raise DeployError(
                f"account {answer['Account']}: these credentials ({answer['Arn']}) do not belong to the account of the "
                f"stage, {self.stage.account}; nothing was changed; choose another profile or stage"
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
            raise AwsError(operation=where, code=code, message=message, fix=_advice(code, message)) from error
        except EndpointConnectionError as error:
            fix = "run ./inv up" if self.stage.endpoint_url else "check the network and the region"
            raise DeployError(f"{where}: nothing answers at {self.stage.endpoint_url or error}: {fix}") from error
        except BotoCoreError as error:
            raise DeployError(f"{where}: {error}{_fix(error, self.stage.profile)}") from error
        _require_whole(where, answer)
        return answer

    def _client(self, service: str) -> Any:
        with self._lock:  # threads may share clients, but boto3 must not make two at once
            if service not in self._clients:
                local = self.stage.endpoint_url or None
                elsewhere = PRICE_LIST_REGION if service == "pricing" and not local else None
                self._clients[service] = self.session.client(
                    service, endpoint_url=local, config=_config(), region_name=elsewhere
                )
            return self._clients[service]


def _require_whole(operation: str, answer: Mapping[str, Any]) -> None:
    """Raises AwsError for the first thing that an answer says was refused, and that is not gone already."""
    place, code, reason = PARTLY_REFUSED.get(operation, ("", "", ""))
    refused = [each for each in answer.get(place, ()) if each.get(code) not in DONE_ALREADY]
    if refused:
        first = refused[0]
        which = first.get("Key") or first.get("imageId", {}).get("imageDigest", "")
        message = f"{which}: {first.get(reason, 'no reason given')} ({len(refused)} refused in all)"
        raise AwsError(operation=operation, code=str(first[code]), message=message, fix=FIXES.get(first[code], ""))


def connect(
    settings: Settings, *, log: Log = lambda _: None, say: Say = lambda _: None, clock: Clock | None = None
) -> Client:
    """A client of the settings' stage. Sends nothing yet. Raises DeployError for a profile that does not exist."""
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
        raise DeployError(f"{where}: {error}{_fix(error, stage.profile)}") from error
    return Client(stage=stage, session=session, log=log, say=say, clock=clock or Clock())


def lookup(call: Callable[[Request], dict[str, Any]], request: Request) -> dict[str, Any] | None:
    """The answer, or None when the resource does not exist."""
    try:
        return call(request)
    except AwsError as error:
        if is_missing(error):
            return None
        raise


def is_missing(error: AwsError) -> bool:
    """Whether AWS says that a resource does not exist. SageMaker says so in the message of a ValidationException."""
    if error.code in MISSING or error.code.endswith(".NotFound"):
        return True
    return error.code in ("ValidationException", "ResourceNotFound") and any(
        text in error.message for text in ("Could not find", "does not exist", "not found", "RecordNotFound")
    )


def is_denied(error: AwsError) -> bool:
    """Whether these credentials may not do this. AWS says so before it says whether the resource exists."""
    return error.code in DENIED


def is_throttled(error: AwsError) -> bool:
    """Whether AWS limits the rate of requests: the same request is answered later."""
    return error.code in THROTTLED


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


def _advice(code: str, message: str) -> str:
    """What to do about a refusal; "" for an unknown one."""
    return next((advice for text, advice in LIMITS.items() if text in message), FIXES.get(code, ""))


def _fix(error: Exception, profile: str) -> str:
    """What to do about an error on this side of the network, as a second line; "" for an unknown one."""
    fixes = {
        "NoCredentialsError": "no credentials found: log in (aws sso login), or set the stage's profile",
        "PartialCredentialsError": "only one of the two access keys is set in the environment: set both, or neither",
        "ProfileNotFound": "aws configure list-profiles lists the profiles of this machine",
        "TokenRetrievalError": f"log in again: aws sso login --profile {profile or 'NAME'}",
        "UnauthorizedSSOTokenError": f"log in again: aws sso login --profile {profile or 'NAME'}",
        "SSOTokenLoadError": f"log in first: aws sso login --profile {profile or 'NAME'}",
        "ReadTimeoutError": "AWS may have done it all the same: run the same command again, which continues from there",
        "ConnectTimeoutError": "check the network and the region",
    }
    fix = next((fixes[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in fixes), "")
    return f"\n{fix}" if fix else ""


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
