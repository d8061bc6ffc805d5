"""Self-play: the same games however they are made, and nothing lost."""

import itertools

import numpy as np
import pytest

from hexlib import logs, rng, signals
from hexlib.errors import BadInput, Interrupted
from hexlib.files import sha256
from hexlib.game import board
from hexlib.game.journal import Journal, PlayedGame
from hexlib.game.records import read_games, read_search, replay
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.inference import Evaluator
from hexlib.nn.model import random_network
from hexlib.search.interface import CHEAP, FULL, LEARN_POLICY, THOROUGH
from hexlib.settings import Inference, Net, Selfplay
from hexlib.stages import selfplay
from hexlib.stages.selfplay import table
from hexlib.stages.selfplay.openings import NONE, first_move_odds, openings

SETTINGS = Selfplay(
    simulations=6,
    considered=6,
    early_simulations=12,
    early_stones=3,
    batch_size=16,
    random_openings=0.25,
    random_stones=4,
)
CPU = Inference(device="cpu")
SIZE = 5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.pt"
    save_checkpoint(path, Checkpoint(random_network(Net(blocks=1, channels=8), 0), [SIZE], {}))
    return path


def make(checkpoint, folder, games=60, first=0, settings=SETTINGS, board_size=SIZE, **more):
    output = folder / f"shard_{first}.trmph"
    selfplay.run(
        checkpoint,
        output,
        settings,
        CPU,
        board_size=board_size,
        games=games,
        first_game=first,
        generation=2,
        seed=9,
        progress_dir=folder / "progress",
        **more,
    )
    return output


def records(path):
    return [line for line in path.read_text().splitlines() if not line.startswith("# ")]


def test_games_do_not_depend_on_shards_or_batches(checkpoint, tmp_path):
    whole = records(make(checkpoint, tmp_path / "a", 200))
    unlike = SETTINGS.model_copy(update={"batch_size": 64, "cache_size": 0})
    wide = make(checkpoint, tmp_path / "b", 200, settings=unlike)
    assert records(wide) == whole
    assert sha256(wide.with_suffix(".search.npz")) == sha256(tmp_path / "a" / "shard_0.search.npz")
    parts = [
        line
        for k in range(5)
        for line in records(make(checkpoint, tmp_path / "c", 40, first=40 * k))
    ]
    assert parts == whole
    assert len(set(whole)) > 150


@pytest.mark.parametrize("at_once", [2, 3])
def test_games_do_not_depend_on_how_many_lanes_ask(checkpoint, tmp_path, monkeypatch, at_once):
    whole = records(make(checkpoint, tmp_path / "a"))
    monkeypatch.setattr(Evaluator, "at_once", at_once)
    for games in (60, 1):
        assert records(make(checkpoint, tmp_path / f"{games}", games)) == whole[:games]


def test_an_interrupted_shard_goes_on_to_the_same_bytes(checkpoint, tmp_path, monkeypatch):
    undisturbed = make(checkpoint, tmp_path / "a")
    calls = 0

    def stop_later(message):
        nonlocal calls
        calls += 1
        if calls == 150:
            raise Interrupted(15, message)

    monkeypatch.setattr(signals, "stop_if_asked", stop_later)
    with pytest.raises(Interrupted, match="run the same command to go on"):
        make(checkpoint, tmp_path / "b")
    journal = next((tmp_path / "b/progress").iterdir())
    assert not (tmp_path / "b/shard_0.trmph").exists()
    # A kill in the middle of a write leaves a torn end, too.
    journal.write_bytes(journal.read_bytes()[:-7])
    resumed = make(checkpoint, tmp_path / "b")
    assert sha256(resumed) == sha256(undisturbed)
    assert sha256(resumed.with_suffix(".search.npz")) == sha256(
        undisturbed.with_suffix(".search.npz")
    )
    assert not journal.exists(), "a finished product takes its progress with it"


def test_what_was_made_so_far_can_be_taken(checkpoint, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="no finished games"):
        make(checkpoint, tmp_path, finish_partial=True)

    def stop(message):
        if "0 of" not in message:
            raise Interrupted(2, message)

    with monkeypatch.context() as patch:
        patch.setattr(signals, "stop_if_asked", stop)
        with pytest.raises(Interrupted):
            make(checkpoint, tmp_path)
    taken = records(make(checkpoint, tmp_path, finish_partial=True))
    assert 0 < len(taken) < 60


