"""Cleaning: every record accounted for, inputs only read, statistics with their game."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from broken import GOOD, RECORDS
from synthetic import made_up_search, random_games

from hexlib import files, lines
from hexlib.errors import BadInput
from hexlib.game import records
from hexlib.game.board import BLUE
from hexlib.game.notation import trmph_line
from hexlib.game.records import Games, SearchStatistics
from hexlib.game.symmetry import reflection, rotation
from hexlib.settings import Clean
from hexlib.sources import search_path
from hexlib.stages import clean


def run(inputs, output, n=3, chunks=1, **settings):
    return clean.run(inputs, output, n, Clean(**settings), chunks)


def write_lines(path: Path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines))
    return path


def games_in(folder: Path, n: int):
    """Every game of all chunks, in order, with the statistics of its moves where there are any."""
    found = []
    for path in sorted(folder.glob("chunk_*.trmph")):
        search, _ = records.read_search(search_path(path))
        move = entry = 0
        for block in records.read_games(path, n):
            assert not block.problems.any()
            for moves, winner in block.games:
                statistics = []
                for _ in moves if len(search.root_value) else ():
                    count = int(search.policy_count[move])
                    policy = zip(
                        search.policy_cell[entry : entry + count].tolist(),
                        search.policy_probability[entry : entry + count].tolist(),
                        strict=True,
                    )
                    statistics.append((str(search.root_value[move]), dict(policy)))
                    move, entry = move + 1, entry + count
                found.append((tuple(moves.tolist()), winner, statistics))
        assert (move, entry) == (len(search.root_value), len(search.policy_cell))
    return found


def bytes_in(folder: Path):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_every_broken_record_is_called_by_its_name(tmp_path):
    path = write_lines(tmp_path / "x.trmph", [GOOD, *RECORDS, GOOD])
    summary = run([path], tmp_path / "clean")
    wanted = Counter(reason for reason in RECORDS.values() if reason)
    assert summary["reasons"] == wanted
    assert summary["rejected"] == wanted.total()
    assert (summary["kept"], summary["duplicates"]) == (1, 1)
    assert summary["records"] == wanted.total() + 2
    rows = (tmp_path / "clean/rejected.tsv").read_text().splitlines()
    assert rows[0] == "file\tline\treason\ttext"
    reasons = [(line, reason) for line, reason in enumerate(RECORDS.values(), 2) if reason]
    for row, (line, reason) in zip(rows[1:], reasons, strict=True):
        name, number, found, text = row.split("\t")
        assert (name, int(number)) == ("x.trmph", line)
        assert found.startswith(reason)
        assert text.isprintable()
    assert json.loads((tmp_path / "clean/summary.json").read_text()) == summary


def test_rejections_tell_the_move(tmp_path):
    path = write_lines(
        tmp_path / "x.trmph", [GOOD, "#3,a1b1a2b1a3 b", "#3,a1b9 b", "#3,c1c1a1b2a1 b", "#3,a1b"]
    )
    run([path], tmp_path / "clean")
    rows = (tmp_path / "clean/rejected.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[2] for row in rows] == [
        "move on an occupied cell (move 4)",
        "move off the board (move 2)",
        "move on an occupied cell (move 5)",
        "unreadable move (move 2)",
    ]


def test_accounting_over_folders_of_any_depth(tmp_path):
    games = random_games(4, 60)
    lines = [trmph_line(4, moves, winner) for moves, winner in games]
    unique = len(set(map(bytes, records.game_hashes(games, True))))
    write_lines(tmp_path / "data/a/one.trmph", lines[:20])
    write_lines(tmp_path / "data/a/deep/er/two.trmph", [*lines[10:40], "broken"])
    write_lines(tmp_path / "data/b.txt", lines[40:])
    write_lines(tmp_path / "data/README.md", ["not games"])
    write_lines(tmp_path / "data/empty.trmph", ["# no games yet"])
    before = bytes_in(tmp_path / "data")
    summary = run([tmp_path / "data/a", tmp_path / "data"], tmp_path / "clean", 4, chunks=3)
    assert bytes_in(tmp_path / "data") == before
    assert summary["records"] == 71
    assert summary["kept"] == unique
    assert summary["kept"] + summary["duplicates"] + summary["rejected"] == 71
    assert [(f["name"], f["records"], f["rejected"]) for f in summary["files"]] == [
        ("a/deep/er/two.trmph", 31, 1),
        ("a/one.trmph", 20, 0),
        ("b.txt", 20, 0),
        ("empty.trmph", 0, 0),
    ]
    assert summary["inputs"]["b.txt"] == files.sha256(tmp_path / "data/b.txt")
    for file in summary["files"]:
        assert file["records"] == file["kept"] + file["duplicates"] + file["rejected"]
    kept = games_in(tmp_path / "clean", 4)
    assert len(kept) == len({moves for moves, _, _ in kept}) == unique
    assert {moves for moves, _, _ in kept} <= {tuple(moves.tolist()) for moves, _ in games}
    lengths = Counter(len(moves) for moves, _, _ in kept)
    assert summary["length_histogram"] == {str(k): v for k, v in sorted(lengths.items())}
    assert summary["moves"] == sum(k * v for k, v in lengths.items())
    assert summary["mean_length"] == pytest.approx(summary["moves"] / unique, abs=1e-3)
    assert summary["blue_wins"] == sum(winner == BLUE for _, winner, _ in kept)
    assert not (tmp_path / "clean/.spool").exists()


def test_symmetric_games_are_one_unless_told_otherwise(tmp_path):
    games = random_games(5, 30)
    lines = [trmph_line(5, moves, winner) for moves, winner in games]
    lines += [trmph_line(5, rotation(5)[moves], winner) for moves, winner in games]
    path = write_lines(tmp_path / "x.trmph", lines)
    summary = run([path], tmp_path / "one", 5)
    assert (summary["kept"], summary["duplicates"]) == (30, 30)
    summary = run([path], tmp_path / "two", 5, merge_symmetric=False)
    assert (summary["kept"], summary["duplicates"]) == (60, 0)


def test_swap_is_the_same_game(tmp_path):
    moves, winner = next(iter(random_games(5, 1)))
    turned = reflection(5)[moves]
    swapped = trmph_line(5, [turned[0], *turned], 3 - winner)
    path = write_lines(tmp_path / "x.trmph", [trmph_line(5, moves, winner), swapped])
    assert run([path], tmp_path / "clean", 5)["duplicates"] == 1


@pytest.mark.parametrize("chunks", [1, 7, 40])
def test_chunks_are_balanced_and_in_order(tmp_path, chunks):
    games = random_games(5, 30)
    records.write_games(tmp_path / "x.trmph", [games], {"kind": "games"})
    summary = run([tmp_path / "x.trmph"], tmp_path / "clean", 5, chunks)
    sizes = [chunk["games"] for chunk in summary["chunks"]]
    assert (sum(sizes), len(sizes)) == (30, chunks)
    assert max(sizes) - min(sizes) <= 1
    kept = [(moves, winner) for moves, winner, _ in games_in(tmp_path / "clean", 5)]
    assert kept == [(tuple(moves.tolist()), winner) for moves, winner in games]
    for k, chunk in enumerate(summary["chunks"]):
        assert chunk["name"] == f"chunk_{k:04d}.trmph"
        meta = records.read_meta(tmp_path / "clean" / chunk["name"])
        assert (meta["kind"], meta["board_size"], meta["games"]) == ("games", 5, chunk["games"])


def test_chunk_size_gives_the_number_of_chunks(tmp_path):
    records.write_games(tmp_path / "x.trmph", [random_games(5, 30)], {"kind": "games"})
    summary = run([tmp_path / "x.trmph"], tmp_path / "clean", 5, None, chunk_size=8)
    assert [chunk["games"] for chunk in summary["chunks"]] == [7, 8, 7, 8]
    with pytest.raises(BadInput, match=r"chunk_0002\.trmph: left by an earlier cleaning"):
        run([tmp_path / "x.trmph"], tmp_path / "clean", 5, 2)


def test_same_bytes_whatever_the_blocks_and_after_a_kill(tmp_path, monkeypatch):
    games = random_games(5, 200)
    records.write_games(tmp_path / "x.trmph", [games], {"kind": "games"})
    records.write_search(tmp_path / "x.search.npz", made_up_search(games), {})
    run([tmp_path / "x.trmph"], tmp_path / "one", 5, 3)
    (tmp_path / "two/.spool").mkdir(parents=True)
    (tmp_path / "two/.spool/moves").write_bytes(b"left by a killed run")
    monkeypatch.setattr(lines, "BLOCK", 500)
    run([tmp_path / "x.trmph"], tmp_path / "two", 5, 3)
    assert bytes_in(tmp_path / "one") == bytes_in(tmp_path / "two")


def test_statistics_travel_with_their_game(tmp_path):
    games = random_games(4, 40)
    search = made_up_search(games)
    lines = [trmph_line(4, moves, winner) for moves, winner in games]
    lines[7] = lines[7][:-1] + ("b" if lines[7][-1] == "r" else "r")  # rejected, wrong winner
    lines[13] = lines[3]  # has statistics of its own, which go with the duplicate
    write_lines(tmp_path / "a/x.trmph", [*lines[:13], *lines[14:]])
    whole = Games(4, games.moves, games.offsets, games.winners)
    skip = np.zeros(len(games.moves), bool)
    skip[games.offsets[13] : games.offsets[14]] = True
    of_entry = np.repeat(skip, search.policy_count)
    records.write_search(
        tmp_path / "a/x.search.npz",
        SearchStatistics(
            search.root_value[~skip],
            search.policy_count[~skip],
            search.policy_cell[~of_entry],
            search.policy_probability[~of_entry],
        ),
        {},
    )
    unsearched = next(iter(random_games(4, 1, seed=99)))
    write_lines(tmp_path / "b.trmph", [trmph_line(4, *unsearched)])
    summary = run([tmp_path / "a", tmp_path / "b.trmph"], tmp_path / "clean", 4, 3)
    assert "a/x.search.npz" in summary["inputs"]
    kept = {moves: statistics for moves, _, statistics in games_in(tmp_path / "clean", 4)}
    entry = np.concatenate([[0], np.cumsum(search.policy_count, dtype=np.int64)])
    compared = 0
    for g, (moves, _) in enumerate(whole):
        if g in (7, 13) or tuple(moves.tolist()) not in kept:
            continue
        for k, (root, policy) in enumerate(kept[tuple(moves.tolist())]):
            m = games.offsets[g] + k
            assert root == str(search.root_value[m])
            cells = search.policy_cell[entry[m] : entry[m + 1]].tolist()
            values = search.policy_probability[entry[m] : entry[m + 1]].tolist()
            assert policy == dict(zip(cells, values, strict=True))
        compared += 1
    assert compared > 30
    # A game without statistics has its played moves as the policy, and no root value.
    played = [("nan", {move: 1.0}) for move in unsearched[0].tolist()]
    assert kept[tuple(unsearched[0].tolist())] == played


def test_statistics_that_do_not_fit_are_refused(tmp_path):
    games = random_games(5, 20)
    path = write_lines(tmp_path / "x.trmph", ["# played", *(trmph_line(5, *g) for g in games)])
    search = made_up_search(games)
    beside = tmp_path / "x.search.npz"
    other = Games(5, games.moves[::-1].copy(), games.offsets, games.winners)
    records.write_search(beside, made_up_search(other), {})
    with pytest.raises(BadInput, match=r"x\.search\.npz: does not fit the game at .*x\.trmph:\d+"):
        run([path], tmp_path / "clean", 5)
    records.write_search(beside, search, {})
    with path.open("a") as handle:
        handle.write(trmph_line(5, *next(iter(random_games(5, 1, seed=5)))) + "\n")
    with pytest.raises(BadInput, match=r"x\.search\.npz: holds \d+ moves"):
        run([path], tmp_path / "clean", 5)
    with path.open("a") as handle:
        handle.write("#5,a1b\n")
    with pytest.raises(BadInput, match=r"x\.trmph:23: unreadable move"):
        run([path], tmp_path / "clean", 5)
    beside.write_bytes(beside.read_bytes()[:-100])
    with pytest.raises(BadInput, match=r"x\.search\.npz: not a whole search file"):
        run([path], tmp_path / "clean", 5)
    assert not list((tmp_path / "clean").iterdir())


def test_an_input_without_a_valid_game_is_an_error(tmp_path):
    with pytest.raises(BadInput, match="no such file or folder"):
        run([tmp_path / "none"], tmp_path / "clean")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="empty: no game file"):
        run([tmp_path / "empty"], tmp_path / "clean")
    write_lines(tmp_path / "data/a.trmph", ["# a comment", "#5,a1 b", "junk"])
    write_lines(tmp_path / "data/b.trmph", ["#5,a1 b"])
    good = write_lines(tmp_path / "good.trmph", [GOOD])
    message = r"data: no valid 3×3 game; found 2 files with 3 records, 2 of them: another board"
    with pytest.raises(BadInput, match=message + r" size \(5×5\), first at .*a\.trmph:2; set"):
        run([good, tmp_path / "data"], tmp_path / "clean")
    (tmp_path / "zero.trmph").touch()
    with pytest.raises(BadInput, match=r"zero\.trmph: is empty; make it again, or take it away"):
        run([good, tmp_path / "zero.trmph"], tmp_path / "clean")
    records.write_games(tmp_path / "none.trmph", [], {"kind": "games"})
    assert run([good, tmp_path / "none.trmph"], tmp_path / "clean")["kept"] == 1
    with pytest.raises(BadInput, match="no valid 3×3 game"):
        run([tmp_path / "none.trmph"], tmp_path / "clean2")
    with pytest.raises(BadInput, match="no input"):
        run([], tmp_path / "clean")


def test_another_board_size_is_told_with_statistics_too(tmp_path):
    games = random_games(5, 3)
    records.write_games(tmp_path / "x.trmph", [games], {"kind": "games"})
    records.write_search(tmp_path / "x.search.npz", made_up_search(games), {})
    with pytest.raises(BadInput, match=r"x\.trmph:2: another board size; set the board size"):
        run([tmp_path / "x.trmph"], tmp_path / "clean", 7)


def test_the_output_folder_is_no_input(tmp_path):
    write_lines(tmp_path / "x.trmph", [GOOD])
    for _ in range(2):
        assert run([tmp_path], tmp_path / "clean")["records"] == 1
    with pytest.raises(BadInput, match="but those in the output folder"):
        run([tmp_path / "clean"], tmp_path / "clean")


def test_foreign_file_is_told(tmp_path):
    (tmp_path / "x.trmph").write_bytes(np.random.default_rng(0).bytes(50_000))
    with pytest.raises(BadInput, match=r"none of its \d+ lines is a record; take it") as error:
        run([tmp_path / "x.trmph"], tmp_path / "clean")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("n", [-3, 0, 2, 20, 25])
def test_a_board_size_that_is_not_played_is_told(tmp_path, n):
    path = write_lines(tmp_path / "x.trmph", [f"#{n},a1b1a2 b"])
    with pytest.raises(BadInput, match=f"board size {n}: sizes from 3 to 19 are possible; set one"):
        run([path], tmp_path / "clean", n)
