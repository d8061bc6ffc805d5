"""The ladder: known strengths come back, within intervals that mean what they say."""

import itertools
import json
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from hexlib.errors import BadInput
from hexlib.ladder import COLUMNS, ELO_PER_NAT, elo, write_ladder


def digest(name):
    return sha256(name.encode()).hexdigest()


def match(a, b, games, a_wins):
    def side(name):
        return {"name": name, "sha256": digest(name)}

    return {"a": side(a), "b": side(b), "games": games, "a_wins": a_wins}


def chain(wins, games=200):
    """gen_000 against initial, gen_001 against gen_000, and so on."""
    names = ["initial", *(f"gen_{number:03d}" for number in range(len(wins)))]
    return [match(names[k + 1], names[k], games, won) for k, won in enumerate(wins)]


def test_two_players_follow_the_closed_form():
    table = elo([match("gen_000", "initial", 200, 150)])
    assert list(table.columns) == COLUMNS
    assert table.generation.tolist() == ["initial", "gen_000"]
    assert table.elo[0] == table.elo_low[0] == table.elo_high[0] == 0
    assert table.elo[1] == pytest.approx(400 * np.log10(150.5 / 50.5))
    standard_error = ELO_PER_NAT * np.sqrt(1 / 150.5 + 1 / 50.5)
    assert table.elo_high[1] - table.elo[1] == pytest.approx(1.96 * standard_error, rel=1e-4)
    assert table.elo[1] - table.elo_low[1] == pytest.approx(1.96 * standard_error, rel=1e-4)
    assert table.games.tolist() == [200, 200]
    assert table.score.tolist() == [0.25, 0.75]
    assert table.checkpoint.tolist() == [digest("initial"), digest("gen_000")]


def test_a_chain_adds_up_and_its_intervals_widen():
    table = elo(chain([150, 120, 100, 90]))
    links = [400 * np.log10((won + 0.5) / (200.5 - won)) for won in (150, 120, 100, 90)]
    np.testing.assert_allclose(table.elo, [0, *np.cumsum(links)], atol=1e-6)
    assert (np.diff(table.elo_high - table.elo_low) > 0).all()
    assert table.games.tolist() == [200, 400, 400, 400, 200]


def test_intervals_hold_the_true_strength_19_times_of_20():
    """400 simulated ladders whose matches form cycles; coverage within 4 standard errors."""
    truth = np.array([0, 120, 260, 300, 450]) / ELO_PER_NAT
    rng = np.random.default_rng(7)
    names = ["initial", "gen_000", "gen_001", "gen_002", "gen_003"]
    pairs = [(1, 0), (2, 1), (3, 2), (4, 3), (2, 0), (3, 1), (4, 2)]
    inside, estimates = np.zeros(5), np.zeros(5)
    for _ in range(400):
        wins = [int(rng.binomial(200, expit(truth[a] - truth[b]))) for a, b in pairs]
        played = [
            match(names[a], names[b], 200, won) for (a, b), won in zip(pairs, wins, strict=True)
        ]
        table = elo(played)
        inside += (table.elo_low <= truth * ELO_PER_NAT) & (truth * ELO_PER_NAT <= table.elo_high)
        estimates += table.elo / 400
    spread = 4 * np.sqrt(0.95 * 0.05 / 400)
    assert (abs(inside[1:] / 400 - 0.95) < spread).all()
    np.testing.assert_allclose(estimates, truth * ELO_PER_NAT, atol=8)


@pytest.mark.parametrize("wins", [[200], [200] * 20, [0, 200, 0], [200, 100, 200]])
def test_one_sided_scores_stay_finite(wins):
    table = elo(chain(wins))
    numbers = table[["elo", "elo_low", "elo_high"]]
    assert np.isfinite(numbers).all(axis=None)
    won_all = 400 * np.log10(200.5 / 0.5)
    steps = {0: -won_all, 100: 0, 200: won_all}
    np.testing.assert_allclose(np.diff(table.elo), [steps[won] for won in wins], atol=1e-4)


def test_the_end_of_a_long_chain_is_not_pulled_to_its_start():
    table = elo(chain([150] * 40))
    assert table.elo.iloc[-1] == pytest.approx(40 * table.elo[1], rel=1e-9)


