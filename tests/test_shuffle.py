"""Shuffling: every row exactly once, uniformly, the same bytes each time."""

import hashlib
from collections import Counter

import numpy as np
import pytest
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


@pytest.mark.parametrize("buckets", [1, 2, 7, 300])
def test_each_row_exactly_once(tmp_path, buckets):
    chunks = make_chunks(tmp_path)
    paths = run(tmp_path, chunks, buckets)
    before = Counter(row for chunk in chunks for row in rows_of(positions.open_positions(chunk)))
    after = Counter(row for path in paths for row in rows_of(positions.open_positions(path)))
    assert after == before
    summary = shuffle.summary(paths, tmp_path / "summary.json")
    assert files.read_json(tmp_path / "summary.json") == summary
    assert summary["rows"] == before.total() == sum(b["rows"] for b in summary["buckets"])
    assert [b["name"] for b in summary["buckets"]] == [path.name for path in paths]
    assert (summary["kind"], summary["board_size"], summary["games"]) == ("shuffle", 5, 80)
    assert summary["inputs"]["chunk_0000/chunk_0000.npz"] == files.sha256(chunks[0])


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


def test_rows_spread_over_buckets_as_a_multinomial_says(tmp_path):
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


def test_a_bucket_is_permuted_uniformly(tmp_path):
    # Where the first row of the chunk ends up, over many seeds, and what lies beside it.
    chunk = make_chunks(tmp_path, count=2, games=1, n=3)[0]
    rows = len(positions.open_positions(chunk))
    draws = 600
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
    at = whole.index(arrays["root_value"][3:].tobytes())  # in the first bucket's slice
    damaged = bytearray(whole)
    damaged[at] ^= 1
    (parts / shuffle.PARTS).write_bytes(damaged)
    with pytest.raises(BadInput, match=r"parts\.npz: damaged"):
        shuffle.gather([parts], 0, tmp_path / "x.npz", 0)
    shuffle.gather([parts], 3, tmp_path / "x.npz", 0)  # of which nothing is damaged
    (parts / shuffle.PARTS).write_bytes(whole[:-20])
    with pytest.raises(BadInput, match="not a whole parts file"):
        shuffle.gather([parts], 3, tmp_path / "x.npz", 0)
    with pytest.raises(BadInput, match="no such file"):
        shuffle.gather([tmp_path / "none"], 0, tmp_path / "x.npz", 0)
    chunks[0].write_bytes(chunks[0].read_bytes()[:-1])
    with pytest.raises(BadInput, match=r"chunk_0000\.npz: not a whole positions file"):
        shuffle.scatter(chunks[0], parts, 4, 0)


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
    text = f'[7, "chunk_0000.npz", "{files.sha256(chunk)}"]'.encode()
    key = int.from_bytes(hashlib.sha256(text).digest()[:16], "little")
    rows = len(positions.open_positions(chunk))
    drawn = np.random.Generator(np.random.Philox(key=key)).integers(0, 4, rows, np.uint16)
    np.testing.assert_array_equal(np.diff(arrays["bucket_offsets"]), np.bincount(drawn))
