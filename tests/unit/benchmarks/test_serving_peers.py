"""How mlserver, TorchServe and multi-model-server are configured, and how their answers are read."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from benchmarks.batch_transform import json_bodies
from benchmarks.serving.peer import Peer, Place, named
from benchmarks.serving.peers import java

JAVA = ("torchserve", "multi_model_server")


def place(port: int = 21000) -> Place:
    home = Path("/somewhere")
    return Place(kind="resnet50", python=home / "bin" / "python", folder=home, port=port, model=home, cpus=2)


def properties(peer: Peer) -> dict[str, str]:
    text = next(text for name, text in peer.files(place()).items() if name.endswith(".properties"))
    return dict(line.split("=", 1) for line in text.splitlines())


@pytest.mark.parametrize("name", JAVA)
def test_a_java_server_listens_on_loopback_alone_on_the_port_that_it_was_given(name: str) -> None:
    settings = properties(named(name))
    assert {settings["inference_address"], settings["management_address"]} == {"http://127.0.0.1:21000"}


def test_torchserve_asks_for_no_token_and_puts_grpc_on_the_next_ports() -> None:
    settings = properties(named("torchserve"))
    assert settings["disable_token_authorization"] == "true"
    assert (settings["grpc_inference_port"], settings["grpc_management_port"]) == ("21001", "21002")


def test_torchserve_loads_the_model_that_requests_name() -> None:
    peer = named("torchserve")
    model = properties(peer)["load_models"]
    assert peer.path(place()) == f"/predictions/{model}"
    assert {f"store/{model}/MAR-INF/MANIFEST.json", f"store/{model}/handler.py"} < set(peer.files(place()))
    assert list(json.loads(properties(peer)["models"])) == [model]


def test_mlserver_listens_on_loopback_alone() -> None:
    settings = json.loads(named("mlserver").files(place())["settings.json"])
    assert (settings["host"], settings["http_port"], settings["metrics_endpoint"]) == ("127.0.0.1", 21000, None)


def test_mlserver_gets_the_picture_as_a_base64_tensor_of_one() -> None:
    [tensor] = json.loads(named("mlserver").body(b"\xff\xd8picture"))["inputs"]
    assert (tensor["datatype"], tensor["shape"], len(tensor["data"])) == ("BYTES", [1, 1], 1)
    assert base64.b64decode(tensor["data"][0]) == b"\xff\xd8picture"


def test_answers_become_probabilities_in_order() -> None:
    answer = {"outputs": [{"name": "probabilities", "shape": [1, 2], "data": [0.25, 0.75]}]}
    assert named("mlserver").read(json.dumps(answer).encode()) == [0.25, 0.75]
    for name in JAVA:
        assert named(name).read(b"[0.25, 0.75]") == [0.25, 0.75]


def test_there_is_a_worker_for_each_core_with_one_thread() -> None:
    servers = {name: named(name) for name in ("mlserver", *JAVA)}
    assert {peer.environment(place())["OMP_NUM_THREADS"] for peer in servers.values()} == {"1"}
    assert json.loads(servers["mlserver"].files(place())["settings.json"])["parallel_workers"] == 2
    assert json.loads(properties(servers["torchserve"])["models"])["kennel"]["1.0"]["minWorkers"] == 2
    assert properties(servers["multi_model_server"])["default_workers_per_model"] == "2"


def test_the_error_for_a_missing_java_says_what_to_install() -> None:
    java.check(lambda _: "/usr/bin/java")
    with pytest.raises(RuntimeError, match="apt-get install"):
        java.check(lambda _: None)


def test_json_bodies_hold_all_pictures_in_order() -> None:
    bodies = json_bodies([b"a", b"b", b"c"], 2)
    decoded = [[base64.b64decode(picture) for picture in json.loads(body)["images"]] for body in bodies]
    assert decoded == [[b"a", b"b"], [b"c"]]
