"""An image's tag follows from what goes in and from nothing else."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from deploy.images.engine import Builder
from deploy.images.recipe import (
    LAYERS,
    Build,
    File,
    ImageError,
    command,
    context,
    installs,
    kind_named,
    labels,
    pinned,
    split_lock,
)

DOCKER = Path(__file__).parents[4] / "docker"
FILES = (
    File(name="Dockerfile", content=b"FROM x\n"),
    File(name="build/train.lock", content=b"torch==2.15.0 \\\n"),
    File(name="train/learning/loop.py", content=b"pass\n"),
)
BUILD = Build(kind="train", base="kennel/base:1", files=FILES)


def test_the_tag_does_not_depend_on_the_order_of_files_or_on_labels() -> None:
    assert replace(BUILD, files=FILES[::-1], labels={"revision": "2"}).tag == BUILD.tag


@pytest.mark.parametrize(
    "other",
    [
        replace(BUILD, base="kennel/base:2"),
        replace(BUILD, target="test"),
        replace(BUILD, files=FILES[:2]),
        replace(BUILD, files=(*FILES[:2], replace(FILES[2], content=b"pass \n"))),
        replace(BUILD, files=(*FILES[:2], replace(FILES[2], name="train/loop2.py"))),
        replace(BUILD, files=(*FILES[:2], replace(FILES[2], executable=True))),
    ],
    ids=["base", "target", "a file less", "content", "name", "mode"],
)
def test_the_tag_changes_with_whatever_goes_in(other: Build) -> None:
    assert other.tag != BUILD.tag


def test_a_test_image_never_has_the_name_of_one_that_ships() -> None:
    assert BUILD.reference.startswith("kennel/train:")
    assert replace(BUILD, target="test").reference.startswith("kennel/train-test:")


def test_the_context_is_the_same_bytes_every_time_and_holds_modes() -> None:
    script = File(name="build/tool/uv", content=b"\x7fELF", executable=True)
    packed = context(FILES[::-1], [script])
    assert packed == context(FILES, [script])
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert {entry.name: (entry.mode, entry.mtime, entry.uid) for entry in tar} == {
            "Dockerfile": (0o644, 0, 0),
            "build/tool/uv": (0o755, 0, 0),
            "build/train.lock": (0o644, 0, 0),
            "train/learning/loop.py": (0o644, 0, 0),
        }


def test_a_lock_is_split_by_layer_and_each_package_appears_once() -> None:
    entries = ["nvidia-cudnn-cu13==1 \\\n    --hash=a", "nvidia-nvtx==2", "torch==3", "torchvision==4", "zlib[x]==5"]
    parts = split_lock("\n".join(entries) + "\n", "train", LAYERS["train"])
    assert tuple(parts) == installs("train", "runtime")
    assert {name: text.decode().splitlines() for name, text in parts.items() if text} == {
        "train-cudnn": entries[0].splitlines(),
        "train-cuda": [entries[1]],
        "train-torch": [entries[2]],
        "train": [entries[3], entries[4]],
    }


def test_a_change_of_a_small_package_leaves_the_locks_of_the_big_layers_as_they_are() -> None:
    lock = (DOCKER / "train.lock").read_text()
    before = split_lock(lock, "train", LAYERS["train"])
    after = split_lock(lock.replace("matplotlib==", "matplotlib==9"), "train", LAYERS["train"])
    assert [name for name in before if before[name] != after[name]] == ["train"]
    assert all(before.values()), "a layer without packages"


def test_a_build_with_buildx_makes_one_docker_manifest_without_attestations() -> None:
    argv = command(BUILD, Builder(client="docker", buildx=True), secrets={}, progress="plain")
    assert argv[:3] == ["docker", "buildx", "build"]
    assert {"--provenance=false", "--sbom=false", "--output=type=docker", "--platform=linux/amd64"} <= set(argv)


def test_a_build_by_the_engine_itself_says_what_it_needs_and_reads_its_context_from_standard_input() -> None:
    build = replace(BUILD, labels={"b": "2", "a": "1 2"})
    secrets = {"ca": Path("/etc/ca.pem")}
    assert command(build, Builder(client="/usr/bin/docker", buildx=False), secrets=secrets, progress="plain") == [
        "/usr/bin/docker",
        "build",
        "--progress=plain",
        "--platform=linux/amd64",
        "--target=runtime",
        f"--tag={build.reference}",
        "--build-arg=BASE=kennel/base:1",
        f"--build-arg=IMAGE={build.reference}",
        "--build-arg=REVISION=",
        "--build-arg=VERSION=",
        "--label=a=1 2",
        "--label=b=2",
        "--secret=id=ca,src=/etc/ca.pem",
        "-",
    ]


def test_labels_name_versions_of_kennel_and_contract_revision_framework_and_cuda() -> None:
    lock = "cuda-toolkit[cublas]==13.2.2 \\\n    --hash=sha256:0\ntorch==2.15.0 \\\n"
    found = labels(
        "train", lock, "X = 1\nFORMAT_VERSION = 3\n", version="0.1.0", tag="t", source="s", revision="r", created="c"
    )
    assert found["kennel.contract.version"] == "3"
    assert found["kennel.framework.version"] == "2.15.0"
    assert found["kennel.cuda.version"] == "13.2"
    assert found["org.opencontainers.image.revision"] == "r"
    assert found["org.opencontainers.image.version"] == "t"
    assert found["kennel.version"] == "0.1.0"


def test_a_package_that_is_not_locked_is_an_error_that_says_what_to_run() -> None:
    with pytest.raises(ImageError, match=r"flask is not in the lock: run `\./inv lock`"):
        pinned("flask-cors==1\n", "flask")


def test_an_unknown_image_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(ImageError, match="trian: unknown image; choose one of serve, lambda, train"):
        kind_named("trian")
