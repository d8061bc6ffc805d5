"""Shuffling: every row exactly once, uniformly, the same bytes each time."""

import hashlib
import signal
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import made_up_search, random_games

from hexlib import files, npz
from hexlib.errors import BadInput
from hexlib.game import positions, records
from hexlib.settings import Process
from hexlib.sources import search_path
from hexlib.stages import process, shuffle

FIVE_SIGMA = 5.0


def rows_of(found):
    """Each row as bytes, to compare sets of rows."""
    ends = found.policy_offsets
    return [
        b"|".join(
            [getattr(found, name)[p].tobytes() for name in positions.COLUMNS]
            + [getattr(found, name)[ends[p] : ends[p + 1]].tobytes() for name in positions.ENTRIES]
        )
        for p in range(len(found))
    ]


def make_chunks(folder, count=3, games=40, n=5):
    """Processed chunks, the last of them empty; every second one has search statistics."""
    chunks = []
    for k in range(count):
        played = random_games(n, games if k < count - 1 else 0, seed=k + 1)
        path = folder / f"chunk_{k:04d}.trmph"
        records.write_games(path, [played], {"kind": "games"})
        if k % 2 == 0 and len(played):
            records.write_search(search_path(path), made_up_search(played), {})
        process.run(path, path.with_suffix(".npz"), Process(), n)
        chunks.append(path.with_suffix(".npz"))
    return chunks


def run(folder, chunks, buckets, seed=0):
    dirs = [folder / "parts" / chunk.stem for chunk in chunks]
    for chunk, parts in zip(chunks, dirs, strict=True):
        shuffle.scatter(chunk, parts, buckets, seed)
    paths = [folder / f"bucket_{b:04d}.npz" for b in range(buckets)]
    for b, path in enumerate(paths):
        shuffle.gather(dirs, b, path, seed)
    return paths


@pytest.fixture(params=[None, 1000, 64], ids=["one run", "runs", "short runs"])
def run_size(request, monkeypatch):
    """Runs of the usual size, of which the chunks of these tests fill one, and smaller ones."""
    if request.param:
        monkeypatch.setattr(shuffle, "RUN", request.param)


