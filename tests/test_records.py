"""The reader of `.trmph` against an obvious twin, hashes, and npz files written in blocks."""

import gzip
import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import made_up_search, random_games

from hexlib import files, lines, npz
from hexlib.errors import BadInput
from hexlib.game import board, records, trmph
from hexlib.game.board import BLUE, RED
from hexlib.game.notation import cell_index, trmph_line
from hexlib.game.symmetry import reflection, rotation
from hexlib.sources import search_path

QUICK = settings(max_examples=150, deadline=None)


def read(path, n=5):
    """Every record: (line, reason or None, moves, winner)."""
    found = []
    for block in records.read_games(path, n):
        games = iter(block.games)
        for r in range(len(block)):
            if block.problems[r]:
                found.append((int(block.lines[r]), block.reason(r), None, None))
            else:
                moves, winner = next(games)
                found.append((int(block.lines[r]), None, moves.tolist(), winner))
    return found


def read_text(tmp_path, text: bytes, n=5):
    (tmp_path / "x.trmph").write_bytes(text)
    return read(tmp_path / "x.trmph", n)


def slow_read(text: bytes, n: int):
    """The same by regular expressions, a line at a time."""
    found = []
    for number, raw in enumerate(text.decode("latin-1").split("\n"), 1):
        line = raw.strip(" \t\r")
        if not line or re.match(r"#([ \t\r]|$)", line):
            continue
        found.append((number, *slow_record(line, n)))
    return found


def slow_record(line: str, n: int):
    head = re.match(r"(?:[^\s#\x00-\x20]*/[^\s#\x00-\x20]*)?#(\d{1,3}),", line, re.ASCII)
    if not head:
        return "not a record", None, None
    if int(head[1]) != n:
        return "another board size", None, None
    rest, moves = line[head.end() :], []
    while re.match(r"[a-zA-Z]", rest):
        move = re.match(r"[a-zA-Z](\d{1,2})", rest, re.ASCII)
        if not move:
            return "unreadable move", None, None
        try:
            if move[1].startswith("0"):
                raise ValueError
            moves.append(cell_index(move[0].lower(), n))
        except ValueError:
            return "move off the board", None, None
        rest = rest[move.end() :]
    if rest and rest[0] not in " \t\r":
        return "unreadable move", None, None
    if not moves:
        return "no moves", None, None
    rest = rest.strip(" \t\r")
    if not rest or rest[0] == "#":
        return "no winner", None, None
    word = re.match(r"[b1r2](?=[ \t\r]|$)", rest)
    if not word:
        return "unknown winner", None, None
    rest = rest[1:].strip(" \t\r")
    if rest and not re.match(r"#([ \t\r]|$)", rest):
        return "text after the winner", None, None
    winner = BLUE if word[0] in "b1" else RED
    if len(moves) > 1 and moves[0] == moves[1]:
        mirror = reflection(n).tolist()
        return None, [mirror[move] for move in moves[1:]], BLUE + RED - winner
    return None, moves, winner


PIECES = st.sampled_from(
    [
        *(
            "#5,",
            "#13,",
            "#5",
            "a1",
            "b2",
            "c3",
            "e5",
            "a9",
            "f1",
            "a0",
            "a10",
            "A1",
            "a",
            "é",
            "0",
        ),
        *("b", "r", "1", "2", "#", "//", "http://x/", " ", "\t", "\r", "\n", "\n\n", "\x00"),
        *("#5,a1b2 b\n", "#5,a1a1c2 2\r\n", " # note\n", "# comment\n"),
    ]
)


