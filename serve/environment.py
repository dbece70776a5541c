"""The server's settings, read from environment variables (rules 27, 30, 38, 43). Pure: reads no files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from contract.engine import KNOWN as ENGINES

MIB = 1024 * 1024
MAX_BODY_BYTES = 6_291_456  # rule 30: the sources disagree; this is the stricter limit
MAX_BATCH_MIB = 100  # rule 43
BYTES_PER_PIXEL = 24  # peak while decoding: a palette picture becomes RGBA, gets a background, becomes RGB


class SettingsError(ValueError):
    """An invalid environment variable; the text names it, its value and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Every setting. Sizes are in bytes, pixels or pictures, times in seconds."""

    model_dir: Path = Path("/opt/ml/model")
    port: int = 8080
    cpus: int = 1
    top_k: int = 5
    max_body_bytes: int = MAX_BODY_BYTES
    max_pixels: int = 100_000_000
    max_pictures: int = 64
    max_batch: int = 4  # larger batches gain almost nothing and make everybody wait
    max_waiting: int = 256
    max_requests: int = 64
    max_wait: float = 0.4  # plus the request's own time: 99 of 100 answers come within half a second
    answer_timeout: float = 55.0  # the caller gives up after 60 (rule 30)
    drain_timeout: int = 25  # SIGKILL comes after 30 (rule 36)
    transform_concurrency: int = 1
    golden_tolerance: float | None = None
    engine: str = "auto"
    log_level: str = "info"


def from_environ(environ: Mapping[str, str], *, cpus: int, memory: int | None = None) -> Settings:
    """Settings from the environment. Defaults follow `cpus` and `memory` (bytes). Raises SettingsError."""
    batch = _flag(environ, "SAGEMAKER_BATCH")
    unknown = {name for name in environ if name.startswith("KENNEL_")} - set(KNOWN)
    if unknown:
        raise SettingsError(f"unknown variables {', '.join(sorted(unknown))}: use {', '.join(sorted(KNOWN))}")
    threads = _number(environ, "KENNEL_THREADS", cpus, 1, 1024)
    level = environ.get("KENNEL_LOG_LEVEL", "info").lower()
    if level not in ("debug", "info", "warning", "error"):
        raise SettingsError(f"KENNEL_LOG_LEVEL={level!r}: give debug, info, warning or error")
    max_batch = _number(environ, "KENNEL_MAX_BATCH", Settings.max_batch, 1, 1024)
    max_requests = _number(environ, "KENNEL_MAX_REQUESTS", Settings.max_requests, 1, 500)
    return Settings(
        model_dir=Path(environ.get("KENNEL_MODEL_DIR") or Settings.model_dir),
        port=_number(environ, "SAGEMAKER_BIND_TO_PORT", Settings.port, 1, 65535),
        cpus=threads,
        top_k=_number(environ, "KENNEL_TOP_K", Settings.top_k, 1, 100_000),
        max_body_bytes=_number(environ, "KENNEL_MAX_BODY_BYTES", _body_bytes(environ, batch), 1, MAX_BATCH_MIB * MIB),
        max_pixels=_number(environ, "KENNEL_MAX_PIXELS", _pixels(threads, memory), 1, 1_000_000_000),
        max_pictures=_number(environ, "KENNEL_MAX_PICTURES", Settings.max_pictures, 1, 10_000),
        max_batch=max_batch,
        max_waiting=_number(environ, "KENNEL_MAX_WAITING", Settings.max_waiting, 1, 100_000),
        max_requests=max_requests,
        max_wait=_seconds(environ, "KENNEL_MAX_WAIT", Settings.answer_timeout if batch else Settings.max_wait),
        transform_concurrency=_number(environ, "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", 0, 0, 10_000)
        or min(threads * (2 + max_batch), max_requests),  # so that a full batch waits while each thread computes one
        golden_tolerance=_share(environ, "KENNEL_GOLDEN_TOLERANCE"),
        engine=_engine(environ),
        log_level=level,
    )


KNOWN = (
    "KENNEL_ENGINE",
    "KENNEL_GOLDEN_TOLERANCE",
    "KENNEL_LOG_LEVEL",
    "KENNEL_MAX_BATCH",
    "KENNEL_MAX_BODY_BYTES",
    "KENNEL_MAX_PICTURES",
    "KENNEL_MAX_PIXELS",
    "KENNEL_MAX_REQUESTS",
    "KENNEL_MAX_WAIT",
    "KENNEL_MAX_WAITING",
    "KENNEL_MODEL_DIR",
    "KENNEL_THREADS",
    "KENNEL_TOP_K",
)


def _body_bytes(environ: Mapping[str, str], batch: bool) -> int:
    """The body limit. A transform job sets it in MiB; 0 there means no limit (rule 43)."""
    if not batch:
        return MAX_BODY_BYTES
    return MIB * (_number(environ, "SAGEMAKER_MAX_PAYLOAD_IN_MB", 6, 0, MAX_BATCH_MIB) or MAX_BATCH_MIB)


def _pixels(threads: int, memory: int | None) -> int:
    """The pixel limit: pictures on all decoding threads fit in half of the container's memory; 16 million or more."""
    if memory is None:
        return Settings.max_pixels
    return min(Settings.max_pixels, max(16_000_000, memory // 2 // (threads * BYTES_PER_PIXEL)))


def _number(environ: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    text = environ.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
        raise SettingsError(f"{name}={text!r}: give a whole number from {low} to {high:,}")
    return int(text)


def _share(environ: Mapping[str, str], name: str) -> float | None:
    text = environ.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value <= 1:
        raise SettingsError(f"{name}={text!r}: give a number above 0 and at most 1")
    return value


def _engine(environ: Mapping[str, str]) -> str:
    text = environ.get("KENNEL_ENGINE", "").strip().lower() or Settings.engine
    if text not in ("auto", *ENGINES):
        raise SettingsError(f"KENNEL_ENGINE={text!r}: give auto or one of {', '.join(ENGINES)}")
    return text


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 < value <= Settings.answer_timeout:
        raise SettingsError(f"{name}={text!r}: give seconds above 0 and at most {Settings.answer_timeout:g}")
    return value


def _flag(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").strip().lower() in ("1", "true", "yes")
