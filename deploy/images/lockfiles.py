"""The lock files: the source of each, and the uv arguments that write it. Versions and hashes, no URLs."""

from __future__ import annotations

from dataclasses import dataclass

PLAIN = ("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header", "--quiet")
IMAGE = ("--python-version=3.13", "--python-platform=x86_64-manylinux_2_28")
CLIENTS = "tests/container/clients/requirements"
IAM = "tests/functional/deploy/iam/requirements"
HOST = ("--python-version=3.11", "--universal")


@dataclass(frozen=True, kw_only=True)
class Lock:
    """A lock file and its source."""

    source: str
    output: str
    options: tuple[str, ...]

    def arguments(self, *, upgrade: bool = False) -> list[str]:
        """The arguments of uv."""
        chosen = [*PLAIN, *self.options, *(["--upgrade"] if upgrade else [])]
        return ["pip", "compile", *chosen, f"--output-file={self.output}", self.source]


def _image(name: str, *more: str) -> Lock:
    return Lock(source=f"docker/{name}.in", output=f"docker/{name}.lock", options=(*IMAGE, *more))


# In order: later locks use the versions of earlier ones.
LOCKS: tuple[Lock, ...] = (
    Lock(source="pyproject.toml", output="requirements.lock", options=(*HOST, "--group=dev")),
    _image("build"),
    _image("train"),
    _image("serve"),
    _image("lambda"),
    Lock(source=f"{CLIENTS}.in", output=f"{CLIENTS}.lock", options=HOST),
    Lock(source=f"{IAM}.in", output=f"{IAM}.lock", options=HOST),
    Lock(source="localcloud/authorization/node.in", output="localcloud/authorization/node.lock", options=HOST),
    Lock(source="localcloud/ec2/machine/aws.in", output="localcloud/ec2/machine/aws.lock", options=IMAGE),
    _image("test", "--constraints=docker/train.lock", "--constraints=docker/serve.lock"),
)
