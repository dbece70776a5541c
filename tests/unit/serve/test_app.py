"""The HTTP contract over ASGI: statuses, bodies and headers; one clear 4xx for each bad input."""

import base64
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from serve.environment import Settings
from tests.unit.serve.pictures import encoded, png_header
from tests.unit.serve.services import client, predictor

RED, GREEN, BLUE = encoded("red"), encoded((0, 255, 0), kind="PNG"), encoded("blue", kind="WEBP")
ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"


@pytest.fixture(scope="module")
def web() -> Any:
    return client(Settings(max_pictures=3, max_body_bytes=100_000, max_pixels=1_000_000))


def post(web: Any, data: Any, content_type: str = "image/jpeg", path: str = "/invocations", **headers: str) -> Any:
    return web.post(path, data.encode() if isinstance(data, str) else data, content_type, **headers)


def refusal(response: Any) -> tuple[int, str]:
    assert response.media_type == "application/json"
    error = response.json()["error"]
    assert sorted(error) == ["code", "message"]
    assert error["message"]
    return response.status, error["code"]


def labels(response: Any) -> list[str]:
    assert response.status == 200, response.body
    return [entry["label"] for entry in response.json()["predictions"]]


def test_ping_is_200_with_an_empty_body_when_the_model_is_warm(web: Any) -> None:
    response = web.get("/ping")
    assert (response.status, response.body) == (200, b"")


def test_before_the_model_is_loaded_everything_that_needs_it_says_503_and_the_rest_answers() -> None:
    loading = client(loaded=False)
    assert loading.get("/ping").status == 503
    assert refusal(post(loading, RED)) == (503, "loading")
    assert refusal(loading.get("/model")) == (503, "loading")
    assert loading.get("/").status == 200
    assert loading.get("/metrics").status == 200
    assert loading.get("/execution-parameters").status == 200


@pytest.mark.parametrize(
    ("body", "content_type", "label"),
    [
        (RED, "image/jpeg", "red"),
        (GREEN, "image/png", "green"),
        (BLUE, "image/webp", "blue"),
        (BLUE, "application/x-image", "blue"),
    ],
)
def test_a_picture_is_classified(web: Any, body: bytes, content_type: str, label: str) -> None:
    response = post(web, body, content_type)
    assert labels(response) == [label]
    value = response.json()
    assert value["model"]["architecture"] == "colours"
    assert len(value["predictions"][0]["top"]) == 3
    assert "network;dur=" in response.headers["server-timing"]


def test_many_pictures_in_json_are_answered_in_order(web: Any) -> None:
    images = [base64.b64encode(picture).decode() for picture in (BLUE, RED, GREEN)]
    assert labels(post(web, json.dumps({"images": images}), "application/json")) == ["blue", "red", "green"]


def test_a_multipart_form_holds_one_picture_a_file(web: Any) -> None:
    files = {"a": (io.BytesIO(GREEN), "a.png"), "b": (io.BytesIO(RED), "b.jpg")}
    assert labels(web.post_form("/invocations", files)) == ["green", "red"]


def test_the_logits_form_is_a_bare_list(web: Any) -> None:
    by_accept = post(web, RED, Accept="application/json;form=logits")
    by_attribute = post(web, RED, X_Amzn_SageMaker_Custom_Attributes="form=logits")
    assert by_accept.json() == by_attribute.json()
    assert np.argmax(by_accept.json()[0]) == 0
    assert len(by_accept.json()[0]) == 3


def test_the_full_form_holds_labels_and_logits_of_one_pass(web: Any) -> None:
    full = post(web, RED, Accept="application/json;form=full").json()
    assert full["predictions"] == post(web, RED).json()["predictions"]
    assert full["logits"] == post(web, RED, Accept="application/json;form=logits").json()
    assert "model" in full


def test_csv_and_npy_come_by_accept(web: Any) -> None:
    table = post(web, RED, Accept="text/csv", path="/invocations?top_k=1")
    assert (table.media_type, table.body.decode()) == ("text/csv", "red,1.000000\n")
    array = post(web, RED, Accept="application/x-npy")
    assert array.media_type == "application/x-npy"
    assert np.load(io.BytesIO(array.body)).shape == (1, 3)


def test_top_k_comes_from_the_environment_or_the_query() -> None:
    web = client(Settings(top_k=2))
    assert len(post(web, RED).json()["predictions"][0]["top"]) == 2
    assert len(post(web, RED, path="/invocations?top_k=1").json()["predictions"][0]["top"]) == 1


