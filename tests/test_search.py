"""The searches: against a slow twin, and by what they promise."""

import numpy as np
import pandas as pd
import pytest
from slow_twin import gumbel_search, wins

from hexlib import rng
from hexlib.game.board import BLUE, RED
from hexlib.game.notation import cell_index
from hexlib.search.gumbel import GumbelSearch
from hexlib.search.halving import considered_visits
from hexlib.search.interface import (
    CHEAP,
    FULL,
    THOROUGH,
    Positions,
    positions_after,
    search_all,
)
from hexlib.search.minimax import MinimaxSearch
from hexlib.search.policy import PolicySearch
from hexlib.search.qtransform import EXCLUDED, softmax
from hexlib.stages.evaluate.solved import shipped_positions


class MadeUpNetwork:
    """Policies and values that are a fixed function of the board, and a count of the boards."""

    def __init__(self, board_size: int):
        random = np.random.default_rng(board_size)
        self.weights = random.normal(size=(3, board_size**2, board_size**2))
        self.value_weights = random.normal(size=(3, board_size**2))
        self.evaluated = 0
        self.batches: list[int] = []

    def __call__(self, boards):
        self.evaluated += len(boards)
        self.batches.append(len(boards))
        cells = np.arange(boards.shape[1])
        logits = np.array([self.weights[board, cells].sum(0) for board in boards])
        values = np.array([np.tanh(self.value_weights[board, cells].sum() / 3) for board in boards])
        return logits.astype(np.float32), values.astype(np.float32)


def some_games(n, count, most, seed=0):
    """`count` sequences of moves without an end of the game."""
    random = np.random.default_rng(seed)
    games = []
    while len(games) < count:
        moves = [int(m) for m in random.permutation(n * n)[: random.integers(0, most + 1)]]
        try:
            positions_after(n, [moves])
        except ValueError:
            continue
        games.append(moves)
    return games


def grid_of(n, moves):
    grid = np.zeros(n * n, np.int8)
    for ply, move in enumerate(moves):
        grid[move] = BLUE + ply % 2
    return grid.reshape(n, n)


def some_keys(count):
    return np.array([rng.game_key(7, 0, k) for k in range(count)], np.uint64)


