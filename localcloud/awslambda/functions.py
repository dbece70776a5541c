"""Lambda functions from container images: what is kept of them, and their states (rules 65-67)."""

import logging
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

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
    """One version of a function (or $LATEST): its configuration, its image, its environments."""

    config: Params
    reference: str
    image: Image
    pool: Pool[Sandbox]


@dataclass(kw_only=True, eq=False)
class Function:
    """A function with everything that hangs on its name."""

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
        return [self.latest, *self.versions.values()]

    def at(self, qualifier: str | None) -> Release:
        """Return the release that a qualifier names ($LATEST, a version, an alias's main one). Raises ApiError."""
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
    """The operations on functions and versions. `spawn` does work later, in a thread of its own."""

    cloud: Cloud
    sandboxes: Sandboxes
    spawn: Callable[..., None]
    clock: Callable[[], float] = time.monotonic
    functions: dict[str, Function] = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
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
        """Return the function and the qualifier that a request names, by name or ARN. Raises ApiError."""
        match = NAME.fullmatch(params["FunctionName"])
        name, suffix = (match.group(1), match.group(2)) if match else (params["FunctionName"], None)
        with self.lock:
            if name not in self.functions:
                raise missing(f"Function not found: {self.cloud.arn('lambda', f'function:{name}')}")
            return self.functions[name], params.get("Qualifier") or suffix

    # ------------------------------------------------------------------------------------------ create, delete

    def create(self, params: Params) -> Params:
        """Answer CreateFunction: Pending until the image is seen to run here."""
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
            function = Function(
                name=bare, arn=arn, latest=self._release(config, code["ImageUri"], image), tags=params.get("Tags", {})
            )
            self.functions[bare] = function
        answer = dict(config)
        self.spawn(self._activate, function, function.latest, params.get("Publish", False))
        return answer

    def _release(self, config: Params, reference: str, image: Image) -> Release:
        pool = Pool[Sandbox](start=lambda: self._start(config, image), end=self.sandboxes.end, clock=self.clock)
        return Release(config=config, reference=reference, image=image, pool=pool)

    def _start(self, config: Params, image: Image) -> Sandbox:
        try:
            return self.sandboxes.start(config, image)
        except (EngineError, LocalcloudError) as error:
            raise ApiError("ServiceException", f"localcloud could not start the function: {error}", 500) from None

    def _image(self, reference: str, architecture: str) -> Image:
        """Resolve a tag to what the local engine holds now (rule 65)."""
        self.cloud.images.check_lambda(reference, architecture)
        image = self.cloud.images.find(reference)
        if image is None:
            raise invalid(
                f"Source image {reference} does not exist. Provide a valid source image: the local Docker engine holds "
                "none of that name; build it, or docker pull it."
            )
        return image

    def _activate(self, function: Function, release: Release, publish: bool = False) -> None:
        """Bring a release from Pending or InProgress to its end: the emulator at hand, the architecture right."""
        reason = ""
        wanted = release.config["Architectures"][0]
        try:
            if release.image.architecture != ARCHITECTURES[wanted]:
                raise LocalcloudError(f"the image is for {release.image.architecture}, the function for {wanted}")
            self.sandboxes.emulator(release.image.architecture)
        except LocalcloudError as error:
            reason = str(error)
        except Exception as error:
            logging.getLogger(__name__).exception("function %s", function.name)
            reason = f"localcloud has a bug: {type(error).__name__}: {error}"
        with function.lock:
            settle(release.config, reason)
            if publish and not reason:
                self._publish(function, {})

    def delete(self, params: Params) -> Params:
        """Answer DeleteFunction, of a version too; running environments end with their invocation."""
        function, qualifier = self.find(params)
        if qualifier and qualifier in function.aliases:
            raise invalid("Deletion of an alias goes by DeleteAlias.")
        with self.lock, function.lock:
            if qualifier and qualifier != "$LATEST":
                users = [alias["AliasArn"] for alias in function.aliases.values() if _uses(alias, qualifier)]
                if users:
                    raise conflict(
                        "Function was unable to be deleted due to being referenced in the following alias(es): "
                        f"{', '.join(users)}"
                    )
                function.provisioned.pop(qualifier, None)
                function.at(qualifier).pool.close()
                del function.versions[qualifier]
                return {}
            self.functions.pop(function.name, None)
        for release in function.releases():
            release.pool.close()
        return {}

    # ------------------------------------------------------------------------------------------ change

    def _begin(self, function: Function, params: Mapping[str, Any]) -> None:
        """Refuse a change while another is under way, or of a revision that is no longer (rule 66)."""
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
        """Answer UpdateFunctionCode: a new image behind $LATEST."""
        function, _ = self.find(params)
        if "ImageUri" not in params:
            raise invalid("localcloud runs container images only: give ImageUri.")
        latest = self.find(params)[0].latest
        image = self._image(params["ImageUri"], (params.get("Architectures") or latest.config["Architectures"])[0])
        changes = {"CodeSha256": image.id.removeprefix("sha256:"), "CodeSize": 0}
        if "Architectures" in params:
            changes["Architectures"] = params["Architectures"]
        if params.get("DryRun"):
            return function.latest.config | changes
        with function.lock:
            self._begin(function, params)
            return self._replace(function, changes, params["ImageUri"], image, publish=params.get("Publish", False))

    def update_configuration(self, params: Params) -> Params:
        """Answer UpdateFunctionConfiguration."""
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
        """Put a changed $LATEST in place, InProgress for a moment; its old environments end."""
        config = {
            **function.latest.config, **changes,
            "RevisionId": str(uuid.uuid4()), "LastModified": stamp(self.cloud.now()), "LastUpdateStatus": "InProgress",
        }  # fmt: skip
        old, function.latest = function.latest, self._release(config, reference, image)
        old.pool.close()
        self.spawn(self._activate, function, function.latest, publish)
        return dict(config)

    def publish(self, params: Params) -> Params:
        """Answer PublishVersion; nothing changed since the last one gives the last one."""
        function, _ = self.find(params)
        with function.lock:
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

    # ------------------------------------------------------------------------------------------ look

    def get(self, params: Params) -> Params:
        """Answer GetFunction."""
        function, qualifier = self.find(params)
        release = function.at(qualifier)
        answer: Params = {
            "Configuration": dict(release.config),
            "Code": {
                "RepositoryType": "ECR",
                "ImageUri": release.reference,
                "ResolvedImageUri": self.cloud.images.resolved(release.reference, release.image),
            },
        }
        if function.tags:
            answer["Tags"] = dict(function.tags)
        if function.limit.reserved is not None:
            answer["Concurrency"] = {"ReservedConcurrentExecutions": function.limit.reserved}
        return answer

    def get_configuration(self, params: Params) -> Params:
        function, qualifier = self.find(params)
        return dict(function.at(qualifier).config)

    def list(self, params: Params) -> Params:
        """Answer ListFunctions; FunctionVersion=ALL lists versions too."""
        rows: list[Params] = []
        for function in sorted(self.functions.values(), key=lambda entry: entry.name):
            releases = function.releases() if params.get("FunctionVersion") == "ALL" else [function.latest]
            rows += [_listed(release.config) for release in releases]
        return page(rows, params, "Functions")

    def list_versions(self, params: Params) -> Params:
        function, _ = self.find(params)
        return page([_listed(release.config) for release in function.releases()], params, "Versions")


def _uses(alias: Params, version: str) -> bool:
    """Tell whether an alias sends traffic to a version."""
    return version in {alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}


def _listed(config: Params) -> Params:
    """Return a configuration as lists give it: without its state."""
    return {k: v for k, v in config.items() if not k.startswith(("State", "LastUpdateStatus"))}


def page(rows: Iterable[Params], params: Mapping[str, Any], out: str) -> Params:
    """Cut a listing at MaxItems (50 at most); the marker is a plain offset."""
    found = list(rows)
    start, size = int(params.get("Marker") or 0), min(int(params.get("MaxItems") or 50), 50)
    answer: Params = {out: found[start : start + size]}
    if start + size < len(found):
        answer["NextMarker"] = str(start + size)
    return answer