MULTIPART = "multipart/form-data; boundary=x"
BAD = [
    (b"", "image/jpeg", 400, "empty"),
    (b"hello", "image/jpeg", 422, "not-a-picture"),
    (RED[:-200], "image/jpeg", 422, "truncated"),
    (png_header(40_000, 40_000), "image/png", 422, "too-many-pixels"),
    (b"x" * 100_001, "image/jpeg", 413, "body-too-large"),
    (RED, "video/mp4", 415, "unsupported-type"),
    (RED, "text/plain", 415, "unsupported-type"),
    (b"{", "application/json", 400, "bad-json"),
    (b'{"image": "%%%"}', "application/json", 400, "bad-base64"),
    (json.dumps({"images": ["QQ=="] * 4}).encode(), "application/json", 413, "too-many-pictures"),
    (b'{"image": ""}', "application/json", 400, "empty"),
    (b"no parts", MULTIPART, 400, "bad-form"),
    (b"no boundary", "multipart/form-data", 400, "bad-form"),
    (b'--x\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\ncut', MULTIPART, 400, "bad-form"),
    (b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\ntext\r\n--x--\r\n', MULTIPART, 400, "empty"),
]


@pytest.mark.parametrize(("body", "content_type", "status", "code"), BAD)
def test_each_bad_input_has_one_clear_4xx(web: Any, body: bytes, content_type: str, status: int, code: str) -> None:
    assert refusal(post(web, body, content_type)) == (status, code)


def test_a_form_of_many_small_fields_is_refused_too(web: Any) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    assert refusal(post(web, part * 1500 + b"--x--\r\n", MULTIPART)) == (400, "bad-form")


def test_a_format_option_or_encoding_that_the_server_lacks_is_refused(web: Any) -> None:
    assert refusal(post(web, RED, Accept="text/html")) == (406, "not-acceptable")
    assert refusal(post(web, RED, path="/invocations?top_k=none")) == (400, "bad-option")
    assert refusal(post(web, RED, Content_Encoding="gzip")) == (415, "unsupported-encoding")


def test_an_unknown_path_and_a_wrong_method_are_json_too(web: Any) -> None:
    assert refusal(web.get("/nope")) == (404, "not-found")
    response = web.get("/invocations")
    assert refusal(response) == (405, "method-not-allowed")
    assert "POST" in response.headers["allow"]


def test_head_and_options_are_answered(web: Any) -> None:
    page, head = web.get("/"), web.ask("HEAD", "/")
    assert (head.status, head.body, head.headers) == (200, b"", page.headers)
    assert web.ask("OPTIONS", "/invocations").headers["allow"] == "POST, OPTIONS"
    assert web.ask("HEAD", "/invocations").status == 405


def test_custom_attributes_return_and_other_headers_are_ignored(web: Any) -> None:
    odd = {"X_Amzn_SageMaker_Inference_Id": "1", "X_Anything": "else", "X_Amzn_SageMaker_Target_Variant": "v"}
    assert post(web, RED, X_Amzn_SageMaker_Custom_Attributes="trace=7", **odd).headers[ATTRIBUTES] == "trace=7"
    assert post(web, b"", X_Amzn_SageMaker_Custom_Attributes="trace=7").headers[ATTRIBUTES] == "trace=7"
    assert ATTRIBUTES not in post(web, RED, X_Amzn_SageMaker_Custom_Attributes="a" * 1025).headers
    assert ATTRIBUTES not in post(web, RED).headers


def test_execution_parameters_have_the_platforms_names() -> None:
    response = client(Settings(max_body_bytes=20 << 20, transform_concurrency=4)).get("/execution-parameters")
    assert response.json() == {"MaxConcurrentTransforms": 4, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 20}


def test_metrics_count_requests_refusals_pictures_and_batches() -> None:
    web = client()
    post(web, RED)
    post(web, b"x")
    web.get("/made/up")
    text = web.get("/metrics").body.decode()
    for line in (
        'kennel_requests_total{code="200",path="/invocations"} 1.0',
        'kennel_requests_total{code="422",path="/invocations"} 1.0',
        'kennel_requests_total{code="404",path="other"} 1.0',
        'kennel_refused_total{kind="not-a-picture"} 1.0',
        "kennel_pictures_total 1.0",
        'kennel_batch_pictures_bucket{le="1.0"} 1.0',
        "kennel_queue_pictures 0.0",
        "kennel_ready 1.0",
        'kennel_request_seconds_count{path="/invocations"} 2.0',
    ):
        assert line in text, line
    assert "made" not in text


def test_a_failing_network_is_a_500_that_hides_the_details_and_the_server_lives_on() -> None:
    model = predictor()

    failing: list[bool] = []  # only after the warm-up

    def run(pictures: Any) -> Any:
        if failing:
            failing.clear()
            raise RuntimeError("secret inside")
        return model.network.run(pictures)

    web = client(model=replace(model, network=replace(model.network, run=run)))
    failing.append(True)
    response = post(web, RED)
    assert refusal(response) == (500, "internal")
    assert b"secret" not in response.body
    assert labels(post(web, RED)) == ["red"]


def test_the_model_card_has_labels_metrics_and_limits(web: Any) -> None:
    card = web.get("/model").json()
    assert card["labels"] == ["red", "green", "blue"]
    assert card["limits"] == {"body_bytes": 100_000, "pictures": 3, "pixels": 1_000_000}
