from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from contract.preprocess import PictureError, Preprocessing, center_crop, open_picture, to_array

PREPROCESSING = Preprocessing()


def noise(width: int, height: int, channels: int = 3) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def smooth(width: int, height: int) -> Image.Image:
    """A gradient: decoders and scalers agree on it closely."""
    across, down = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([across, down, 255 - across], axis=2).astype(np.uint8))


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixel(image: Image.Image, at: tuple[int, int]) -> Any:
    return image.getpixel(at)


def kind_of(content: bytes, **options: Any) -> str:
    with pytest.raises(PictureError) as caught:
        open_picture(content, **options)
    assert str(caught.value)
    return caught.value.kind


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_format_opens_as_rgb(kind: str) -> None:
    image = open_picture(encode(smooth(80, 60), kind))
    assert (image.mode, image.size) == ("RGB", (80, 60))


@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (1, 0)), (3, (1, 1)), (4, (0, 1)), (5, (0, 0)), (6, (1, 0)), (7, (1, 1)), (8, (0, 1))],
)
def test_exif_orientation_is_applied(orientation: int, corner: tuple[int, int]) -> None:
    image = Image.new("RGB", (120, 80), "black")
    image.paste("white", (0, 0, 40, 30))
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = open_picture(encode(image, "JPEG", exif=exif.tobytes(), quality=95))
    assert upright.size == ((80, 120) if orientation >= 5 else (120, 80))
    at = (corner[0] * (upright.width - 1), corner[1] * (upright.height - 1))
    assert min(pixel(upright, at)) > 240
    assert max(pixel(upright, (upright.width - 1 - at[0], upright.height - 1 - at[1]))) < 15


def test_a_picture_with_broken_exif_is_used() -> None:
    content = encode(smooth(60, 40), "JPEG", exif=b"Exif\x00\x00" + b"II*\x00\x08\x00\x00\x00" + b"\xff" * 40)
    assert open_picture(content).size == (60, 40)


def test_cmyk_becomes_the_same_colours() -> None:
    red = Image.new("RGB", (64, 64), (250, 20, 20))
    found = pixel(open_picture(encode(red.convert("CMYK"), "JPEG", quality=95)), (30, 30))
    assert np.abs(np.subtract(found, (250, 20, 20))).max() <= 6


def test_palette_and_its_transparency_become_colours_on_white() -> None:
    image = Image.new("P", (20, 20), 1)
    image.putpalette([0, 0, 0, 200, 30, 40])
    image.paste(0, (0, 0, 10, 20))
    found = open_picture(encode(image, transparency=0))
    assert (pixel(found, (2, 2)), pixel(found, (15, 2))) == ((255, 255, 255), (200, 30, 40))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_parts_become_white(mode: str) -> None:
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    assert pixel(open_picture(encode(image.convert(mode))), (5, 5)) == (255, 255, 255)


def test_rgb_with_a_transparent_colour_is_opened() -> None:
    content = encode(Image.new("RGB", (10, 10), (9, 9, 9)), transparency=(9, 9, 9))
    assert pixel(open_picture(content), (5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(kind: str) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    image = open_picture(encode(Image.fromarray(np.tile(ramp, (16, 1))), kind))
    found = np.asarray(image)[8, :, 0].astype(int)
    assert np.abs(found - np.arange(256)).max() <= 1


@pytest.mark.parametrize("peak", [1.0, 255.0, 65535.0])
def test_float_pictures_are_scaled_by_their_depth(peak: float) -> None:
    values = np.tile(np.linspace(0, peak, 256, dtype=np.float32), (16, 1))
    values[0, 0] = np.nan
    found = np.asarray(open_picture(encode(Image.fromarray(values), "TIFF")))[8, :, 0].astype(int)
    assert np.abs(found - np.arange(256)).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L"])
def test_black_and_white_and_grey_are_opened(mode: str) -> None:
    assert pixel(open_picture(encode(Image.new(mode, (9, 9), 255))), (4, 4)) == (255, 255, 255)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_used(kind: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "green")]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=50)
    red, green, blue = pixel(open_picture(content), (10, 10))
    assert red > 240
    assert max(green, blue) < 15


def test_a_phone_s_multi_picture_file_is_a_jpeg() -> None:
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    content = encode(frames[0], "MPO", save_all=True, append_images=frames[1:])
    assert pixel(open_picture(content), (10, 10))[0] > 240


@pytest.mark.parametrize("width", [256, 257, 300, 511, 512, 513, 1023, 1024, 2040, 2047, 2048, 2049, 3000])
@pytest.mark.parametrize("shorter", [224, 232, 255, 256, 342])
def test_decoding_at_a_smaller_scale_keeps_the_requested_shorter_side(width: int, shorter: int) -> None:
    for height in (width, width + 100):
        image = open_picture(encode(Image.new("RGB", (width, height)), "JPEG"), shorter_side=shorter)
        assert min(image.size) >= min(shorter, width)
        assert width < 8 * shorter or image.width < width / 4