@pytest.mark.parametrize(
    ("n", "simulations", "considered", "noise", "c_scale"),
    [
        (3, 12, 16, 1.0, 0.2),
        (4, 32, 8, 1.0, 0.2),
        (5, 24, 16, 0.0, 1.0),
        (5, 40, 8, 0.0, 0.1),
        (5, 40, 3, 1.0, 0.2),
    ],
)
def test_gumbel_is_the_slow_twins(n, simulations, considered, noise, c_scale):
    games = some_games(n, 40, n * n // 2)
    search = GumbelSearch(8, n, simulations, considered, noise, c_scale=c_scale)
    keys = some_keys(len(games))
    found = search_all(search, MadeUpNetwork(n), positions_after(n, games), keys)
    for k, moves in enumerate(games):
        move, policy, done, value = gumbel_search(
            grid_of(n, moves),
            BLUE + len(moves) % 2,
            MadeUpNetwork(n),
            simulations,
            considered,
            keys[k],
            noise,
            c_scale,
        )
        dense = np.zeros(n * n)
        dense[list(policy)] = list(policy.values())
        assert found.move[k] == move
        assert found.simulations[k] == done
        assert np.abs(found.policy[k] - dense).max() < 1e-4
        np.testing.assert_allclose(found.value[k], value, atol=1e-4)


def test_gumbel_does_the_simulations_that_it_was_asked_for():
    n, games = 7, some_games(7, 64, 6)
    for simulations in (1, 2, 16, 33, 100):
        network = MadeUpNetwork(n)
        search = GumbelSearch(32, n, simulations)
        found = search_all(search, network, positions_after(n, games), some_keys(64))
        assert (found.simulations == simulations).all()
        # One for each root, and one for each simulation but those that end in a solved position.
        assert network.evaluated <= 64 * (1 + simulations)
        assert network.evaluated > 0.95 * 64 * simulations


def test_a_search_spends_what_its_effort_allows():
    n, games = 7, some_games(7, 60, 6)
    search = GumbelSearch(60, n, 16, cheap_simulations=5, thorough_simulations=40)
    network, slots = MadeUpNetwork(n), np.arange(60)
    effort = np.resize(np.array([FULL, CHEAP, THOROUGH], np.int8), 60)
    done = search.start(slots, positions_after(n, games), slots, some_keys(60), effort)
    while len(boards := search.waiting()):
        done = np.concatenate([done, search.advance(*network(boards))])
    assert sorted(done) == slots.tolist()
    found = search.found(slots)
    assert (found.simulations == np.array([16, 5, 40])[effort]).all()
    bounds = GumbelSearch(1, n, 16, cheap_simulations=50, thorough_simulations=8)
    assert bounds._budgets.tolist() == [16, 16, 16]


def test_batches_are_full_while_there_is_work():
    network = MadeUpNetwork(7)
    search = GumbelSearch(32, 7, 16)
    games = some_games(7, 320, 20)
    search_all(search, network, positions_after(7, games), some_keys(320))
    full = sum(size == 32 for size in network.batches)
    assert full > 0.85 * len(network.batches)


def test_result_does_not_depend_on_slots_or_neighbours():
    games = some_games(5, 50, 10)
    keys = some_keys(50)
    results = [
        search_all(GumbelSearch(slots, 5, 20), MadeUpNetwork(5), positions_after(5, games), keys)
        for slots in (1, 7, 64)
    ]
    for other in results[1:]:
        for mine, theirs in zip(results[0], other, strict=True):
            assert np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f")


@pytest.mark.parametrize("make", [GumbelSearch, MinimaxSearch])
def test_immediate_wins_are_taken_and_threats_are_met(make):
    n = 5
    search = GumbelSearch(16, n, 8) if make is GumbelSearch else MinimaxSearch(16, n, [6, 4])
    games = some_games(n, 400, 20, seed=3)
    found = search_all(search, MadeUpNetwork(n), positions_after(n, games), some_keys(400))
    checked = 0
    for k, moves in enumerate(games):
        grid, colour = grid_of(n, moves), BLUE + len(moves) % 2
        mine, theirs = wins(grid, colour), wins(grid, BLUE + RED - colour)
        if mine:
            assert found.move[k] in mine
            assert found.value[k] == 1
        elif theirs:
            assert found.move[k] in theirs
            if len(theirs) > 1:
                assert found.value[k] == -1
        checked += bool(mine or theirs)
    assert checked > 40


def test_search_without_knowledge_proves_only_what_is_true():
    """Every solved 4×4 position whose search ends in a proof has the true winner."""
    table = pd.read_csv(shipped_positions(4))
    games = [[cell_index(name, 4) for name in text.split()] for text in table["moves"]]
    boards = positions_after(4, games)
    search = GumbelSearch(64, 4, 600, noise_scale=0)
    found = search_all(search, MadeUpNetwork(4), boards, some_keys(len(games)))
    proved = np.abs(found.value) == 1
    winner = np.where(table["winner"] == "blue", BLUE, RED)
    assert proved.mean() > 0.3
    assert ((found.value > 0) == (winner == boards.colours))[proved].all()
    for text, move, value in zip(
        table["winning_moves"].fillna(""), found.move, found.value, strict=True
    ):
        if value == 1:
            assert int(move) in [cell_index(name, 4) for name in text.split()]


@pytest.mark.parametrize("considered", [1, 2, 3, 7, 16])
@pytest.mark.parametrize("simulations", [1, 2, 15, 16, 64, 200])
def test_sequential_halving_uses_every_simulation(considered, simulations):
    sequence = considered_visits(considered, simulations)
    assert len(sequence) == simulations
    visits = [0] * considered
    for wanted in sequence:
        fit = [k for k in range(considered) if visits[k] == wanted]
        assert fit, "there is always a move with the wanted number of visits"
        visits[fit[0]] += 1
    # The best moves have the same number of visits, but for a last round that was cut short.
    assert sorted(visits)[-1] - sorted(visits)[-min(2, considered)] <= 1


def test_minimax_is_the_slow_twins():
    n, widths = 4, [5, 3]
    games = some_games(n, 60, 6, seed=5)
    network = MadeUpNetwork(n)
    search = MinimaxSearch(16, n, widths)
    found = search_all(search, network, positions_after(n, games), some_keys(60))

    def value(grid, colour, level):
        mine, theirs = wins(grid, colour), wins(grid, BLUE + RED - colour)
        if mine or len(theirs) > 1:
            return 1.0 if mine else -1.0
        seen = grid if colour == BLUE else grid.T
        board = np.where(seen == colour, 1, np.where(seen == 0, 0, 2)).reshape(1, -1)
        logits, values = MadeUpNetwork(n)(board.astype(np.int8))
        if level == len(widths):
            return float(values[0])
        turned = logits.reshape(n, n) if colour == BLUE else logits.reshape(n, n).T
        moves = theirs or np.flatnonzero(grid.ravel() == 0).tolist()
        best = sorted(moves, key=lambda m: -turned.flat[m])[: widths[level]]
        children = []
        for move in best:
            after = grid.copy()
            after.flat[move] = colour
            children.append(-value(after, BLUE + RED - colour, level + 1))
        return max(children)

    expected = [value(grid_of(n, moves), BLUE + len(moves) % 2, 0) for moves in games]
    assert np.abs(found.value - expected).max() < 1e-5


def test_minimax_asks_for_equal_positions_once():
    """Those that two orders of three moves lead to, and those of equal games."""
    n, widths = 4, [6, 6, 6]
    asked = {}
    for games in ([[5]], [[5], [5]]):
        rows, network = [], MadeUpNetwork(n)
        positions = positions_after(n, games)
        found = search_all(
            MinimaxSearch(len(games), n, widths),
            lambda boards, rows=rows, network=network: rows.append(boards) or network(boards),
            positions,
            some_keys(len(games)),
        )
        assert all(len(np.unique(boards, axis=0)) == len(boards) for boards in rows)
        asked[len(games)] = network.evaluated, found.value.tolist()
    assert asked[2] == (asked[1][0], asked[1][1] * 2)


def test_policy_search_is_the_networks_policy():
    games = some_games(5, 30, 8)
    positions = positions_after(5, games)
    found = search_all(PolicySearch(8, 5), MadeUpNetwork(5), positions, some_keys(30))
    for k, moves in enumerate(games):
        colour = BLUE + len(moves) % 2
        grid = grid_of(5, moves)
        seen = grid if colour == BLUE else grid.T
        board = np.where(seen == colour, 1, np.where(seen == 0, 0, 2)).reshape(1, -1)
        logits, _ = MadeUpNetwork(5)(board.astype(np.int8))
        turned = logits.reshape(5, 5) if colour == BLUE else logits.reshape(5, 5).T
        weights = np.where(grid.ravel() == 0, np.exp(turned.ravel() - turned.max()), 0)
        assert np.abs(found.policy[k] - weights / weights.sum()).max() < 1e-5
        assert found.move[k] == weights.argmax()


def test_softmax_is_exact_enough():
    random = np.random.default_rng(0)
    for _ in range(100):
        logits = (random.normal(size=121) * 8).astype(np.float32)
        excluded = random.random(121) < 0.3
        logits[excluded] = EXCLUDED
        out = np.empty(121, np.float32)
        softmax(logits, out)
        weights = np.where(excluded, 0, np.exp(logits.astype(float) - logits.max()))
        assert np.abs(out - weights / weights.sum()).max() < 2e-6
        assert (out[excluded] == 0).all()
        assert (out[~excluded] > 0).all()


def test_random_numbers_are_uniform_and_depend_on_key_and_counter():
    keys = [np.uint64(rng.game_key(0, 1, game)) for game in range(400)]
    draws = np.array([[rng.uniform(key, counter) for counter in range(50)] for key in keys])
    assert draws.min() > 0
    assert draws.max() < 1
    counts = np.bincount((draws.ravel() * 100).astype(int), minlength=100)
    chi_squared = ((counts - 200) ** 2 / 200).sum()
    assert 40 < chi_squared < 180  # 99 degrees of freedom: within 5 sigma
    assert len(np.unique(draws)) == draws.size
    neighbours = np.corrcoef(draws[:-1].ravel(), draws[1:].ravel())[0, 1]
    assert abs(neighbours) < 5 / np.sqrt(draws.size)


def test_search_all_takes_no_position():
    empty = Positions(
        np.zeros((0, 26), np.int8),
        np.zeros((0, 26), np.uint16),
        np.zeros((0, 26), np.uint8),
        np.zeros(0, np.int8),
    )
    found = search_all(GumbelSearch(4, 5, 8), MadeUpNetwork(5), empty, some_keys(0))
    assert len(found.move) == 0