@pytest.mark.parametrize("buckets", [1, 2, 7, 300])
def test_each_row_exactly_once(tmp_path, buckets, run_size):
    games = 80 if buckets < 300 else 4
    chunks = make_chunks(tmp_path, games=games // 2)
    paths = run(tmp_path, chunks, buckets)
    before = Counter(row for chunk in chunks for row in rows_of(positions.open_positions(chunk)))
    after = Counter(row for path in paths for row in rows_of(positions.open_positions(path)))
    assert after == before
    summary = shuffle.summary(paths, tmp_path / "summary.json")
    assert files.read_json(tmp_path / "summary.json") == summary
    assert summary["rows"] == before.total() == sum(b["rows"] for b in summary["buckets"])
    assert [b["name"] for b in summary["buckets"]] == [path.name for path in paths]
    assert (summary["kind"], summary["board_size"], summary["games"]) == ("shuffle", 5, games)
    assert summary["inputs"]["chunk_0000/chunk_0000.npz"] == npz.Reader(chunks[0]).digest


def test_order_of_execution_changes_no_byte(tmp_path):
    chunks = make_chunks(tmp_path)
    paths = run(tmp_path, chunks, 5)
    before = [files.sha256(path) for path in paths]
    dirs = [tmp_path / "parts" / chunk.stem for chunk in chunks]
    for chunk, parts in reversed(list(zip(chunks, dirs, strict=True))):
        shuffle.scatter(chunk, parts, 5, 0)
    for b in (3, 0, 4, 1, 2):
        shuffle.gather(dirs, b, paths[b], 0)
    assert [files.sha256(path) for path in paths] == before
    run(tmp_path, chunks, 5, seed=1)
    assert not set(before) & {files.sha256(path) for path in paths}


def test_blocks_of_a_gathering_change_no_byte(tmp_path, monkeypatch):
    chunks = make_chunks(tmp_path)
    monkeypatch.setattr(shuffle, "RUN", 1000)
    before = [files.sha256(path) for path in run(tmp_path, chunks, 3)]
    monkeypatch.setattr(shuffle, "BLOCK", 1)
    assert [files.sha256(path) for path in run(tmp_path, chunks, 3)] == before


@pytest.mark.parametrize("n", [3, 7, 8, 13, 19])
def test_rows_of_all_sizes_are_copied_whole(tmp_path, n):
    """Boards of less than eight bytes and of more, which are copied by words."""
    chunks = make_chunks(tmp_path, count=2, games=3, n=n)
    paths = run(tmp_path, chunks, 2)
    before = Counter(rows_of(positions.open_positions(chunks[0])))
    assert (
        Counter(row for path in paths for row in rows_of(positions.open_positions(path))) == before
    )


def test_rows_spread_over_buckets_as_a_multinomial_says(tmp_path, run_size):
    buckets, chunk = 10, make_chunks(tmp_path, count=2, games=400)[0]
    found = positions.open_positions(chunk)
    paths = run(tmp_path, [chunk], buckets)
    games, index = np.unique(found.game, return_inverse=True)
    expected = np.bincount(index) / buckets
    counts = np.zeros((len(games), buckets))
    for b, path in enumerate(paths):
        at = np.searchsorted(games, positions.open_positions(path).game)
        counts[:, b] = np.bincount(at, minlength=len(games))
    assert (counts.sum(1) == np.bincount(index)).all()
    # Pearson's chi-squared has mean k and variance close to 2k, summed over the games.
    chi2 = ((counts - expected[:, None]) ** 2 / expected[:, None]).sum()
    freedom = len(games) * (buckets - 1)
    assert abs(chi2 - freedom) < FIVE_SIGMA * np.sqrt(2 * freedom)
    # Neighbours in a game land in the same bucket as often as chance says.
    bucket_of = {}
    for b, path in enumerate(paths):
        moved = positions.open_positions(path)
        bucket_of |= dict.fromkeys(zip(moved.game.tolist(), moved.ply.tolist(), strict=True), b)
    pairs = [
        bucket_of[g, p] == bucket_of[g, p + 1] for g, p in bucket_of if (g, p + 1) in bucket_of
    ]
    sigma = np.sqrt(0.1 * 0.9 / len(pairs))
    assert abs(np.mean(pairs) - 0.1) < FIVE_SIGMA * sigma


def test_integers_are_shuffled_uniformly():
    generator, orders = np.random.Generator(np.random.Philox(key=1)), Counter()
    draws = 20_000
    for _ in range(draws):
        numbers = np.arange(5, dtype=np.uint16)
        shuffle._shuffle(numbers, generator)
        orders[tuple(numbers.tolist())] += 1
    assert chi_squared(orders.values(), draws / 120, 120) < FIVE_SIGMA


def chi_squared(counts, expected, cells):
    """By how many standard deviations Pearson's chi-squared of the counts is above its mean."""
    counts = np.array([*counts, *[0] * (cells - len(counts))])
    chi2 = ((counts - expected) ** 2 / expected).sum()
    return (chi2 - (cells - 1)) / np.sqrt(2 * (cells - 1))


@pytest.mark.parametrize("rows", [1, 2])
def test_all_orders_of_a_bucket_are_equally_likely(tmp_path, monkeypatch, rows):
    """Four rows of two chunks of two, in runs of one and of two rows."""
    chunks = make_chunks(tmp_path, count=3, games=2, n=3)
    for path in chunks:
        final = Process(positions="final")
        process.run(path.with_suffix(".trmph"), path, final, 3)
    monkeypatch.setattr(shuffle, "_rows_in", lambda *_: rows)
    monkeypatch.setattr("os.fsync", lambda _: None)
    dirs = [tmp_path / "parts" / chunk.stem for chunk in chunks]
    orders, draws = Counter(), 400
    for seed in range(draws):
        for chunk, parts in zip(chunks, dirs, strict=True):
            shuffle.scatter(chunk, parts, 1, seed)
        shuffle.gather(dirs, 0, tmp_path / "bucket.npz", seed)
        orders[tuple(positions.open_positions(tmp_path / "bucket.npz", verify=False).game)] += 1
    assert chi_squared(orders.values(), draws / 24, 24) < FIVE_SIGMA


def test_a_bucket_is_permuted_uniformly(tmp_path, run_size, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda _: None)
    # Where the first row of the chunk ends up, over many seeds, and what lies beside it.
    chunk = make_chunks(tmp_path, count=2, games=1, n=3)[0]
    rows = len(positions.open_positions(chunk))
    draws = 300
    places = np.zeros((rows, rows))
    for seed in range(draws):
        shuffle.scatter(chunk, tmp_path / "parts", 1, seed)
        shuffle.gather([tmp_path / "parts"], 0, tmp_path / "bucket.npz", seed)
        ply = positions.open_positions(tmp_path / "bucket.npz").ply
        places[ply, np.arange(rows)] += 1
    expected = draws / rows
    chi2 = ((places - expected) ** 2 / expected).sum()
    freedom = (rows - 1) ** 2
    assert abs(chi2 - freedom) < FIVE_SIGMA * np.sqrt(2 * freedom)


def test_damage_is_found(tmp_path):
    chunks = make_chunks(tmp_path)
    run(tmp_path, chunks, 4)
    parts = tmp_path / "parts/chunk_0000"
    whole = (parts / shuffle.PARTS).read_bytes()
    arrays, _ = npz.open_npz(parts / shuffle.PARTS, "parts")
    for name, offsets in (("rows", "row_offsets"), ("entries", "entry_offsets")):
        at = whole.index(arrays[name].tobytes())
        at += int(arrays[offsets][0, 1]) * arrays[name][0].nbytes  # the second bucket's first byte
        damaged = bytearray(whole)
        damaged[at] ^= 1
        (parts / shuffle.PARTS).write_bytes(damaged)
        with pytest.raises(BadInput, match=rf"parts\.npz: not a whole parts file \({name} is"):
            shuffle.gather([parts], 1, tmp_path / "x.npz", 0)
        assert not (tmp_path / "x.npz").exists()
        shuffle.gather([parts], 0, tmp_path / "y.npz", 0)  # of which nothing is damaged
    (parts / shuffle.PARTS).write_bytes(whole[:-20])
    with pytest.raises(BadInput, match="not a whole parts file"):
        shuffle.gather([parts], 3, tmp_path / "x.npz", 0)
    with pytest.raises(BadInput, match="no such file"):
        shuffle.gather([tmp_path / "none"], 0, tmp_path / "x.npz", 0)
    whole = chunks[0].read_bytes()
    chunks[0].write_bytes(whole[:-1])
    with pytest.raises(BadInput, match=r"chunk_0000\.npz: not a whole positions file"):
        shuffle.scatter(chunks[0], parts, 4, 0)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_flipped_bit_gets_into_a_bucket(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    (chunk, _) = make_chunks(folder, count=2, games=2, n=3)
    whole = run(folder, [chunk], 2)[0].read_bytes()
    path = data.draw(st.sampled_from([chunk, folder / "parts/chunk_0000/parts.npz"]))
    damaged = bytearray(path.read_bytes())
    damaged[data.draw(st.integers(0, len(damaged) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(damaged)
    try:
        if path == chunk:
            shuffle.scatter(chunk, folder / "parts/chunk_0000", 2, 0)
        shuffle.gather([folder / "parts/chunk_0000"], 0, folder / "x.npz", 0)
    except BadInput:
        return
    assert (folder / "x.npz").read_bytes() == whole


def test_a_kill_costs_one_file(tmp_path):
    """What a killed job was writing is absent, all else is whole, and the job can be run again."""
    chunks = make_chunks(tmp_path)
    paths = run(tmp_path, chunks, 3)
    before = {path: files.sha256(path) for path in tmp_path.rglob("*.npz")}
    parts = tmp_path / "parts/chunk_0001/parts.npz"
    dirs = [str(tmp_path / "parts" / chunk.stem) for chunk in chunks]
    jobs = {
        parts: f"scatter({str(chunks[1])!r}, {str(parts.parent)!r}, 3, 0)",
        paths[2]: f"gather({dirs!r}, 2, {str(paths[2])!r}, 0)",
    }
    for lost, call in jobs.items():
        lost.unlink()
        text = (
            "import os, signal\nfrom hexlib import npz\nfrom hexlib.stages import shuffle\n"
            "npz.Writer.close = lambda writer: os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        killed = subprocess.run([sys.executable, "-c", f"{text}shuffle.{call}"], check=False)
        assert killed.returncode == -signal.SIGKILL
        assert {path for path in before if not path.exists()} == {lost}
        subprocess.run(
            [sys.executable, "-c", f"from hexlib.stages import shuffle\nshuffle.{call}"], check=True
        )
        assert {path: files.sha256(path) for path in before} == before


def test_parts_and_buckets_must_belong_together(tmp_path):
    chunks = make_chunks(tmp_path)
    paths = run(tmp_path, chunks, 4)
    first, second = (tmp_path / "parts" / chunk.stem for chunk in chunks[:2])
    with pytest.raises(BadInput, match="bucket 4"):
        shuffle.gather([first], 4, tmp_path / "x.npz", 0)
    with pytest.raises(BadInput, match="each bucket"):
        shuffle.summary(paths[:-1], tmp_path / "summary.json")
    shuffle.gather([first], 3, paths[3], 0)
    with pytest.raises(BadInput, match=r"bucket_0003\.npz: not a bucket of the same shuffle"):
        shuffle.summary(paths, tmp_path / "summary.json")
    shuffle.scatter(chunks[1], second, 5, 0)
    with pytest.raises(BadInput, match="scatter all chunks with the same settings"):
        shuffle.gather([first, second], 0, tmp_path / "x.npz", 0)
    with pytest.raises(BadInput, match="no folder"):
        shuffle.gather([], 0, tmp_path / "x.npz", 0)
    with pytest.raises(BadInput, match="not a bucket"):
        shuffle.summary(chunks, tmp_path / "summary.json")


def test_draws_are_those_of_philox(tmp_path):
    """The stream is fixed by seed, name and content, so that other versions give these buckets."""
    chunk = make_chunks(tmp_path)[0]
    shuffle.scatter(chunk, tmp_path / "parts", 4, 7)
    arrays, _ = npz.open_npz(tmp_path / "parts" / shuffle.PARTS, "parts")
    text = f'[7, "chunk_0000.npz", "{npz.Reader(chunk).digest}"]'.encode()
    key = int.from_bytes(hashlib.sha256(text).digest()[:16], "little")
    rows = len(positions.open_positions(chunk))
    drawn = np.random.Generator(np.random.Philox(key=key)).integers(0, 4, rows, np.uint16)
    np.testing.assert_array_equal(np.diff(arrays["row_offsets"][0]), np.bincount(drawn))
