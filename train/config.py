"""The hyperparameters: one table, read by SageMaker's hyperparameters.json and by command-line flags alike."""

from __future__ import annotations

import argparse
import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args, get_type_hints

IGNORED_PREFIX = "sagemaker_"  # the SDK's own entries
IGNORED = ("_tuning_objective_metric",)  # rule 19


class ConfigError(ValueError):
    """A hyperparameter that is unknown or out of range; says which, what was given and what is possible."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """What one hyperparameter means and which values it takes."""

    help: str
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf
    group: str = "training"


def option(default: Any, text: str, **limits: Any) -> Any:
    return field(default=default, metadata={"option": Option(help=text, **limits)})


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that decides a training's result apart from the pictures. Where the data lie is Environment's.

    Raises ConfigError for a value out of range.
    """

    model: str = option(
        "resnet50", "network by its torchvision name: resnet18, efficientnet_b0, vit_b_16 …", group="model"
    )
    weights: str = option("imagenet", "start from: imagenet, none, or the path of a .safetensors file", group="model")
    freeze_backbone: bool = option(
        True, "train only the new head (fast); false trains the whole network", group="model"
    )
    epochs: int = option(5, "passes over the training pictures", low=1, high=10_000)
    batch_size: int = option(32, "GLOBAL batch: pictures per step over all ranks", low=1, high=65_536)
    learning_rate: float | None = option(None, "peak rate; auto picks by optimizer and mode", low=1e-9, high=100)
    optimizer: str = option("sgd", "which optimizer", choices=("sgd", "adamw"))
    momentum: float = option(0.9, "momentum of sgd", low=0, high=0.9999)
    weight_decay: float = option(1e-4, "decay of weights, not of biases and norms", low=0, high=1)
    schedule: str = option("cosine", "how the rate falls after the warm-up", choices=("cosine", "constant", "step"))
    warmup_epochs: float = option(0.0, "epochs over which the rate rises to its peak", low=0, high=1000)
    label_smoothing: float = option(0.0, "share of the target spread over all classes", low=0, high=0.9)
    patience: int = option(0, "stop after so many epochs without a better validation; 0 never", low=0, high=10_000)
    seed: int = option(0, "the same seed, data and precision give the same model on one machine", low=0, high=2**31 - 1)
    resize: int = option(256, "shorter side before the crop, in pixels", low=8, high=4096, group="pictures")
    crop: int = option(224, "side of the network's square input, in pixels", low=8, high=4096, group="pictures")
    augment: bool = option(True, "random crops and flips while training", group="pictures")
    views: int = option(
        1, "augmented views of a picture that a frozen backbone sees once", low=1, high=64, group="pictures"
    )
    max_bad_share: float = option(
        0.05, "fail when more than this share cannot be read", low=0, high=1, group="pictures"
    )
    valid_share: float = option(
        0.15, "split off for validation when the data has none", low=0.01, high=0.5, group="pictures"
    )
    precision: str = option(
        "auto",
        "arithmetic; auto takes bf16 where it is measured faster",
        choices=("auto", "fp32", "bf16", "fp16"),
        group="machine",
    )
    channels_last: str = option("auto", "memory layout", choices=("auto", "true", "false"), group="machine")
    workers: int | None = option(None, "decoding threads per rank; auto by CPUs", low=0, high=256, group="machine")
    ranks: int | None = option(
        None, "processes per host; auto is one per GPU, else by CPUs", low=1, high=256, group="machine"
    )
    engine: str = option(
        "auto",
        "what serves the model; auto takes the fastest that answers as well, by measurement",
        choices=("auto", "onnxruntime", "openvino"),
        group="serving",
    )
    serve_precision: str = option("auto", "its arithmetic", choices=("auto", "fp32", "bf16", "int8"), group="serving")
    checkpoint_interval_steps: int = option(
        0, "checkpoint each so many steps as well as each epoch; 0 only each epoch", low=0, group="machine"
    )

    def __post_init__(self) -> None:
        for spec in fields(self):
            _check(spec.name, getattr(self, spec.name), spec.metadata["option"])
        if self.crop > self.resize:
            raise ConfigError(f"crop={self.crop} is larger than resize={self.resize}: make resize at least the crop")
        if self.warmup_epochs > self.epochs:
            raise ConfigError(f"warmup_epochs={self.warmup_epochs:g} is longer than epochs={self.epochs}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def names() -> tuple[str, ...]:
    return tuple(spec.name for spec in fields(Config))


def from_hyperparameters(values: Mapping[str, Any]) -> Config:
    """A Config from SageMaker's string map: values raw or JSON-quoted, keys with dash or underscore (rules 4, 5).

    SageMaker's own keys are ignored. Raises ConfigError for an unknown key, a doubled key or a wrong value.
    """
    kinds = get_type_hints(Config)
    chosen: dict[str, Any] = {}
    for key, raw in values.items():
        name = key.strip().replace("-", "_")
        if name.startswith(IGNORED_PREFIX) or name in IGNORED:
            continue
        if name not in kinds:
            raise ConfigError(unknown(key))
        if name in chosen:
            raise ConfigError(f"{name} is given twice (with dash and with underscore): keep one")
        chosen[name] = _convert(name, _unquote(raw), kinds[name])
    return Config(**chosen)


def unknown(key: str) -> str:
    """The message for a key that no hyperparameter has."""
    near = difflib.get_close_matches(key.strip("-").replace("-", "_"), names(), n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown hyperparameter {key!r}{hint}; valid are {', '.join(names())}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A flag for each hyperparameter, both --batch-size and --batch_size; unset flags stay out of the namespace."""
    groups: dict[str, Any] = {}
    kinds = get_type_hints(Config)
    for spec in fields(Config):
        about: Option = spec.metadata["option"]
        if about.group not in groups:
            groups[about.group] = parser.add_argument_group(about.group)
        dashed = f"--{spec.name.replace('_', '-')}"
        flags = [dashed] if "_" not in spec.name else [dashed, f"--{spec.name}"]
        default = "auto" if spec.default is None else str(spec.default).lower()
        options: dict[str, Any] = {"nargs": "?", "const": "true"} if kinds[spec.name] is bool else {}
        groups[about.group].add_argument(
            *flags,
            dest=spec.name,
            default=argparse.SUPPRESS,
            metavar=_placeholder(kinds[spec.name], about),
            help=f"{about.help} (default {default})".replace("%", "%%"),
            **options,
        )


def _placeholder(kind: Any, about: Option) -> str:
    if about.choices:
        return "{" + ",".join(about.choices) + "}"
    if kind is bool:
        return "{true,false}"
    return "N" if int in (kind, *get_args(kind)) else "X" if float in (kind, *get_args(kind)) else "NAME"


def _unquote(raw: Any) -> str:
    """Framework estimators send json.dumps(value), plain ones str(value): a quoted string loses its quotes."""
    if not isinstance(raw, str):
        return json.dumps(raw)
    text = raw.strip()
    if len(text) >= 2 and text.startswith('"') and text.endswith('"'):
        try:
            return str(json.loads(text)).strip()
        except json.JSONDecodeError:
            return text
    return text


def _convert(name: str, text: str, kind: Any) -> Any:
    optional = type(None) in get_args(kind)
    if optional and text.lower() in ("", "auto", "none", "null"):
        return None
    base = next((part for part in get_args(kind) if part is not type(None)), kind)
    readers: dict[Any, tuple[Callable[[str], Any], str]] = {
        int: (_whole, "a whole number"),
        float: (float, "a number"),
        bool: (_truth, "true or false"),
        str: (_text, "a value"),
    }
    reader, wanted = readers[base]
    try:
        return reader(text)
    except ValueError:
        raise ConfigError(f"{name}={text!r}: {wanted} is needed{' or auto' if optional else ''}") from None


def _whole(text: str) -> int:
    number = float(text)
    if not number.is_integer():  # nor nan, nor inf
        raise ValueError(text)
    return int(number)


def _truth(text: str) -> bool:
    words = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
    try:
        return words[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _text(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


def _check(name: str, value: Any, about: Option) -> None:
    if about.choices and value not in about.choices:
        raise ConfigError(f"{name}={value!r}: must be one of {', '.join(about.choices)}")
    if value is None or isinstance(value, str | bool):
        return
    if not about.low <= value <= about.high:  # also refuses nan
        top = f" and at most {about.high:g}" if about.high < math.inf else ""
        raise ConfigError(f"{name}={value:g}: must be at least {about.low:g}{top}")
