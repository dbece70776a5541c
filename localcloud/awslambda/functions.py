"""Lambda functions from container images: their records, versions and states (rules 65-67)."""

import builtins
import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from localcloud.awslambda import idleness
from localcloud.awslambda.configuration import (
    Params,
    changed,
    check_name,
    check_settings,
    check_tags,
    content,
    initial_config,
    settle,
    updated_config,
    version_config,
)
from localcloud.awslambda.emulator import ARCHITECTURES, Sandbox, Sandboxes
from localcloud.awslambda.environments import Pool
from localcloud.awslambda.listing import listed, page
from localcloud.awslambda.names import Named, check_reach, named
from localcloud.awslambda.records import Function, Release
from localcloud.awslambda.refusals import ALIAS, conflict, invalid, no_function, not_now, outdated, updating
from localcloud.cloud import Cloud
from localcloud.containers.engine import EngineError, Image
from localcloud.errors import ApiError, LocalcloudError
from localcloud.iam import require_lambda_role

Handlers = dict[str, Callable[[Params], Params]]


def _absent(wanted: Named) -> ApiError:
    return no_function(wanted.qualified)


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

    def handlers(self) -> Handlers:
        """Operation → handler."""
        return self.reachable({
            "CreateFunction": self.create,
            "GetFunction": self.get,
            "GetFunctionConfiguration": self.get_configuration,
            "UpdateFunctionCode": self.update_code,
            "UpdateFunctionConfiguration": self.update_configuration,
            "PublishVersion": self.publish,
            "ListVersionsByFunction": self.list_versions,
            "ListFunctions": self.list,
            "DeleteFunction": self.delete,
        })  # fmt: skip

    def reachable(self, handlers: Handlers) -> Handlers:
        """The handlers, which now refuse the ARN of another Region or account before they look at anything else."""
        return {operation: partial(self._answer, operation, handler) for operation, handler in handlers.items()}

    def _answer(self, operation: str, handler: Callable[[Params], Params], params: Params) -> Params:
        check_reach(operation, str(params.get("FunctionName", params.get("Resource", ""))), self.cloud)
        return handler(params)

    def find(
        self, params: Mapping[str, Any], absent: Callable[[Named], ApiError] = _absent
    ) -> tuple[Function, str | None]:
        """The function and the qualifier that a request names. Raises ApiError: `absent`'s, where there is none."""
        wanted = named(params, self.cloud)
        with self.lock:
            if wanted.name not in self.functions:
                raise absent(wanted)
            return self.functions[wanted.name], wanted.qualifier

    @contextmanager
    def locked(
        self, params: Mapping[str, Any], absent: Callable[[Named], ApiError] = _absent
    ) -> Iterator[tuple[Function, str | None]]:
        """Like `find`, with the function's lock held until the block ends."""
        function, qualifier = self.find(params, absent)
        with function.lock:
            if function.deleted:
                raise absent(named(params, self.cloud))
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
        check_tags(params.get("Tags", {}))
        wanted = named(params, self.cloud)
        check_name(wanted.name)
        image = self._image(code["ImageUri"], (params.get("Architectures") or ["x86_64"])[0])
        require_lambda_role(self.cloud.roles, params["Role"], wanted.arn)
        config = initial_config(params, name=wanted.name, arn=wanted.arn, image=image, now=self.cloud.now())
        release = self._release(config, code["ImageUri"], image)
        tags = dict(params.get("Tags", {}))
        function = Function(name=wanted.name, arn=wanted.arn, latest=release, tags=tags)
        with self.lock:
            if wanted.name in self.functions:
                raise conflict(f"Function already exist: {wanted.name}")
            answer = dict(config)
            if params.get("Publish"):
                answer["Version"] = self._publish(function).config["Version"]
            self.functions[wanted.name] = function
        self.spawn(self._activate, function, *function.releases())
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

    def _activate(self, function: Function, release: Release, *versions: Release) -> None:
        """End a release's Pending or InProgress, and that of the versions published with it.

        Fetches the emulator and checks the image's architecture.
        """
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
            for each in (release, *versions):
                settle(each.config, reason)
                each.used_at = self.clock()

    def delete(self, params: Params) -> Params:
        """DeleteFunction, of a function or of one version. Busy environments end with their invocation.

        A version that is not there counts as deleted.
        """
        qualifier = named(params, self.cloud).qualifier or ""
        if qualifier == "$LATEST":
            raise invalid("$LATEST version cannot be deleted without deleting the function.")
        if ALIAS.fullmatch(qualifier):
            raise invalid("Deletion of aliases is not currently supported.")
        with self.lock, self.locked(params, lambda wanted: no_function(wanted.arn)) as (function, _):
            released = _delete_version(function, qualifier) if qualifier else self._delete(function)
        for release in released:
            release.pool.close()
        return {"StatusCode": 204}

    def _delete(self, function: Function) -> "builtins.list[Release]":
        """Forget a function. The caller holds both locks."""
        del self.functions[function.name]
        function.deleted = True
        function.provisioned.clear()
        return function.releases()

    # ------------------------------------------------------------------------------------------ change

    def _begin(self, function: Function, params: Mapping[str, Any]) -> None:
        """Refuse a change while another is in progress, or of an outdated revision (rule 66). Raises ApiError."""
        config = function.latest.config
        if config["State"] == "Pending":
            raise not_now(config)
        if config.get("LastUpdateStatus") == "InProgress":
            raise updating(config)
        if params.get("RevisionId") not in (None, config["RevisionId"]):
            raise outdated()

    def update_code(self, params: Params) -> Params:
        """UpdateFunctionCode: a new image for $LATEST."""
        if "ImageUri" not in params:
            raise invalid("Please provide ImageUri when updating a function with packageType Image.")
        with self.locked(params) as (function, _):
            architectures = params.get("Architectures") or function.latest.config["Architectures"]
        image = self._image(params["ImageUri"], architectures[0])  # may pull the image, so without the lock
        with self.locked(params) as (function, _):
            config = function.latest.config | {"CodeSha256": image.id.removeprefix("sha256:"), "CodeSize": 0}
            config["Architectures"] = params.get("Architectures") or config["Architectures"]
            if params.get("DryRun"):
                return config
            self._begin(function, params)
            return self._replace(function, config, params["ImageUri"], image, publish=params.get("Publish", False))

    def update_configuration(self, params: Params) -> Params:
        """UpdateFunctionConfiguration."""
        function, _ = self.find(params)
        check_settings(params)
        if "Role" in params:
            require_lambda_role(self.cloud.roles, params["Role"], function.arn)
        with self.locked(params) as (function, _):
            self._begin(function, params)
            latest = function.latest
            config = changed(latest.config, params)
            return self._replace(function, config, latest.reference, latest.image, publish=False)

    def _replace(self, function: Function, config: Params, reference: str, image: Image, *, publish: bool) -> Params:
        """Replace $LATEST by a changed one, which is InProgress at first. Ends the old one's environments.

        Returns the new version's configuration when one is published.
        """
        latest = self._release(updated_config(config, now=self.cloud.now()), reference, image)
        old, function.latest = function.latest, latest
        old.pool.close()
        versions = [self._publish(function)] if publish else []
        self.spawn(self._activate, function, latest, *versions)
        return dict((versions or [latest])[0].config)

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
            return dict(self._publish(function, params.get("Description")).config)

    def _publish(self, function: Function, description: str | None = None) -> Release:
        """A new version of $LATEST, or the last one where nothing has changed. A new one changes $LATEST's revision."""
        last, latest = function.versions.get(str(function.published)), function.latest
        if last is not None and function.published_content == content(latest.config):
            return last
        version = str(function.published + 1)
        config = version_config(latest.config, version=version, description=description)
        if config.get("StateReasonCode") == idleness.IDLE["StateReasonCode"]:
            config = idleness.awake(config)
        release = self._release(config, latest.reference, latest.image)
        function.versions[version] = release
        function.published, function.published_content = function.published + 1, content(latest.config)
        latest.config["RevisionId"] = str(uuid.uuid4())
        return release

    # ------------------------------------------------------------------------------------------ read

    def get(self, params: Params) -> Params:
        """GetFunction."""
        with self.locked(params) as (function, qualifier):
            release, tags, reserved = function.at(qualifier), dict(function.tags), function.limit.reserved
            config = function.described(qualifier)
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
            return function.described(qualifier)

    def list(self, params: Params) -> Params:
        """ListFunctions. FunctionVersion=ALL lists the versions too."""
        rows: list[Params] = []
        for function in sorted(self.all(), key=lambda entry: entry.name):
            all_versions = params.get("FunctionVersion") == "ALL"
            rows += _versions(function) if all_versions else [listed(function.described(None))]
        return page(rows, params, "Functions")

    def list_versions(self, params: Params) -> Params:
        with self.locked(params) as (function, _):
            return page(_versions(function), params, "Versions")


def _versions(function: Function) -> list[Params]:
    """$LATEST and all versions, as the List operations return them: $LATEST under its qualified ARN."""
    with function.lock:
        return [listed(function.described(qualifier)) for qualifier in ("$LATEST", *function.versions)]


def _delete_version(function: Function, version: str) -> list[Release]:
    """Remove a version that no alias uses, if it is there. Raises ApiError."""
    users = [alias["AliasArn"] for alias in function.aliases.values() if _uses(alias, version)]
    if users:
        raise conflict(
            f"Function was unable to be deleted due to being referenced in the following alias(es): {', '.join(users)}"
        )
    if version not in function.versions:
        return []
    for of_version in (function.provisioned, function.policies):
        of_version.pop(version, None)
    return [function.versions.pop(version)]


def _uses(alias: Params, version: str) -> bool:
    """Whether an alias sends traffic to a version."""
    return version in {alias["FunctionVersion"], *alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})}
