"""The hyperparameters of training, declared once: name, type, default, limits, help.

The trainer's command line, SageMaker's hyperparameters.json and deploy.toml read them from here. Standard library
only, because deployment reads them too.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeAlias, get_args, get_type_hints

Value: TypeAlias = str | int | float | bool | None
ValueKind = Literal["whole number", "number", "true or false", "text"]
KINDS: Mapping[type, ValueKind] = {int: "whole number", float: "number", bool: "true or false", str: "text"}
BOOLEANS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
AUTO = ("", "auto", "none", "null")  # texts that leave an optional value to the trainer


class HyperparameterError(ValueError):
    """A hyperparameter that is unknown or out of range. The message names it, its value and what is valid."""


@dataclass(frozen=True, kw_only=True)
class Hyperparameter:
    """One hyperparameter: its type and the values that it takes. `default` None means that the trainer decides."""

    name: str
    kind: ValueKind
    default: Value
    help: str
    group: str = "training"
    choices: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    @property
    def is_optional(self) -> bool:
        return self.default is None

    def parse(self, value: Value) -> Value:
        """The typed value of a text, or of a value of JSON or TOML. Raises HyperparameterError."""
        text = value.strip() if isinstance(value, str) else json.dumps(value)
        if self.is_optional and text.lower() in AUTO:
            return None
        read, rule = _READERS[self.kind]
        try:
            parsed = read(text)
        except ValueError:
            auto = " or auto" if self.is_optional else ""
            raise HyperparameterError(f"{self.name}={text!r}: {rule}{auto}") from None
        self.check(parsed)
        return parsed

    def check(self, value: Value) -> None:
        """Raises HyperparameterError for a value that is none of the choices or outside the limits."""
        if self.choices and value not in self.choices:
            raise HyperparameterError(f"{self.name}={value!r}: must be one of {', '.join(self.choices)}")
        if value is None or isinstance(value, str | bool):
            return
        if not self.low <= value <= self.high:  # also refuses nan
            most = f" and at most {self.high:g}" if self.high < math.inf else ""
            raise HyperparameterError(f"{self.name}={value:g}: must be at least {self.low:g}{most}")


def _declare(default: Value, text: str, **limits: Any) -> Any:
    return field(default=default, metadata={"default": default, "help": text, **limits})


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Everything that decides a training's result, apart from the pictures and the machine.

    Each field declares one hyperparameter: its type, default, help text, limits and group of the command line.
    Raises HyperparameterError for a value out of range and for values that contradict each other.
    """

    model: str = _declare(
        "resnet50", "network by its torchvision name: resnet18, efficientnet_b0, vit_b_16 …", group="model"
    )
    weights: str = _declare("imagenet", "start from: imagenet, none, or the path of a .safetensors file", group="model")
    freeze_backbone: bool = _declare(
        True, "train only the new head (fast); false trains the whole network", group="model"
    )
    epochs: int = _declare(5, "passes over the training pictures", low=1, high=10_000)
    batch_size: int = _declare(32, "GLOBAL batch: pictures per step over all ranks", low=1, high=65_536)
    learning_rate: float | None = _declare(
        None, "peak learning rate; auto picks one for the optimizer and mode", low=1e-9, high=100
    )
    optimizer: str = _declare("sgd", "optimizer", choices=("sgd", "adamw"))
    momentum: float = _declare(0.9, "momentum of sgd", low=0, high=0.9999)
    weight_decay: float = _declare(1e-4, "decay of weights; biases and norms do not decay", low=0, high=1)
    schedule: str = _declare(
        "cosine", "how the learning rate falls after the warm-up", choices=("cosine", "constant", "step")
    )
    warmup_epochs: float = _declare(0.0, "epochs over which the learning rate rises to its peak", low=0, high=1000)
    label_smoothing: float = _declare(0.0, "share of the target spread over all classes", low=0, high=0.9)
    patience: int = _declare(
        0, "stop after this many epochs without a better validation; 0 never stops early", low=0, high=10_000
    )
    seed: int = _declare(
        0, "the same seed, data and precision give the same model on one machine", low=0, high=2**31 - 1
    )
    resize: int = _declare(256, "shorter side before the crop, in pixels", low=8, high=4096, group="pictures")
    crop: int = _declare(224, "side of the network's square input, in pixels", low=8, high=4096, group="pictures")
    augment: bool = _declare(True, "random crops and flips while training", group="pictures")
    views: int = _declare(
        1,
        "augmented views of each picture when the backbone is frozen",
        low=1,
        high=64,
        group="pictures",
    )
    max_bad_share: float = _declare(
        0.05, "fail when more than this share of the pictures cannot be read", low=0, high=1, group="pictures"
    )
    valid_share: float = _declare(
        0.15,
        "share of the training pictures to validate on when the data has no validation split",
        low=0.01,
        high=0.5,
        group="pictures",
    )
    precision: str = _declare(
        "auto",
        "arithmetic of training; auto uses bf16 where it measures faster",
        choices=("auto", "fp32", "bf16", "fp16"),
        group="machine",
    )
    channels_last: str = _declare(
        "auto", "channels-last memory layout", choices=("auto", "true", "false"), group="machine"
    )
    workers: int | None = _declare(
        None, "decoding threads per rank; auto uses the number of CPUs", low=0, high=256, group="machine"
    )
    ranks: int | None = _declare(
        None, "processes per host; auto is one per GPU, or by CPUs without GPUs", low=1, high=256, group="machine"
    )
    engine: str = _declare(
        "auto",
        "inference engine; auto measures and picks the fastest of equal accuracy",
        choices=("auto", "onnxruntime", "openvino"),
        group="serving",
    )
    serve_precision: str = _declare(
        "auto", "arithmetic of the inference engine", choices=("auto", "fp32", "bf16", "int8"), group="serving"
    )
    checkpoint_interval_steps: int = _declare(
        0, "steps between checkpoints within an epoch; 0 writes one per epoch only", low=0, group="machine"
    )

    def __post_init__(self) -> None:
        for name, declared in TABLE.items():
            declared.check(getattr(self, name))
        if self.crop > self.resize:
            raise HyperparameterError(
                f"crop={self.crop} is larger than resize={self.resize}: make resize at least the crop"
            )
        if self.warmup_epochs > self.epochs:
            raise HyperparameterError(f"warmup_epochs={self.warmup_epochs:g} is longer than epochs={self.epochs}")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def normalised(key: str) -> str:
    """The name that a key means: `batch-size` is `batch_size` (rule 5)."""
    return key.strip().replace("-", "_")


