from __future__ import annotations

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from train.pictures import index as data
from train.pictures.index import DataError, Index, scan

Make = Callable[..., Path]


def jpeg(seed: int = 0, mode: str = "RGB", **options: Any) -> bytes:
    noise = np.random.default_rng(seed).integers(0, 255, (40, 48, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noise).convert(mode).save(stream, "JPEG", **options)
    return stream.getvalue()


def png(image: Image.Image, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Class folders with pictures of noise: make(train=6, valid=2) writes that many per class."""

    def build(name: str = "data", classes: tuple[str, ...] = ("cat", "dog"), **counts: int) -> Path:
        for split, count in counts.items():
            for place, label in enumerate(classes):
                for number in range(count):
                    seed = zlib.crc32(f"{split} {place} {number}".encode())
                    write(tmp_path / name / split / label / f"{number}.jpg", jpeg(seed))
        return tmp_path / name

    return build


def run(source: Path | dict[str, Path], tmp_path: Path, **options: Any) -> Index:
    sources = source if isinstance(source, dict) else {"training": source}
    return scan(sources, extract_to=tmp_path / "extracted", **options)


def sizes(index: Index) -> tuple[int, int, int]:
    return len(index.train), len(index.valid), len(index.test)


@pytest.mark.parametrize("valid", ["valid", "val", "validation", "Valid"])
def test_train_valid_and_test_folders_are_found(make: Make, tmp_path: Path, valid: str) -> None:
    index = run(make(train=4, test=2, **{valid: 3}), tmp_path)
    assert index.labels == ("cat", "dog")
    assert sizes(index) == (8, 6, 4)
    assert [sample.label for sample in index.train] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert index.skipped == ()


def test_splits_as_channels_of_their_own(make: Make, tmp_path: Path) -> None:
    root = make(train=4, valid=2, test=2)
    index = run({"train": root / "train", "validation": root / "valid", "test": root / "test"}, tmp_path)
    assert sizes(index) == (8, 4, 4)


def test_class_folders_alone_are_all_for_training(make: Make, tmp_path: Path) -> None:
    index = run(make(train=10) / "train", tmp_path, valid_share=0.2)
    assert sizes(index) == (16, 4, 0)


def test_a_missing_validation_split_is_drawn_from_training_by_class_and_seed(make: Make, tmp_path: Path) -> None:
    root = make(train=10, test=2)
    first = run(root, tmp_path, seed=1)
    assert sizes(first) == (16, 4, 4)
    assert sorted(sample.label for sample in first.valid) == [0, 0, 1, 1]
    assert not {sample.path for sample in first.train} & {sample.path for sample in first.valid}
    [note] = first.notes
    assert "no valid split: validating on 15% of each class" in note
    assert run(root, tmp_path, seed=1) == first
    assert run(root, tmp_path, seed=2).valid != first.valid


def test_an_outer_folder_around_the_splits_is_skipped(make: Make, tmp_path: Path) -> None:
    for around in ("dogImages", "data", "train"):
        make(f"{around}-channel/{around}", train=4, valid=2)
        assert sizes(run(tmp_path / f"{around}-channel", tmp_path)) == (8, 4, 0)


def test_hidden_files_and_folders_are_no_pictures_and_no_classes(make: Make, tmp_path: Path) -> None:
    root = make(train=4, valid=2)
    write(root / "train" / "cat" / ".DS_Store", b"x")
    write(root / "train" / ".ipynb_checkpoints" / "x.jpg", jpeg())
    write(root / "__MACOSX" / "train" / "._0.jpg", b"x")
    index = run(root, tmp_path)
    assert (index.labels, index.skipped) == (("cat", "dog"), ())


def test_unusual_but_complete_pictures_are_used(make: Make, tmp_path: Path) -> None:
    root = make(train=4, valid=2)
    folder = root / "train" / "cat"
    sixteen = Image.fromarray(np.arange(1600, dtype=np.uint16).reshape(40, 40) * 40)
    exif = Image.Exif()
    exif[0x0112] = 6
    write(folder / "cmyk.jpg", jpeg(1, "CMYK"))
    write(folder / "grey.jpg", jpeg(1, "L"))
    write(folder / "palette.png", png(Image.new("P", (30, 30))))
    write(folder / "sixteen.png", png(sixteen))
    write(folder / "rotated.jpg", jpeg(2, exif=exif.tobytes()))
    write(folder / "no-suffix", jpeg(3))
    write(folder / "UPPER.JPEG", jpeg(4, progressive=True))
    index = run(root, tmp_path)
    assert index.skipped == ()
    assert sizes(index) == (15, 4, 0)


def test_unreadable_files_are_skipped_and_named(make: Make, tmp_path: Path) -> None:
    root = make(train=20, valid=2)
    folder = root / "train" / "cat"
    write(folder / "empty.jpg", b"")
    write(folder / "half.jpg", jpeg(1)[:900])
    write(folder / "half.png", png(Image.new("RGB", (300, 300), "red"))[:-60])
    write(folder / "notes.txt", b"not a picture at all")
    write(folder / "page.jpg", b"<html>404</html>")
    write(folder / "bomb.png", png(Image.new("1", (20_000, 20_000))))
    (folder / "dangling.jpg").symlink_to(folder / "nowhere.jpg")
    index = run(root, tmp_path, max_bad_share=0.2)
    reasons = {row.name: row.reason.partition(":")[0] for row in index.skipped}
    assert reasons == {
        "train/cat/bomb.png": "too-many-pixels",
        "train/cat/dangling.jpg": "unreadable",
        "train/cat/empty.jpg": "empty",
        "train/cat/half.jpg": "truncated",
        "train/cat/half.png": "truncated",
        "train/cat/notes.txt": "not-a-picture",
        "train/cat/page.jpg": "not-a-picture",
    }
    assert sizes(index) == (40, 4, 0)


def test_too_many_bad_files_fail_with_their_names_and_the_share(make: Make, tmp_path: Path) -> None:
    root = make(train=8, valid=1)
    write(root / "train" / "dog" / "bad.jpg", b"x")
    with pytest.raises(
        DataError, match=r"1 of 19 files cannot be used \(5.3%, more than max_bad_share=0.05\)"
    ) as caught:
        run(root, tmp_path)
    assert "train/dog/bad.jpg (not-a-picture" in str(caught.value)
    assert len(run(root, tmp_path, max_bad_share=0.06).skipped) == 1


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: (root / "train" / "eel").mkdir(), "lacks eel"),
        (lambda root: (root / "valid" / "eel").mkdir(), "has eel which train lacks"),
        (lambda root: (root / "valid" / "cat").rename(root / "valid" / "Cat"), "lacks cat and has Cat"),
        (lambda root: [(root / split / "eel").mkdir() for split in ("train", "valid")], "no readable picture of eel"),
        (
            lambda root: [path.unlink() for path in (root / "valid" / "dog").iterdir()],
            "valid: no readable picture of dog",
        ),
        (
            lambda root: [(root / "train" / "cat" / f"{n}.jpg").unlink() for n in range(3)],
            "fewer than 2 pictures of cat",
        ),
        (lambda root: (root / "val").mkdir(), "both val and valid are a valid split"),
    ],
    ids=["only-train", "only-valid", "case", "empty", "empty-valid", "few", "two-valids"],
)
def test_unusable_folders_are_refused_before_the_first_step(
    make: Make, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    root = make(train=4, valid=2)
    spoil(root)
    with pytest.raises(DataError) as caught:
        run(root, tmp_path)
    assert message in str(caught.value)


def test_one_class_is_too_few(make: Make, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"1 class folder\(s\); at least two are needed"):
        run(make(classes=("cat",), train=4, valid=2), tmp_path)


def test_no_channel_a_missing_folder_and_an_unknown_channel_are_clear(make: Make, tmp_path: Path) -> None:
    root = make(train=4)
    with pytest.raises(DataError, match="no channel holds pictures"):
        run({}, tmp_path)
    with pytest.raises(DataError, match="does not exist; is the folder mounted"):
        run(tmp_path / "absent", tmp_path)
    with pytest.raises(DataError, match="unknown channel 'extra': choose one of data, train, training"):
        run({"train": root / "train", "extra": root / "train"}, tmp_path)


def test_pictures_that_are_in_train_and_test_give_a_warning(make: Make, tmp_path: Path) -> None:
    root = make(train=4, valid=2, test=2)
    write(root / "test" / "cat" / "copy.jpg", (root / "train" / "cat" / "0.jpg").read_bytes())
    assert run(root, tmp_path).notes == (
        "warning: 1 pictures of test are also in train, byte for byte: test results are too good",
    )


def test_the_checksum_is_the_same_for_the_same_pictures_in_any_folder_and_differs_for_others(
    make: Make, tmp_path: Path
) -> None:
    first, second = make("here", train=3, valid=1), make("there/deep", train=3, valid=1)
    same = run(first, tmp_path).sha256
    assert same == run(second, tmp_path).sha256
    write(second / "train" / "cat" / "0.jpg", jpeg(77))
    assert run(second, tmp_path).sha256 != same


def test_an_index_survives_its_file(make: Make, tmp_path: Path) -> None:
    index = run(make(train=4, valid=2, test=1), tmp_path)
    data.write_index(index, tmp_path / "index.json")
    assert data.read_index(tmp_path / "index.json") == index


def pack(folder: Path, target: Path) -> Path:
    """Writes the files of `folder` into the archive `target`, whose suffix decides the kind."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "w") as archive:
            for path in files:
                archive.write(path, path.relative_to(folder.parent))
    else:
        kind = {".gz": "w:gz", ".tgz": "w:gz", ".xz": "w:xz", ".tar": "w"}[target.suffix]
        with tarfile.open(target, kind) as tar:  # type: ignore[call-overload]
            for path in files:
                tar.add(path, path.relative_to(folder.parent))
    return target


@pytest.mark.parametrize("name", ["pictures.zip", "pictures.tar", "pictures.tar.gz", "pictures.tgz", "pictures.tar.xz"])
def test_an_archive_gives_the_same_index_as_its_folder(make: Make, tmp_path: Path, name: str) -> None:
    root = make(train=4, valid=2)
    channel = tmp_path / "channel"
    channel.mkdir()
    path = pack(root, channel / name)
    plain, in_folder, itself = run(root, tmp_path), run(channel, tmp_path / "a"), run(path, tmp_path / "b")
    assert sizes(plain) == sizes(in_folder) == sizes(itself) == (8, 4, 0)
    assert plain.sha256 == in_folder.sha256 == itself.sha256


def test_an_archive_per_split_is_accepted(make: Make, tmp_path: Path) -> None:
    root = make(train=4, valid=2)
    channel = tmp_path / "channel"
    channel.mkdir()
    pack(root / "train", channel / "train.zip")
    pack(root / "valid", channel / "valid.zip")
    assert sizes(run(channel, tmp_path)) == (8, 4, 0)


def test_other_files_of_an_archive_are_counted_and_system_junk_is_not(make: Make, tmp_path: Path) -> None:
    path = pack(make(train=20, valid=2), tmp_path / "pictures.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("data/train/cat/readme.txt", "hello")
        archive.writestr("__MACOSX/data/train/cat/._0.jpg", "x")
        link = zipfile.ZipInfo("data/train/cat/link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    index = run(path, tmp_path)
    assert {row.name: row.reason for row in index.skipped} == {
        "data/train/cat/readme.txt": "no picture suffix in its name",
        "data/train/cat/link.jpg": "not a plain file but a link",
    }
    assert sizes(index) == (40, 4, 0)


@pytest.mark.parametrize("name", ["../../escape.jpg", "/abs/escape.jpg", "train\\..\\..\\escape.jpg", "C:/escape.jpg"])
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_path_that_leads_out_of_an_archive_is_refused(tmp_path: Path, name: str, kind: str) -> None:
    path = tmp_path / f"evil.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, jpeg())
    else:
        info = tarfile.TarInfo(name)
        info.size = len(jpeg())
        with tarfile.open(path, "w") as tar:
            tar.addfile(info, io.BytesIO(jpeg()))
    with pytest.raises(DataError, match="leads out of the archive"):
        run(path, tmp_path)
    assert not list(tmp_path.rglob("escape.jpg"))


def test_links_in_a_tar_are_skipped(make: Make, tmp_path: Path) -> None:
    path = pack(make(train=20, valid=2), tmp_path / "pictures.tar")
    with tarfile.open(path, "a") as tar:
        for name, kind in (
            ("soft.jpg", tarfile.SYMTYPE),
            ("hard.jpg", tarfile.LNKTYPE),
            ("pipe.jpg", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(f"data/train/cat/{name}")
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
    index = run(path, tmp_path, max_bad_share=0.1)
    assert sorted(row.reason for row in index.skipped) == [
        "not a plain file but a link",
        "not a plain file but a link",
        "not a plain file but a special file",
    ]


def test_an_archive_bomb_is_refused_before_it_fills_the_disk(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("train/cat/0.jpg", bytes(300 * 2**20))
    assert path.stat().st_size < 3 * 2**20
    with pytest.raises(DataError, match="refused as an archive bomb"):
        run(path, tmp_path)


@pytest.mark.parametrize("name", ["broken.zip", "broken.tar", "broken.tar.gz"])
def test_a_broken_archive_is_a_clear_error(make: Make, tmp_path: Path, name: str) -> None:
    path = pack(make(train=4, valid=2), tmp_path / name)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError, match=": broken or unreadable archive"):
        run(path, tmp_path)


def test_a_file_that_is_no_archive_is_a_clear_error(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", b"x")
    with pytest.raises(DataError, match=r"is neither a folder nor one of \.zip"):
        run(tmp_path / "notes.txt", tmp_path)


def test_threads_change_nothing(make: Make, tmp_path: Path) -> None:
    root = make(train=12, valid=3)
    assert run(root, tmp_path, threads=1) == run(root, tmp_path, threads=4)
