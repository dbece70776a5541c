"""Decodes request bodies to pictures and encodes logits to answers. Pure: no HTTP, no files, no network.

Every malformed request raises BadRequestError, with a code that names the fault (serve/errors.py).
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
from serve.errors import BadRequestError
from serve.negotiation import CSV, JSON, AnswerFormat

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
_JSON_SHAPES = '{"image": BASE64}, {"images": [BASE64, …]} or {"instances": [{"b64": BASE64}, …]}'


def media_type_of(content_type: str) -> str:
    """The media type of a Content-Type header, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def pictures(content_type: str, body: bytes, *, max_pictures: int) -> list[bytes]:
    """The encoded pictures in a body of PICTURE_TYPES, JSON_TYPES or FORM_TYPE. Raises BadRequestError."""
    media_type = media_type_of(content_type)
    if media_type == FORM_TYPE:
        return _checked_count(_from_form(content_type, body), max_pictures)
    if media_type and media_type not in PICTURE_TYPES + JSON_TYPES:
        known = ", ".join((*PICTURE_TYPES, *JSON_TYPES, FORM_TYPE))
        raise BadRequestError("unsupported-type", f"cannot read Content-Type {media_type[:100]!r}; send one of {known}")
    if not body:
        raise BadRequestError("empty", "the request has no body: send a picture")
    return _checked_count(_from_json(body) if media_type in JSON_TYPES else [body], max_pictures)


def decode(picture: bytes, preprocessing: Preprocessing, *, max_pixels: int, position: str = "") -> FloatArray:
    """One encoded picture as the network's input, float32 (3, crop, crop). Raises BadRequestError."""
    try:
        if not picture:
            raise PictureError("empty", "no bytes")
        image = open_picture(picture, shorter_side=preprocessing.resize, max_pixels=max_pixels)
        return to_array(image, preprocessing)
    except PictureError as error:
        raise BadRequestError(error.kind, f"{position}{error}") from error
    except (MemoryError, OSError, ValueError) as error:  # a shape that cannot be resized, such as 1×60000
        raise BadRequestError("not-a-picture", f"{position}the picture cannot be resized: {error}") from error


def encode(logits: FloatArray, labels: Sequence[str], answer_format: AnswerFormat, model: dict[str, Any]) -> bytes:
    """The answer's body for logits of shape (pictures, labels)."""
    numbers = logits if answer_format.form == "logits" else softmax(logits)
    if answer_format.media_type == JSON:
        if answer_format.form not in ("labels", "full"):
            return json.dumps(numbers.tolist()).encode()
        value = {"model": model, "predictions": _predictions(numbers, labels, answer_format.top_k)}
        if answer_format.form == "full":
            value["logits"] = logits.tolist()
        return json.dumps(value, ensure_ascii=False).encode()
    if answer_format.media_type == CSV:
        return _csv(numbers, labels, answer_format)
    stream = io.BytesIO()
    np.save(stream, np.ascontiguousarray(numbers, dtype=np.float32), allow_pickle=False)
    return stream.getvalue()


def softmax(logits: FloatArray) -> npt.NDArray[np.float64]:
    """Probabilities over the last axis, in double precision so that they add up to 1."""
    # The ufuncs' own reductions: the array methods' overhead is as large as the arithmetic on one row of labels.
    powers = np.exp(logits.astype(np.float64) - np.maximum.reduce(logits, axis=-1, keepdims=True))
    return np.asarray(powers / np.add.reduce(powers, axis=-1, keepdims=True), dtype=np.float64)


def error_body(code: str, message: str) -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}, ensure_ascii=False).encode()


def _checked_count(pictures: list[bytes], max_pictures: int) -> list[bytes]:
    if not pictures:
        raise BadRequestError("empty", "the request holds no picture: send at least one")
    if len(pictures) > max_pictures:
        text = f"the request holds {len(pictures)} pictures: send at most {max_pictures} in one request"
        raise BadRequestError("too-many-pictures", text)
    return pictures


def _predictions(probabilities: Any, labels: Sequence[str], top_k: int) -> list[dict[str, Any]]:
    answers = []
    for row in probabilities:
        top = [{"label": labels[i], "probability": round(row.item(i), 6)} for i in _best(row, top_k)]
        answers.append({**top[0], "top": top})
    return answers


def _best(row: Any, top_k: int) -> list[int]:
    return list((-row).argsort(kind="stable")[:top_k].tolist())


def _csv(numbers: Any, labels: Sequence[str], answer_format: AnswerFormat) -> bytes:
    """One row per picture: label,probability,label,probability,… There is no header, because transform jobs concatenate
    the answers."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    for row in numbers:
        if answer_format.form == "labels":
            writer.writerow([cell for i in _best(row, answer_format.top_k) for cell in (labels[i], f"{row[i]:.6f}")])
        else:
            writer.writerow([repr(float(number)) for number in row])
    return stream.getvalue().encode()


def _from_form(content_type: str, body: bytes) -> list[bytes]:
    """The files of a multipart form, kept in memory because the root file system may be read-only."""
    _, options = parse_options_header(content_type)
    files, parts, ended = list[bytes](), 0, False

    def add(part: Field | File) -> None:
        nonlocal parts
        parts += 1
        if parts > MAX_PARTS:
            raise FormParserError(f"it has more than {MAX_PARTS} parts")
        if isinstance(part, File):
            part.file_object.seek(0)
            files.append(part.file_object.read())

    def end() -> None:
        nonlocal ended
        ended = True

    try:
        memory = {"MAX_MEMORY_FILE_SIZE": None}
        form = FormParser(FORM_TYPE, add, add, end, boundary=options.get(b"boundary"), config=memory)
        form.write(body)
        form.finalize()
        if not ended:
            raise FormParserError("it ends before its last boundary")
    except FormParserError as error:
        raise BadRequestError("bad-form", f"cannot read the multipart form: {str(error)[:200]}") from error
    return files


def _from_json(body: bytes) -> list[bytes]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError("bad-json", f"the body is not JSON: {str(error)[:200]}") from error
    if not isinstance(value, dict):
        raise BadRequestError("bad-json", f"the body is not a JSON object: send {_JSON_SHAPES}")
    names = [name for name in ("image", "images", "instances") if name in value]
    if len(names) != 1:
        raise BadRequestError(
            "bad-json", f"the body needs exactly one of image, images and instances: send {_JSON_SHAPES}"
        )
    entries = [value["image"]] if names == ["image"] else value[names[0]]
    if not isinstance(entries, list):
        raise BadRequestError("bad-json", f"{names[0]} is not a list: send {_JSON_SHAPES}")
    return [_from_base64(entry, f"{names[0]}[{index}]") for index, entry in enumerate(entries)]


def _from_base64(entry: Any, where: str) -> bytes:
    if isinstance(entry, dict):
        entry = entry.get("b64", entry.get("image"))
    if not isinstance(entry, str):
        raise BadRequestError("bad-json", f"{where} is not a base64 string: send {_JSON_SHAPES}")
    text = entry.partition(",")[2] if entry.startswith("data:") else entry
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadRequestError("bad-base64", f"{where} is not valid base64: {error}") from error
