"""Self-play: the same games however they are made, and nothing lost."""

import numpy as np
import pytest

from hexlib import logs, rng, signals
from hexlib.errors import BadInput, Interrupted
from hexlib.files import sha256
from hexlib.game import board
from hexlib.game.journal import Journal
from hexlib.game.records import read_games, read_search
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.model import random_network
from hexlib.settings import Inference, Net, Selfplay
from hexlib.stages import selfplay

SETTINGS = Selfplay(
    simulations=6, considered=6, batch_size=16, random_openings=0.25, random_stones=4
)
CPU = Inference(device="cpu")
SIZE = 5


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.pt"
    save_checkpoint(path, Checkpoint(random_network(Net(blocks=1, channels=8), 0), [SIZE], {}))
    return path


def make(checkpoint, folder, games=60, first=0, settings=SETTINGS, **more):
    output = folder / f"shard_{first}.trmph"
    selfplay.run(
        checkpoint,
        output,
        settings,
        CPU,
        board_size=SIZE,
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
    status, ply = np.empty(60, np.uint8), np.empty(60, np.int32)
    winner = np.empty(60, np.int8)
    tables = board.geometry(SIZE)
    board.replay(SIZE, games.moves, games.offsets, *tables, status, ply, winner)
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


def test_openings_have_the_shares_that_were_asked_for():
    n, count = 7, 4000
    table = selfplay.new_table(count, n)
    keys = np.array([rng.game_key(0, 0, g) for g in range(count)], np.uint64)
    selfplay.open_games(table, np.arange(count), keys, 0.25, 4, 0.5, *board.geometry(n))
    plies = np.bincount(table.plies, minlength=5) / count
    # 0.25 have 1 to 4 stones, half of the others one: 5 sigma of a share is below 0.04.
    expected = [0.375, 0.375 + 0.0625, 0.0625, 0.0625, 0.0625]
    assert np.abs(plies - expected).max() < 0.04
    firsts = np.bincount(table.moves[table.plies > 0, 0], minlength=49)
    even = firsts.sum() / 49
    assert ((firsts - even) ** 2 / even).sum() < 48 + 5 * np.sqrt(2 * 48)


def test_temperature_is_used():
    """Of two moves with policy 0.8 and 0.2, temperature 2 draws 0.8^½ : 0.2^½, that is 2 : 1."""
    n, count = 5, 3000
    table = selfplay.new_table(count, n)
    slots = np.arange(count)
    keys = np.array([rng.game_key(1, 0, g) for g in range(count)], np.uint64)
    selfplay.open_games(table, slots, keys, 0.0, 0, 0.0, *board.geometry(n))
    policy = np.zeros((count, n * n), np.float32)
    policy[:, 3], policy[:, 17] = 0.8, 0.2
    best, value = np.full(count, 3, np.int16), np.zeros(count, np.float32)
    draw = (slots, best, value, policy, selfplay.LEARN_POLICY)
    selfplay.make_moves(table, *draw, 2.0, 4.0, *board.geometry(n))
    share = (table.moves[:, 0] == 3).mean()
    assert abs(share - 2 / 3) < 5 * np.sqrt(2 / 9 / count)
    # Far into the game the best move is played.
    table.plies[:] = 20
    selfplay.make_moves(table, *draw, 2.0, 4.0, *board.geometry(n))
    assert (table.moves[:, 20] == 3).all()


def test_progress_line_has_rate_and_time_left(caplog):
    progress = logs.Progress("selfplay", "games", 100, every=0)
    logs.log.propagate = True
    with caplog.at_level("INFO"):
        progress.update(50)
    assert "50 of 100 games" in caplog.text
    assert "left" in caplog.text
