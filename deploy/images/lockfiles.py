"""The locks: what each is made from, and the installer's argv that makes it. Versions and hashes, no addresses."""

from __future__ import annotations

from dataclasses import dataclass

PLAIN = ("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-annotate", "--no-header", "--quiet")
IMAGE = ("--python-version=3.13", "--python-platform=x86_64-manylinux_2_28")
WITNESS = "tests/container/clients/requirements"
IAM = "tests/functional/deploy/iam/requirements"
HOST = ("--python-version=3.11", "--universal")


@dataclass(frozen=True, kw_only=True)
class Lock:
    """One lock file and its source."""

    source: str
    output: str
    options: tuple[str, ...]

    def arguments(self, *, upgrade: bool = False) -> list[str]:
        """uv's arguments."""
        chosen = [*PLAIN, *self.options, *(["--upgrade"] if upgrade else [])]
        return ["pip", "compile", *chosen, f"--output-file={self.output}", self.source]


def _image(name: str, *more: str) -> Lock:
    return Lock(source=f"docker/{name}.in", output=f"docker/{name}.lock", options=(*IMAGE, *more))


# In order: later ones are held to the versions of earlier ones.
LOCKS: tuple[Lock, ...] = (
    Lock(source="pyproject.toml", output="requirements.lock", options=(*HOST, "--group=dev")),
    _image("build"),
    _image("train"),
    _image("serve"),
    _image("lambda"),
    Lock(source=f"{WITNESS}.in", output=f"{WITNESS}.lock", options=HOST),
    Lock(source=f"{IAM}.in", output=f"{IAM}.lock", options=HOST),
    Lock(source="localcloud/ec2/machine/aws.in", output="localcloud/ec2/machine/aws.lock", options=IMAGE),
    _image("test", "--constraints=docker/train.lock", "--constraints=docker/serve.lock"),
)
