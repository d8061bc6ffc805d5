"""Matches: openings, fairness, fixed players, engines of others, and when to stop."""

import contextlib
import itertools
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binomtest

from hexlib import cli
from hexlib.errors import BadInput
from hexlib.files import write_json
from hexlib.game.board import EMPTY
from hexlib.ladder import ELO_PER_NAT
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.model import random_network
from hexlib.search.blind import BlindSearch
from hexlib.search.interface import positions_after
from hexlib.search.rollouts import RolloutSearch
from hexlib.settings import Evaluate, Inference, Net
from hexlib.stages.evaluate.engines import EngineSide
from hexlib.stages.evaluate.gate import write_champion
from hexlib.stages.evaluate.match import match
from hexlib.stages.evaluate.openings import openings
from hexlib.stages.evaluate.pool import most_telling, pool
from hexlib.stages.evaluate.sequential import Sprt
from hexlib.stages.evaluate.sides import anchor_side, checkpoint_side
from hexlib.stages.evaluate.solved import read_solved, shipped_positions

DEVICE = choose(Inference(device="cpu"))
ENGINE = shlex.join([sys.executable, str(Path(__file__).parent / "engine.py")])


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


def side(path, simulations=8):
    return checkpoint_side(path, 4, simulations, 16, DEVICE)


def play(a, b, games=40, **options):
    return match(a, b, 4, games, seed=1, **options)


def test_a_match_is_fair_and_repeatable(networks):
    a, b = map(side, networks)
    result = play(a, b)
    assert result == play(a, b)
    assert play(b, a)["a_wins"] == result["games"] - result["a_wins"]
    assert result["a_wins"] == result["a_wins_as_blue"] + result["a_wins_as_red"]
    assert result["a_wins"] == 2 * result["pairs"]["won"] + result["pairs"]["split"]
    interval = binomtest(result["a_wins"], 40).proportion_ci(method="wilson")
    assert result["interval"] == [interval.low, interval.high]
    assert result["a"]["simulations"] == result["simulations"] == 8


def test_a_network_against_itself_wins_each_opening_once(networks):
    result = play(side(networks[0]), side(networks[0]))
    assert result["pairs"] == {"won": 0, "split": 20, "lost": 0}


def test_thinking_longer_wins_and_is_told(networks):
    result = play(side(networks[0], 200), side(networks[0], 0))
    assert result["score"] > 0.6
    assert (result["a"]["simulations"], result["b"]["simulations"]) == (200, 0)
    assert result["simulations"] is None


def value_of_first(games):
    return np.array([(blue - 3) / 16 for blue, _ in games])


def test_openings_are_all_first_moves_and_then_even_pairs():
    chosen = openings(4, 30, 0, value_of_first)
    assert chosen[:16] == [[cell] for cell in range(16)]
    pairs = [tuple(opening) for opening in chosen[16:]]
    assert all(len(set(pair)) == 2 for pair in pairs)
    assert not {(15 - a, 15 - b) for a, b in pairs} & set(pairs)
    worth = np.abs(value_of_first(pairs))
    assert (np.diff(worth) >= 0).all()
    # The nearest to even of four times as many that were drawn.
    assert worth.max() < np.median(np.abs(value_of_first(itertools.product(range(16), [0]))))
    assert openings(4, 30, 1, value_of_first) != chosen
    assert len(openings(4, 4, 0, value_of_first)) == 4
    drawn = openings(4, 30, 0, lambda games: None)
    assert len({tuple(opening) for opening in drawn}) == 30
    # There are 120 pairs that differ by more than a turn.
    assert len(openings(4, 10**4, 0, value_of_first)) == 16 + 120


def test_fixed_players_rank_as_they_should():
    def score(a, b):
        return play(anchor_side(a, 4, 16), anchor_side(b, 4, 16), games=200)["score"]

    assert score("one-ply", "random") > 0.65
    assert score("rollouts:100", "one-ply") > 0.75
    with pytest.raises(BadInput, match="rollouts:0: no player"):
        anchor_side("rollouts:0", 4, 16)