def test_progress_under_other_settings_is_not_mixed_in(checkpoint, tmp_path, monkeypatch):
    def stop(message):
        if "0 of" not in message:
            raise Interrupted(2, message)

    with monkeypatch.context() as patch:
        patch.setattr(signals, "stop_if_asked", stop)
        with pytest.raises(Interrupted):
            make(checkpoint, tmp_path)
    other = SETTINGS.model_copy(update={"simulations": 3, "considered": 3})
    mixed = make(checkpoint, tmp_path, settings=other)
    pure = make(checkpoint, tmp_path / "pure", settings=other)
    assert sha256(mixed) == sha256(pure)


@pytest.mark.parametrize("frames", [[0, 1, 0, 2], [1, 2], [0, 0, 1]])
def test_frames_out_of_place_end_a_journal(tmp_path, frames):
    """Whole frames that lie where they do not belong, as a failing disk may leave them."""
    path = tmp_path / "shard_0.games"
    moves, *rest = (np.arange(3).astype(dtype) for dtype in ("i2", "f2", "u1", "u2", "f2"))
    games = [PlayedGame(game, 1, moves, *rest) for game in range(2)]
    ends, journal = [0], Journal(path, {"a": 1})
    ends.append(path.stat().st_size)
    for game in games:
        journal.add(game)
        ends.append(path.stat().st_size)
    journal.close()
    whole = path.read_bytes()
    parts = [whole[first:last] for first, last in itertools.pairwise(ends)]
    path.write_bytes(b"".join(parts[frame] for frame in frames))
    journal = Journal(path, {"a": 1})
    expected = [0] if frames == [0, 1, 0, 2] else []
    assert [game.game for game in journal.games] == expected
    journal.close()
    assert path.read_bytes() == whole[: ends[1 + len(expected)]]


def test_a_policy_over_more_cells_than_a_byte_counts_is_saved(checkpoint, tmp_path):
    settings = SETTINGS.model_copy(update={"simulations": 1, "random_openings": 0})
    shard = make(checkpoint, tmp_path, 2, settings=settings, board_size=16)
    search, _ = read_search(shard.with_suffix(".search.npz"))
    assert search.policy_count.max() == 255
    assert len(search.policy_cell) == search.policy_count.sum(dtype=int)
    move = int(search.policy_count.argmax())
    first = search.policy_count[:move].sum(dtype=int)
    assert 0.98 < search.policy_probability[first : first + 255].sum(dtype=float) < 1.01


def test_two_writers_of_one_journal_are_told_apart(checkpoint, tmp_path):
    journal = Journal(tmp_path / "progress/shard_0.games", {"kind": "test"})
    with pytest.raises(BadInput, match="another process is writing"):
        make(checkpoint, tmp_path)
    journal.close()


@pytest.mark.parametrize("search", ["gumbel", "minimax", "policy"])
def test_games_are_legal_and_the_search_travels_along(checkpoint, tmp_path, search):
    settings = SETTINGS.model_copy(update={"search": search, "widths": [4, 2]})
    path = make(checkpoint, tmp_path, settings=settings)
    (block,) = read_games(path, SIZE)
    games = block.games
    assert len(games) == 60
    status, _, winner = replay(games)
    assert (status == board.LEGAL).all()
    assert (winner == games.winners).all()
    found, _ = read_search(path.with_suffix(".search.npz"))
    assert len(found.root_value) == len(games.moves)
    ends = np.cumsum(found.policy_count)
    sums = [p.sum() for p in np.split(found.policy_probability.astype(float), ends[:-1])]
    recorded = found.policy_count > 0
    assert np.abs(np.array(sums)[recorded] - 1).max() < 0.03
    # Random opening stones have nothing to learn: at most 4 a game.
    assert recorded.mean() > 0.6


def keys_of(count):
    return np.array([rng.game_key(0, 0, g) for g in range(count)], np.uint64)


def first_moves_from_lost_to_won(boards):
    """A network to whom the first moves of 7×7 get better for blue by their number."""
    values = np.zeros(len(boards), np.float32)
    if len(boards) == 49:
        values = np.linspace(1, -1, 49, dtype=np.float32)
    return np.zeros(boards.shape, np.float32), values


def opened(count, n=7, **settings):
    """A table of `count` games that have just been begun."""
    made, chosen = table.new_table(count, n), Selfplay(**settings)
    stones = np.stack(list(openings(keys_of(count), chosen, first_moves_from_lost_to_won, n)))
    habits = table.habits_of(chosen)
    table.open_games(made, np.arange(count), keys_of(count), stones, habits, *board.geometry(n))
    return made, habits


