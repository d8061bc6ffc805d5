"""The rules, against a slow twin, against OpenSpiel, and by their properties."""

import numpy as np
import pyspiel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slow_twin import connects, wins
from synthetic import random_games

from hexlib.game import board, symmetry
from hexlib.game.board import BLUE, RED, empty_boards, geometry, place, wins_at
from hexlib.search import tactics

orders = st.integers(3, 7).flatmap(lambda n: st.permutations(range(n * n)))


def play(n, moves):
    """Stones and the winner after each move of a game that ends when it is won."""
    cells, parent, edges = (array[0] for array in empty_boards(1, n))
    for ply, move in enumerate(moves):
        won = place(cells, parent, edges, move, BLUE + ply % 2, *geometry(n))
        yield cells, parent, edges, won
        if won:
            return


@given(orders)
@settings(max_examples=60, deadline=None)
def test_winner_is_the_slow_twins_at_every_ply(order):
    n = int(len(order) ** 0.5)
    for ply, (cells, _, _, won) in enumerate(play(n, order)):
        grid = cells[:-1].reshape(n, n)
        assert won == connects(grid, BLUE + ply % 2)
        assert not connects(grid, RED - ply % 2)  # the other colour never wins by my move
    assert won, "a full board has a winner"


@given(orders)
@settings(max_examples=25, deadline=None)
def test_winning_cells_are_the_slow_twins(order):
    n = int(len(order) ** 0.5)
    allowed = np.zeros(n * n + 1, np.uint8)
    for ply, (cells, parent, edges, won) in enumerate(play(n, order)):
        if won:
            return
        grid = cells[:-1].reshape(n, n)
        colour = BLUE + (ply + 1) % 2
        mine, theirs = wins(grid, colour), wins(grid, BLUE + RED - colour)
        assert mine == [
            cell
            for cell in np.flatnonzero(grid.ravel() == 0)
            if wins_at(cells, parent, edges, cell, colour, *geometry(n))
        ]
        verdict = tactics.candidates(cells, parent, edges, colour, *geometry(n), allowed)
        expected = (
            tactics.WON
            if mine
            else tactics.LOST
            if len(theirs) > 1
            else tactics.FORCED
            if theirs
            else tactics.OPEN
        )
        assert verdict == expected
        assert np.flatnonzero(allowed[:-1]).tolist() == (
            mine or theirs or np.flatnonzero(grid.ravel() == 0).tolist()
        )


@pytest.mark.parametrize("n", [3, 5, 7, 11, 13])
def test_agrees_with_open_spiel_at_every_ply(n):
    """Winner and legal moves of 2,000 random games on each size."""
    game = pyspiel.load_game(f"hex(board_size={n})")
    for moves, winner in random_games(n, 2000, seed=n):
        state = game.new_initial_state()
        empty = np.ones(n * n, bool)
        for (cells, _, _, won), move in zip(play(n, moves), moves.tolist(), strict=True):
            state.apply_action(move)
            empty[move] = False
            assert won == state.is_terminal()
            if not won:
                assert state.legal_actions() == np.flatnonzero(cells[:-1] == 0).tolist()
                assert (empty == (cells[:-1] == 0)).all()
        assert state.returns()[winner - BLUE] == 1


@pytest.mark.parametrize("n", [3, 8, 19])
def test_replay_names_the_first_thing_wrong(n):
    games = random_games(n, 50)
    count = len(games)
    status, ply = np.empty(count, np.uint8), np.empty(count, np.int32)
    winner = np.empty(count, np.int8)

    def replay(moves, offsets):
        arrays = (status[: len(offsets) - 1], ply, winner)
        board.replay(n, moves, np.array(offsets, np.int64), *geometry(n), *arrays)
        return int(status[0]), int(ply[0])

    board.replay(n, games.moves, games.offsets, *geometry(n), status, ply, winner)
    assert (status == board.LEGAL).all()
    assert (winner == games.winners).all()
    assert (ply == np.diff(games.offsets)).all()

    first = games.moves[: games.offsets[1]]
    length = len(first)
    unused = next(cell for cell in range(n * n) if cell not in set(first.tolist()))
    assert replay(first[:-1], [0, length - 1]) == (board.UNFINISHED, length - 1)
    assert replay(np.append(first, unused).astype(np.int16), [0, length + 1]) == (
        board.AFTER_END,
        length,
    )
    twice = first.copy()
    twice[2] = twice[0]
    assert replay(twice, [0, length]) == (board.OCCUPIED, 2)
    outside = first.copy()
    outside[1] = n * n
    assert replay(outside, [0, length]) == (board.OFF_BOARD, 1)


@pytest.mark.parametrize("n", [3, 4, 7, 13])
def test_symmetries_are_a_group_that_keeps_the_winner(n):
    cells = np.arange(n * n)
    group = {tuple(p.tolist()): swap for p, swap in symmetry.group(n)}
    assert len(group) == 4
    assert group[tuple(cells.tolist())] is False
    for p, p_swaps in symmetry.group(n):
        assert sorted(p.tolist()) == cells.tolist()
        assert (p[p] == cells).all()  # each is its own inverse
        for q, q_swaps in symmetry.group(n):
            assert group[tuple(p[q].tolist())] == (p_swaps != q_swaps)
    neighbours, _ = geometry(n)
    pairs = {(c, int(o)) for c in range(n * n) for o in neighbours[c] if o < n * n}
    for p, _ in symmetry.group(n):
        assert {(int(p[c]), int(p[o])) for c, o in pairs} == pairs
    for moves, winner in random_games(n, 100):
        for p, swaps in symmetry.group(n):
            grid = np.zeros(n * n, np.int8)
            for ply, move in enumerate(moves):
                colour = BLUE + ply % 2
                grid[p[move]] = BLUE + RED - colour if swaps else colour
            assert connects(grid.reshape(n, n), BLUE + RED - winner if swaps else winner)


def test_random_games_are_different_and_both_colours_win():
    games = random_games(11, 2000)
    assert len({moves.tobytes() for moves, _ in games}) == 2000
    # The first player wins a random game a little more often than not; 0.05 is 4.5 sigma.
    assert abs((games.winners == BLUE).mean() - 0.5) < 0.05
    firsts = np.bincount(games.moves[games.offsets[:-1]], minlength=121)
    expected = 2000 / 121
    chi_squared = ((firsts - expected) ** 2 / expected).sum()
    assert chi_squared < 200  # 120 degrees of freedom: beyond 5 sigma