def test_rollouts_find_winning_moves_of_solved_positions():
    (known,) = read_solved(shipped_positions(4))
    won = [k for k, wins in enumerate(known.winning) if wins]
    positions = positions_after(4, [known.games[k] for k in won])
    moves = np.zeros(len(won), np.int16)
    keys = np.arange(len(won), dtype=np.uint64)
    RolloutSearch(1, 4, 2000).choose(positions, keys, moves)
    keeps = np.mean([move in known.winning[k] for k, move in zip(won, moves.tolist(), strict=True)])
    assert keeps > 0.93  # it converges on the truth, but not evenly


def test_blind_players_draw_from_all_they_may():
    positions = positions_after(4, [[0, 1, 4, 2, 8]] * 400)  # blue threatens to win at the bottom
    keys = np.arange(400, dtype=np.uint64)
    moves = np.zeros(400, np.int16)
    BlindSearch(1, 4, looks=False).choose(positions, keys, moves)
    empty = np.flatnonzero(positions.cells[0] == EMPTY)
    assert set(moves.tolist()) == set(empty.tolist())
    counts = np.bincount(moves, minlength=16)[empty]
    assert abs(counts - 400 / len(empty)).max() < 4.5 * np.sqrt(400 / len(empty))
    BlindSearch(1, 4, looks=True).choose(positions, keys, moves)
    assert set(moves.tolist()) == {12}


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("crash", "crash"),
        ("sleep", "time-out"),
        ("occupied", "illegal move"),
        ("resign", "resignation"),
        ("swap", "no move: swap-pieces"),
        ("refuse", "refused: "),
        ("garbage", "not HTP"),
    ],
)
def test_an_engine_that_cannot_go_on_has_lost(fault, told):
    engine = EngineSide(f"{ENGINE} 2 {fault}", 4, move_seconds=1)
    try:
        result = play(engine, anchor_side("random", 4, 1), games=2)
    finally:
        engine.end()
    assert result["a_wins"] == 0
    (reason, count), *others = result["forfeits"]["a"].items()
    assert (reason.startswith(told), count, others) == (True, 2, [])
    assert result["forfeits"]["b"] == {}


@pytest.mark.parametrize(("sizes", "fault"), [(1, "none"), (2, "noise")])
def test_games_against_an_engine_are_those_of_its_rule(sizes, fault):
    """The engine plays the first empty cell; so does a side of ours here."""

    class FirstCell(type(anchor_side("random", 4, 1))):
        def choose(self, turn):
            return (turn.positions.cells == EMPTY).argmax(1).tolist()

    engine = EngineSide(f"{ENGINE} {sizes} {fault}", 4, processes=3)
    try:
        opponent = anchor_side("one-ply", 4, 1)
        result = play(opponent, engine, games=36)
        ours = play(opponent, FirstCell("first cell", BlindSearch(1, 4, looks=False)), games=36)
    finally:
        engine.end()
    assert result["b"] == {"name": "first cell", "sha256": None, "simulations": None}
    assert {k: v for k, v in result.items() if k != "b"} == {
        k: v for k, v in ours.items() if k != "b"
    }
    assert engine._idle == []


def test_what_does_not_start_is_told_in_a_line():
    with pytest.raises(BadInput, match=r"htp:/no/such engine: cannot be run"):
        EngineSide("/no/such engine", 4)
    with pytest.raises(BadInput, match=r"does not start a game on 4×4 \(crash\); it said: oh no"):
        EngineSide("sh -c 'echo oh no >&2'", 4)
    with pytest.raises(BadInput, match=r"\(refused: syntax\)"):
        EngineSide(f"{ENGINE} 3 none", 4)


