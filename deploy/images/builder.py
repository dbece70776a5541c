"""Builds images: runs `docker build`, and prepares the base image, the installer and the build's secrets."""

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


def _is_terminal() -> bool:
    """Whether stderr is a terminal now; it may be another stream than when this module was imported."""
    return sys.stderr.isatty()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(kw_only=True)
class ImageBuilder:
    """Builds images on this machine. `say` shows a progress line, `run` executes a short command."""

    repository: Path
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    say: Callable[[str], None] = _print
    run: engine.Run = engine.execute
    progress: bool = field(default_factory=_is_terminal)

    @property
    def builder(self) -> engine.Builder:
        """The docker client that builds. Raises EngineError."""
        return engine.builder(engine.clients(self.environment.get("PATH", os.defpath)), self.run)

    def plan(self, kind: ImageKind, *, target: str = "runtime") -> Build:
        """The build of `kind` from the files as they are now. Raises EngineError without an engine, ImageError."""
        if not engine.version(["docker"], self.run):
            raise engine.EngineError("the Docker engine does not answer: run `./inv engine`")
        files = inputs(self.repository, kind, target=target)
        build = Build(kind=kind, target=target, base=self.base(), files=files)
        revision, created = self._history(files)
        contents = {file.name: file.content for file in files}
        image_labels = labels(
            kind,
            "".join(contents[f"build/{step}/lock"].decode() for step in installs(kind, "runtime")),
            (self.repository / "contract" / "artifact.py").read_text(encoding="utf-8"),
            version=project_version(self.repository),
            tag=build.tag,
            source=self._origin(),
            revision=revision,
            created=created,
        )
        return Build(kind=kind, target=target, base=build.base, files=files, labels=image_labels)

    def build(self, kind: ImageKind, *, target: str = "runtime") -> str:
        """Builds the image unless it exists; returns its reference. Raises ImageError, EngineError."""
        build = self.plan(kind, target=target)
        if self._has(build.reference):
            self.say(f"{build.reference} reused")
        else:
            self._build_new(build, target)
        if target == "runtime":  # for `docker run` by hand; Kennel itself uses the tag of the content
            self.run(["docker", "tag", build.reference, f"kennel-{kind}"])
        return build.reference

    def _build_new(self, build: Build, target: str) -> None:
        self.say(f"{build.reference} building")
        began = time.monotonic()
        uv = self._installer().read_bytes()
        steps = installs(build.kind, target)
        self._build(
            build, context(build.files, [File(name=f"build/{step}/uv", content=uv, executable=True) for step in steps])
        )
        self.say(f"{build.reference} built in {time.monotonic() - began:.0f} s")

    def base(self) -> str:
        """The base image, pulled or made if it does not exist yet. Raises ImageError."""
        script, made = self._base_script()
        if self._has(made):
            return made
        if not self._identity(OFFICIAL_BASE) and self._registry():
            self.say(f"{OFFICIAL_BASE} pulling")
            subprocess.run(["docker", "pull", f"--platform={PLATFORM}", OFFICIAL_BASE], check=False)
        if identity := self._identity(OFFICIAL_BASE):
            # A tag of our own, by content: builds neither ask a registry nor change when the official tag moves.
            pulled = f"kennel/base:{identity.removeprefix('sha256:')[:16]}"
            self.run(["docker", "tag", OFFICIAL_BASE, pulled])
            return pulled
        self._make_base(script, made)
        return made

    def lacks_base_maker(self) -> bool:
        """Whether there is no base image, no registry to pull one from, and no mmdebstrap to make one."""
        _, made = self._base_script()
        exists = self._has(made) or self._has(OFFICIAL_BASE)
        return not exists and not shutil.which("mmdebstrap", path=self.environment.get("PATH")) and not self._registry()

    def _base_script(self) -> tuple[Path, str]:
        """The script that makes a base image, and the reference of the image that it makes."""
        script = self.repository / "docker" / "base" / "make.sh"
        return script, f"kennel/base:{hashlib.sha256(script.read_bytes()).hexdigest()[:16]}"

    def _registry(self) -> bool:
        """Whether a registry answers."""
        return self.run(["docker", "manifest", "inspect", OFFICIAL_BASE], timeout=10)[0] == 0

    def _make_base(self, script: Path, reference: str) -> None:
        if not shutil.which("mmdebstrap", path=self.environment.get("PATH")):
            raise ImageError(
                f"no registry has {OFFICIAL_BASE}, and mmdebstrap, which makes a base image, is not installed: "
                "on Debian or Ubuntu run `./inv engine` as root; elsewhere let Docker reach a registry"
            )
        self.say(f"{reference} making from the distribution's packages (no registry answers)")
        began = time.monotonic()
        maker = subprocess.Popen(["sh", str(script)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        importing = ["docker", "import", f"--platform={PLATFORM}", "--change=ENV LANG=C.UTF-8", "-", reference]
        imported = subprocess.run(importing, stdin=maker.stdout, capture_output=True, text=True, check=False)
        errors = maker.communicate()[1].decode(errors="replace")
        if maker.returncode or imported.returncode:
            self.run(["docker", "rmi", reference])
            raise ImageError(f"docker/base/make.sh failed:\n{errors[-2000:]}{imported.stderr[-2000:]}")
        self.say(f"{reference} made in {time.monotonic() - began:.0f} s")

    def _installer(self) -> Path:
        """The path of uv for the images' platform, fetched once."""
        lock = self.repository / "docker" / "build.lock"
        folder = self.repository / ".kennel" / "cache" / f"uv-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
        if not (folder / "bin" / "uv").exists():
            unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
            uv = [str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--no-deps", "--require-hashes"]
            options = ["--target", str(unfinished), "--python-platform", "x86_64-unknown-linux-gnu"]
            done = subprocess.run([*uv, *options, "-r", str(lock)], capture_output=True, text=True, check=False)
            if done.returncode:
                raise ImageError(f"cannot fetch the installer of docker/build.lock:\n{done.stderr[-2000:]}")
            try:
                unfinished.rename(folder)
            except OSError:  # another build has put it there meanwhile
                shutil.rmtree(unfinished)
        return folder / "bin" / "uv"

    def secrets(self) -> dict[str, Path]:
        """The host's CA bundle and package index, as build secrets by name."""
        secrets = {}
        for bundle in (self.environment.get(name) for name in CA_VARIABLES):
            if bundle:
                if not Path(bundle).is_file():
                    raise ImageError(f"{bundle}: no such CA bundle; correct {', '.join(CA_VARIABLES)}")
                secrets["ca"] = Path(bundle)
                break
        index = next((self.environment[name] for name in INDEX_VARIABLES if self.environment.get(name)), None)
        if index:
            kept = self.repository / ".kennel" / "index"
            kept.parent.mkdir(exist_ok=True)
            kept.touch(mode=0o600)
            kept.write_text(index, encoding="utf-8")
            secrets["index"] = kept
        return secrets

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
            hint = "check that the package registry is reachable, and that KENNEL_CA_BUNDLE names your network's CA"
            raise ImageError("\n".join([*last, f"docker/{build.kind}.Dockerfile: the build failed; {hint}"]))

    def _feed(self, process: subprocess.Popen[bytes], packed: bytes) -> Sequence[str]:
        """Sends the context, shows each stage as it begins, and returns the last lines."""
        if process.stdin:
            try:
                process.stdin.write(packed)
                process.stdin.close()
            except BrokenPipeError:
                pass  # the client has ended; its last lines give the reason
        last: deque[str] = deque(maxlen=25)
        shown: set[str] = set()
        for raw in process.stdout or ():
            line = raw.decode(errors="replace").rstrip()
            last.append(line)
            if line.startswith("#") and "] " in line and " [" in line and "[internal]" not in line:
                stage = "  " + re.sub(r"--mount=\S+ +", "", line.split(" ", 1)[1])[:120]
                if stage not in shown:
                    self.say(stage)
                shown.add(stage)
        return last

    def _has(self, reference: str) -> bool:
        return bool(self._identity(reference))

    def _identity(self, reference: str) -> str:
        status, output = self.run(["docker", "image", "inspect", "--format={{.Id}}", reference])
        return output.strip() if status == 0 else ""

    def _git(self, *arguments: str) -> str:
        status, output = self.run(["git", "-C", str(self.repository), *arguments])
        return output.strip() if status == 0 else ""

    def _origin(self) -> str:
        url = self._git("config", "--get", "remote.origin.url")
        return url if url.startswith(("https://", "ssh://", "git@")) and "@" not in url.split("://")[-1] else "kennel"

    def _history(self, files: Sequence[File]) -> tuple[str, str]:
        """The last commit that changed an input (marked if the input has changed since), and that commit's time."""
        packages = sorted({file.name.split("/")[0] for file in files} - {"build", "Dockerfile"})
        paths = ["--", "docker", *packages]
        revision, _, created = self._git("log", "-1", "--format=%H %cI", *paths).partition(" ")
        changed = self._git("status", "--porcelain", *paths)
        return (revision or "unknown") + ("-modified" if changed else ""), created or "1970-01-01T00:00:00+00:00"


def build(kind: ImageKind, *, repository: Path, target: str = "runtime") -> str:
    """Builds one image unless it exists; returns its reference. Raises ImageError, EngineError."""
    return ImageBuilder(repository=repository).build(kind, target=target)
