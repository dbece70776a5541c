"""Turns the bytes of a picture into the network's input array, in the same way for training and serving.

Uses only Pillow and numpy, so that the serving image needs no torch and both sides compute the same bits.
"""

from __future__ import annotations

import io
import warnings
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
MAX_PIXELS = 100_000_000
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_MAGIC = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\x00", b"MM\x00*")

FloatArray = npt.NDArray[np.float32]


class PictureError(ValueError):
    """The picture cannot be used. `kind` is not-a-picture, truncated, too-many-pixels or empty."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """The parameters of preprocessing. `mean` and `std` are per RGB channel, for values scaled to 0..1."""

    resize: int = 256
    crop: int = 224
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        whole = isinstance(self.crop, int) and isinstance(self.resize, int)
        if not whole or not 8 <= self.crop <= self.resize <= 4096:
            sizes = f"crop {self.crop}, resize {self.resize}"
            raise ValueError(f"preprocessing: 8 <= crop <= resize <= 4096 must hold, not {sizes}")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError("preprocessing: mean and std are three numbers each, std above 0")

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Preprocessing:
        unknown = sorted(set(values) - set(cls.__dataclass_fields__))
        if unknown:
            raise ValueError(f"preprocessing: unknown keys {unknown}; known are {sorted(cls.__dataclass_fields__)}")
        fields = dict(values)
        for key in ("mean", "std"):
            if key in fields:
                fields[key] = tuple(float(number) for number in fields[key])
        return cls(**fields)


def open_picture(source: bytes | BinaryIO, *, shorter_side: int = 256, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Decodes a picture (the first frame of an animation) to RGB, upright by its EXIF orientation.

    Checks the pixel count in the header before decoding (rule 30). Decodes a JPEG at the smallest DCT scale whose
    shorter side has at least `shorter_side` pixels.

    Raises PictureError.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    head = stream.read(16)
    stream.seek(0)
    if not head:
        raise PictureError("empty", "no bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns about odd EXIF and large pictures; _check_size has the limit
            image = Image.open(stream, formats=FORMATS)
            _check_size(image, max_pixels)
            image.draft("RGB", _draft_size(image, shorter_side))
            image.load()
            return _to_rgb(_upright(image))
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureError("too-many-pixels", str(error)) from error
    except UnidentifiedImageError as error:
        if head.startswith(_MAGIC) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
            raise PictureError("truncated", "broken picture: its header is incomplete") from error
        raise PictureError("not-a-picture", f"not a readable picture; the formats are {', '.join(FORMATS)}") from error
    except Exception as error:  # decoders raise nearly anything on broken input: OSError, SyntaxError, struct.error …
        raise PictureError("truncated", f"broken picture: {error}") from error


def to_array(image: Image.Image, preprocessing: Preprocessing) -> FloatArray:
    """Resizes the shorter side, crops the centre and normalises. Returns float32, shape (3, crop, crop), RGB."""
    array = np.asarray(center_crop(image, preprocessing)).transpose(2, 0, 1).astype(np.float32, order="C")
    offset = np.asarray(preprocessing.mean, dtype=np.float32) * np.float32(255.0)
    scale = np.asarray(preprocessing.std, dtype=np.float32) * np.float32(255.0)
    array -= offset[:, None, None]  # by planes: with a last axis of 3 this takes eight times as long
    array /= scale[:, None, None]
    return array


def center_crop(image: Image.Image, preprocessing: Preprocessing) -> Image.Image:
    """Resizes the shorter side of an upright RGB picture and cuts out the centre: size (crop, crop).

    Resizes only the part inside the crop, so that a picture of 100,000×2 pixels does not become one of millions.
    """
    width, height = image.size
    crop, ratio = preprocessing.crop, preprocessing.resize / min(width, height)
    columns, rows = max(crop, round(width * ratio)), max(crop, round(height * ratio))
    left, top = (columns - crop) // 2, (rows - crop) // 2
    box = (
        left * width / columns,
        top * height / rows,
        min(float(width), (left + crop) * width / columns),
        min(float(height), (top + crop) * height / rows),
    )
    return image.resize((crop, crop), Image.Resampling.BILINEAR, box=box, reducing_gap=3.0)


def _upright(image: Image.Image) -> Image.Image:
    """Turns the picture as its EXIF says. Ignores broken EXIF."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise PictureError("too-many-pixels", f"picture of {width}×{height} pixels; at most {max_pixels:,} are allowed")
    if width * height == 0:
        raise PictureError("empty", "picture without pixels")


def _draft_size(image: Image.Image, shorter_side: int) -> tuple[int, int]:
    """The size for the JPEG decoder, which picks the smallest DCT scale that is not below it on either side."""
    width, height = image.size
    shorter = min(width, height)
    return (max(1, width * shorter_side // shorter), max(1, height * shorter_side // shorter))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        image = _to_eight_bits(image)
    if image.mode in ("P", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode == "RGBA":  # transparent parts become white; the colour below them is often black
        paper = Image.new("RGBA", image.size, "white")
        paper.alpha_composite(image)
        image = paper
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Scales 16-bit and float grey by the depth, because Pillow's own conversion clips at 255."""
    values = np.asarray(image)
    if values.dtype.itemsize == 2:  # the high byte, as Pillow does for 16-bit colour
        return Image.fromarray((values >> 8).astype(np.uint8))
    values = np.nan_to_num(values.astype(np.float32))
    peak = float(values.max(initial=0.0))
    depth = (
        255.0 if image.mode == "F" and 1.0 < peak <= 255.0 else 1.0 if image.mode == "F" and peak <= 1.0 else 65535.0
    )
    return Image.fromarray(np.clip(values * np.float32(255.0 / depth), 0, 255).astype(np.uint8))
