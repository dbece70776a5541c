"""ECR's operations on images. They read what the registry stores (rule 73)."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from localcloud.ecr.registry import Registry, immutable
from localcloud.ecr.repositories import Record, is_immutable, page
from localcloud.ecr.storage import LISTS, OCI_INDEX, OCI_MANIFEST, StoredImage, media_type
from localcloud.errors import ApiError

Params = dict[str, Any]


@dataclass(kw_only=True)
class EcrImages:
    """The operations on images."""

    registry: Registry

    def handlers(self) -> dict[str, Callable[[Params], Params]]:
        """Operation → handler."""
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
        image_ids = params.get("imageIds")
        if image_ids:
            images = [self._named(record, image_id) for image_id in image_ids]
        else:
            images = [image for image in self._images(record) if _has_status(image, params)]
        return page([self._detail(record, image) for image in images], params, "imageDetails")

    def identifiers(self, params: Params) -> Params:
        """ListImages: an identifier for each tag, and one for each manifest without a tag."""
        record = self._record(params["repositoryName"])
        images = [image for image in self._images(record) if _has_status(image, params)]
        rows = [_identifier(image.digest, tag) for image in images for tag in image.tags or (None,)]
        return page(rows, params, "imageIds")

    def batch_get(self, params: Params) -> Params:
        """BatchGetImage. Like ECR, returns the stored manifest and ignores acceptedMediaTypes."""
        record = self._record(params["repositoryName"])
        images: list[Params] = []
        failures: list[Params] = []
        for image_id in params["imageIds"]:
            image = self._find(record, image_id)
            if image is None:
                failures.append(_failure(image_id))
            else:
                images.append(_image(record, image, image_id.get("imageTag")))
        return {"images": images, "failures": failures}

    def put(self, params: Params) -> Params:
        """PutImage: stores a manifest whose layers the registry has already, with or without a tag."""
        record, text = self._record(params["repositoryName"]), params["imageManifest"]
        digest, tag = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}", params.get("imageTag")
        if params.get("imageDigest") not in (None, digest):
            raise ApiError("ImageDigestDoesNotMatchException", f"The digest of the manifest is {digest}")
        self._check_new(record, digest, tag)
        status, answer = self._send("PUT", record.name, tag or digest, text.encode(), _type(params))
        if status >= 400:
            raise _refusal(record, answer)
        image = self._find(record, {"imageDigest": digest})
        if image is None:
            raise ApiError("ServerException", f"the registry accepted {digest} and did not store it", 500)
        return {"image": _image(record, image, tag)}

    def _check_new(self, record: Record, digest: str, tag: str | None) -> None:
        stored = self._find(record, {"imageTag": tag} if tag else {"imageDigest": digest})
        if stored is None:
            return
        if stored.digest == digest:
            raise ApiError(
                "ImageAlreadyExistsException",
                f"Image with digest '{digest}' and tag '{tag}' already exists in the repository with name "
                f"'{record.name}' in registry with id '{record.registry_id}'",
            )
        if tag and is_immutable(record, tag):
            raise ApiError("ImageTagAlreadyExistsException", immutable(record.name, tag))

    def batch_delete(self, params: Params) -> Params:
        """BatchDeleteImage. A tag deletes the tag, and the image with its last tag; a digest deletes the image."""
        record = self._record(params["repositoryName"])
        deleted: list[Params] = []
        failures: list[Params] = []
        for image_id in params["imageIds"]:
            image = self._find(record, image_id)
            if image is None:
                failures.append(_failure(image_id))
            elif self._is_in_index(record, image):
                reason = f"Requested image referenced by manifest list: {image.digest}"
                failures.append(_failure(image_id, "ImageReferencedByManifestList", reason))
            else:
                deleted += self._delete(record, image, image_id.get("imageTag"))
        return {"imageIds": deleted, "failures": failures}

    def _delete(self, record: Record, image: StoredImage, tag: str | None) -> list[Params]:
        if tag and image.tags != (tag,):
            self.registry.store.untag(record.name, tag)
            return [_identifier(image.digest, tag)]
        self._send("DELETE", record.name, image.digest)
        return [_identifier(image.digest, each) for each in image.tags or (None,)]

    def _is_in_index(self, record: Record, image: StoredImage) -> bool:
        lists = (other.parsed.get("manifests", ()) for other in self._images(record) if other.media_type in LISTS)
        return any(entry["digest"] == image.digest for entries in lists for entry in entries)

    def findings(self, params: Params) -> Params:
        """DescribeImageScanFindings: complete and clean, unless moto's own API was given results for the image."""
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
        findings = self.registry.records.findings(record.name, {"imageDigest": image.digest, "imageTag": tag}) or clean
        return {
            "registryId": record.registry_id,
            "repositoryName": record.name,
            "imageId": _identifier(image.digest, params["imageId"].get("imageTag")),
            "imageScanStatus": {"status": "COMPLETE", "description": "The scan was completed successfully."},
            "imageScanFindings": {"imageScanCompletedAt": image.pushed, **findings},
        }

    # ------------------------------------------------------------------------------------------ registry

    def _record(self, name: str) -> Record:
        return self.registry.records.find(name)

    def _images(self, record: Record) -> list[StoredImage]:
        return self.registry.store.images(record.name)

    def _find(self, record: Record, image_id: Mapping[str, str]) -> StoredImage | None:
        tag, digest = image_id.get("imageTag", ""), image_id.get("imageDigest", "")
        return self.registry.store.find(record.name, tag=tag, digest=digest) if tag or digest else None

    def _named(self, record: Record, image_id: Mapping[str, str]) -> StoredImage:
        """Like `_find`. Raises ApiError ImageNotFoundException."""
        image = self._find(record, image_id)
        if image is None:
            raise ApiError(
                "ImageNotFoundException",
                f"The image with imageId {_shown(image_id)} does not exist within the repository with name "
                f"'{record.name}' in the registry with id '{record.registry_id}'",
            )
        return image

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

    def _send(
        self, method: str, repository: str, name: str, body: bytes = b"", media_type: str = ""
    ) -> tuple[int, str]:
        """Send a request for a manifest to the registry; return the status and the body."""
        self.registry.address()
        connection = self.registry.process.connection()
        try:
            headers = {"Content-Type": media_type} if media_type else {}
            connection.request(method, f"/v2/{repository}/manifests/{name}", body=body or None, headers=headers)
            response = connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        finally:
            connection.close()


