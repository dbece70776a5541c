"""The images' contents, sizes, labels and permissions, inspected from outside as SageMaker and Lambda see them."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from contract.artifact import FORMAT_VERSION
from deploy.images.builder import ImageBuilder
from deploy.images.recipe import KINDS, SOURCES, ImageKind

REPOSITORY = Path(__file__).resolve().parents[3]
MB = 1_000_000
TORCH_COST = """
import importlib.metadata as m, json, os, re
seen, queue, total = set(), ["torch", "torchvision"], 0
while queue:
    name = queue.pop()
    try:
        package = m.distribution(name)
    except m.PackageNotFoundError:
        continue  # for another platform or an extra
    key = package.metadata["Name"].lower()
    if key in seen:
        continue
    seen.add(key)
    # Only cuda-toolkit's extras are installed: they are CUDA's libraries.
    needs = [need for need in package.requires or () if key == "cuda-toolkit" or "extra ==" not in need]
    queue += [re.split(r"[^A-Za-z0-9._-]", need)[0] for need in needs]
    files = {str(package.locate_file(file)) for file in package.files or ()}
    caches = {os.path.join(os.path.dirname(path), "__pycache__") for path in files if path.endswith(".py")}
    files |= {entry.path for cache in caches if os.path.isdir(cache) for entry in os.scandir(cache)}
    total += sum(os.path.getsize(path) for path in files if os.path.isfile(path))
