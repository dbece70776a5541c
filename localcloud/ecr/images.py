"""ECR's images: what lies in the registry is what the API tells (rule 73)."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.ecr.registry import Registry, immutable
from localcloud.ecr.repositories import Record, is_immutable, page
from localcloud.ecr.storage import LISTS, StoredImage, media_type
from localcloud.errors import ApiError

Params = dict[str, Any]


@dataclass(kw_only=True)
class EcrImages:
    """The operations on what lies in the repositories."""

    registry: Registry

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Return the operations served here, by their API names."""
        return {
            "DescribeImages": self.describe,
            "ListImages": self.identifiers,
            "BatchGetImage": self.batch_get,
            "PutImage": self.put,
            "BatchDeleteImage": self.batch_delete,
            "DescribeImageScanFindings": self.findings,
        }

    def describe(self, params: Params) -> Params:
        record = self._record(params["repositoryName"])
        wanted = params.get("imageIds")
        if wanted:
            found = [self._named(record, each) for each in wanted]
        else:
            found = [image for image in self._images(record) if _has_status(image, params)]
        return page([self._detail(record, image) for image in found], params, "imageDetails")

    def identifiers(self, params: Params) -> Params:
        """ListImages: one identifier for each tag, and one for each manifest without."""
        record = self._record(params["repositoryName"])
        found = [image for image in self._images(record) if _has_status(image, params)]
        rows = [_identifier(image.digest, tag) for image in found for tag in image.tags or (None,)]
        return page(rows, params, "imageIds")

    def batch_get(self, params: Params) -> Params:
        """BatchGetImage. As in ECR the manifest comes as it lies there, whatever types are accepted."""
        record = self._record(params["repositoryName"])
        images: list[Params] = []
        failures: list[Params] = []
        for wanted in params["imageIds"]:
            image = self._find(record, wanted)
            if image is None:
                failures.append(_failure(wanted))
            else:
                images.append(_image(record, image, wanted.get("imageTag")))
        return {"images": images, "failures": failures}

    def put(self, params: Params) -> Params:
        """PutImage: a manifest whose layers are here already, with or without a tag."""
        record, text = self._record(params["repositoryName"]), params["imageManifest"]
        digest, tag = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", params.get("imageTag")
        if params.get("imageDigest") not in (None, digest):
            raise ApiError("ImageDigestDoesNotMatchException", f"The digest of the manifest is {digest}")
        self._check_new(record, digest, tag)
        status, said = self._send("PUT", record.name, tag or digest, text.encode(), _type(params))
        if status >= 400:
            raise ApiError("LayersNotFoundException" if "BLOB" in said else "InvalidParameterException", said)
        image = self._find(record, {"imageDigest": digest})
        if image is None:
            raise ApiError("ServerException", f"the registry took {digest} and does not hold it", 500)
        return {"image": _image(record, image, tag)}

    def _check_new(self, record: Record, digest: str, tag: str | None) -> None:
        held = self._find(record, {"imageTag": tag} if tag else {"imageDigest": digest})
        if held is None:
            return
        if held.digest == digest:
            raise ApiError(
                "ImageAlreadyExistsException",
                f"Image with digest '{digest}' and tag '{tag}' already exists in the repository with name "
                f"'{record.name}' in registry with id '{record.registry_id}'",
            )
        if tag and is_immutable(record, tag):
            raise ApiError("ImageTagAlreadyExistsException", immutable(record.name, tag))

    def batch_delete(self, params: Params) -> Params:
        """BatchDeleteImage: a tag takes the tag away, and the image with its last one; a digest takes all of it."""
        record = self._record(params["repositoryName"])
        gone: list[Params] = []
        failures: list[Params] = []
        for wanted in params["imageIds"]:
            image = self._find(record, wanted)
            if image is None:
                failures.append(_failure(wanted))
            elif self._is_listed(record, image):
                reason = f"Requested image referenced by manifest list: {image.digest}"
                failures.append(_failure(wanted, "ImageReferencedByManifestList", reason))
            else:
                gone += self._delete(record, image, wanted.get("imageTag"))
        return {"imageIds": gone, "failures": failures}

    def _delete(self, record: Record, image: StoredImage, tag: str | None) -> list[Params]:
        if tag and image.tags != (tag,):
            self.registry.store.untag(record.name, tag)
            return [_identifier(image.digest, tag)]
        self._send("DELETE", record.name, image.digest)
        return [_identifier(image.digest, each) for each in image.tags or (None,)]

    def _is_listed(self, record: Record, image: StoredImage) -> bool:
        lists = (other.parsed.get("manifests", ()) for other in self._images(record) if other.media_type in LISTS)
        return any(entry["digest"] == image.digest for entries in lists for entry in entries)

    def findings(self, params: Params) -> Params:
        """DescribeImageScanFindings: complete and clean, unless results were given to moto's own API for them."""
        record = self._record(params["repositoryName"])
        image = self._named(record, params["imageId"])
        if not (record.image_scanning_configuration or {}).get("scanOnPush"):
            raise ApiError(
                "ScanNotFoundException",
                f"Image scan does not exist for the image with '{_shown(params['imageId'])}' in the repository with "
                f"name '{record.name}' in the registry with id '{record.registry_id}'",
            )
        clean: Params = {"findings": [], "findingSeverityCounts": {}}
        tag = params["imageId"].get("imageTag") or (image.tags or ("",))[0]
        found = self.registry.records.findings(record.name, {"imageDigest": image.digest, "imageTag": tag}) or clean
        return {
            "registryId": record.registry_id,
            "repositoryName": record.name,
            "imageId": _identifier(image.digest, params["imageId"].get("imageTag")),
            "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
            "imageScanFindings": {"imageScanCompletedAt": image.pushed, **found},
        }

    # ------------------------------------------------------------------------------------------ what lies there

    def _record(self, name: str) -> Record:
        return self.registry.records.find(name)

    def _images(self, record: Record) -> list[StoredImage]:
        return self.registry.store.images(record.name)

    def _find(self, record: Record, wanted: Mapping[str, str]) -> StoredImage | None:
        tag, digest = wanted.get("imageTag", ""), wanted.get("imageDigest", "")
        return self.registry.store.find(record.name, tag=tag, digest=digest) if tag or digest else None

    def _named(self, record: Record, wanted: Mapping[str, str]) -> StoredImage:
        found = self._find(record, wanted)
        if found is None:
            raise ApiError(
                "ImageNotFoundException",
                f"The image with imageId {_shown(wanted)} does not exist within the repository with name "
                f"'{record.name}' in the registry with id '{record.registry_id}'",
            )
        return found

    def _detail(self, record: Record, image: StoredImage) -> Params:
        return {
            "registryId": record.registry_id,
            "repositoryName": record.name,
            "imageDigest": image.digest,
            "imageTags": list(image.tags) or None,
            "imageSizeInBytes": image.size or None,
            "imagePushedAt": image.pushed,
            "imageManifestMediaType": image.media_type,
            "artifactMediaType": image.parsed.get("config", {}).get("mediaType"),
        }

    def _send(self, method: str, repository: str, name: str, body: bytes = b"", kind: str = "") -> tuple[int, str]:
        self.registry.address()
        connection = self.registry.process.connection()
        try:
            headers = {"Content-Type": kind} if kind else {}
            connection.request(method, f"/v2/{repository}/manifests/{name}", body=body or None, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()


def _type(params: Params) -> str:
    """The manifest's type, as it says itself or the request says. Raises ApiError."""
    try:
        manifest = json.loads(params["imageManifest"])
    except ValueError as error:
        raise ApiError("InvalidParameterException", f"Invalid parameter at 'ImageManifest': {error}") from None
    return str(params.get("imageManifestMediaType") or media_type(manifest))


def _image(record: Record, image: StoredImage, tag: str | None) -> Params:
    return {
        "registryId": record.registry_id,
        "repositoryName": record.name,
        "imageId": _identifier(image.digest, tag),
        "imageManifest": image.manifest,
        "imageManifestMediaType": image.media_type,
    }


def _identifier(digest: str, tag: str | None) -> Params:
    return {"imageDigest": digest, "imageTag": tag}


def _failure(wanted: Params, code: str = "ImageNotFound", reason: str = "Requested image not found") -> Params:
    if not wanted:
        code, reason = "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"
    return {"imageId": wanted, "failureCode": code, "failureReason": reason}


def _shown(wanted: Mapping[str, str]) -> str:
    return "{" + f"imageDigest:'{wanted.get('imageDigest', 'null')}', imageTag:'{wanted.get('imageTag', 'null')}'" + "}"


def _has_status(image: StoredImage, params: Mapping[str, Any]) -> bool:
    wanted = params.get("filter", {}).get("tagStatus", "ANY")
    return bool(wanted == "ANY" or (wanted == "TAGGED") == bool(image.tags))
