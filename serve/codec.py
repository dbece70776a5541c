"""Bytes to pictures and logits to bytes. Pure: no HTTP, no files, no network.

Every way in which a request can be wrong is a BadRequestError with its own code, and nothing else is raised for it.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, FormParser, parse_options_header

from contract.preprocess import FloatArray, PictureError, Preprocessing, open_picture, to_array
from serve.answers import CSV, JSON, Wanted

PICTURE_TYPES = (
    "image/jpeg",
    "image/jpg",
    "image/png",
    "image/webp",
    "image/gif",
    "image/bmp",
    "image/tiff",
    "application/x-image",
    "application/octet-stream",
)
JSON_TYPES = ("application/json",)
FORM_TYPE = "multipart/form-data"
MAX_PARTS = 1000
_PICTURE_STATUS = {"empty": 400, "not-a-picture": 422, "truncated": 422, "too-many-pixels": 422}
_JSON_SHAPES = '{"image": BASE64}, {"images": [BASE64, …]} or {"instances": [{"b64": BASE64}, …]}'


class BadRequestError(ValueError):
    """A request that the caller must mend: `status` is 4xx, `code` names the kind, the text says what and the fix."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def media_type_of(content_type: str) -> str:
    """A Content-Type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def pictures(content_type: str, body: bytes, *, max_pictures: int) -> list[bytes]:
    """The encoded pictures in a body: one of PICTURE_TYPES, JSON_TYPES or a form's files. Raises BadRequestError."""
    media_type = media_type_of(content_type)
    if media_type == FORM_TYPE:
        return _checked_count(_from_form(content_type, body), max_pictures)
    if media_type and media_type not in PICTURE_TYPES + JSON_TYPES:
        known = ", ".join((*PICTURE_TYPES, *JSON_TYPES, FORM_TYPE))
        raise BadRequestError(
            415, "unsupported-type", f"Content-Type {media_type[:100]!r} is not read here; known: {known}"
        )
    if not body:
        raise BadRequestError(400, "empty", "the request has no body: send a picture")
    return _checked_count(_from_json(body) if media_type in JSON_TYPES else [body], max_pictures)


def decode(picture: bytes, preprocessing: Preprocessing, *, max_pixels: int, position: str = "") -> FloatArray:
    """One encoded picture as the network's input, float32 (3, crop, crop). Raises BadRequestError."""
    try:
        if not picture:
            raise PictureError("empty", "no bytes")
        image = open_picture(picture, shorter_side=preprocessing.resize, max_pixels=max_pixels)
        return to_array(image, preprocessing)
    except PictureError as error:
        raise BadRequestError(_PICTURE_STATUS.get(error.kind, 422), error.kind, f"{position}{error}") from error
    except (MemoryError, OSError, ValueError) as error:  # a shape that cannot be resized, such as 1×60000
        raise BadRequestError(422, "not-a-picture", f"{position}cannot be resized: {error}") from error


def encode(logits: FloatArray, labels: Sequence[str], wanted: Wanted, model: dict[str, Any]) -> bytes:
    """The answer's body for logits of shape (pictures, labels)."""
    numbers = logits if wanted.form == "logits" else softmax(logits)
    if wanted.media_type == JSON:
        if wanted.form not in ("labels", "full"):
            return json.dumps(numbers.tolist()).encode()
        value = {"model": model, "predictions": _predictions(numbers, labels, wanted.top_k)}
        if wanted.form == "full":
            value["logits"] = logits.tolist()
        return json.dumps(value, ensure_ascii=False).encode()
    if wanted.media_type == CSV:
        return _csv(numbers, labels, wanted)
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(numbers, dtype=np.float32), allow_pickle=False)
    return stream.getvalue()


def softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Probabilities over the last axis, in double precision so that they add up to 1."""
    # The ufuncs' own reductions: the methods' way there costs as much as the arithmetic on a row of labels.
    powers = np.exp(logits.astype(np.float64) - np.maximum.reduce(logits, axis=-1, keepdims=True))
    return np.asarray(powers / np.add.reduce(powers, axis=-1, keepdims=True), dtype=np.float64)


def error_body(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode()


def _checked_count(found: list[bytes], max_pictures: int) -> list[bytes]:
    if not found:
        raise BadRequestError(400, "empty", "the request holds no picture")
    if len(found) > max_pictures:
        raise BadRequestError(413, "too-many-pictures", f"{len(found)} pictures; at most {max_pictures} a request")
    return found


def _predictions(probabilities: Any, labels: Sequence[str], top_k: int) -> list[dict[str, Any]]:
    answers = []
    for row in probabilities:
        top = [{"label": labels[i], "probability": round(row.item(i), 6)} for i in _best(row, top_k)]
        answers.append({**top[0], "top": top})
    return answers


def _best(row: Any, top_k: int) -> list[int]:
    return list((-row).argsort(kind="stable")[:top_k].tolist())


def _csv(numbers: Any, labels: Sequence[str], wanted: Wanted) -> bytes:
    """One row a picture without a header, as transform jobs join them: label,probability,label,probability,…"""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in numbers:
        if wanted.form == "labels":
            writer.writerow([cell for i in _best(row, wanted.top_k) for cell in (labels[i], f"{row[i]:.6f}")])
        else:
            writer.writerow([repr(float(number)) for number in row])
    return stream.getvalue().encode()


def _from_form(content_type: str, body: bytes) -> list[bytes]:
    """The files of a multipart form, in memory: the root file system may be read-only."""
    _, options = parse_options_header(content_type)
    files, parts, ended = list[bytes](), 0, False

    def part(found: Field | File) -> None:
        nonlocal parts
        parts += 1
        if parts > MAX_PARTS:
            raise FormParserError(f"it has more than {MAX_PARTS} parts")
        if isinstance(found, File):
            found.file_object.seek(0)
            files.append(found.file_object.read())

    def end() -> None:
        nonlocal ended
        ended = True

    try:
        memory = {"MAX_MEMORY_FILE_SIZE": None}
        form = FormParser(FORM_TYPE, part, part, end, boundary=options.get(b"boundary"), config=memory)
        form.write(body)
        form.finalize()
        if not ended:
            raise FormParserError("it ends before its last boundary")
    except FormParserError as error:
        raise BadRequestError(400, "bad-form", f"the form cannot be read: {str(error)[:200]}") from error
    return files


def _from_json(body: bytes) -> list[bytes]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(400, "bad-json", f"the body is not JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise BadRequestError(400, "bad-json", f"the body must be {_JSON_SHAPES}")
    names = [name for name in ("image", "images", "instances") if name in value]
    if len(names) != 1:
        raise BadRequestError(400, "bad-json", f"one of image, images, instances is needed: {_JSON_SHAPES}")
    entries = [value["image"]] if names == ["image"] else value[names[0]]
    if not isinstance(entries, list):
        raise BadRequestError(400, "bad-json", f"{names[0]} must be a list: {_JSON_SHAPES}")
    return [_from_base64(entry, f"{names[0]}[{index}]") for index, entry in enumerate(entries)]


def _from_base64(entry: Any, where: str) -> bytes:
    if isinstance(entry, dict):
        entry = entry.get("b64", entry.get("image"))
    if not isinstance(entry, str):
        raise BadRequestError(400, "bad-json", f"{where}: must be a base64 text: {_JSON_SHAPES}")
    text = entry.partition(",")[2] if entry.startswith("data:") else entry
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError(400, "bad-base64", f"{where}: not base64: {error}") from error