def _type(params: Params) -> str:
    """The media type by which the registry takes a manifest. Raises ApiError unless it is a JSON object."""
    try:
        manifest = json.loads(params["imageManifest"])
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict):
        raise _invalid_manifest("Invalid JSON syntax")
    if "mediaType" not in manifest:  # the registry takes such a manifest as an OCI one only, whatever its parts are
        return OCI_INDEX if "manifests" in manifest else OCI_MANIFEST
    return str(params.get("imageManifestMediaType") or media_type(manifest))


def _invalid_manifest(reason: str) -> ApiError:
    message = f"Invalid parameter at 'ImageManifest' failed to satisfy constraint: '{reason}'"
    return ApiError("InvalidParameterException", message)


def _refusal(record: Record, answer: str) -> ApiError:
    """The registry's refusal of a manifest, in ECR's words (rule 106)."""
    try:
        errors: list[Params] = json.loads(answer)["errors"]
    except (ValueError, KeyError, TypeError):
        errors = []
    missing = [str(each.get("detail")) for each in errors if each.get("code") == "MANIFEST_BLOB_UNKNOWN"]
    if not missing:
        return _invalid_manifest("; ".join(_reason(each) for each in errors) or "Invalid manifest")
    return ApiError(
        "LayersNotFoundException",
        f"Layers with digests '[{', '.join(missing)}]' required for pushing image into repository with name "
        f"'{record.name}' in the registry with id '{record.registry_id}' do not exist",
    )


def _reason(error: Params) -> str:
    detail = error.get("detail")
    return f"{error.get('message', '')}: {detail}" if isinstance(detail, str) else str(error.get("message", ""))


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


def _failure(image_id: Params, code: str = "ImageNotFound", reason: str = "Requested image not found") -> Params:
    if not image_id:
        code, reason = "MissingDigestAndTag", "Invalid request parameters: both tag and digest cannot be null"
    return {"imageId": image_id, "failureCode": code, "failureReason": reason}


def _shown(image_id: Mapping[str, str]) -> str:
    digest, tag = image_id.get("imageDigest", "null"), image_id.get("imageTag", "null")
    return f"{{imageDigest:'{digest}', imageTag:'{tag}'}}"


def _has_status(image: StoredImage, params: Mapping[str, Any]) -> bool:
    status = params.get("filter", {}).get("tagStatus", "ANY")
    return bool(status == "ANY" or (status == "TAGGED") == bool(image.tags))