def alive(group):
    """Processes of a group that still run; a zombie has only not been waited for."""
    stats = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            stats.append(path.read_text().rpartition(")")[2].split())
    return [stat for stat in stats if int(stat[2]) == group and stat[0] != "Z"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")
def test_no_process_is_left_behind():
    engine = EngineSide(f"sh -c '{ENGINE} 2 sleep; true'", 4, move_seconds=0.2)
    pid = engine._idle[0]._process.pid
    assert len(alive(pid)) == 2
    play(engine, anchor_side("random", 4, 1), games=2)
    engine.end()
    assert alive(pid) == []


def test_the_test_of_a_match_errs_as_rarely_as_it_says():
    """Pairs whose games are independent: both errors stay below 5 % and three standard errors."""
    sprt, random = Sprt(0, 60), np.random.default_rng(3)
    for elo, wrong in ((0, "high"), (60, "low")):
        chance = expit(elo / ELO_PER_NAT)
        verdicts = []
        for _ in range(300):
            pairs, verdict = np.zeros(3, int), None
            while verdict is None:
                pairs[random.binomial(2, chance)] += 1
                verdict = sprt.verdict(pairs)
            verdicts.append(verdict)
        assert np.mean(np.array(verdicts) == wrong) < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)


def test_a_match_stops_when_it_is_sure(networks):
    strong, weak = anchor_side("rollouts:100", 4, 16), anchor_side("random", 4, 16)
    result = play(strong, weak, games=1000, sprt=Sprt(0, 100))
    assert result["sprt"] == {"low": 0, "high": 100, "verdict": "high"}
    assert result["games"] < 100
    assert sum(result["pairs"].values()) * 2 == result["games"]
    result = play(side(networks[0]), side(networks[0]), games=20, sprt=Sprt(0, 10))
    assert (result["sprt"]["verdict"], result["games"]) == (None, 20)


def test_matches_on_the_command_line(networks, capsys):
    engine = f"htp:{ENGINE} 2 none"
    arguments = ["evaluate", "match", "--a", str(networks[0]), "--a-simulations", "0", "--b"]
    assert cli.main([*arguments, engine, "--games", "4", "--json", "--engines", "2"]) == 0
    assert '"name": "first cell"' in capsys.readouterr().out
    assert cli.main([*arguments[:-1], "--b", "random", "--games", "4", "--seed", "2"]) == 0
    for wrong in (
        ["--b", "no.pt"],
        ["--b", "random", "--sprt", "5", "5"],
        ["--b", "random", "--engines", "0"],
    ):
        assert cli.main([*arguments[:-1], *wrong]) == 2
    assert cli.main(["evaluate", "match", "--a", "random", "--b", "one-ply"]) == 2


def test_a_generation_passes_the_gate_with_half_of_the_games(networks, tmp_path):
    newer, older = networks
    result = play(side(newer), side(older))
    for wins, chosen in [(20, newer), (19, older)]:
        write_json(tmp_path / "match.json", result | {"a_wins": wins})
        passed = write_champion(tmp_path / "match.json", newer, older, tmp_path / "champion.pt")
        assert passed == (wins == 20)
        assert (tmp_path / "champion.pt").read_bytes() == chosen.read_bytes()
    with pytest.raises(BadInput, match="a match of others"):
        write_champion(tmp_path / "match.json", older, newer, tmp_path / "champion.pt")


def test_a_champion_has_the_name_of_its_generation(networks, tmp_path):
    network = random_network(Net(blocks=1, channels=8), 0)
    path = tmp_path / "champion.pt"
    for lineage, name in [({"generation": 4}, "gen_004"), ({}, "initial")]:
        save_checkpoint(path, Checkpoint(network, [4], lineage))
        assert side(path).name == name
    assert side(networks[0]).name == "net_0"


def test_a_pool_has_the_fixed_players_and_the_earlier_one_that_tells_most(networks):
    measure = Evaluate(earlier_games=8, anchor_games=4, simulations=4, batch_size=16)
    result = pool(networks[0], networks, measure, Inference(device="cpu"), 4, seed=0)
    opponents = [match["b"]["name"] for match in result["matches"]]
    # It is even with itself, the oldest: both games of a pair are the same.
    assert opponents == ["net_0", "random", "one-ply", "rollouts:2000"]
    assert [match["games"] for match in result["matches"]] == [8, 4, 4, 4]
    assert most_telling([1.0, 0.9, 0.8, 0.6]) == 2
    assert most_telling([1.0, 0.98]) == 1
