"""Lambda functions from container images: their records, versions and states (rules 65-67)."""

import builtins
import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from localcloud.awslambda import idleness
from localcloud.awslambda.configuration import (
    CONFIGURABLE,
    REVISION,
    Params,
    check_settings,
    conflict,
    initial_config,
    invalid,
    missing,
    nested,
    not_now,
    same,
    settle,
    stamp,
)
from localcloud.awslambda.emulator import ARCHITECTURES, Sandbox, Sandboxes
from localcloud.awslambda.environments import ConcurrencyLimit, Pool
from localcloud.cloud import Cloud
from localcloud.containers.engine import EngineError, Image
from localcloud.errors import ApiError, LocalcloudError
from localcloud.iam import require_lambda_role

NAME = re.compile(r"(?:(?:arn:[^:]+:lambda:[^:]+:)?(?:\d{12}:)?function:)?([A-Za-z0-9-_]+)(?::([$A-Za-z0-9-_]+))?")


@dataclass(kw_only=True, eq=False)
class Release:
    """One version of a function, or $LATEST: its FunctionConfiguration, its image, its environments.

    Only `used_at`, and the states and the revision in `config`, change, under the function's lock. `used_at`: when it
    was last invoked, provisioned or made ready.
    """

    config: Params
    reference: str
    image: Image
    pool: Pool[Sandbox]
    used_at: float


@dataclass(kw_only=True, eq=False)
class Function:
    """A function with its versions and settings. `lock` guards every member."""

    name: str
    arn: str
    latest: Release
    versions: dict[str, Release] = field(default_factory=dict)
    aliases: dict[str, Params] = field(default_factory=dict)
    limit: ConcurrencyLimit = field(default_factory=ConcurrencyLimit)
    provisioned: dict[str, Params] = field(default_factory=dict)
    policies: dict[str, list[Params]] = field(default_factory=dict)
    urls: dict[str, Params] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    published: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def releases(self) -> list[Release]:
        with self.lock:
            return [self.latest, *self.versions.values()]

    def at(self, qualifier: str | None) -> Release:
        """The release of $LATEST, of a version, or of the version that an alias points to. Raises ApiError."""
        with self.lock:
            if qualifier in (None, "", "$LATEST"):
                return self.latest
            version = self.aliases[qualifier]["FunctionVersion"] if qualifier in self.aliases else qualifier
            if version == "$LATEST":
                return self.latest
            if version not in self.versions:
                raise missing(f"Function not found: {self.arn}:{qualifier}")
            return self.versions[str(version)]


