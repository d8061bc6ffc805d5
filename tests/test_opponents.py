"""Networks of others: they see the board as their own program shows it to them."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hexlib.game.board import BLUE, RED
from hexlib.search.interface import positions_after, search_all
from hexlib.search.policy import PolicySearch, turned
from hexlib.stages.evaluate.solved import read_solved, shipped_positions

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture
def hexgame(monkeypatch):
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    from opponents import hexgame

    return hexgame


class Request:
    """Remembers what it is shown, and gives each cell of its own policy a number."""

    def infer(self, inputs):
        (self.planes,) = inputs[0]
        cells = self.planes[0].size
        return {"policy": np.arange(cells, dtype=np.float32)[None], "value": np.array([0.25])}


@pytest.mark.parametrize("moves", [[0, 7, 3], [0, 7, 3, 20]])
def test_boards_and_policies_are_turned_as_its_own_page_does(hexgame, moves):
    """The formulas are those of the page's script: s[row][column], 1 joins top and bottom."""
    n = 5
    network = hexgame.HexgameNetwork.__new__(hexgame.HexgameNetwork)
    network.board_size, network.evaluated, network._request = n, 0, Request()
    positions = positions_after(n, [moves])
    boards = np.empty((1, n * n), np.int8)
    turned(positions.cells, positions.colours, n, boards)
    logits, values = network(boards)
    assert values.tolist() == [0.25]

    s = positions.cells[0, :-1].reshape(n, n)
    own, other = network._request.planes
    blue = positions.colours[0] == BLUE
    for m in range(n):
        for p in range(n):
            there = s[n - 1 - p][n - 1 - m] if blue else s[m][p]
            assert own[m][p] == (there == (BLUE if blue else RED))
            assert other[m][p] == (there == (RED if blue else BLUE))

    class Answered:
        def __call__(self, boards):
            return logits, values

    found = search_all(PolicySearch(1, n), Answered(), positions, np.zeros(1, np.uint64))
    policy = np.log(found.policy[0] + 1e-30)
    for row in range(n):
        for column in range(n):
            if s[row][column] == 0:
                index = (n - 1 - column) * n + (n - 1 - row) if blue else row * n + column
                best = max(
                    (n - 1 - c) * n + (n - 1 - r) if blue else r * n + c
                    for r in range(n)
                    for c in range(n)
                    if s[r][c] == 0
                )
                expected = index - best + policy.max()
                assert policy[row * n + column] == pytest.approx(expected, abs=1e-3)


def test_its_networks_play_better_than_a_dice_and_through_htp(hexgame):
    pytest.importorskip("hexgame_server")
    (known,) = read_solved(shipped_positions(7))
    positions = positions_after(7, known.games)
    found = search_all(
        PolicySearch(64, 7),
        hexgame.HexgameNetwork(7),
        positions,
        np.zeros(len(known.games), np.uint64),
    )
    won = [k for k, wins in enumerate(known.winning) if wins]
    assert np.mean([int(found.move[k]) in known.winning[k] for k in won]) > 0.75
    assert np.mean((found.value > 0) == (known.winners == positions.colours)) > 0.75
    script = REPOSITORY / "benchmarks/opponents/hexgame.py"
    done = subprocess.run(
        [sys.executable, script, "--board-size", "5", "--simulations", "8"],
        input="name\ngenmove black\nquit\n",
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(REPOSITORY), *sys.path])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.startswith("= hexgame-server\n\n= "), done.stderr


def test_a_board_that_it_does_not_play_is_told(hexgame):
    with pytest.raises(hexgame.BadInput, match="hexgame-server"):
        hexgame.network_file(6)
