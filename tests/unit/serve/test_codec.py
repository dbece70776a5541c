"""Bodies become pictures or one clear error; logits become exactly the documented bytes."""

import base64
import io
import json
from typing import Any

import numpy as np
import pytest

from contract.preprocess import Preprocessing
from serve.codec import decode, encode, pictures, softmax
from serve.errors import BadRequestError
from serve.negotiation import CSV, JSON, NPY, AnswerFormat
from tests.unit.serve.pictures import encoded, png_header

PREPROCESSING = Preprocessing(resize=32, crop=32)
PICTURE = encoded()
TEXT = base64.b64encode(PICTURE).decode()
LOGITS = np.array([[1.5, -2.0, 0.25], [0.0, 3.0, -1.0]], dtype=np.float32)


def refusal(call: Any) -> tuple[int, str]:
    with pytest.raises(BadRequestError) as caught:
        call()
    return caught.value.status, caught.value.code


@pytest.mark.parametrize(
    "media_type", ["image/jpeg", "image/png", "image/webp", "application/x-image", "application/octet-stream", ""]
)
def test_a_picture_type_takes_the_body_as_it_is(media_type: str) -> None:
    assert pictures(f"{media_type.title()} ; x=y", PICTURE, max_pictures=1) == [PICTURE]
    assert pictures(media_type, PICTURE, max_pictures=1) == [PICTURE]


@pytest.mark.parametrize(
    "value",
    [
        {"image": TEXT},
        {"image": {"b64": TEXT}},
        {"images": [TEXT]},
        {"instances": [{"b64": TEXT}]},
        {"instances": [{"image": TEXT}]},
        {"instances": [TEXT]},
        {"image": "data:image/jpeg;base64," + TEXT},
        {"image": "\n".join(TEXT[i : i + 76] for i in range(0, len(TEXT), 76))},
    ],
)
def test_json_holds_pictures_in_every_usual_shape(value: Any) -> None:
    assert pictures("application/json", json.dumps(value).encode(), max_pictures=1) == [PICTURE]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad-json"),
        (b"\xff\xfe", "bad-json"),
        (b"[1]", "bad-json"),
        (b"null", "bad-json"),
        (b"{}", "bad-json"),
        (b'{"image": 5}', "bad-json"),
        (b'{"image": null}', "bad-json"),
        (b'{"images": "abc"}', "bad-json"),
        (b'{"images": {"a": 1}}', "bad-json"),
        (b'{"image": "QQ==", "images": []}', "bad-json"),
        (b"[" * 100_000, "bad-json"),
        (b'{"image": ' + b"9" * 5000 + b"}", "bad-json"),
        (b'{"image": "not base64!"}', "bad-base64"),
        (b'{"image": "abc"}', "bad-base64"),
        ('{"image": "ä"}'.encode(), "bad-base64"),
        (b'{"images": []}', "empty"),
    ],
)
def test_each_way_that_json_is_wrong_is_a_400_of_its_kind(body: bytes, code: str) -> None:
    assert refusal(lambda: pictures("application/json", body, max_pictures=4)) == (400, code)


def test_an_empty_body_an_unknown_type_and_too_many_pictures_have_different_codes() -> None:
    many = json.dumps({"images": [TEXT] * 3}).encode()
    assert refusal(lambda: pictures("image/jpeg", b"", max_pictures=1)) == (400, "empty")
    assert refusal(lambda: pictures("video/mp4", PICTURE, max_pictures=1)) == (415, "unsupported-type")
    assert refusal(lambda: pictures("application/json", many, max_pictures=2)) == (413, "too-many-pictures")


@pytest.mark.parametrize(
    ("picture", "status", "code"),
    [
        (b"", 400, "empty"),
        (b"hello", 422, "not-a-picture"),
        (PICTURE[: len(PICTURE) // 2], 422, "truncated"),
        (png_header(50_000, 50_000), 422, "too-many-pixels"),
        (png_header(10, 10), 422, "truncated"),
    ],
)
def test_each_way_that_a_picture_is_wrong_is_a_4xx_of_its_kind(picture: bytes, status: int, code: str) -> None:
    assert refusal(lambda: decode(picture, PREPROCESSING, max_pixels=1_000_000)) == (status, code)


def test_the_refused_picture_is_named_by_its_position() -> None:
    with pytest.raises(BadRequestError, match=r"^picture 2 of 3: "):
        decode(b"x", PREPROCESSING, max_pixels=100, position="picture 2 of 3: ")


@pytest.mark.parametrize("size", [(1, 1), (1, 600), (31, 33), (10_000_000, 1)])
def test_a_picture_of_any_shape_becomes_the_networks_input_without_a_giant_resize(size: tuple[int, int]) -> None:
    values = decode(encoded(size=size, kind="PNG"), Preprocessing(resize=64, crop=32), max_pixels=10_000_000)
    assert values.shape == (3, 32, 32)
    assert values.dtype == np.float32


def answer(media_type: str, form: str, top_k: int = 2) -> bytes:
    answer_format = AnswerFormat(media_type=media_type, form=form, top_k=top_k)
    return encode(LOGITS, ("a", 'b,"', "ç"), answer_format, {"architecture": "x"})


def test_labels_come_with_probabilities_the_likeliest_first() -> None:
    value = json.loads(answer(JSON, "labels"))
    assert value["model"] == {"architecture": "x"}
    first, second = value["predictions"]
    assert [entry["label"] for entry in first["top"]] == ["a", "ç"]
    assert (second["label"], second["probability"]) == ('b,"', second["top"][0]["probability"])
    assert second["probability"] == pytest.approx(float(softmax(LOGITS)[1, 1]), abs=1e-6)


def test_more_labels_than_there_are_gives_all() -> None:
    assert len(json.loads(answer(JSON, "labels", 99))["predictions"][0]["top"]) == 3


def test_the_logits_form_is_one_bare_list_a_picture() -> None:
    assert json.loads(answer(JSON, "logits")) == LOGITS.tolist()


def test_csv_has_a_row_a_picture_and_quotes_what_needs_it() -> None:
    rows = answer(CSV, "labels").decode().splitlines()
    assert len(rows) == 2
    assert rows[1].startswith('"b,""",0.9')
    numbers = [[float(cell) for cell in row.split(",")] for row in answer(CSV, "logits").decode().splitlines()]
    assert numbers == LOGITS.tolist()


@pytest.mark.parametrize(("form", "numbers"), [("logits", LOGITS), ("probabilities", softmax(LOGITS))])
def test_npy_holds_float32_of_shape_pictures_by_labels(form: str, numbers: Any) -> None:
    array = np.load(io.BytesIO(answer(NPY, form)), allow_pickle=False)
    assert (array.shape, array.dtype) == ((2, 3), np.float32)
    assert np.allclose(array, numbers, atol=1e-7)


def test_huge_logits_still_give_probabilities() -> None:
    assert softmax(np.array([[1e5, 0.0]], dtype=np.float32)).tolist() == [[1.0, 0.0]]