@dataclass(kw_only=True)
class Functions:
    """The operations on functions and versions. `spawn` runs work in a thread of its own.

    `lock` guards `functions`; take it before a function's lock.
    """

    cloud: Cloud
    sandboxes: Sandboxes
    spawn: Callable[..., None]
    clock: Callable[[], float] = time.monotonic
    functions: dict[str, Function] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Operation → handler."""
        return {
            "CreateFunction": self.create,
            "GetFunction": self.get,
            "GetFunctionConfiguration": self.get_configuration,
            "UpdateFunctionCode": self.update_code,
            "UpdateFunctionConfiguration": self.update_configuration,
            "PublishVersion": self.publish,
            "ListVersionsByFunction": self.list_versions,
            "ListFunctions": self.list,
            "DeleteFunction": self.delete,
        }

    def find(self, params: Mapping[str, Any]) -> tuple[Function, str | None]:
        """The function and the qualifier that a request names, by name or ARN. Raises ApiError."""
        match = NAME.fullmatch(params["FunctionName"])
        name, suffix = (match.group(1), match.group(2)) if match else (params["FunctionName"], None)
        with self.lock:
            if name not in self.functions:
                raise missing(f"Function not found: {self.cloud.arn('lambda', f'function:{name}')}")
            return self.functions[name], params.get("Qualifier") or suffix

    @contextmanager
    def locked(self, params: Mapping[str, Any]) -> Iterator[tuple[Function, str | None]]:
        """Like `find`, with the function's lock held until the block ends."""
        function, qualifier = self.find(params)
        with function.lock:
            idleness.rest(function.releases(), now=self.clock(), after=self.cloud.idle)
            yield function, qualifier

    def use(self, function: Function, release: Release) -> None:
        """Begin an invocation; the caller holds the function's lock. Raises ApiError unless the release is Active."""
        idleness.use(release, now=self.clock(), restore=lambda: self.spawn(self._activate, function, release))

    def all(self) -> "builtins.list[Function]":
        with self.lock:
            return [*self.functions.values()]

    # ------------------------------------------------------------------------------------------ create, delete

    def create(self, params: Params) -> Params:
        """CreateFunction. Pending until the emulator is there and the image's architecture fits."""
        code = params["Code"]
        if params.get("PackageType", "Zip") != "Image" or "ImageUri" not in code:
            raise invalid("localcloud runs container images only: PackageType=Image and Code.ImageUri.")
        check_settings(params)
        name = NAME.fullmatch(params["FunctionName"])
        bare = name.group(1) if name else params["FunctionName"]
        image = self._image(code["ImageUri"], (params.get("Architectures") or ["x86_64"])[0])
        arn = self.cloud.arn("lambda", f"function:{bare}")
        require_lambda_role(self.cloud.roles, params["Role"], arn)
        config = initial_config(params, name=bare, arn=arn, image=image, now=self.cloud.now())
        with self.lock:
            if bare in self.functions:
                raise conflict(f"Function already exist: {bare}")
            release = self._release(config, code["ImageUri"], image)
            function = Function(name=bare, arn=arn, latest=release, tags=params.get("Tags", {}))
            self.functions[bare] = function
        answer = dict(config)
        self.spawn(self._activate, function, release, params.get("Publish", False))
        return answer

    def _release(self, config: Params, reference: str, image: Image) -> Release:
        pool = Pool[Sandbox](start=lambda: self._start(config, image), end=self.sandboxes.end, clock=self.clock)
        return Release(config=config, reference=reference, image=image, pool=pool, used_at=self.clock())

    def _start(self, config: Params, image: Image) -> Sandbox:
        try:
            return self.sandboxes.start(config, image)
        except (EngineError, LocalcloudError) as error:
            raise ApiError("ServiceException", f"localcloud could not start the function: {error}", 500) from None

    def _image(self, reference: str, architecture: str) -> Image:
        """The image that a tag names now (rule 65), checked as Lambda checks it. Raises ApiError."""
        self.cloud.images.check_lambda(reference, architecture)
        image = self.cloud.images.find(reference)
        if image is None:
            raise invalid(
                f"Source image {reference} does not exist. Provide a valid source image: the local Docker engine has "
                "no image of that name; build it, or docker pull it."
            )
        return image

    def _activate(self, function: Function, release: Release, publish: bool = False) -> None:
        """End a release's Pending or InProgress: fetch the emulator, check the image's architecture."""
        reason = ""
        architecture = release.config["Architectures"][0]
        try:
            if release.image.architecture != ARCHITECTURES[architecture]:
                raise LocalcloudError(f"the image is for {release.image.architecture}, the function for {architecture}")
            self.sandboxes.emulator(release.image.architecture)
        except LocalcloudError as error:
            reason = str(error)
        except Exception as error:
            logging.getLogger(__name__).exception("cannot activate function %s", function.name)
            reason = f"localcloud has a bug: {type(error).__name__}: {error}"
        with function.lock:
            settle(release.config, reason)
            release.used_at = self.clock()
            if publish and not reason:
                self._publish(function, {})

    def delete(self, params: Params) -> Params:
        """DeleteFunction, of a function or of one version. Busy environments end with their invocation."""
        with self.lock, self.locked(params) as (function, qualifier):
            if qualifier and qualifier in function.aliases:
                raise invalid("Use DeleteAlias to delete an alias.")
            if qualifier and qualifier != "$LATEST":
                released = [_delete_version(function, qualifier)]
            else:
                del self.functions[function.name]
                released = function.releases()
        for release in released:
            release.pool.close()
        return {}

    # ------------------------------------------------------------------------------------------ change

    def _begin(self, function: Function, params: Mapping[str, Any]) -> None:
        """Refuse a change while another is in progress, or of an outdated revision (rule 66). Raises ApiError."""
        config = function.latest.config
        if config["State"] == "Pending":
            raise not_now(config)
        if config["LastUpdateStatus"] == "InProgress":
            raise conflict(
                "The operation cannot be performed at this time. An update is in progress for resource: "
                f"{config['FunctionArn']}"
            )
        if params.get("RevisionId") not in (None, config["RevisionId"]):
            raise ApiError("PreconditionFailedException", REVISION, 412)

    def update_code(self, params: Params) -> Params:
        """UpdateFunctionCode: a new image for $LATEST."""
        if "ImageUri" not in params:
            raise invalid("localcloud runs container images only: give ImageUri.")
        with self.locked(params) as (function, _):
            architectures = params.get("Architectures") or function.latest.config["Architectures"]
        image = self._image(params["ImageUri"], architectures[0])  # may pull the image, so without the lock
        changes = {"CodeSha256": image.id.removeprefix("sha256:"), "CodeSize": 0}
        if "Architectures" in params:
            changes["Architectures"] = params["Architectures"]
        with function.lock:
            if params.get("DryRun"):
                return function.latest.config | changes
            self._begin(function, params)
            return self._replace(function, changes, params["ImageUri"], image, publish=params.get("Publish", False))

    def update_configuration(self, params: Params) -> Params:
        """UpdateFunctionConfiguration."""
        function, _ = self.find(params)
        check_settings(params)
        if "Role" in params:
            require_lambda_role(self.cloud.roles, params["Role"], function.arn)
        changes = {key: params[key] for key in CONFIGURABLE if key in params} | nested(params)
        with function.lock:
            self._begin(function, params)
            latest = function.latest
            return self._replace(function, changes, latest.reference, latest.image, publish=False)

    def _replace(self, function: Function, changes: Params, reference: str, image: Image, *, publish: bool) -> Params:
        """Replace $LATEST by a changed one, which is InProgress at first. Ends the old one's environments."""
        config = {
            **function.latest.config, **changes,
            "RevisionId": str(uuid.uuid4()), "LastModified": stamp(self.cloud.now()), "LastUpdateStatus": "InProgress",
        }  # fmt: skip
        old, function.latest = function.latest, self._release(config, reference, image)
        old.pool.close()
        self.spawn(self._activate, function, function.latest, publish)
        return dict(config)

    def publish(self, params: Params) -> Params:
        """PublishVersion. Returns the last version when $LATEST has not changed since."""
        with self.locked(params) as (function, _):
            self._begin(function, params)
            code, given = function.latest.config["CodeSha256"], params.get("CodeSha256")
            if given not in (None, code):
                raise invalid(
                    f"CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({code}). Please try again "
                    "with the CodeSHA256 in $LATEST."
                )
            return self._publish(function, params)

    def _publish(self, function: Function, params: Params) -> Params:
        last = function.versions.get(str(function.published))
        if last is not None and same(last.config, function.latest.config):
            return dict(last.config)
        function.published += 1
        version = str(function.published)
        config = {
            **function.latest.config,
            "Version": version, "FunctionArn": f"{function.arn}:{version}", "RevisionId": str(uuid.uuid4()),
            "Description": params.get("Description", function.latest.config["Description"]),
            "State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating",
        }  # fmt: skip
        release = self._release(config, function.latest.reference, function.latest.image)
        function.versions[version] = release
        self.spawn(self._activate, function, release)
        return dict(config)

    # ------------------------------------------------------------------------------------------ read

    def get(self, params: Params) -> Params:
        """GetFunction."""
        with self.locked(params) as (function, qualifier):
            release, tags, reserved = function.at(qualifier), dict(function.tags), function.limit.reserved
            config = dict(release.config)
        code = {
            "RepositoryType": "ECR",
            "ImageUri": release.reference,
            "ResolvedImageUri": self.cloud.images.resolved(release.reference, release.image),
        }
        answer: Params = {"Configuration": config, "Code": code}
        if tags:
            answer["Tags"] = tags
        if reserved is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": reserved}
        return answer

    def get_configuration(self, params: Params) -> Params:
        with self.locked(params) as (function, qualifier):
            return dict(function.at(qualifier).config)

    def list(self, params: Params) -> Params:
        """ListFunctions. FunctionVersion=ALL lists the versions too."""
        rows: list[Params] = []
        for function in sorted(self.all(), key=lambda entry: entry.name):
            with function.lock:
                releases = function.releases() if params.get("FunctionVersion") == "ALL" else [function.latest]
                rows += [_listed(release.config) for release in releases]
        return page(rows, params, "Functions")

    def list_versions(self, params: Params) -> Params:
        with self.locked(params) as (function, _):
            return page([_listed(release.config) for release in function.releases()], params, "Versions")


def _delete_version(function: Function, version: str) -> Release:
    """Remove a version that no alias uses. Raises ApiError."""
    users = [alias["AliasArn"] for alias in function.aliases.values() if _uses(alias, version)]
    if users:
        raise conflict(
            f"Function was unable to be deleted due to being referenced in the following alias(es): {', '.join(users)}"
        )
    release = function.at(version)
    function.provisioned.pop(version, None)
    del function.versions[version]
    return release


def _uses(alias: Params, version: str) -> bool:
    """Whether an alias sends traffic to a version."""
    return version in {alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}


def _listed(config: Params) -> Params:
    """A configuration as the List operations return it: without its state."""
    return {key: value for key, value in config.items() if not key.startswith(("State", "LastUpdateStatus"))}


def page(rows: Iterable[Params], params: Mapping[str, Any], out: str) -> Params:
    """One page of a listing: MaxItems rows, 50 at most. The marker is an offset."""
    all_rows = list(rows)
    start, size = int(params.get("Marker") or 0), min(int(params.get("MaxItems") or 50), 50)
    answer: Params = {out: all_rows[start : start + size]}
    if start + size < len(all_rows):
        answer["NextMarker"] = str(start + size)
    return answer