def test_a_large_jpeg_decoded_small_gives_nearly_the_same_input() -> None:
    content = encode(smooth(2048, 1536), "JPEG", quality=95)
    small = to_array(open_picture(content, shorter_side=256), PREPROCESSING)
    whole = to_array(open_picture(content, shorter_side=1536), PREPROCESSING)
    assert np.abs(small - whole).max() < 0.05


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_an_incomplete_picture_is_truncated(kind: str, share: float) -> None:
    content = encode(Image.fromarray(noise(200, 150)), kind)
    assert kind_of(content[: int(len(content) * share)]) == "truncated"


def test_a_truncated_jpeg_is_found_at_every_decoding_scale() -> None:
    content = encode(Image.fromarray(noise(1200, 900)), "JPEG", progressive=True)
    for shorter in (32, 256, 900):
        assert kind_of(content[: len(content) // 2], shorter_side=shorter) == "truncated"


@pytest.mark.parametrize(
    "content", [b"hello", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7", b"\x00" * 500]
)
def test_bytes_that_are_no_picture_are_not_a_picture(content: bytes) -> None:
    assert kind_of(content) == "not-a-picture"


def test_no_bytes_are_empty() -> None:
    assert kind_of(b"") == "empty"


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        png_header(60_000, 60_000),
        png_header(12_000, 12_000),
        png_header(2**31 - 1, 1),
        b"GIF89a"
        + struct.pack("<HH", 65_535, 65_535)
        + b"\x00\x00\x00,"
        + struct.pack("<HHHH", 0, 0, 65_535, 65_535)
        + b"\x00\x02\x00;",
        b"BM"
        + struct.pack("<IHHI", 54, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, 40_000, 40_000, 1, 24, 0, 0, 0, 0, 0, 0),
    ],
    ids=["png", "png-between-the-limits", "png-line", "gif", "bmp"],
)
def test_a_bomb_is_refused_by_its_header(content: bytes) -> None:
    assert len(content) < 200
    assert kind_of(content) == "too-many-pixels"


def test_the_caller_sets_the_limit_of_pixels() -> None:
    content = encode(Image.new("RGB", (100, 100)))
    assert open_picture(content, max_pixels=10_000).size == (100, 100)
    assert kind_of(content, max_pixels=9_999) == "too-many-pixels"


def test_a_stream_and_its_bytes_give_the_same_picture() -> None:
    content = encode(smooth(70, 50), "JPEG")
    assert open_picture(io.BytesIO(content)).tobytes() == open_picture(content).tobytes()


@pytest.mark.parametrize(
    "size", [(256, 256), (341, 256), (256, 999), (8, 8), (1, 1), (1, 5000), (100_000, 2), (4000, 3000)]
)
def test_the_crop_always_has_the_requested_size(size: tuple[int, int]) -> None:
    assert center_crop(Image.new("RGB", size), PREPROCESSING).size == (224, 224)


@pytest.mark.parametrize("size", [(348, 348), (341, 256), (256, 400), (501, 333), (1000, 777), (64, 48)])
def test_the_crop_equals_resizing_the_whole_picture_and_cutting(size: tuple[int, int]) -> None:
    image = smooth(*size)
    ratio = PREPROCESSING.resize / min(size)
    whole = image.resize((round(size[0] * ratio), round(size[1] * ratio)), Image.Resampling.BILINEAR, reducing_gap=3.0)
    left, top = (whole.width - 224) // 2, (whole.height - 224) // 2
    expected = np.asarray(whole.crop((left, top, left + 224, top + 224))).astype(int)
    assert np.abs(np.asarray(center_crop(image, PREPROCESSING)).astype(int) - expected).max() <= 2


def test_the_array_is_normalised_channel_by_channel() -> None:
    array = to_array(Image.new("RGB", (300, 300), (255, 0, 51)), PREPROCESSING)
    assert (str(array.dtype), array.shape) == ("float32", (3, 224, 224))
    assert array.flags["C_CONTIGUOUS"]
    expected = [(1.0 - 0.485) / 0.229, -0.456 / 0.224, (0.2 - 0.406) / 0.225]
    assert np.allclose(array[:, 100, 100], expected, atol=1e-6)


def test_the_array_has_the_bits_of_the_plain_formula() -> None:
    image = smooth(300, 260)
    pixels = np.asarray(center_crop(image, PREPROCESSING), dtype=np.float32)
    mean, std = (np.asarray(each, dtype=np.float32) for each in (PREPROCESSING.mean, PREPROCESSING.std))
    expected = np.ascontiguousarray(((pixels - mean * np.float32(255)) / (std * np.float32(255))).transpose(2, 0, 1))
    assert to_array(image, PREPROCESSING).tobytes() == expected.tobytes()


def test_preprocessing_survives_json_lists() -> None:
    chosen = Preprocessing(resize=64, crop=32, mean=(0.1, 0.2, 0.3))
    values = {**chosen.to_dict(), "mean": [0.1, 0.2, 0.3]}
    assert Preprocessing.from_dict(values) == chosen


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crop": 300}, "8 <= crop <= resize <= 4096 must hold"),
        ({"resize": 10**6}, "8 <= crop <= resize <= 4096 must hold"),
        ({"crop": 200.5}, "8 <= crop <= resize <= 4096 must hold"),
        ({"std": [0, 1, 1]}, "std above 0"),
        ({"mean": [0.5]}, "three numbers each"),
        ({"flip": True}, r"unknown keys \['flip'\]; known are"),
    ],
)
def test_impossible_preprocessing_is_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Preprocessing.from_dict(values)
