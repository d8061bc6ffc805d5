"""Training: what it reads, what it learns, and that a kill changes nothing."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from synthetic import made_up_search, random_games

from hexlib import signals
from hexlib.errors import BadInput, Interrupted
from hexlib.files import sha256
from hexlib.game.positions import read_positions
from hexlib.game.records import write_games, write_search
from hexlib.nn.batches import make_batch, open_source
from hexlib.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from hexlib.nn.device import Device
from hexlib.nn.learning import losses
from hexlib.nn.model import random_network
from hexlib.settings import Inference, Net, Process, Train, Window
from hexlib.stages import process, shuffle, train

SIZE = 5
FLOAT = Device(torch.device("cpu"), torch.float32, "torch", "tests")
SETTINGS = Train(batch_size=32, warmup_steps=4, reuse=2, validation_fraction=0.2)


def make_source(folder, games=60, seed=1, search=True, buckets=3):
    """Buckets of random games."""
    made = random_games(SIZE, games, seed)
    chunk = folder / "chunk_0000.trmph"
    write_games(chunk, [made], {"kind": "clean", "board_size": SIZE})
    if search:
        write_search(folder / "chunk_0000.search.npz", made_up_search(made, seed), {})
    process.run(chunk, folder / "chunk.npz", Process(), SIZE)
    shuffle.scatter(folder / "chunk.npz", folder / "parts", buckets, 0)
    for bucket in range(buckets):
        shuffle.gather([folder / "parts"], bucket, folder / f"s/bucket_{bucket:04d}.npz", 0)
    return folder / "s"


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_source(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.pt"
    save_checkpoint(path, Checkpoint(random_network(Net(blocks=1, channels=8), 0), [SIZE], {}))
    return path


def run(source, start, folder, settings=SETTINGS, state=None, generation=0, window=None):
    train.run(
        [source] if not isinstance(source, list) else source,
        start,
        folder,
        settings,
        window or Window(),
        Inference(device="cpu", precision="float32"),
        state=state,
        generation=generation,
        seed=4,
        progress_dir=folder / "progress",
    )
    return folder / "checkpoint.pt"


def test_batches_are_the_positions_the_slow_way(source):
    buckets = open_source(source, 0.0)
    whole = [read_positions(path) for path in sorted(source.glob("bucket_*.npz"))]
    random = np.random.default_rng(0)
    bucket_of = random.integers(0, 3, 40)
    rows = np.array([random.integers(len(whole[b].value)) for b in bucket_of], np.uint32)
    turn = random.random(40) < 0.5
    batch = make_batch(buckets, bucket_of, rows, turn, FLOAT)
    area = SIZE * SIZE
    for k, (b, row) in enumerate(zip(bucket_of, rows, strict=True)):
        positions = whole[b]
        own, other = (
            np.unpackbits(plane[row])[:area].astype(bool)
            for plane in (positions.own, positions.opponent)
        )
        first = int(positions.policy_count[:row].sum())
        entries = slice(first, first + int(positions.policy_count[row]))
        policy = np.zeros(area)
        policy[positions.policy_cell[entries]] = positions.policy_probability[entries]
        if turn[k]:
            own, other, policy = own[::-1], other[::-1], policy[::-1]
        planes = batch.planes[k].numpy()
        assert np.array_equal(planes[0, 1:-1, 1:-1].ravel(), own)
        assert np.array_equal(planes[1, 1:-1, 1:-1].ravel(), other)
        assert np.array_equal(batch.occupied[k].numpy(), own | other)
        assert planes[0, 0].all()
        assert planes[1, 1:-1, -1].all()
        total = policy.sum()
        assert np.allclose(batch.policy[k].numpy(), policy / total if total else 0, atol=1e-6)
        assert batch.value[k] == positions.value[row]
        assert np.isnan(batch.root_value[k].item()) == np.isnan(positions.root_value[row])


def test_no_game_is_on_both_sides(source):
    training, validation = set(), set()
    for bucket in open_source(source, 0.3):
        training |= set(bucket.positions.game[bucket.training].tolist())
        validation |= set(bucket.positions.game[bucket.validation].tolist())
    assert training
    assert validation
    assert not training & validation


def test_a_position_without_a_policy_does_not_train_the_policy(start, source):
    """The old fault: the policy target of a finished board was 'play a1'."""
    network = load_checkpoint(start).network
    (bucket, *_) = open_source(source, 0.0)
    finished = np.flatnonzero(bucket.positions.policy_count == 0).astype(np.uint32)
    assert len(finished) > 5
    zeros = np.zeros(len(finished), int)
    batch = make_batch([bucket], zeros, finished, zeros > 0, FLOAT)
    figures = losses(network, batch, 0.3)
    assert figures["policy_loss"] == 0
    assert figures["value_loss"] > 0
    figures["loss"].backward()
    assert network.policy_out.weight.grad.abs().max() == 0


def test_losses_are_the_formulas(start, source):
    network = load_checkpoint(start).network.eval()
    (bucket, *_) = open_source(source, 0.0)
    rows = np.arange(50, dtype=np.uint32)
    zeros = np.zeros(50, int)
    batch = make_batch([bucket], zeros, rows, zeros > 0, FLOAT)
    figures = losses(network, batch, 0.25)
    with torch.no_grad():
        logits, value = (t.numpy().astype(float) for t in network(batch.planes))
    policy_losses, value_losses = [], []
    for k in range(50):
        free = ~batch.occupied[k].numpy()
        target = batch.policy[k].numpy()
        if target.sum() > 0:
            log_sum = np.log(np.exp(logits[k][free]).sum())
            policy_losses.append(-(target[free] * (logits[k][free] - log_sum)).sum())
        outcome = (batch.value[k].item() + 1) / 2
        searched = (batch.root_value[k].item() + 1) / 2
        wanted = outcome if np.isnan(searched) else 0.75 * outcome + 0.25 * searched
        chance = 1 / (1 + np.exp(-value[k]))
        value_losses.append(-(wanted * np.log(chance) + (1 - wanted) * np.log(1 - chance)))
    assert figures["policy_loss"].item() == pytest.approx(np.mean(policy_losses), rel=1e-4)
    assert figures["value_loss"].item() == pytest.approx(np.mean(value_losses), rel=1e-4)


def test_it_learns_and_says_so(tmp_path, start):
    source = make_source(tmp_path, games=100, search=False)
    settings = SETTINGS.model_copy(update={"reuse": 12.0, "learning_rate": 0.01})
    run(source, start, tmp_path / "t", settings)
    metrics = pd.read_csv(tmp_path / "t/metrics.csv")
    assert list(metrics.columns) == list(train.METRICS)
    assert metrics.value_loss.iloc[-1] < 0.9 * metrics.value_loss.iloc[0]
    assert metrics.step.is_monotonic_increasing
    assert metrics.validation_loss.notna().tolist() == [False] * (len(metrics) - 1) + [True]
    lineage = json.loads((tmp_path / "t/lineage.json").read_text())
    assert lineage["parent"] == sha256(start)
    assert lineage["checkpoint"] == sha256(tmp_path / "t/checkpoint.pt")
    assert lineage["samples"] == metrics.samples.iloc[-1]
    assert sum(one["rows"] for one in lineage["sources"]) == lineage["rows_window"]
    trained = load_checkpoint(tmp_path / "t/checkpoint.pt")
    assert trained.board_sizes == [SIZE]
    assert trained.lineage["rows_made"] == lineage["rows_made"]


@pytest.mark.parametrize("at", [1, 17, 40])
def test_a_killed_training_goes_on_to_the_same_bytes(tmp_path, start, source, monkeypatch, at):
    undisturbed = run(source, start, tmp_path / "a")
    calls = 0

    def asked():
        nonlocal calls
        calls += 1
        return calls == at

    def stop(message):
        raise Interrupted(15, message)

    with monkeypatch.context() as patch:
        patch.setattr(signals, "asked", asked)
        patch.setattr(signals, "stop_if_asked", stop)
        with pytest.raises(Interrupted, match=f"saved at step {at} of"):
            run(source, start, tmp_path / "b")
    assert not (tmp_path / "b/checkpoint.pt").exists()
    resumed = run(source, start, tmp_path / "b")
    for name in ("checkpoint.pt", "state.pt", "metrics.csv", "lineage.json"):
        assert sha256(resumed.with_name(name)) == sha256(undisturbed.with_name(name))
    assert not list((tmp_path / "b/progress").iterdir())


def test_a_setting_that_changed_in_between_is_named(tmp_path, start, source, monkeypatch):
    def stop(message):
        raise Interrupted(15, message)

    with monkeypatch.context() as patch:
        patch.setattr(signals, "asked", lambda: True)
        patch.setattr(signals, "stop_if_asked", stop)
        with pytest.raises(Interrupted):
            run(source, start, tmp_path)
    other = SETTINGS.model_copy(update={"weight_decay": 0.5})
    with pytest.raises(BadInput, match=r"train\.pt: .*weight_decay \(was 0\.001, is 0\.5\)"):
        run(source, start, tmp_path, other)


def test_the_next_generation_goes_on_with_the_optimiser(tmp_path, start, source):
    first = run(source, start, tmp_path / "a")
    rates = pd.read_csv(tmp_path / "a/metrics.csv").learning_rate
    assert rates.iloc[0] < SETTINGS.learning_rate  # warming up
    run([source, source], first, tmp_path / "b", state=tmp_path / "a/state.pt", generation=1)
    rates = pd.read_csv(tmp_path / "b/metrics.csv").learning_rate
    assert rates.iloc[0] > 0.8 * SETTINGS.learning_rate
    lineage = json.loads((tmp_path / "b/lineage.json").read_text())
    before = json.loads((tmp_path / "a/lineage.json").read_text())
    assert lineage["rows_made"] == 2 * before["rows_made"]
    assert lineage["parent"] == before["checkpoint"]


def test_the_window_takes_the_newest_whole_buckets(tmp_path):
    sources = [make_source(tmp_path / str(k), seed=k + 1) for k in range(3)]
    each = sum(len(bucket.training) for bucket in open_source(sources[0], 0.0))
    window = Window(rows=each, growth=0.5, exponent=0.9)
    chosen = train.open_window(sources, 0.0, window, 3 * each)
    wanted = train.window_rows(window, 3 * each)
    rows = [len(bucket.training) for bucket in chosen]
    assert sum(rows) >= wanted > sum(rows[:-1])
    ages = [sources.index(bucket.path.parent) for bucket in chosen]
    assert ages == sorted(ages, reverse=True)
    assert ages[0] == 2


def test_the_window_grows_as_its_law_says():
    window = Window(rows=1000, growth=0.4, exponent=0.75)
    assert train.window_rows(window, 600) == 600
    assert train.window_rows(window, 1000) == 1000
    # KataGo's figures: c(1 + β((n/c)^α − 1)/α).
    assert train.window_rows(window, 16000) == int(1000 * (1 + 0.4 * (8 - 1) / 0.75))


@given(made=st.integers(0, 10**9))
def test_the_window_grows_with_what_is_made_and_never_past_it(made):
    window = Window()
    rows = train.window_rows(window, made)
    assert min(made, window.rows) <= rows <= made
    assert rows <= train.window_rows(window, made + 1000)


def test_every_row_is_used_equally_often():
    order = train.sampling_order(100, 350, 0, 0)
    assert sorted(np.bincount(order, minlength=100).tolist()) == [3] * 50 + [4] * 50
    assert sorted(order[:100].tolist()) == list(range(100))
    assert order[:100].tolist() != order[100:200].tolist()


def test_a_folder_without_buckets_is_told(tmp_path, start):
    with pytest.raises(BadInput, match=r"no whole bucket_\*\.npz"):
        run(tmp_path, start, tmp_path / "t")
