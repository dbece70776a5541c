"""Where images are made: the one door to `docker build`, the base image, the installer and the build's secrets."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from deploy.images import engine
from deploy.images.recipe import (
    PLATFORM,
    Build,
    File,
    ImageError,
    ImageKind,
    command,
    context,
    inputs,
    installs,
    labels,
    project_version,
)

OFFICIAL_BASE = "python:3.13-slim"
CA_VARIABLES = ("KENNEL_CA_BUNDLE", "PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
INDEX_VARIABLES = ("UV_DEFAULT_INDEX", "PIP_INDEX_URL")


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(kw_only=True)
class ImageBuilder:
    """Makes images on this machine. `say` takes a line for a person, `run` is the door for short commands."""

    repository: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    say: Callable[[str], None] = _print
    run: engine.Run = engine.answer
    progress: bool = field(default_factory=sys.stderr.isatty)

    @property
    def builder(self) -> engine.Builder:
        """The client that builds. Raises EngineError."""
        return engine.builder(engine.clients(self.environment.get("PATH", os.defpath)), self.run)

    def plan(self, kind: ImageKind, *, target: str = "runtime") -> Build:
        """What `kind` would be built from now. Raises EngineError when no engine answers, ImageError."""
        if not engine.version(["docker"], self.run):
            raise engine.EngineError("no Docker engine answers: run `./inv engine`")
        files = inputs(self.repository, kind, target=target)
        build = Build(kind=kind, target=target, base=self.base(), files=files)
        revision, created = self._history(files)
        read = {file.name: file.content for file in files}
        named = labels(
            kind,
            "".join(read[f"build/{step}/lock"].decode() for step in installs(kind, "runtime")),
            (self.repository / "contract" / "artifact.py").read_text(encoding="utf-8"),
            version=project_version(self.repository),
            tag=build.tag,
            source=self._origin(),
            revision=revision,
            created=created,
        )
        return Build(kind=kind, target=target, base=build.base, files=files, labels=named)

    def build(self, kind: ImageKind, *, target: str = "runtime") -> str:
        """Makes the image, or finds it made; returns its reference. Raises ImageError, EngineError."""
        build = self.plan(kind, target=target)
        if self._has(build.reference):
            self.say(f"{build.reference} reused")
        else:
            self._make(build, target)
        if target == "runtime":  # for `docker run` by hand; Kennel itself goes by the content's tag
            self.run(["docker", "tag", build.reference, f"kennel-{kind}"])
        return build.reference

    def _make(self, build: Build, target: str) -> None:
        self.say(f"{build.reference} building")
        began = time.monotonic()
        uv = self._installer().read_bytes()
        steps = installs(build.kind, target)
        self._build(
            build, context(build.files, [File(name=f"build/{step}/uv", content=uv, executable=True) for step in steps])
        )
        self.say(f"{build.reference} built in {time.monotonic() - began:.0f} s")

    def base(self) -> str:
        """The base image, pulled or made when it is not there yet. Raises ImageError."""
        recipe, made = self._recipe()
        if self._has(made):
            return made
        if not self._identity(OFFICIAL_BASE) and self._registry():
            self.say(f"{OFFICIAL_BASE} pulling")
            subprocess.run(["docker", "pull", f"--platform={PLATFORM}", OFFICIAL_BASE], check=False)
        if identity := self._identity(OFFICIAL_BASE):
            # A name of ours that follows from its content: builds neither ask a registry nor change with its tags.
            pulled = f"kennel/base:{identity.removeprefix('sha256:')[:16]}"
            self.run(["docker", "tag", OFFICIAL_BASE, pulled])
            return pulled
        self._make_base(recipe, made)
        return made

    def lacks_base_maker(self) -> bool:
        """Whether a base image is neither here nor to be had by pulling, and mmdebstrap is missing to make one."""
        _, made = self._recipe()
        here = self._has(made) or self._has(OFFICIAL_BASE)
        return not here and not shutil.which("mmdebstrap", path=self.environment.get("PATH")) and not self._registry()

    def _recipe(self) -> tuple[Path, str]:
        recipe = self.repository / "docker" / "base" / "make.sh"
        return recipe, f"kennel/base:{hashlib.sha256(recipe.read_bytes()).hexdigest()[:16]}"

    def _registry(self) -> bool:
        return self.run(["docker", "manifest", "inspect", OFFICIAL_BASE], timeout=10)[0] == 0

    def _make_base(self, recipe: Path, reference: str) -> None:
        if not shutil.which("mmdebstrap", path=self.environment.get("PATH")):
            raise ImageError(
                f"no registry gives {OFFICIAL_BASE} and mmdebstrap is not installed to make a base image: "
                "on Debian or Ubuntu run `./inv engine` as root, elsewhere let Docker reach a registry"
            )
        self.say(f"{reference} making from the distribution's packages (no registry answers)")
        began = time.monotonic()
        maker = subprocess.Popen(["sh", str(recipe)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        importing = ["docker", "import", f"--platform={PLATFORM}", "--change=ENV LANG=C.UTF-8", "-", reference]
        imported = subprocess.run(importing, stdin=maker.stdout, capture_output=True, text=True, check=False)
        said = maker.communicate()[1].decode(errors="replace")
        if maker.returncode or imported.returncode:
            self.run(["docker", "rmi", reference])
            raise ImageError(f"docker/base/make.sh failed:\n{said[-2000:]}{imported.stderr[-2000:]}")
        self.say(f"{reference} made in {time.monotonic() - began:.0f} s")

    def _installer(self) -> Path:
        """uv for the images' platform, whatever the host's is."""
        lock = self.repository / "docker" / "build.lock"
        folder = self.repository / ".kennel" / "cache" / f"uv-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
        if not (folder / "bin" / "uv").exists():
            unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
            uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
            where = ["--target", str(unfinished), "--python-platform", "x86_64-unknown-linux-gnu"]
            done = subprocess.run([*uv, *where, "-r", str(lock)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise ImageError(f"cannot fetch the installer of docker/build.lock:\n{done.stderr[-2000:]}")
            try:
                unfinished.rename(folder)
            except OSError:  # another build was quicker
                shutil.rmtree(unfinished)
        return folder / "bin" / "uv"

    def secrets(self) -> dict[str, Path]:
        """The host's CA bundle and package index, as build secrets by name."""
        found = {}
        for bundle in (self.environment.get(name) for name in CA_VARIABLES):
            if bundle:
                if not Path(bundle).is_file():
                    raise ImageError(f"{bundle}: no such CA bundle; mend {', '.join(CA_VARIABLES)}")
                found["ca"] = Path(bundle)
                break
        index = next((self.environment[name] for name in INDEX_VARIABLES if self.environment.get(name)), None)
        if index:
            kept = self.repository / ".kennel" / "index"
            kept.parent.mkdir(exist_ok=True)
            kept.touch(mode=0o600)
            kept.write_text(index, encoding="utf-8")
            found["index"] = kept
        return found

    def _build(self, build: Build, packed: bytes) -> None:
        builder = self.builder
        argv = command(build, builder, secrets=self.secrets(), progress="auto" if self.progress else "plain")
        output = None if self.progress else subprocess.PIPE
        with subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            env=builder.environment(self.environment),
        ) as process:
            try:
                last = self._feed(process, packed)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            hint = "is the package registry reachable, and does KENNEL_CA_BUNDLE name your network's CA?"
            raise ImageError("\n".join([*last, f"docker/{build.kind}.Dockerfile: the build failed; {hint}"]))

    def _feed(self, process: subprocess.Popen[bytes], packed: bytes) -> Sequence[str]:
        """Sends the context, says each stage as it begins, and keeps the last lines."""
        if process.stdin:
            try:
                process.stdin.write(packed)
                process.stdin.close()
            except BrokenPipeError:
                pass  # the client ended: its last lines say why
        last: deque[str] = deque(maxlen=25)
        said: set[str] = set()
        for raw in process.stdout or ():
            line = raw.decode(errors="replace").rstrip()
            last.append(line)
            if line.startswith("#") and "] " in line and " [" in line and "[internal]" not in line:
                stage = "  " + re.sub(r"--mount=\S+ +", "", line.split(" ", 1)[1])[:120]
                if stage not in said:
                    self.say(stage)
                said.add(stage)
        return last

    def _has(self, reference: str) -> bool:
        return bool(self._identity(reference))

    def _identity(self, reference: str) -> str:
        status, said = self.run(["docker", "image", "inspect", "--format={{.Id}}", reference])
        return said.strip() if status == 0 else ""

    def _git(self, *arguments: str) -> str:
        status, said = self.run(["git", "-C", str(self.repository), *arguments])
        return said.strip() if status == 0 else ""

    def _origin(self) -> str:
        url = self._git("config", "--get", "remote.origin.url")
        return url if url.startswith(("https://", "ssh://", "git@")) and "@" not in url.split("://")[-1] else "kennel"

    def _history(self, files: Sequence[File]) -> tuple[str, str]:
        """The last commit that changed what goes in, marked when it has changed since, and that commit's time."""
        rooms = sorted({file.name.split("/")[0] for file in files} - {"build", "Dockerfile"})
        paths = ["--", "docker", *rooms]
        revision, _, created = self._git("log", "-1", "--format=%H %cI", *paths).partition(" ")
        changed = self._git("status", "--porcelain", *paths)
        return (revision or "unknown") + ("-modified" if changed else ""), created or "1970-01-01T00:00:00+00:00"


def build(kind: ImageKind, *, repository: Path, target: str = "runtime") -> str:
    """Makes one image, or finds it made; returns its reference. Raises ImageError, EngineError."""
    return ImageBuilder(repository=repository).build(kind, target=target)