def test_openings_have_the_shares_that_were_asked_for():
    count = 4000
    made, _ = opened(count, random_openings=0.25, random_stones=4, balanced_first_move=0.5)
    plies = np.bincount(made.plies, minlength=5) / count
    # 0.25 have 1 to 4 stones, half of the others one: 5 sigma of a share is below 0.04.
    expected = [0.375, 0.375 + 0.0625, 0.0625, 0.0625, 0.0625]
    assert np.abs(plies - expected).max() < 0.04


def test_few_random_stones_are_likelier_by_a_power():
    count = 4000
    made, _ = opened(count, random_openings=1.0, random_stones=4, random_stones_power=2)
    shares = np.bincount(made.plies, minlength=5)[1:] / count
    assert np.abs(shares - np.diff(np.sqrt(np.arange(5) / 4))).max() < 0.04  # 5 sigma


def test_random_stones_lie_anywhere():
    made, _ = opened(4000, random_openings=1.0, random_stones=4)
    firsts = np.bincount(made.moves[:, 0], minlength=49)
    even = firsts.sum() / 49
    assert ((firsts - even) ** 2 / even).sum() < 48 + 5 * np.sqrt(2 * 48)


def test_first_moves_are_the_likelier_the_nearer_to_even():
    count = 5000
    made, _ = opened(count, random_openings=0.0, balanced_first_move=1.0)
    assert (made.plies == 1).all()
    odds = np.diff(first_move_odds(np.linspace(-1, 1, 49)), prepend=0)
    assert odds.argmax() == 24
    assert odds.min() > 0, "none is ruled out"
    firsts = np.bincount(made.moves[:, 0], minlength=49)
    chi_squared = ((firsts - count * odds) ** 2 / (count * odds)).sum()
    assert chi_squared < 48 + 5 * np.sqrt(2 * 48)


def corner_is_won(boards):
    """A network that is fairly sure wherever there is a stone in the first corner."""
    taken = boards[:, 0] != board.EMPTY
    return np.zeros(boards.shape, np.float32), np.where(taken, np.float32(0.8), np.float32(0))


def share_with_corner(count, balanced):
    """Of openings of 1 to 12 random stones, the share with one in the first corner."""
    chosen = Selfplay(random_openings=1.0, random_stones=12, balanced_openings=balanced)
    stones = np.stack(list(openings(keys_of(count), chosen, corner_is_won, 7)))
    assert ((stones != NONE).sum(1) >= 1).all()
    return (stones == 0).any(1).mean()


def test_openings_that_seem_decided_are_rarer_by_the_square_of_their_value():
    count = 20_000
    plain = share_with_corner(count, 0)
    assert abs(plain - 6.5 / 49) < 5 * np.sqrt(0.13 * 0.87 / count)
    kept = 1 - 0.9 * 0.8**2
    expected = plain * kept / (plain * kept + 1 - plain)
    balanced = share_with_corner(count, 0.9)
    assert abs(balanced - expected) < 5 * np.sqrt(2 * 0.06 * 0.94 / count)


def test_openings_do_not_depend_on_those_beside_them():
    settings = Selfplay(balanced_openings=0.9, balanced_first_move=1.0, random_openings=0.8)
    keys = keys_of(1500)
    together = np.stack(list(openings(keys, settings, corner_is_won, 7)))
    for k in (0, 700, 1499):
        (alone,) = openings(keys[k : k + 1], settings, corner_is_won, 7)
        assert (alone == together[k]).all()


def move_in(made, habits, policy, value=0.0, n=7):
    """Let every game make a move; `policy` is {cell: probability}, the best first."""
    count = len(made.plies)
    dense = np.zeros((count, n * n), np.float32)
    for cell, share in policy.items():
        dense[:, cell] = share
    best = np.full(count, next(iter(policy)), np.int16)
    values = np.full(count, value, np.float32)
    search = (np.arange(count), best, values, dense, LEARN_POLICY)
    return table.make_moves(made, *search, habits, *board.geometry(n))


