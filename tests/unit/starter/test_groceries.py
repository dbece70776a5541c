"""The starter pictures: each once, in train, valid or test."""

from collections import Counter

from starter.groceries import layout


def _rows(split: str, label: str, count: int) -> list[tuple[str, str, bytes]]:
    return [(split, label, f"{split}-{label}-{number}".encode()) for number in range(count)]


def _splits(placed: dict[str, bytes]) -> Counter[str]:
    return Counter(path.split("/")[0] for path in placed)


def test_a_picture_that_occurs_twice_is_placed_once() -> None:
    rows = _rows("train", "Pear", 10) + _rows("train", "Pear", 10) + _rows("test", "Pear", 3) * 2
    assert _splits(dict(layout(rows))) == {"train": 8, "valid": 2, "test": 3}


def test_every_class_gets_validation_pictures_even_where_the_package_gives_it_none() -> None:
    placed = layout(_rows("train", "Kaiser", 4) + _rows("train", "Anjou", 40) + _rows("val", "Anjou", 6))
    labels = {path.split("/")[1] for path in placed if path.startswith("valid/")}
    assert labels == {"Kaiser", "Anjou"}


def test_no_picture_of_the_test_split_is_trained_on() -> None:
    placed = layout(_rows("train", "Pear", 20) + _rows("val", "Pear", 5) + _rows("test", "Pear", 20))
    held_out = {picture for path, picture in placed.items() if path.startswith("test/")}
    others = {picture for path, picture in placed.items() if not path.startswith("test/")}
    assert len(held_out) == 20
    assert not held_out & others


def test_the_layout_does_not_depend_on_the_order_of_the_rows() -> None:
    rows = _rows("train", "Pear", 30) + _rows("val", "Pear", 5)
    assert layout(rows) == layout(rows[::-1])
