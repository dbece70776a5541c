"""The base of every section of deploy.toml (frozen, unknown keys refused), and the types of values that many use."""

from __future__ import annotations

import difflib
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9](-?[a-z0-9])*$", max_length=20)]
InstanceType = Annotated[str, Field(pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9]+$")]
JobName = Annotated[str, Field(pattern=r"^$|^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}$")]
Scalar = str | int | float | bool


class Section(BaseModel):
    """A section (a TOML table) of deploy.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def unknown(key: str, valid: tuple[str, ...]) -> str:
    """The error for an unknown key: it names the nearest valid key, and all valid keys."""
    near = difflib.get_close_matches(key.replace("-", "_"), valid, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown{hint}; choose one of {', '.join(valid)}"


def valid_keys(model: Any) -> tuple[str, ...]:
    return tuple(spec.alias or name for name, spec in model.model_fields.items())
