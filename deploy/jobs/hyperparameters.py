"""What kind of value each of training's hyperparameters takes; a test holds this equal to train/config.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from deploy.config.section import Scalar

ValueKind = Literal["whole number", "number", "true or false", "text"]

_NAMES: Mapping[ValueKind, str] = {
    "whole number": "epochs batch_size patience seed resize crop views workers ranks checkpoint_interval_steps",
    "number": "learning_rate momentum weight_decay warmup_epochs label_smoothing max_bad_share valid_share",
    "true or false": "freeze_backbone augment",
    "text": "model weights optimizer schedule precision channels_last engine serve_precision",
}
KINDS: Mapping[str, ValueKind] = {name: kind for kind, names in _NAMES.items() for name in names.split()}


def fits(kind: ValueKind, value: Scalar) -> bool:
    """Whether a value of deploy.toml is of that kind; true is no number."""
    if kind == "text":
        return isinstance(value, str)
    if isinstance(value, bool) or kind == "true or false":
        return isinstance(value, bool) and kind == "true or false"
    return isinstance(value, int) or (isinstance(value, float) and (kind == "number" or value.is_integer()))
