"""The loader: every row as often as it should be, in an order that is known and never held."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_buckets

from hexlib.errors import BadInput
from hexlib.game.positions import concatenate, read_positions
from hexlib.nn import batches, loader
from hexlib.nn.batches import make_batch
from hexlib.nn.buckets import Bucket, bucket_files, open_bucket
from hexlib.nn.loader import Loader, Part, Stream

SIZE = 5
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_buckets(tmp_path_factory.mktemp("source"), replies=True)


def parts_of(folder, fraction=0.2, weight=1.0, source=0):
    return [Part(open_bucket(path, fraction), weight, source) for path in bucket_files(folder)]


def key_of(positions, row):
    """What tells a position from others: its game and ply."""
    return int(positions.game[row]), int(positions.ply[row])


def drawn(stream, count, start=0):
    """Keys of `count` rows of a stream, from sample `start` on."""
    keys = []
    for skipped, outline in stream.chapters(start):
        positions = stream.read(outline).positions
        keys += [key_of(positions, row) for row in range(skipped, len(positions))]
        if len(keys) >= count:
            return keys[:count]
    raise AssertionError


def training_keys(folder, fraction):
    rows = [read_positions(path) for path in bucket_files(folder)]
    whole = concatenate(rows)
    kept = np.flatnonzero((whole.game >= fraction * 2**32) & (whole.weight > 0))
    return [key_of(whole, row) for row in kept]


def test_batches_are_the_positions_the_slow_way(source):
    positions = read_positions(source / "bucket_0000.npz").take(np.arange(40))
    turn = np.random.default_rng(0).random(40) < 0.5
    batch = make_batch(positions, turn, CPU)
    area = SIZE * SIZE
    entry = 0
    for k in range(40):
        own, other = (
            np.unpackbits(plane[k])[:area].astype(bool)
            for plane in (positions.own, positions.opponent)
        )
        entries = slice(entry, entry := entry + int(positions.policy_count[k]))
        policy = np.zeros(area)
        reply = -1
        cells, chances = positions.policy_cell[entries], positions.policy_probability[entries]
        for cell, chance in zip(cells.tolist(), chances, strict=True):
            if np.signbit(chance):
                reply = area - 1 - cell if turn[k] else cell
            else:
                policy[cell] = chance
        assert batch.reply[k] == reply
        if turn[k]:
            own, other, policy = own[::-1], other[::-1], policy[::-1]
        planes = batch.planes[k].numpy()
        assert np.array_equal(planes[0, 1:-1, 1:-1].ravel(), own)
        assert np.array_equal(planes[1, 1:-1, 1:-1].ravel(), other)
        assert np.array_equal(batch.occupied[k].numpy(), own | other)
        assert planes[0, 0].all()
        assert planes[1, 1:-1, -1].all()
        total = policy.sum()
        assert np.allclose(batch.policy[k].numpy(), policy / total if total else 0, atol=1e-6)
        assert batch.value[k] == positions.value[k]
        assert batch.weight[k] == positions.weight[k]
        assert np.isnan(batch.root_value[k].item()) == np.isnan(positions.root_value[k])
    assert (batch.reply >= 0).any()
    assert (batch.reply < 0).any()


def test_a_gpu_would_unpack_the_same(source):
    """What is done on a GPU, done on the CPU."""
    positions = read_positions(source / "bucket_0000.npz")
    turn = np.random.default_rng(0).random(len(positions)) < 0.5
    ours = make_batch(positions, turn, CPU)
    theirs = batches._on_device(positions, turn, CPU)
    for name, one in ours._asdict().items():
        assert torch.allclose(one, getattr(theirs, name), equal_nan=True), name
    assert theirs.planes.is_contiguous(memory_format=torch.channels_last)


def test_no_game_is_on_both_sides(source):
    training, validation = set(), set()
    for path in bucket_files(source):
        bucket = open_bucket(path, 0.3)
        training |= set(bucket.read(0, bucket.training).game.tolist())
        validation |= set(bucket.read_held_out(10**6).game.tolist())
    assert training
    assert validation
    assert not training & validation


def test_rows_of_no_weight_are_neither_trained_on_nor_validated_on(source):
    for path in bucket_files(source):
        bucket, whole = open_bucket(path, 0.3), read_positions(path)
        assert (whole.weight == 0).any()
        trained = bucket.read(0, bucket.training)
        held_out = bucket.read_held_out(10**6)
        assert trained.weight.all()
        assert held_out.weight.all()
        assert len(trained) + len(held_out) == (whole.weight > 0).sum()


@given(st.data())
@settings(deadline=None, max_examples=30)
def test_parts_of_a_bucket_are_read_as_from_the_whole(source, data):
    path = data.draw(st.sampled_from(bucket_files(source)))
    fraction = data.draw(st.sampled_from([0, 0.1, 0.5, 0.9]))
    whole = read_positions(path)
    kept = whole.take(np.flatnonzero((whole.game >= fraction * 2**32) & (whole.weight > 0)))
    bucket = open_bucket(path, fraction)
    assert bucket.training == len(kept)
    if len(kept) == 0:
        return
    first = data.draw(st.integers(0, len(kept) - 1))
    last = data.draw(st.integers(first + 1, len(kept)))
    ours, theirs = bucket.read(first, last), kept.cut(first, last)
    for name in ("own", "policy_count", "policy_cell", "policy_probability", "game", "ply"):
        assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name


def test_a_bucket_longer_than_a_stride_knows_its_entries(tmp_path, monkeypatch):
    monkeypatch.setattr("hexlib.nn.buckets.STRIDE", 7)
    monkeypatch.setattr("hexlib.nn.buckets._ROWS", 28)
    folder = make_buckets(tmp_path, buckets=1)
    (path,) = bucket_files(folder)
    bucket, whole = open_bucket(path, 0.0), read_positions(path)
    whole = whole.take(np.flatnonzero(whole.weight))
    for first, last in ((0, 1), (6, 8), (13, 15), (100, 101), (300, len(whole))):
        ours, theirs = bucket.read(first, last), whole.cut(first, last)
        assert np.array_equal(ours.policy_cell, theirs.policy_cell)


@pytest.mark.parametrize("weight", [1.0, 0.3, 2.5])
def test_every_row_is_drawn_equally_often(source, weight, monkeypatch):
    monkeypatch.setattr(loader, "BLOCK", 16)
    monkeypatch.setattr(loader, "CHAPTER", 100)
    stream = Stream(parts_of(source, weight=weight), 3, 1)
    wanted = training_keys(source, 0.2)
    per_pass = sum(last - first for first, last in stream._bounds(0))
    assert per_pass == pytest.approx(stream.rows, abs=3)
    passes = 10
    total = sum(last - first for p in range(passes) for first, last in stream._bounds(p))
    keys = drawn(stream, total)
    counts = {key: keys.count(key) for key in set(wanted)}
    # Some games are in the data more than once, with equal keys.
    shares = np.array([counts[key] / wanted.count(key) for key in counts])
    assert shares.min() >= int(weight * passes) - 1
    assert shares.max() <= int(weight * passes) + 1
    if weight == 1:
        assert sorted(keys[:per_pass]) == sorted(wanted)
        assert keys[:per_pass] != keys[per_pass : 2 * per_pass]


def test_a_stream_can_be_entered_anywhere(source, monkeypatch):
    monkeypatch.setattr(loader, "BLOCK", 16)
    monkeypatch.setattr(loader, "CHAPTER", 100)
    stream = Stream(parts_of(source), 3, 1)
    keys = drawn(stream, 3000)
    for start in (0, 1, 99, 100, 101, 950, 2400):
        assert drawn(stream, 50, start) == keys[start : start + 50]
    other = Stream(parts_of(source), 4, 1)
    assert drawn(other, 50) != keys[:50]


def test_batches_are_mixed_from_all_buckets(source):
    """Neighbours in a batch come from anywhere: the runs test of Wald and Wolfowitz (1940)."""
    parts = [part._replace(source=k) for k, part in enumerate(parts_of(source))]
    stream = Stream(parts, 0, 0)
    chapter = stream.read(next(stream.chapters(0))[1])
    first = chapter.source == 0
    runs = 1 + int((first[1:] != first[:-1]).sum())
    ones, zeros = int(first.sum()), int((~first).sum())
    mean = 1 + 2 * ones * zeros / len(first)
    deviation = np.sqrt((mean - 1) * (mean - 2) / (len(first) - 1))
    assert abs(runs - mean) < 4 * deviation
    assert 0.4 < chapter.turn.mean() < 0.6


def test_order_and_turns_have_streams_of_random_numbers_of_their_own(source):
    chapters = [Stream(parts_of(source), seed, 0) for seed in range(40)]
    read = [stream.read(next(stream.chapters(0))[1]) for stream in chapters]
    # Were they made of the same numbers, the first turn would tell something of the first row.
    turns = np.array([chapter.turn[:40] for chapter in read]).ravel()
    plies = np.array([chapter.positions.ply[:40] for chapter in read], float).ravel()
    assert abs(np.corrcoef(turns, plies)[0, 1]) < 4 / np.sqrt(len(turns))


def test_the_loader_goes_on_at_any_step_and_shares_batches(source, monkeypatch):
    monkeypatch.setattr(loader, "CHAPTER", 100)
    monkeypatch.setattr(loader, "BLOCK", 16)
    streams = [Stream(parts_of(source, source=k), k, 0) for k in range(2)]
    choice = np.array([0, 1, 0, 0, 1, 1, 0, 1, 0, 0], np.uint8)
    whole = list(Loader(streams, choice, 32, CPU))
    assert len(whole) == 10
    assert all((sources == k).all() for k, (_, sources) in zip(choice, whole, strict=True))
    for first in (1, 4, 9):
        for ours, theirs in zip(
            Loader(streams, choice, 32, CPU, first=first), whole[first:], strict=True
        ):
            assert torch.equal(ours[0].planes, theirs[0].planes)
            assert torch.equal(ours[0].policy, theirs[0].policy)
    halves = [Loader(streams, choice, 32, CPU, share=k, shares=2) for k in range(2)]
    for (one, _), (two, _), (both, _) in zip(*halves, whole, strict=True):
        assert torch.equal(torch.cat([one.planes, two.planes]), both.planes)


def test_a_loader_that_is_left_stops_its_threads(source):
    import threading

    before = threading.active_count()
    batches = iter(Loader([Stream(parts_of(source), 0, 0)], np.zeros(100, np.uint8), 32, CPU))
    assert len(list(itertools.islice(batches, 3))) == 3
    assert threading.active_count() > before
    batches.close()
    assert threading.active_count() == before


def test_an_error_while_reading_reaches_the_training(tmp_path):
    folder = make_buckets(tmp_path)
    stream = Stream(parts_of(folder), 0, 0)
    for path in bucket_files(folder):
        path.write_bytes(b"gone")
    with pytest.raises(BadInput, match="not a whole positions file"):
        next(iter(Loader([stream], np.zeros(3, np.uint8), 32, CPU)))


def test_damage_is_found_before_it_is_trained_on(tmp_path):
    folder = make_buckets(tmp_path)
    path = bucket_files(folder)[1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"bucket_0001\.npz: not a whole positions file"):
        parts_of(folder)


def test_what_is_held_for_a_bucket_is_small():
    """For 50 million rows: 4 or 8 bytes a row that is left out, and 8 for each 4,096 rows."""
    names = {"path", "board_size", "rows", "held_out", "left_out", "entry_starts", "digest"}
    assert set(Bucket.__dataclass_fields__) == names