print(json.dumps({"bytes": total, "packages": sorted(seen)}))
"""


@pytest.fixture(scope="module")
def images() -> dict[ImageKind, str]:
    builder = ImageBuilder(repository=REPOSITORY)
    return {kind: builder.build(kind) for kind in KINDS}


def docker(*arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=timeout, check=False)


def inside(image: str, *command: str, options: tuple[str, ...] = ()) -> str:
    """The output of a command in a new container with a read-only root."""
    lines = [
        "run",
        "--rm",
        "--read-only",
        "--network=none",
        *options,
        f"--entrypoint={command[0]}",
        image,
        *command[1:],
    ]
    done = docker(*lines)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inspected(image: str) -> dict[str, Any]:
    description: dict[str, Any] = json.loads(docker("image", "inspect", image).stdout)[0]
    return description


def test_an_unchanged_image_is_reused_and_not_built(images: dict[ImageKind, str]) -> None:
    lines: list[str] = []
    builder = ImageBuilder(repository=REPOSITORY, say=lines.append)
    assert {kind: builder.build(kind) for kind in KINDS} == images
    assert lines == [f"{images[kind]} reused" for kind in KINDS]


def test_serve_stays_under_400_mb_and_lambda_under_150(images: dict[ImageKind, str]) -> None:
    assert inspected(images["serve"])["Size"] < 400 * MB
    assert inspected(images["lambda"])["Size"] < 150 * MB


def test_train_weighs_what_cuda_torch_costs_and_at_most_330_mb_more(images: dict[ImageKind, str]) -> None:
    torch = json.loads(inside(images["train"], "python3", "-c", TORCH_COST))
    assert {"torch", "torchvision", "nvidia-cudnn-cu13", "triton"} <= set(torch["packages"])
    # Of these, 130 MB are the engines that packaging measures.
    assert inspected(images["train"])["Size"] - torch["bytes"] <= 330 * MB


def test_serve_and_lambda_hold_no_torch(images: dict[ImageKind, str]) -> None:
    for kind in ("serve", "lambda"):
        look = "import importlib.util as u; print(u.find_spec('torch'), u.find_spec('train'))"
        assert inside(images[kind], "python3", "-c", look) == "None None\n"


@pytest.mark.parametrize("kind", KINDS)
def test_no_build_tool_cache_or_secret_is_left(images: dict[ImageKind, str], kind: ImageKind) -> None:
    tools = "for tool in pip pip3 uv gcc cc make git apt-get curl; do command -v $tool && echo left; done; true"
    assert inside(images[kind], "sh", "-c", tools) == ""
    places = "/var/cache /root /build /mnt /run/secrets /opt/kennel/tests /tmp /usr/local/lib/python3*"
    paths = inside(images[kind], "sh", "-c", f"find {places} -type f -size +0 2>/dev/null; true").splitlines()
    assert [path for path in paths if not path.startswith(("/root/.bashrc", "/root/.profile"))] == []
    history = docker("history", "--no-trunc", "--format={{.CreatedBy}}", images[kind]).stdout
    assert "://" not in history
    settings = inspected(images[kind])["Config"]["Env"]
    assert [each for each in settings if "://" in each or "CERT" in each or "INDEX" in each] == []


@pytest.mark.parametrize("kind", KINDS)
def test_labels_name_the_images_source_revision_and_versions(images: dict[ImageKind, str], kind: ImageKind) -> None:
    labels = inspected(images[kind])["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == images[kind].split(":")[1]
    assert len(labels["org.opencontainers.image.revision"].split("-")[0]) == 40
    assert labels["org.opencontainers.image.created"][:2] == "20"
    assert labels["org.opencontainers.image.source"]
    assert labels.get("kennel.contract.version") == (None if kind == "lambda" else str(FORMAT_VERSION))
    assert labels["kennel.framework"] == {"train": "torch", "serve": "onnxruntime", "lambda": "awslambdaric"}[kind]


def test_the_labels_hold_the_installed_versions_of_torch_and_cuda(images: dict[ImageKind, str]) -> None:
    labels = inspected(images["train"])["Config"]["Labels"]
    torch, cuda = inside(
        images["train"], "python3", "-c", "import torch; print(torch.__version__, torch.version.cuda)"
    ).split()
    assert [labels["kennel.framework.version"], labels["kennel.cuda.version"]] == [torch.split("+")[0], cuda]


def test_serve_declares_that_it_binds_to_the_port_it_is_given(images: dict[ImageKind, str]) -> None:
    labels = inspected(images["serve"])["Config"]["Labels"]
    assert labels["com.amazonaws.sagemaker.capabilities.accept-bind-to-port"] == "true"


@pytest.mark.parametrize(
    ("kind", "entrypoint", "command"),
    [
        ("train", ["python3", "-m", "train"], None),
        ("serve", ["python3", "-m", "serve"], None),
        ("lambda", ["python3", "-m", "awslambdaric"], ["lambda_container.handler.handler"]),
    ],
)
def test_entrypoints_are_in_exec_form(
    images: dict[ImageKind, str], kind: ImageKind, entrypoint: list[str], command: list[str] | None
) -> None:
    config = inspected(images[kind])["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (entrypoint, command)


@pytest.mark.parametrize("argument", [(), ("train",)])
def test_train_accepts_and_does_not_need_its_argument(images: dict[ImageKind, str], argument: tuple[str, ...]) -> None:
    done = docker("run", "--rm", "--read-only", "--tmpfs=/tmp", images["train"], *argument, "--help")
    assert done.returncode == 0, done.stderr
    assert "--epochs" in done.stdout


def test_lambda_runs_as_an_unprivileged_user_who_can_read_every_file(images: dict[ImageKind, str]) -> None:
    assert inside(images["lambda"], "id", "-u") == "65534\n"
    unreadable = "find /opt ! -readable | head; python3 -c 'import lambda_container.handler, awslambdaric.bootstrap'"
    for user in ("65534", "993"):  # on AWS, Lambda runs the image as another user
        assert inside(images["lambda"], "sh", "-c", unreadable, options=(f"--user={user}",)) == ""


def test_train_and_serve_run_as_root_as_sagemaker_requires(images: dict[ImageKind, str]) -> None:
    assert [inside(images[kind], "id", "-u") for kind in ("train", "serve")] == ["0\n", "0\n"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_image_is_python_3_13_for_one_architecture_with_its_bytecode(
    images: dict[ImageKind, str], kind: ImageKind
) -> None:
    image = inspected(images[kind])
    assert (image["Os"], image["Architecture"]) == ("linux", "amd64")
    look = "import sys, os; print(sys.version_info[:2], any(n.endswith('.pyc') for _, _, f in os.walk('.') for n in f))"
    assert inside(images[kind], "python3", "-c", look) == "(3, 13) True\n"


def test_the_manifest_is_a_single_docker_image_and_not_an_index(images: dict[ImageKind, str]) -> None:
    """`docker save` writes the image as Docker stores it; an index would show as more manifests."""
    done = subprocess.run(["docker", "save", images["lambda"]], capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as tar:
        names = tar.getnames()
        manifest = tar.extractfile("manifest.json")
        assert manifest
        entries = json.load(manifest)
    assert [entry["RepoTags"] for entry in entries] == [[images["lambda"]]]
    assert [name for name in names if "attestation" in name] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_source_rebuilds_only_the_layers_with_sources(
    images: dict[ImageKind, str], kind: ImageKind, tmp_path: Path
) -> None:
    """In a copy of the repository, so that nobody's tree is touched."""
    copy = tmp_path / "copy"
    parts = ["pyproject.toml", "docker", "contract", *SOURCES[kind]]
    ask = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *parts]
    for name in subprocess.run(ask, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.splitlines():
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((REPOSITORY / name).read_bytes())
            (copy / name).chmod((REPOSITORY / name).stat().st_mode)
    builder = ImageBuilder(repository=copy, say=lambda line: None, progress=False)
    assert builder.plan(kind).reference == images[kind]
    made: list[str] = []
    try:
        for turn in range(2):  # the build cache may be pruned before the first, although the image still exists
            with (copy / SOURCES[kind][-1] / "__init__.py").open("a") as source:
                source.write(f"# change {turn} for a test: {tmp_path.name}\n")
            made.append(builder.build(kind))
        assert len({images[kind], *made}) == 3
        before, after = (inspected(image)["RootFS"]["Layers"] for image in made)
        same = [one == other for one, other in zip(before, after, strict=True)]
        assert same == sorted(same, reverse=True)
        assert same.count(False) <= 2
    finally:
        docker(
            "tag", images[kind], f"kennel-{kind}"
        )  # takes the plain name from the changed image, so that it is removed
        for image in made:
            docker("rmi", image)


def test_the_newest_build_can_be_run_by_a_plain_name(images: dict[ImageKind, str]) -> None:
    for kind in KINDS:
        ImageBuilder(repository=REPOSITORY).build(kind)  # other tests build too
        assert inspected(f"kennel-{kind}")["Id"] == inspected(images[kind])["Id"]


def test_the_training_image_knows_its_own_name_revision_and_version_for_the_artifacts_it_makes(
    images: dict[ImageKind, str],
) -> None:
    config = inspected(images["train"])["Config"]
    revision = config["Labels"]["org.opencontainers.image.revision"]
    version = config["Labels"]["kennel.version"]
    assert {
        f"KENNEL_IMAGE_DIGEST={images['train']}",
        f"KENNEL_GIT_REVISION={revision}",
        f"KENNEL_VERSION={version}",
    } <= set(config["Env"])
