"""Log chunks become whole lines."""

from localcloud.cloudwatch.logs import lines


def test_lines_are_whole_wherever_the_chunks_break() -> None:
    assert list(lines([b"on", b"e\ntw", b"o\r\nthree"])) == ["one", "two", "three"]


def test_a_progress_bars_carriage_returns_make_lines() -> None:
    assert list(lines([b"10%\r20%\r", b"30%\n"])) == ["10%", "20%", "30%"]


def test_bytes_that_are_not_utf8_do_not_stop_the_log() -> None:
    assert list(lines([b"\xff\xfe ok\n"])) == ["�� ok"]


def test_a_multibyte_character_split_over_chunks_survives() -> None:
    text = "größe\n".encode()
    assert list(lines([text[:3], text[3:]])) == ["größe"]
