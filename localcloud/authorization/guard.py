"""Stands before every handler: lets a request pass, or answers it with AWS's refusal."""

import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from localcloud.authorization import refusals
from localcloud.authorization.calls import Asked, identify, signed, speaks
from localcloud.authorization.enforcement import Enforcement
from localcloud.authorization.identity import Caller, ExpiredSessionError, UnknownKeyError
from localcloud.authorization.needs import Need
from localcloud.authorization.other_operations import EVERY
from localcloud.errors import ApiError, LocalcloudError
from localcloud.gateway.caller import ACCESS_KEY
from localcloud.gateway.protocol import Response
from localcloud.gateway.service import Request

FREE = frozenset(name for name in EVERY if name.startswith("sts.Get"))  # what anybody may ask, by IAM's own rules


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Judges every signed request by who sends it. Root is not judged."""

    enforcement: Enforcement

    def __call__(self, request: Request) -> Response | None:
        """None when the request may be answered, else the refusal."""
        key, signing_name = signed(request)
        ACCESS_KEY.set(key)
        how = speaks(request, signing_name or _unsigned_service(request))
        try:
            self._check(request, key, signing_name, how)
        except ApiError as error:
            return refusals.response(how, error, signing_name=signing_name, head=request.method == "HEAD")
        except LocalcloudError as error:
            return refusals.response(how, ApiError("InternalFailure", f"localcloud cannot enforce IAM: {error}", 500))
        except Exception as error:  # a request that cannot be judged is never answered
            traceback.print_exc()
            message = f"localcloud has a bug in its judgement of a request: {type(error).__name__}: {error}"
            return refusals.response(how, ApiError("InternalFailure", message, 500))
        return None

    def _check(self, request: Request, key: str, signing_name: str, how: str) -> None:
        """Raises ApiError for a request that its caller may not make, LocalcloudError when nobody can tell."""
        if not key:
            raise refusals.unsigned(how)
        caller = self._caller(key, request, how)
        if caller is None:
            return
        asked = identify(request, signing_name)
        if asked is None:
            raise refusals.denied(how, _unknown(signing_name, request))
        needs = self._needs(asked)
        refused = self.enforcement.first_refused(caller, needs, self._context(request, asked))
        if refused is not None and refused.verdict.error:
            raise refusals.denied(how, f"localcloud cannot judge {refused.need}: {refused.verdict.error}")
        if refused is not None:
            raise refusals.denied(how, refused.words)

    def _caller(self, key: str, request: Request, how: str) -> Caller | None:
        presigned = dict(parse_qsl(request.query)).get("X-Amz-Security-Token", "")
        token = request.headers.get("x-amz-security-token", presigned)
        try:
            return self.enforcement.identities.find(key, token, self.enforcement.now())
        except UnknownKeyError:
            raise refusals.unknown_key(how) from None
        except ExpiredSessionError:
            raise refusals.expired(how) from None

    def _needs(self, asked: Asked) -> list[Need]:
        """The rights that a request needs. Raises ApiError for an operation that no table has."""
        rule = EVERY.get(asked.name)
        if rule is None:
            raise refusals.denied(asked.speaks, _unlisted(asked.name))
        try:
            needs = list(rule(asked.params, self.enforcement.account))
        except (KeyError, TypeError, ValueError) as error:
            raise ApiError(
                "ValidationException", f"{asked.operation} lacks what its authorization needs: {error}"
            ) from None
        if not needs and asked.name not in FREE:
            raise refusals.denied(asked.speaks, f"{asked.name} names no resource that its authorization needs")
        return needs

    def _context(self, request: Request, asked: Asked) -> dict[str, str]:
        """The condition keys of any request. localcloud plays AWS's HTTPS, so its transport counts as secure."""
        now = self.enforcement.now()
        return {
            "aws:SecureTransport": "true",
            "aws:SourceIp": request.source,
            "aws:RequestedRegion": self.enforcement.account.region,
            "aws:CurrentTime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:EpochTime": str(int(now.timestamp())),
            "aws:UserAgent": request.headers.get("user-agent", ""),
            "aws:ViaAWSService": "false",
            **(request_tags(asked.params) if asked.service != "ec2" else {}),
        }


def request_tags(params: Mapping[str, Any]) -> dict[str, str]:
    """The condition keys of the tags that a request gives."""
    given = params.get("Tags") or params.get("tags") or {}
    if isinstance(given, Mapping):
        return {f"aws:RequestTag/{key}": str(value) for key, value in given.items()}
    return {f"aws:RequestTag/{each['Key']}": str(each["Value"]) for each in given if isinstance(each, Mapping)}


def _unsigned_service(request: Request) -> str:
    """Where a request without a signature probably goes: a path alone is S3's."""
    is_other = "x-amz-target" in request.headers or request.method == "POST"
    return "" if is_other else "s3"


def _unlisted(name: str) -> str:
    return (
        f"localcloud enforces IAM and does not know which rights {name} needs: add it to "
        "localcloud/authorization/other_operations.py, or call as root"
    )


def _unknown(signing_name: str, request: Request) -> str:
    what = request.headers.get("x-amz-target") or f"{request.method} {request.path}"
    return _unlisted(f"{signing_name} ({what})")