def unknown(key: str) -> str:
    """The message for a key that names no hyperparameter."""
    near = difflib.get_close_matches(normalised(key.strip("-")), TABLE, n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"unknown hyperparameter {key!r}{hint}; valid are {', '.join(TABLE)}"


def _whole(text: str) -> int:
    number = float(text)
    if not number.is_integer():  # nan and inf are not either
        raise ValueError(text)
    return int(number)


def _boolean(text: str) -> bool:
    try:
        return BOOLEANS[text.lower()]
    except KeyError:
        raise ValueError(text) from None


def _text(text: str) -> str:
    if not text:
        raise ValueError(text)
    return text


_READERS: Mapping[ValueKind, tuple[Callable[[str], Value], str]] = {
    "whole number": (_whole, "must be a whole number"),
    "number": (float, "must be a number"),
    "true or false": (_boolean, "must be true or false"),
    "text": (_text, "must not be empty"),
}


def _table() -> dict[str, Hyperparameter]:
    annotations = get_type_hints(Hyperparameters)
    return {
        each.name: Hyperparameter(
            name=each.name,
            kind=KINDS[(get_args(annotations[each.name]) or (annotations[each.name],))[0]],
            **each.metadata,
        )
        for each in fields(Hyperparameters)
    }


TABLE: Mapping[str, Hyperparameter] = _table()