def test_matches_of_the_same_pair_are_pooled():
    once = elo([match("gen_000", "initial", 200, 130)])
    twice = elo([match("gen_000", "initial", 100, 60), match("initial", "gen_000", 100, 30)])
    pd.testing.assert_frame_equal(once, twice)


def test_weak_players_that_never_had_a_chance_do_not_pull_the_ladder_together():
    """12 generations, each against the one before and against three fixed players."""
    random = np.random.default_rng(4)
    truth = {"initial": 0.0, "random": -500.0, "one-ply": -350.0, "rollouts": 250.0}
    truth |= {f"gen_{k:03d}": 300.0 + 100 * k for k in range(12)}

    def played(a, b, games):
        chance = expit((truth[a] - truth[b]) / ELO_PER_NAT)
        return match(a, b, games, int(random.binomial(games, chance)))

    names = ["initial", *(f"gen_{k:03d}" for k in range(12))]
    fitted = []
    for _ in range(60):
        matches = [played(new, old, 200) for old, new in itertools.pairwise(names)]
        matches += [
            played(name, fixed, 20)
            for name in names[1:]
            for fixed in ("random", "one-ply", "rollouts")
        ]
        table = elo(matches).set_index("generation")
        fitted.append(table.elo)
    mean = pd.concat(fitted, axis=1).mean(axis=1)
    assert abs(mean.gen_011 - truth["gen_011"]) < 40  # half a win in each match would be 100 off
    assert abs(mean.random - truth["random"]) < 200


def test_two_names_of_a_checkpoint_are_one_player():
    again = match("gen_001", "champion", 100, 60)
    again["b"]["sha256"] = digest("initial")
    table = elo([match("gen_000", "initial", 200, 80), again])
    assert table.generation.tolist() == ["initial", "gen_000", "gen_001"]


def test_ladder_file_is_the_table_and_the_same_bytes_each_time(tmp_path):
    played = chain([150, 120])
    paths = []
    for number, one in enumerate(played):
        paths.append(tmp_path / f"match_{number}.json")
        paths[-1].write_text(json.dumps(one))
    write_ladder(paths, tmp_path / "ladder.csv")
    write_ladder(paths, tmp_path / "again.csv")
    assert (tmp_path / "ladder.csv").read_bytes() == (tmp_path / "again.csv").read_bytes()
    pool = tmp_path / "pool.json"
    pool.write_text(json.dumps({"kind": "pool", "matches": [match("gen_001", "random", 20, 19)]}))
    write_ladder([pool, *paths], tmp_path / "more.csv")
    more = pd.read_csv(tmp_path / "more.csv")
    assert more.generation.tolist() == ["initial", "gen_000", "gen_001", "random"]
    table = pd.read_csv(tmp_path / "ladder.csv")
    assert list(table.columns) == COLUMNS
    np.testing.assert_allclose(table.elo, elo(played).elo, atol=1e-4)


@pytest.mark.parametrize(
    ("matches", "says"),
    [
        ([], "no match"),
        ([match("gen_000", "gen_000", 10, 5)], "against itself"),
        ([match("gen_000", "initial", 10, 11)], "11 wins in 10 games"),
        ([match("gen_000", "initial", 0, 0)], "games"),
        ([{"a": {"name": "x"}}], "match 1: not a match: b"),
        ([match("gen_000", "initial", 9, 5), match("gen_002", "gen_001", 9, 5)], "joins gen_001"),
        (
            [
                match("gen_000", "initial", 9, 5),
                {**match("gen_001", "x", 9, 5), "b": {"name": "gen_000", "sha256": "f" * 64}},
            ],
            "gen_000 is checkpoint 23680b3fe5a7 in one match and ffffffffffff",
        ),
    ],
)
def test_bad_matches_are_one_line(matches, says):
    with pytest.raises(BadInput, match=says) as caught:
        elo(matches)
    assert "\n" not in str(caught.value)


def test_a_broken_match_file_is_named(tmp_path):
    path = tmp_path / "match.json"
    path.write_text('{"a": 1}')
    with pytest.raises(BadInput, match=r"match\.json: not a match"):
        write_ladder([path], tmp_path / "ladder.csv")
    with pytest.raises(BadInput, match="no match is given"):
        write_ladder([], tmp_path / "ladder.csv")
    assert not (tmp_path / "ladder.csv").exists()
