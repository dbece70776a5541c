"""The serving image from outside: SageMaker's contract on a read-only root within CPU and memory limits."""

from __future__ import annotations

import base64
import io
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from tests.container.serve.conftest import Serve, address
from tests.unit.serve.artifacts import write_artifact
from tests.unit.serve.pictures import encoded, png_header

RED = encoded("red")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_artifact(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def running(serve: Serve, model: Path) -> Any:
    return serve(model)


def post(container: Any, body: Any, content_type: str = "image/jpeg", **options: Any) -> requests.Response:
    headers = {"Content-Type": content_type, **options.pop("headers", {})}
    return requests.post(address(container) + "/invocations", data=body, headers=headers, timeout=30, **options)


def test_it_is_ready_soon_and_answers_as_sagemaker_expects(running: Any) -> None:
    ping = requests.get(address(running) + "/ping", timeout=2)
    assert (ping.status_code, ping.content) == (200, b"")
    answer = post(running, RED, headers={"X-Amzn-SageMaker-Custom-Attributes": "trace=1"})
    assert answer.json()["predictions"][0]["label"] == "red"
    assert answer.headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=1"
    parameters = requests.get(address(running) + "/execution-parameters", timeout=2).json()
    assert sorted(parameters) == ["BatchStrategy", "MaxConcurrentTransforms", "MaxPayloadInMB"]


def test_threads_follow_the_containers_cpu_limit(running: Any) -> None:
    stdout, _ = running.get_logs()
    assert b"3 labels, 1 threads" in stdout


def test_logits_csv_and_npy_come_from_the_image_too(running: Any) -> None:
    logits = post(running, RED, headers={"Accept": "application/json;form=logits"}).json()
    array = np.load(io.BytesIO(post(running, RED, headers={"Accept": "application/x-npy;form=logits"}).content))
    table = post(running, RED, headers={"Accept": "text/csv;form=logits"}).text
    assert np.allclose(array, logits)
    assert np.allclose([float(cell) for cell in table.split(",")], logits[0])


BAD = [
    (b"", "image/jpeg", 400),
    (b"not a picture", "image/jpeg", 422),
    (RED[:-100], "image/jpeg", 422),
    (png_header(60_000, 60_000), "image/png", 422),
    (b"x" * 6_291_457, "image/jpeg", 413),
    (RED, "video/mp4", 415),
    (b"{", "application/json", 400),
]


def test_bad_input_gets_4xx_and_neither_process_nor_memory_suffers(running: Any) -> None:
    for body, content_type, status in BAD * 3:
        answer = post(running, body, content_type)
        assert (answer.status_code, sorted(answer.json()["error"])) == (status, ["code", "message"])
    streamed = post(running, iter([b"x" * 1_000_000] * 8))
    assert streamed.status_code == 413
    assert post(running, RED).status_code == 200
    stdout, stderr = running.get_logs()
    assert b"Booting worker" not in stderr + stdout  # gunicorn logs this only for a replaced worker


def test_the_largest_pictures_that_are_taken_at_once_stay_within_the_memory(running: Any) -> None:
    picture = encoded("blue", (4000, 3900), "PNG")
    statuses: list[int] = []
    callers = [threading.Thread(target=lambda: statuses.append(post(running, picture).status_code)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert statuses == [200] * 8


def test_the_limit_of_a_body_is_that_of_the_platform_exactly(running: Any) -> None:
    padded = RED + b"\0" * (6_291_456 - len(RED))
    assert post(running, padded).status_code == 200


def test_many_pictures_and_forms_are_read_on_a_read_only_root(running: Any) -> None:
    large = encoded("green", (1500, 1500), "BMP")[:5_000_000]
    form = requests.post(
        address(running) + "/invocations", files={"a": ("a.jpg", RED), "b": ("b.bmp", large)}, timeout=30
    )
    assert form.status_code in (200, 422, 413)
    images = [base64.b64encode(encoded(colour)).decode() for colour in ("blue", "red")]
    answer = requests.post(address(running) + "/invocations", json={"images": images}, timeout=30).json()
    assert [entry["label"] for entry in answer["predictions"]] == ["blue", "red"]


def test_stop_drains_and_ends_with_0_within_the_platforms_time(serve: Serve, tmp_path: Path) -> None:
    container = serve(write_artifact(tmp_path / "slow", crop=256, work=6))
    lost: list[str] = []
    answered: list[int] = []

    def call() -> None:
        while True:
            try:
                answered.append(post(container, RED, headers={"Connection": "close"}).status_code)
            except requests.ConnectionError as error:
                if "refused" not in str(error).lower():
                    lost.append(str(error))
                return

    url = address(container)
    callers = [threading.Thread(target=call) for _ in range(8)]
    for caller in callers:
        caller.start()
    while len(answered) < 20:
        time.sleep(0.05)
    started = time.monotonic()
    wrapped = container.get_wrapped_container()
    wrapped.stop(timeout=30)
    seconds = time.monotonic() - started
    for caller in callers:
        caller.join(30)
    wrapped.reload()
    assert url
    assert wrapped.attrs["State"]["ExitCode"] == 0
    assert seconds < 29
    assert set(answered) == {200}
    assert lost == []


def test_an_artifact_of_another_format_ends_the_container_saying_why(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text('{"format_version": 99}')
    container = serve(tmp_path, wait=False)
    wrapped = container.get_wrapped_container()
    assert wrapped.wait(timeout=30)["StatusCode"] == 3
    assert b"artifact format 99, but this image understands 2" in wrapped.logs()


def test_another_port_is_bound_when_the_platform_asks(serve: Serve, model: Path) -> None:
    container = serve(model, {"SAGEMAKER_BIND_TO_PORT": "8081"}, wait=False)
    script = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8081/ping', timeout=2).status)"
    for _ in range(40):
        result = container.exec(["python3", "-c", script])
        if result.exit_code == 0:
            break
        time.sleep(0.25)
    assert result.output.strip() == b"200"
