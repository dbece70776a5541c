"""The head on features: scaling, and its steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from train.learning import features
from train.learning.features import Features, Standard
from train.pictures.loader import Batch


def _features(views: int = 2, count: int = 30, width: int = 6) -> Features:
    torch.manual_seed(1)
    values = torch.randn(views, count, width) * torch.linspace(0.1, 30, width) + 5
    return Features(values=values, labels=torch.arange(count) % 3)


def test_a_standardised_head_starts_and_ends_as_the_same_function_as_a_plain_one() -> None:
    split = _features()
    head = nn.Linear(6, 3)
    small = Standard(head, split.values)
    torch.testing.assert_close(small(split.values[0]), head(split.values[0]), rtol=1e-4, atol=1e-4)
    with torch.no_grad():
        small.head.weight.add_(torch.randn_like(small.head.weight))
    torch.testing.assert_close(small.plain()(split.values[0]), small(split.values[0]), rtol=1e-4, atol=1e-4)


def test_features_are_centred_and_share_one_scale() -> None:
    split = _features(count=3000)
    small = Standard(nn.Linear(6, 6), split.values)
    with torch.no_grad():
        small.head.weight.copy_(torch.eye(6))
        small.head.bias.zero_()
        seen = small(split.values).reshape(-1, 6)
    size = seen.std(dim=0, correction=0)
    torch.testing.assert_close(seen.mean(dim=0), torch.zeros(6), rtol=0, atol=1e-5)
    torch.testing.assert_close(size.square().mean(), torch.tensor(1.0), rtol=1e-4, atol=0)
    torch.testing.assert_close(size / size[-1], torch.linspace(0.1, 30, 6) / 30, rtol=0.1, atol=0)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    split = _features()
    split.values[..., 2] = 0.0
    for values in (split.values, torch.full_like(split.values, 7.0)):
        small = Standard(nn.Linear(6, 3), values)
        assert torch.isfinite(small(values[0])).all()
        assert torch.isfinite(small.plain().weight).all()


def test_the_scale_is_the_same_however_many_blocks_there_are() -> None:
    torch.manual_seed(0)
    rows = torch.randn(features.BLOCK + 100, 3) * torch.tensor([1e-3, 1.0, 10.0]) + torch.tensor([1e3, 0.0, -5.0])
    mean, deviation = features.scale(rows)
    torch.testing.assert_close(mean, rows.double().mean(dim=0), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(deviation, rows.double().std(dim=0, correction=0), rtol=1e-11, atol=0)


def test_all_of_a_split_is_evaluated_block_by_block() -> None:
    count = features.BLOCK + 3
    split = Features(values=torch.eye(3)[torch.arange(count) % 3][None], labels=torch.arange(count) % 3)
    found = features.evaluate(nn.Identity(), split, classes=3)
    assert found.top1 == 1.0
    assert int(found.confusion.sum()) == count


def test_chunks_cover_a_split_once() -> None:
    for count in (1, 64, 65, 30_000):
        parts = features.chunks(count)
        assert [index for part in parts for index in part] == list(range(count))


def test_an_epoch_takes_one_view_of_each_picture_and_every_view_in_the_end() -> None:
    split = _features(views=3, count=40)
    seen: set[int] = set()
    for epoch in range(6):
        rows = torch.cat([step.inputs for step in features.steps(split, 7, seed=0, epoch=epoch, first=0)])
        assert len(rows) == 40
        matches = (rows[:, None, None, :] == split.values).all(-1).nonzero()
        assert sorted(matches[:, 2].tolist()) == list(range(40))
        seen |= set(matches[:, 1].tolist())
    assert seen == {0, 1, 2}


def test_an_epoch_resumed_in_the_middle_has_the_same_remaining_steps() -> None:
    split = _features()
    whole = list(features.steps(split, 8, seed=5, epoch=2, first=0))
    rest = list(features.steps(split, 8, seed=5, epoch=2, first=2))
    assert len(rest) == len(whole) - 2
    assert all(torch.equal(a.inputs, b.inputs) for a, b in zip(rest, whole[2:], strict=True))


def test_a_feature_key_depends_on_every_part() -> None:
    assert features.key("a", "b") != features.key("a", "c") != features.key("ab", "")


def _batches(count: int, taken: list[int] | None = None) -> Iterator[Batch]:
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield Batch(pictures=torch.full((1, 3, 8, 8), float(number)), labels=torch.zeros(1).long(), index=(number,))


@pytest.mark.parametrize(
    ("pictures", "streams", "sizes"),
    [
        (16, 2, [8, 8]),
        (48, 2, [12, 12, 12, 12]),
        (90, 2, [12, 13, 13, 13, 13, 13, 13]),
        (5, 8, [1, 1, 1, 1, 1]),
        (128, 2, 8 * [16]),
        (90, 1, [16, 16, 16, 16, 13, 13]),
    ],
)
def test_no_stream_is_left_without_work_while_others_have_much(pictures: int, streams: int, sizes: list[int]) -> None:
    parts = features.chunks(pictures)
    cut = features.pieces(parts, 16, streams=streams)
    assert sorted(len(piece) for part in cut for piece in part) == sorted(sizes)
    assert [[index for piece in part for index in piece] for part in cut] == parts


def test_no_pictures_give_no_batches() -> None:
    assert features.pieces([], 16, streams=2) == []


def _threads_of_a_new_thread() -> int:
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    return found[0]


def test_as_many_batches_as_streams_are_computed_at_a_time_each_by_one_thread_and_come_in_order() -> None:
    together, threads, before = threading.Barrier(3, timeout=20), set[int](), torch.get_num_threads()

    def forward(batch: Batch) -> torch.Tensor:
        together.wait()  # breaks unless three are here
        threads.add(torch.get_num_threads())
        time.sleep(0.01 * (batch.index[0] % 3 == 0))  # the first of three is done last
        return batch.pictures.mean()

    found = [int(value) for value in features.side_by_side(forward, _batches(12), streams=3)]
    assert found == list(range(12))
    assert threads == {1}
    assert (torch.get_num_threads(), _threads_of_a_new_thread()) == (before, before)


def test_batches_are_not_taken_long_before_they_can_be_computed() -> None:
    taken: list[int] = []
    rows = features.side_by_side(lambda batch: batch.pictures, _batches(50, taken), streams=2)
    assert taken == []
    next(rows)
    assert taken == [0, 1, 2]


def test_a_single_stream_computes_in_the_caller_with_all_threads() -> None:
    asked = features.side_by_side(lambda _: torch.tensor(threading.get_ident()), _batches(3), streams=1)
    assert {int(one) for one in asked} == {threading.get_ident()}


@pytest.mark.parametrize("left", ["by an error", "by the caller"])
def test_after_an_early_exit_no_stream_thread_is_left_and_torch_has_all_threads_again(left: str) -> None:
    def forward(batch: Batch) -> torch.Tensor:
        if left == "by an error" and batch.index == (1,):
            raise MemoryError("no room for a picture")
        return batch.pictures

    before = torch.get_num_threads()
    rows = features.side_by_side(forward, _batches(50), streams=2)
    next(rows)
    if left == "by an error":
        with pytest.raises(MemoryError, match="no room"):
            list(rows)
    else:
        del rows
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("forward")]
    assert _threads_of_a_new_thread() == before