def test_temperature_is_used():
    """Of two moves with policy 0.8 and 0.2, temperature 2 draws 0.8^½ : 0.2^½, that is 2 : 1."""
    count = 3000
    quiet = {"random_openings": 0.0, "balanced_first_move": 0.0}
    made, habits = opened(count, temperature=2.0, **quiet)
    move_in(made, habits, {3: 0.8, 17: 0.2})
    share = (made.moves[:, 0] == 3).mean()
    assert abs(share - 2 / 3) < 5 * np.sqrt(2 / 9 / count)
    # Far into the game the best move is played.
    made.plies[:] = 30
    move_in(made, habits, {5: 0.8, 17: 0.2})
    assert (made.moves[:, 30] == 5).all()


def test_below_the_temperature_cutoff_the_best_move_is_played():
    """Halved every two plies from 1, the temperature is 1/4 at ply 4: drawn still, but not at 5."""
    cooling = {"temperature_half_life": 2.0, "temperature_cutoff": 0.25}
    made, habits = opened(3000, random_openings=0.0, balanced_first_move=0.0, **cooling)
    for ply, drawn in ((4, True), (5, False)):
        made.plies[:] = ply
        move_in(made, habits, {5: 0.6, 17: 0.4})
        assert (made.moves[:, ply] == 5).all() != drawn


def test_cheap_moves_have_their_share_and_nothing_to_learn():
    count = 3000
    quiet = {"random_openings": 0.0, "balanced_first_move": 0.0}
    made, habits = opened(count, full_search=0.3, **quiet)
    cheap = made.effort == CHEAP
    assert abs(cheap.mean() - 0.7) < 5 * np.sqrt(0.21 / count)
    move_in(made, habits, {3: 0.8, 17: 0.2}, value=0.5)
    assert (made.policy[cheap, 0] == 0).all()
    assert np.isnan(made.value[cheap, 0]).all()
    assert np.allclose(made.policy[~cheap, 0, 3], 0.8)
    assert np.allclose(made.value[~cheap, 0], 0.5)


def test_moves_with_few_stones_on_the_board_are_searched_thoroughly():
    count = 3000
    drawn = {"random_openings": 1.0, "random_stones": 6, "full_search": 0.5}
    made, _ = opened(count, early_simulations=50, early_stones=3, **drawn)
    early = made.plies < 3
    assert (early == (made.effort == THOROUGH)).all()
    assert abs((made.effort[~early] == CHEAP).mean() - 0.5) < 5 * 0.5 / np.sqrt(count / 2)
    usual, _ = opened(count, early_stones=3, **drawn)
    assert set(usual.effort) == {FULL, CHEAP}, "not without simulations of their own"
    begun, habits = opened(4, early_simulations=50, early_stones=2, random_openings=0.0)
    for _ in range(4):
        assert ((begun.effort == THOROUGH) == (begun.plies < 2)).all()
        move_in(begun, habits, {int(np.flatnonzero((begun.cells[:, :-1] == 0).all(0))[0]): 1.0})


def test_who_is_lost_resigns_but_for_a_share_that_counts_mistakes():
    count = 3000
    quiet = {"random_openings": 0.0, "balanced_first_move": 0.0}
    made, habits = opened(count, resign_value=0.9, never_resign=0.2, **quiet)
    move_in(made, habits, {3: 1.0}, value=-0.8)
    assert not made.loser.any()
    move_in(made, habits, {4: 1.0}, value=-0.95)
    assert (made.loser == board.RED).all()
    assert abs(made.resigned.mean() - 0.8) < 5 * np.sqrt(0.16 / count)
    assert ((made.effort == CHEAP) == made.resigned).all()
    counted = selfplay.Resignations()
    for g in range(count):
        counted.count(made.loser[g], made.resigned[g], board.BLUE if g % 2 else board.RED)
    assert counted.resigned == made.resigned.sum()
    assert counted.tested == count - counted.resigned
    assert counted.wrong == (~made.resigned[::2]).sum()


def test_resigned_games_are_still_whole_records(checkpoint, tmp_path):
    settings = SETTINGS.model_copy(update={"resign_value": 0.01, "full_search": 0.5})
    path = make(checkpoint, tmp_path, settings=settings)
    (block,) = read_games(path, SIZE)
    status, *_ = replay(block.games)
    assert (status == board.LEGAL).all()
    found, _ = read_search(path.with_suffix(".search.npz"))
    assert 0 < (found.policy_count > 0).mean() < 0.5


def test_progress_line_has_rate_and_time_left(caplog):
    progress = logs.Progress("selfplay", "games", 100, every=0)
    logs.log.propagate = True
    with caplog.at_level("INFO"):
        progress.update(50)
    assert "50 of 100 games" in caplog.text
    assert "left" in caplog.text