@QUICK
@given(st.lists(PIECES, max_size=40).map("".join), st.sampled_from([7, 64, 1 << 22]))
def test_reader_agrees_with_its_twin(tmp_path_factory, text, block):
    path = tmp_path_factory.mktemp("twin") / "x.trmph"
    path.write_bytes(text.encode())
    longest = max((len(line) for line in text.encode().split(b"\n")), default=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK", block)
        assert read(path) == slow_read(text.encode(), 5) or longest > 1 << 16


@QUICK
@given(st.binary(max_size=300))
def test_any_bytes_are_read(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("bytes") / "x.trmph"
    path.write_bytes(b"#5,a1b2 b\n" + data)
    for block in records.read_games(path, 5):
        assert all(block.text(r).isprintable() for r in range(len(block)))


@pytest.mark.parametrize("n", [3, 5, 11, 13, 19])
def test_what_is_written_is_read(tmp_path, n):
    games = random_games(n, 50)
    path = tmp_path / "games.trmph"
    records.write_games(path, [games], {"kind": "games", "made_by": "test"})
    lines = path.read_text().splitlines()
    assert lines[1:] == [trmph_line(n, moves, winner) for moves, winner in games]
    assert [(m, w) for _, _, m, w in read(path, n)] == [(m.tolist(), w) for m, w in games]
    meta = records.read_meta(path)
    assert re.fullmatch(r"[0-9a-f]{8}", meta.pop("crc32"))
    assert meta == {"kind": "games", "made_by": "test", "schema": files.SCHEMA}
    assert trmph.board_size_of(path) == n


def test_no_games_are_a_valid_file(tmp_path):
    records.write_games(tmp_path / "x.trmph", [], {"kind": "games"})
    assert read(tmp_path / "x.trmph") == []
    assert trmph.board_size_of(tmp_path / "x.trmph") is None


@pytest.mark.parametrize(
    "line",
    [
        b"#5,a1b2c3 b",
        b"https://trmph.com/hex/board#5,a1b2c3 b",
        b"http://www.trmph.com/hex/board#5,a1b2c3 1",
        b"#5,a1b2c3 b\r",
        b"  #5,a1b2c3\tb  ",
        b"#5,a1b2c3 b # played by ear # twice",
        b"#5,a1b2c3 b #",
        b"#5,A1B2C3 b",
        b"\xef\xbb\xbf#5,a1b2c3 b",
    ],
)
def test_every_variant(tmp_path, line):
    record = (1, None, [0, 6, 12], BLUE)
    assert read_text(tmp_path, line) == [record]  # without a final newline
    assert read_text(tmp_path, line + b"\n# a comment\n\n#\n#5,e5a1 2\n") == [
        record,
        (5, None, [24, 0], RED),
    ]


def test_swap_is_resolved(tmp_path):
    # Red takes over the stone on d1, blue goes on with c2: seen through the reflection, blue has
    # opened on a4 and red answers b3.
    found = read_text(tmp_path, b"#5,d1d1c2a5 r\n#5,d1c2d1 r\n")
    assert found[0] == (1, None, [cell_index(name, 5) for name in ("a4", "b3", "e1")], BLUE)
    assert found[1][2] == [3, 7, 3]  # only a second move can be a swap


@pytest.mark.parametrize("n", [4, 7])
def test_resolved_swap_is_the_same_game(tmp_path, n):
    mirror = reflection(n)
    for moves, winner in random_games(n, 20):
        turned = mirror[moves]
        line = trmph_line(n, [turned[0], *turned], BLUE + RED - winner)
        assert read_text(tmp_path, line.encode(), n) == [(1, None, moves.tolist(), winner)]


def test_gzip(tmp_path):
    text = gzip.compress(b"#5,a1b2 b\n" * 3)
    assert len(read_text(tmp_path, text)) == 3
    with pytest.raises(BadInput, match=r"x\.trmph: cannot be read to its end"):
        read_text(tmp_path, text[:-9])


def test_missing_file(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        list(records.read_games(tmp_path / "none.trmph", 5))


def test_a_line_longer_than_a_block_is_cut(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "BLOCK", 1000)
    monkeypatch.setattr(lines, "LONGEST", 100)
    (tmp_path / "x.trmph").write_bytes(b"#5,a1b2 b\n" + b"x" * 50_000 + b"\n#5,b2a1 r\n")
    assert [reason for _, reason, _, _ in read(tmp_path / "x.trmph")] == [
        None,
        "not a record",
        None,
    ]
    assert max(len(data) for data in trmph.blocks(tmp_path / "x.trmph")) < 3000


def test_hashes_merge_the_half_turn_alone():
    games = random_games(5, 200)
    turned = records.Games(5, rotation(5)[games.moves], games.offsets, games.winners)
    mirrored = records.Games(5, reflection(5)[games.moves], games.offsets, games.winners)
    merged = records.game_hashes(games, merge_symmetric=True)
    assert (records.game_hashes(turned, True) == merged).all()
    assert not (records.game_hashes(mirrored, True) == merged).any()
    assert not (records.game_hashes(turned, False) == records.game_hashes(games, False)).any()
    other = records.Games(5, games.moves, games.offsets, (3 - games.winners).astype(np.int8))
    assert (records.game_hashes(other, True) == merged).all()


def test_hashes_tell_games_apart():
    n = 4
    cells = np.arange(n * n)
    pairs = [(a, b) for a in cells for b in cells if a != b]
    moves = np.array([move for pair in pairs for move in pair], np.int16)
    games = records.Games(n, moves, np.arange(0, len(moves) + 1, 2), np.ones(len(pairs), np.int8))
    for column in range(2):
        halves = records.game_hashes(games, False)[:, column]
        assert len(np.unique(halves.astype(np.uint32))) == len(pairs)


def test_search_statistics_return(tmp_path):
    search = made_up_search(random_games(5, 10))
    path = search_path(tmp_path / "shard_0000.trmph.gz")
    assert path.name == "shard_0000.search.npz"
    records.write_search(path, search, {"board_size": 5})
    found, meta = records.read_search(path)
    assert meta["board_size"] == 5
    for name, array in vars(search).items():
        np.testing.assert_array_equal(getattr(found, name), array)


@pytest.mark.parametrize("name", records.SEARCH_DTYPES)
def test_search_statistics_that_do_not_fit_are_refused(tmp_path, name):
    arrays = dict(vars(made_up_search(random_games(5, 10))))
    arrays[name] = arrays[name][:-1]
    npz.write(tmp_path / "x.search.npz", arrays, {"kind": "search"})
    with pytest.raises(BadInput, match=r"x\.search\.npz"):
        records.read_search(tmp_path / "x.search.npz")


def test_misfit_finds_the_first_wrong_game():
    games = random_games(5, 10)
    search = made_up_search(games)
    assert records.misfit(games, search) == -1
    # A policy entry in game 6, at its last move, for the cell of its first move.
    move = games.offsets[7] - 1
    counts = search.policy_count.copy()
    counts[move] += 1
    at = int(search.policy_count[:move].sum())
    cells = np.insert(search.policy_cell, at, games.moves[games.offsets[6]])
    probabilities = np.insert(search.policy_probability, at, np.float16(0.5))
    bad = records.SearchStatistics(search.root_value, counts, cells, probabilities)
    assert records.misfit(games, bad) == 6
    for value, wrong in ((1, -1), (-1, -1), (np.nan, -1), (1.5, 2), (-np.inf, 2)):
        values = search.root_value.copy()
        values[games.offsets[2]] = value
        changed = records.SearchStatistics(
            values, search.policy_count, search.policy_cell, search.policy_probability
        )
        assert records.misfit(games, changed) == wrong


def test_replay_of_random_games():
    games = random_games(6, 100)
    status, ply, winner = records.replay(games)
    assert (status == board.LEGAL).all()
    assert (ply == np.diff(games.offsets)).all()
    assert (winner == games.winners).all()


READ_ALL = """
import resource, sys
from hexlib import sources
from hexlib.game import convert, records
path = sys.argv[1]
records.verify(path)
found = sum(len(block) for block in records.read_games(path, 5))
assert found == sources.count_records([path]) == int(sys.argv[2])
next(convert.read_any(path))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("packed", [".gz", ".zst"])
def test_memory_does_not_grow_with_the_file(tmp_path, packed):
    record = b"#5,a1b2c3d4e5a2b3 b # given up\n"
    peaks = []
    for count in (30_000, 2_400_000):  # 1 and 74 MB of text
        path = tmp_path / f"{count}.trmph{packed}"
        with lines.zstd.open(path, "wb") if packed == ".zst" else gzip.open(path, "wb", 1) as out:
            for _ in range(count // 30_000):
                out.write(record * 30_000)
        done = subprocess.run(
            [sys.executable, "-c", READ_ALL, path, str(count)],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 40, "MB: a block and what is made of it, and no more"
