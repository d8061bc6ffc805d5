"""Evaluation: solved positions."""

import numpy as np
import pytest

from hexlib.errors import BadInput
from hexlib.game.board import BLUE, RED
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.model import random_network
from hexlib.settings import Evaluate, Inference, Net
from hexlib.stages.evaluate import solved as stage
from hexlib.stages.evaluate.solved import read_solved, shipped_positions, solved, solved_openings

CPU = Inference(device="cpu")
SETTINGS = Evaluate(simulations=8, batch_size=16)
HEADER = "board_size,moves,to_move,winner,winning_moves\n"


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    path = tmp_path_factory.mktemp("nets") / "net.pt"
    save_checkpoint(path, Checkpoint(random_network(Net(blocks=1, channels=8), 0), [4], {}))
    return path


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_shipped_positions_are_whole(n):
    (known,) = read_solved(shipped_positions(n))
    assert known.board_size == n
    assert len(known.games) == (200 if n == 7 else 300)
    for moves, winner, wins in zip(known.games, known.winners, known.winning, strict=True):
        # The player to move wins just if there is a winning move, and those are empty cells.
        assert (winner == BLUE + len(moves) % 2) == bool(wins)
        assert not wins & set(moves)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7])
def test_known_openings_have_the_boards_symmetry(n):
    winners = solved_openings(n)
    assert (winners == winners[::-1]).all()
    # A corner where blue's stone helps neither way is lost; the centre of the board is won.
    assert winners[0] == RED
    assert winners[(n * n) // 2 - (0 if n % 2 else n // 2)] == BLUE


def test_sizes_without_truth_are_said_to_have_none(network):
    assert shipped_positions(9) is None
    assert solved_openings(9) is None
    result = solved(network, "auto", SETTINGS, CPU, 9)
    assert result["raw"] is None
    assert result["positions"] is None
    assert len(result["opening_values"]) == 81


def test_search_finds_more_than_the_raw_network(network):
    deep = Evaluate(simulations=300, batch_size=64)
    result = solved(network, "auto", deep, CPU)
    assert result["board_size"] == 4
    assert result["sizes"] == []
    assert result["positions"]["count"] == 300
    assert result["search"]["move_accuracy"] > 0.75  # a random mover has 0.44
    assert result["search"]["move_accuracy"] > result["raw"]["move_accuracy"] + 0.2
    assert result["search"]["openings"] == 16
    assert solved(network, "auto", SETTINGS.model_copy(update={"simulations": 0}), CPU)["raw"]


def test_depths_add_up_to_the_whole(network):
    raw = solved(network, "auto", SETTINGS, CPU)["raw"]
    depths = raw["by_depth"]
    assert sum(depth["positions"] for depth in depths) == 300
    assert [depth["stones"] for depth in depths[:2]] == [[2, 3], [4, 5]]
    for figure, count in (("value_accuracy", "positions"), ("move_accuracy", "won")):
        total = sum(depth[count] for depth in depths)
        weighted = sum(depth[figure] * depth[count] for depth in depths) / total
        assert weighted == pytest.approx(raw[figure])


def test_accuracy_counts_signs_and_kept_wins():
    known = stage.Solved(4, [[5, 3], [5, 3, 6]], np.array([BLUE, BLUE]), [{6, 9}, set()])
    values = np.array([0.2, 0.3])
    figures = stage._accuracy(known, np.array([9, 0]), values)
    assert figures["value_accuracy"] == 0.5  # red is to move in the second, and lost
    assert figures["move_accuracy"] == 1
    assert [depth["won"] for depth in figures["by_depth"]] == [1]
    figures = stage._accuracy(known, np.array([7, 0]), np.array([np.nan, -0.3]))
    assert figures["value_accuracy"] == 1  # what was not judged is left out
    assert figures["move_accuracy"] == 0


def test_a_file_of_several_sizes_is_told_size_by_size(network, tmp_path):
    path = tmp_path / "p.csv"
    lines = [shipped_positions(n).read_text().splitlines()[1:11] for n in (5, 4)]
    path.write_text(HEADER + "\n".join(lines[0] + lines[1]) + "\n")
    result = solved(network, str(path), SETTINGS, CPU)
    assert result["board_size"] == 4
    assert result["positions"]["count"] == 20
    (other,) = result["sizes"]
    assert other["board_size"] == 5
    assert other["raw"]["openings"] == 25
    assert solved(network, str(path), SETTINGS, CPU, 5)["raw"] == other["raw"]
    with pytest.raises(BadInput, match=r"positions of board size 4, 5; 6 is wanted"):
        solved(network, str(path), SETTINGS, CPU, 6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("board_size,moves\n4,a1\n", "column to_move is missing"),
        (HEADER, "no position in it"),
        (HEADER + "4,a1 z9,blue,blue,a2\n", ":2: 'z9'"),
        (HEADER + "4,a1 b1,red,blue,a2\n", ":2: moves, to"),
        (HEADER + "4,a1,red,red,a2\n99,a1,red,red,a2\n", ":3: board size 99"),
        (HEADER + "3,a1 b1 a2 b2 a3,red,red,c1\n", ":2: the game .* is over at ply 5"),
    ],
)
def test_broken_positions_are_named(tmp_path, text, message):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        read_solved(path)
