"""Positions against an obvious twin that plays the games on a dict of stones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import made_up_search, random_games

from hexlib import files, npz, rng
from hexlib.errors import BadInput
from hexlib.game import positions, records
from hexlib.game.board import BLUE
from hexlib.game.records import SearchStatistics
from hexlib.settings import Process
from hexlib.stages import process


def slow_positions(games, search, mode, policy="search", decided=1.0, replies=False):
    """A dict for each position, in order."""
    n, found, move, entry = games.board_size, [], 0, 0
    ids = records.game_hashes(games, merge_symmetric=True)[:, 0]

    def turn(cell, red):
        row, column = divmod(int(cell), n)
        return column * n + row if red else int(cell)

    for g, (moves, winner) in enumerate(games):
        searched = [
            k
            for k in range(len(moves) if search else 0)
            if search.policy_count[move + k] or not np.isnan(search.root_value[move + k])
        ]
        for k in range(len(moves) + 1):
            red = k % 2
            position = {
                "own": {turn(c, red) for i, c in enumerate(moves[:k]) if i % 2 == red},
                "opponent": {turn(c, red) for i, c in enumerate(moves[:k]) if i % 2 != red},
                "policy": {},
                "reply": None,
                "value": 1 if (winner != BLUE) == red else -1,
                "root_value": "nan",
                "weight": float(not searched or k in searched or k == len(moves)),
                "game": int(ids[g]) % 2**32,
                "ply": k,
            }
            sure = k == len(moves)
            if k < len(moves) and search is None:
                position["policy"] = {turn(moves[k], red): 1.0}
            elif k < len(moves):
                count = int(search.policy_count[move])
                for e in range(entry, entry + count):
                    cell = turn(search.policy_cell[e], red)
                    position["policy"][cell] = float(search.policy_probability[e])
                if count and policy == "played":
                    position["policy"] = {turn(moves[k], red): 1.0}
                position["root_value"] = str(search.root_value[move])
                sure = abs(float(search.root_value[move])) > 0.95
                move, entry = move + 1, entry + count
            if replies and mode == "all" and position["policy"] and k + 1 < len(moves):
                position["reply"] = turn(moves[k + 1], red)
            if sure and search and mode == "all" and rng.uniform(position["game"], k) >= decided:
                position["weight"] = 0.0
            if mode == "all" or k == len(moves) - (mode == "penultimate"):
                found.append(position)
    return found


def as_dicts(found):
    """What a file of positions holds, in the form of the twin."""
    own, opponent = positions.unpack(found, np.arange(len(found)))
    ends = found.policy_offsets
    rows = []
    for p in range(len(found)):
        cells = found.policy_cell[ends[p] : ends[p + 1]].tolist()
        values = found.policy_probability[ends[p] : ends[p + 1]].tolist()
        reply = cells.pop() if values and np.signbit(values[-1]) else None
        values = values[: len(cells)]
        rows.append(
            {
                "own": set(np.flatnonzero(own[p]).tolist()),
                "opponent": set(np.flatnonzero(opponent[p]).tolist()),
                "policy": dict(zip(cells, values, strict=True)),
                "reply": reply,
                "value": int(found.value[p]),
                "root_value": str(found.root_value[p]),
                "weight": float(found.weight[p]),
                "game": int(found.game[p]),
                "ply": int(found.ply[p]),
            }
        )
    return rows


def write(folder, games, search=None):
    records.write_games(folder / "chunk_0000.trmph", [games], {"kind": "games"})
    if search:
        records.write_search(folder / "chunk_0000.search.npz", search, {})
    return folder / "chunk_0000.trmph"


def run(chunk, n, mode="all", policy="search", decided=1.0, replies=False):
    output = chunk.with_suffix(".npz")
    wanted = Process(positions=mode, policy=policy, decided=decided, replies=replies)
    result = process.run(chunk, output, wanted, n)
    found = positions.read_positions(output)
    assert result["rows"] == len(found)
    return found


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(3, 8),
    count=st.integers(0, 12),
    seed=st.integers(1, 10**6),
    mode=st.sampled_from(["all", "final", "penultimate"]),
    policy=st.sampled_from(["search", "played"]),
    decided=st.sampled_from([0.0, 0.4, 1.0]),
    replies=st.booleans(),
    searched=st.booleans(),
    rows=st.sampled_from([1, 40, 1 << 16]),
)
def test_positions_agree_with_the_twin(
    tmp_path_factory, n, count, seed, mode, policy, decided, replies, searched, rows
):
    games = random_games(n, count, seed)
    search = made_up_search(games, seed) if searched and count else None
    chunk = write(tmp_path_factory.mktemp("process"), games, search)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process, "ROWS", rows)
        found = run(chunk, n, mode, policy, decided, replies)
    assert as_dicts(found) == slow_positions(games, search, mode, policy, decided, replies)
    assert not (found.own & found.opponent).any()


def test_final_position_has_a_value_and_no_policy(tmp_path):
    games = random_games(5, 20)
    found = run(write(tmp_path, games), 5)
    ends = np.cumsum(np.diff(games.offsets) + 1) - 1
    assert (found.policy_count[ends] == 0).all()
    assert (found.value[ends] == -1).all()  # the player to move has lost
    assert (np.delete(found.policy_count, ends) == 1).all()


def test_in_a_searched_game_only_what_was_searched_has_weight(tmp_path):
    """The stones of a random opening say nothing of who would have won without the later ones."""
    games = random_games(5, 20)
    search = made_up_search(games)
    found = run(write(tmp_path, games, search), 5)
    ends = np.cumsum(np.diff(games.offsets) + 1) - 1
    assert (found.weight[ends] == 1).all()  # the rules have judged it
    was_searched = np.delete(found.policy_count, ends) > 0
    assert 0 < was_searched.mean() < 1
    assert (np.delete(found.weight, ends) == was_searched).all()


def test_in_a_game_without_any_search_all_have_weight(tmp_path):
    """Played by a strategy that searches nothing, beside others that were searched."""
    games = random_games(5, 20)
    search = made_up_search(games)
    bare = int(games.offsets[7])
    entries = int(search.policy_count[:bare].sum(dtype=np.int64))
    values, counts = search.root_value.copy(), search.policy_count.copy()
    values[bare:], counts[bare:] = np.nan, 0
    cells, probabilities = search.policy_cell[:entries], search.policy_probability[:entries]
    cut = SearchStatistics(values, counts, cells, probabilities)
    found = run(write(tmp_path, games, cut), 5)
    assert (found.weight[bare + 7 :] == 1).all()


def test_few_decided_positions_are_learned(tmp_path):
    games = random_games(5, 400)
    search = made_up_search(games)
    chunk = write(tmp_path, games, search)
    every, few = (run(chunk, 5, decided=share) for share in (1.0, 0.25))
    ends = np.cumsum(np.diff(games.offsets) + 1) - 1
    sure = np.abs(every.root_value.astype(float)) > 0.95  # as float16 it would be rounded
    sure[ends] = True
    assert (few.weight[~sure] == every.weight[~sure]).all()
    assert 0.18 < few.weight[sure].mean() / every.weight[sure].mean() < 0.32


def test_replies_leave_the_policy_as_it_is(tmp_path):
    games = random_games(6, 50)
    chunk = write(tmp_path, games, made_up_search(games))
    without, told = (run(chunk, 6, replies=replies) for replies in (False, True))
    rows = np.arange(len(told))
    np.testing.assert_array_equal(positions.policy(told, rows), positions.policy(without, rows))
    assert (told.policy_count - without.policy_count).sum() > 500


def test_a_row_full_of_policy_entries_has_no_room_for_a_reply(tmp_path):
    games = random_games(17, 1)
    length = len(games.moves)
    counts = np.zeros(length, np.uint8)
    counts[:2] = 255, 254
    cells = [np.setdiff1d(np.arange(289), games.moves[:k])[: counts[k]] for k in range(2)]
    search = SearchStatistics(
        np.where(counts > 0, 0.5, np.nan).astype(np.float16),
        counts,
        np.concatenate(cells).astype(np.uint16),
        np.full(509, 1 / 255, np.float16),
    )
    full, second, *_ = as_dicts(run(write(tmp_path, games, search), 17, replies=True))
    assert (len(full["policy"]), full["reply"]) == (255, None)
    row, column = divmod(int(games.moves[2]), 17)
    assert (len(second["policy"]), second["reply"]) == (254, column * 17 + row)


def test_empty_statistics_mean_the_played_move(tmp_path):
    games = random_games(5, 20)
    before = as_dicts(run(write(tmp_path, games), 5))
    empty = SearchStatistics(*(np.zeros(0, dtype) for dtype in records.SEARCH_DTYPES.values()))
    assert as_dicts(run(write(tmp_path, games, empty), 5)) == before


def test_move_without_statistics_is_masked(tmp_path):
    games = random_games(5, 20)
    search = made_up_search(games)
    found = run(write(tmp_path, games, search), 5, "penultimate")
    last = search.policy_count[games.offsets[1:] - 1]
    assert (found.policy_count == last).all()
    dense = positions.policy(found, np.arange(len(found)))
    np.testing.assert_allclose(dense.sum(1), last > 0, atol=1e-5)


def test_bytes_of_a_position_and_meta(tmp_path):
    games = random_games(13, 300)
    chunk = write(tmp_path, games)
    found = run(chunk, 13)
    assert len(found) == len(games.moves) + 300
    assert chunk.with_suffix(".npz").stat().st_size / len(found) <= 60.1
    _, meta = npz.open_npz(chunk.with_suffix(".npz"), "positions")
    assert meta == {
        "kind": "positions",
        "schema": files.SCHEMA,
        "board_size": 13,
        "rows": len(found),
        "games": 300,
        "positions": "all",
        "inputs": {"chunk_0000.trmph": files.sha256(chunk)},
    }


def test_blocks_do_not_change_a_byte(tmp_path, monkeypatch):
    games = random_games(6, 100)
    chunk = write(tmp_path, games, made_up_search(games))
    run(chunk, 6)
    before = files.sha256(chunk.with_suffix(".npz"))
    monkeypatch.setattr(process, "ROWS", 10)
    monkeypatch.setattr("hexlib.lines.BLOCK", 200)
    run(chunk, 6)
    assert files.sha256(chunk.with_suffix(".npz")) == before


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("#3,a1b1a2b2a3", "no winner"),
        ("#3,a1b1a2b2a3 r", "blue won"),
        ("#3,a1b1a2b2 b", "the game is not finished"),
        ("#3,a1b1a2b1a3 b", "move 4 on an occupied cell"),
        ("#3,a1b1a2b2a3c3 b", "move 6 after the end"),
        ("#4,a1b1a2b2a3 b", "another board size"),
    ],
)
def test_only_clean_games_are_taken(tmp_path, line, reason):
    path = tmp_path / "x.trmph"
    path.write_text(f"#3,a1b1a2b2a3 b\n{line}\n")
    with pytest.raises(BadInput, match=rf"x\.trmph:2: {reason}.*hexlib clean"):
        process.run(path, tmp_path / "x.npz", Process(), 3)
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize("mode", ["all", "final", "penultimate"])
def test_statistics_must_fit(tmp_path, mode):
    games = random_games(5, 20)
    chunk = write(tmp_path, games, made_up_search(random_games(5, 21)))
    with pytest.raises(BadInput, match=r"chunk_0000\.search\.npz: (holds|does not fit)"):
        run(chunk, 5, mode)
    fewer = random_games(5, 20)
    short = records.Games(5, fewer.moves[: fewer.offsets[9]], fewer.offsets[:10], fewer.winners[:9])
    write(tmp_path, games, made_up_search(short))
    with pytest.raises(BadInput, match=r"chunk_0000\.search\.npz: holds"):
        run(chunk, 5, mode)


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(BadInput, match="no such file"):
        process.run(tmp_path / "none.trmph", tmp_path / "x.npz", Process(), 5)
    chunk = write(tmp_path, random_games(5, 5))
    run(chunk, 5)
    output = chunk.with_suffix(".npz")
    whole = output.read_bytes()
    output.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match="not a whole positions file"):
        positions.read_positions(output)
    npz.write(output, {"value": np.zeros(3, np.int8)}, {"kind": "positions", "board_size": 5})
    with pytest.raises(BadInput, match="not those of positions"):
        positions.open_positions(output)


def test_take_concatenate_and_write(tmp_path):
    games = random_games(6, 30)
    found = run(write(tmp_path, games, made_up_search(games)), 6)
    rows = np.random.default_rng(0).permutation(len(found))[:100]
    taken = found.take(rows)
    everything = as_dicts(found)
    assert as_dicts(taken) == [everything[row] for row in rows]
    doubled = positions.concatenate([taken, found])
    assert as_dicts(doubled) == as_dicts(taken) + everything
    np.testing.assert_array_equal(
        positions.policy(found, rows), positions.policy(taken, np.arange(100))
    )
    positions.write_positions(tmp_path / "x.npz", doubled, {"games": 30, "inputs": {}})
    mapped = positions.open_positions(tmp_path / "x.npz")
    assert as_dicts(mapped) == as_dicts(doubled)
    own, _ = positions.unpack(mapped, rows)
    np.testing.assert_array_equal(positions.pack(own), mapped.own[rows])
