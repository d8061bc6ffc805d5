"""Evaluation: solved positions and matches."""

import numpy as np
import pytest
from scipy.stats import binomtest

from hexlib.errors import BadInput
from hexlib.game.board import BLUE, RED
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.model import random_network
from hexlib.settings import Evaluate, Inference, Net
from hexlib.stages import evaluate

CPU = Inference(device="cpu")
SETTINGS = Evaluate(games=40, simulations=8, batch_size=16)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nets")
    paths = []
    for seed in range(2):
        path = folder / f"net_{seed}.pt"
        network = random_network(Net(blocks=1, channels=8), seed)
        save_checkpoint(path, Checkpoint(network, [4], {}))
        paths.append(path)
    return paths


@pytest.mark.parametrize("n", [4, 5, 6, 7])
def test_shipped_positions_are_whole(n):
    size, games, winners, winning = evaluate.read_solved(evaluate.shipped_positions(n))
    assert size == n
    assert len(games) == (200 if n == 7 else 300)
    for moves, winner, wins in zip(games, winners, winning, strict=True):
        # The player to move wins just if there is a winning move, and those are empty cells.
        assert (winner == BLUE + len(moves) % 2) == bool(wins)
        assert not wins & set(moves)


@pytest.mark.parametrize("n", [3, 4, 5, 6, 7])
def test_known_openings_have_the_boards_symmetry(n):
    winners = evaluate.solved_openings(n)
    assert (winners == winners[::-1]).all()
    # A corner where blue's stone helps neither way is lost; the centre of the board is won.
    assert winners[0] == RED
    assert winners[(n * n) // 2 - (0 if n % 2 else n // 2)] == BLUE


def test_sizes_without_truth_are_said_to_have_none(networks):
    assert evaluate.shipped_positions(9) is None
    assert evaluate.solved_openings(9) is None
    result = evaluate.solved(networks[0], "auto", SETTINGS, CPU, 9)
    assert result["raw"] is None
    assert result["positions"] is None
    assert len(result["opening_values"]) == 81


def test_search_finds_more_than_the_raw_network(networks):
    deep = Evaluate(simulations=300, batch_size=64)
    result = evaluate.solved(networks[0], "auto", deep, CPU, 4)
    assert result["positions"]["count"] == 300
    assert result["search"]["move_accuracy"] > 0.75  # a random mover has 0.44
    assert result["search"]["move_accuracy"] > result["raw"]["move_accuracy"] + 0.2
    assert result["search"]["openings"] == 16


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("board_size,moves\n4,a1\n", "column to_move is missing"),
        ("board_size,moves,to_move,winner,winning_moves\n", "no position in it"),
        ("board_size,moves,to_move,winner,winning_moves\n4,a1 z9,blue,blue,a2\n", ":2: 'z9'"),
        ("board_size,moves,to_move,winner,winning_moves\n4,a1 b1,red,blue,a2\n", ":2: moves, to"),
        (
            "board_size,moves,to_move,winner,winning_moves\n4,a1,red,red,a2\n5,a1,red,red,a2\n",
            ":3: board size 5",
        ),
    ],
)
def test_broken_positions_are_named(tmp_path, text, message):
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        evaluate.read_solved(path)


def test_a_match_is_fair_and_repeatable(networks):
    result = evaluate.match(*networks, SETTINGS, CPU, 4, seed=1)
    assert result == evaluate.match(*networks, SETTINGS, CPU, 4, seed=1)
    mirrored = evaluate.match(*networks[::-1], SETTINGS, CPU, 4, seed=1)
    assert mirrored["a_wins"] == result["games"] - result["a_wins"]
    assert result["a_wins"] == result["a_wins_as_blue"] + result["a_wins_as_red"]
    interval = binomtest(result["a_wins"], 40).proportion_ci(method="wilson")
    assert result["interval"] == [interval.low, interval.high]


def test_a_network_against_itself_wins_each_opening_once(networks):
    result = evaluate.match(networks[0], networks[0], SETTINGS, CPU, 4, seed=1)
    assert result["a_wins"] == 20
    assert result["games"] == 40


def test_openings_are_all_first_moves_and_then_pairs():
    chosen = evaluate.openings(4, 60, seed=0)
    assert sorted(opening[0] for opening in chosen[:16]) == list(range(16))
    assert all(len(opening) == 1 for opening in chosen[:16])
    assert all(len(set(opening)) == 2 for opening in chosen[16:])
    assert len({tuple(opening) for opening in chosen}) == 30
    assert len(evaluate.openings(4, 8, seed=0)) == 4
    assert np.array_equal(chosen[16:], evaluate.openings(4, 60, seed=0)[16:])
