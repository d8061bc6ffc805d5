"""Training: what it reads, what it learns, and that a kill changes nothing."""

import dataclasses
import json
import struct

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from synthetic import make_buckets
from tensorboardX.proto.event_pb2 import Event

from hexlib import signals
from hexlib.errors import BadInput, Interrupted
from hexlib.files import sha256
from hexlib.game.positions import concatenate, read_positions
from hexlib.nn.buckets import bucket_files
from hexlib.nn.checkpoint import Checkpoint, load, load_checkpoint, save_checkpoint
from hexlib.nn.learning import Trainer
from hexlib.nn.model import random_network
from hexlib.npz import Reader
from hexlib.settings import Inference, Net, Source, Train, Window
from hexlib.stages import train
from hexlib.stages.train import book, data, watch

SIZE = 5
SETTINGS = Train(
    batch_size=32, warmup_steps=4, reuse=2, validation_fraction=0.2, mini_epoch=500, keep_last=2
)


def read_meta(path):
    return Reader(path).meta


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_buckets(tmp_path_factory.mktemp("source"))


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.pt"
    save_checkpoint(path, Checkpoint(random_network(Net(blocks=1, channels=8), 0), [SIZE], {}))
    return path


def run(source, start, folder, settings=SETTINGS, state=None, generation=0, window=None, **more):
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
        **more,
    )
    return folder / "checkpoint.pt"


def small(figures):
    """SETTINGS with other values."""
    return SETTINGS.model_copy(update=figures)


def test_it_learns_and_says_so(tmp_path, start):
    source = make_buckets(tmp_path, games=100, search=False)
    settings = small({"reuse": 12.0, "learning_rate": 0.01})
    run(source, start, tmp_path / "t", settings)
    metrics = pd.read_csv(tmp_path / "t/metrics.csv")
    assert list(metrics.columns) == list(book.METRICS)
    assert metrics.value_loss.iloc[-1] < 0.9 * metrics.value_loss.iloc[0]
    assert metrics.step.is_monotonic_increasing
    assert metrics.validation_loss.notna().all()
    lineage = json.loads((tmp_path / "t/lineage.json").read_text())
    assert lineage["parent"] == sha256(start)
    assert lineage["checkpoint"] == sha256(tmp_path / "t/checkpoint.pt")
    assert lineage["samples"] == metrics.samples.iloc[-1]
    assert sum(one["rows"] for one in lineage["sources"]) == lineage["rows_window"]
    trained = load_checkpoint(tmp_path / "t/checkpoint.pt")
    assert trained.board_sizes == [SIZE]
    assert trained.lineage["rows_made"] == lineage["rows_made"]


def stop_at(patch, step):
    """Let a signal arrive during a step of a training."""
    calls = 0

    def asked():
        nonlocal calls
        calls += 1
        return calls == step

    def stop(message):
        raise Interrupted(15, message)

    patch.setattr(signals, "asked", asked)
    patch.setattr(signals, "stop_if_asked", stop)


PRODUCTS = ("checkpoint.pt", "state.pt", "metrics.csv", "calibration.csv", "lineage.json")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, source, start):
    """The folder of a training that nothing has stopped, and how many steps it did."""
    folder = tmp_path_factory.mktemp("undisturbed")
    run(source, start, folder)
    return folder, pd.read_csv(folder / "metrics.csv").step.max()


def same_products(ours, theirs):
    names = {path.name for path in (theirs / "epochs").iterdir()}
    assert {path.name for path in (ours / "epochs").iterdir()} == names
    for name in (*PRODUCTS, *(f"epochs/{name}" for name in names)):
        assert sha256(ours / name) == sha256(theirs / name), name
    return True


@pytest.mark.parametrize("draw", range(20))
def test_a_killed_training_goes_on_to_the_same_bytes(
    tmp_path, start, source, undisturbed, monkeypatch, draw
):
    """Half are stopped by a signal, half die with the progress of some earlier step on disk."""
    folder, steps = undisturbed
    random = np.random.default_rng(draw)
    at = int(random.integers(1, steps))
    with monkeypatch.context() as patch:
        if draw % 2:
            stop_at(patch, at)
            with pytest.raises(Interrupted, match=f"saved at step {at} of"):
                run(source, start, tmp_path)
        else:
            saved = int(random.integers(0, at))
            step, calls = Trainer.step, 0

            def die(*arguments):
                nonlocal calls
                calls += 1
                # Progress is saved after step `saved` alone.
                patch.setattr(train, "SAVE_SECONDS", -1 if calls == saved else 1e9)
                if calls > at:
                    raise KeyboardInterrupt
                return step(*arguments)

            patch.setattr(Trainer, "step", die)
            with pytest.raises(KeyboardInterrupt):
                run(source, start, tmp_path)
            assert (tmp_path / "progress/train.pt").exists() == (saved > 0)
    assert not (tmp_path / "checkpoint.pt").exists()
    run(source, start, tmp_path)
    assert same_products(tmp_path, folder)
    assert not list((tmp_path / "progress").glob("*"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"weight_decay": 0.5}, r"weight_decay \(was 0\.001, is 0\.5\);"),
        (
            {"learning_rate": 0.01, "value_mix": 0.5},
            r"learning_rate \(was 0\.008, is 0\.01\), value_mix \(was 0\.0, is 0\.5\);",
        ),
    ],
)
def test_settings_that_changed_in_between_are_named(
    tmp_path, start, source, monkeypatch, change, told
):
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(Interrupted):
            run(source, start, tmp_path)
    with pytest.raises(BadInput, match=rf"train\.pt: an interrupted training had another {told}"):
        run(source, start, tmp_path, small(change))
    run(source, start, tmp_path, small({"keep_last": 1}))  # which no weight depends on


def test_a_training_that_was_done_is_neither_done_again_nor_in_the_way(
    tmp_path, start, source, monkeypatch
):
    done = run(source, start, tmp_path, keep_progress=True).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", None)  # there is none to do
        assert run(source, start, tmp_path, keep_progress=True).read_bytes() == done
    assert run(source, start, tmp_path, small({"weight_decay": 0.5})).read_bytes() != done


def test_other_data_are_no_reason_to_go_on(tmp_path, start, source, monkeypatch):
    with monkeypatch.context() as patch:
        stop_at(patch, 3)
        with pytest.raises(Interrupted):
            run(source, start, tmp_path / "t")
    with pytest.raises(BadInput, match="another data"):
        run(make_buckets(tmp_path, seed=9), start, tmp_path / "t")


def test_the_next_generation_goes_on_with_the_optimiser(tmp_path, start, source):
    often = small({"mini_epoch": 32})
    first = run(source, start, tmp_path / "a", often)
    rates = pd.read_csv(tmp_path / "a/metrics.csv").learning_rate
    assert rates.iloc[0] < SETTINGS.learning_rate  # warming up
    state = tmp_path / "a/state.pt"
    run([source, source], first, tmp_path / "b", often, state=state, generation=1)
    rates = pd.read_csv(tmp_path / "b/metrics.csv").learning_rate
    assert rates.iloc[0] > 0.8 * SETTINGS.learning_rate
    lineage = json.loads((tmp_path / "b/lineage.json").read_text())
    before = json.loads((tmp_path / "a/lineage.json").read_text())
    assert lineage["rows_made"] == 2 * before["rows_made"]
    assert lineage["parent"] == before["checkpoint"]


def test_the_window_takes_the_newest_whole_buckets(tmp_path):
    folders = [make_buckets(tmp_path / f"gen_{k}", seed=k + 1, search=False) for k in range(3)]
    each = sum(read_meta(path)["rows"] for path in bucket_files(folders[0]))
    window = Window(rows=each, growth=0.5, exponent=0.9)
    settings = small({"validation_fraction": 0.0})
    opened = data.open_data(folders, settings, window, 2 * each)
    wanted = data.window_rows(window, opened.made)
    rows = [part.bucket.training for part in opened.parts]
    assert sum(rows) >= wanted > sum(rows[:-1])
    assert opened.sources == ["gen_2", "gen_1"]
    assert [part.source for part in opened.parts] == sorted(part.source for part in opened.parts)
    assert opened.rows_window == sum(rows)


def test_of_older_generations_less_is_drawn_and_only_who_won(tmp_path):
    folders = [make_buckets(tmp_path / f"gen_{k}", seed=k + 1) for k in range(4)]
    window = Window(rows=10**9, older_weight=0.5, policy_generations=2)
    opened = data.open_data(folders, SETTINGS, window, 10**6)
    assert opened.sources == ["gen_3", "gen_2", "gen_1", "gen_0"]
    (stream,) = opened.streams(0, 3)
    first = [stream.read(outline) for outline in stream.outline(0)]
    source = np.concatenate([chapter.source for chapter in first])
    targets = np.concatenate([chapter.positions.policy_count for chapter in first])
    buckets = len(opened.parts)  # of which each draws whole rows
    for age, whole in enumerate(opened.rows()):
        share = 0.5 if age else 1
        assert abs((source == age).sum() - share * whole) <= buckets
        assert (targets[source == age] > 0).any() == (age < 2)
    every = window.model_copy(update={"policy_generations": 3})
    other = data.open_data(folders, SETTINGS, every, 10**6)
    assert data.digest(opened) != data.digest(other)


def test_the_window_grows_as_its_law_says():
    window = Window(rows=1000, growth=0.4, exponent=0.75)
    assert data.window_rows(window, 600) == 600
    assert data.window_rows(window, 1000) == 1000
    # KataGo's figures: c(1 + β((n/c)^α − 1)/α).
    assert data.window_rows(window, 16000) == int(1000 * (1 + 0.4 * (8 - 1) / 0.75))


@given(made=st.integers(0, 10**9))
def test_the_window_grows_with_what_is_made_and_never_past_it(made):
    window = Window()
    rows = data.window_rows(window, made)
    assert min(made, window.rows) <= rows <= made
    assert rows <= data.window_rows(window, made + 1000)


def test_a_folder_without_buckets_is_told(tmp_path, start):
    with pytest.raises(BadInput, match=r"no whole bucket_\*\.npz"):
        run(tmp_path, start, tmp_path / "t")


def test_mini_epochs_are_numbered_within_their_epoch_and_the_newest_kept(tmp_path, start, source):
    settings = small({"reuse": 5.0, "mini_epoch": 400, "keep_last": 2, "keep_every": 5})
    run(source, start, tmp_path, settings)
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    rows = json.loads((tmp_path / "lineage.json").read_text())["rows_window"]
    assert (metrics.epoch == np.ceil(metrics.samples / rows)).all()
    assert metrics.epoch.max() in (5, 6)
    for _, inside in metrics.groupby("epoch"):
        assert inside.mini_epoch.tolist() == list(range(1, len(inside) + 1))
    assert (metrics.samples.diff().dropna().iloc[:-1] - 400).abs().max() < SETTINGS.batch_size
    names = [
        f"epoch{e:03d}_mini{m:04d}.pt"
        for e, m in zip(metrics.epoch, metrics.mini_epoch, strict=True)
    ]
    assert names == sorted(names)
    kept = sorted(path.name for path in (tmp_path / "epochs").iterdir())
    assert kept == sorted({*names[4::5], *names[-2:]})
    last = load_checkpoint(tmp_path / "epochs" / names[-1]).network.state_dict()
    final = load_checkpoint(tmp_path / "checkpoint.pt").network.state_dict()
    assert all(torch.equal(final[name], last[name]) for name in final)
    # They are checkpoints as any other: a training can start from one.
    run(source, tmp_path / "epochs" / names[4], tmp_path / "from")


def test_the_reliability_of_each_mini_epoch_is_written(undisturbed):
    folder, _ = undisturbed
    table = pd.read_csv(folder / "calibration.csv")
    metrics = pd.read_csv(folder / "metrics.csv")
    held_out = table.groupby("step").positions.sum()
    assert held_out.index.tolist() == metrics.step.tolist()
    assert held_out.nunique() == 1
    inside = table.dropna()
    assert (inside.chance >= inside["from"]).all()
    assert (inside.chance <= inside["to"] + 1e-6).all()
    assert inside.won.between(0, 1).all()
    share = (inside.chance - inside.won).abs() * inside.positions / held_out.iloc[0]
    errors = share.groupby(inside.step).sum()
    assert np.allclose(errors, metrics.validation_calibration_error, atol=1e-4)


def test_tensorboard_gets_each_mini_epoch_and_its_speed(tmp_path, start, source):
    train.run(
        [source],
        start,
        tmp_path / "t",
        SETTINGS,
        Window(),
        Inference(device="cpu", precision="float32"),
        state=None,
        generation=0,
        seed=4,
        progress_dir=tmp_path / "progress",
        tensorboard=tmp_path / "board",
    )
    (events,) = (tmp_path / "board").iterdir()
    content, tags = events.read_bytes(), set()
    while content:  # a record: length, checksum, event, checksum
        (length,) = struct.unpack("<Q", content[:8])
        event = Event.FromString(content[12 : 12 + length])
        tags |= {value.tag for value in event.summary.value}
        content = content[16 + length :]
    assert {"train/loss", "validation/loss", "train/samples_a_second"} <= tags
    assert "train/waiting_share" in tags


def test_sources_are_drawn_by_their_weights(tmp_path, start, source):
    old = [make_buckets(tmp_path / f"old{k}", games=90, seed=k, buckets=4) for k in (7, 8)]
    settings = small(
        {
            "reuse": 20.0,
            "sources": [
                Source(path=str(old[0]), weight=2.0, skip_files=3, max_files=2),
                Source(path=str(old[1]), weight=0.25),
            ],
        }
    )
    run(source, start, tmp_path / "t", settings)
    lineage = json.loads((tmp_path / "t/lineage.json").read_text())
    own, first, second = lineage["sources"]
    assert own["rows"] == lineage["rows_window"]
    assert (first["files"], second["files"]) == (1, 4)  # of four, three are skipped
    assert (first["name"], first["weight"], first["board_size"]) == ("s", 2.0, SIZE)
    assert sum(line["drawn"] for line in lineage["sources"]) == lineage["samples"]
    per_row = [line["drawn"] / line["rows"] for line in lineage["sources"]]
    assert per_row[1] / per_row[0] == pytest.approx(2, rel=0.05)
    assert per_row[2] / per_row[0] == pytest.approx(0.25, rel=0.05)


def test_a_network_learns_on_boards_of_several_sizes(tmp_path, start, source):
    other = make_buckets(tmp_path, size=4, games=120, seed=3)
    settings = small({"reuse": 6.0, "sources": [Source(path=str(other), board_size=4)]})
    run(source, start, tmp_path / "t", settings)
    lineage = json.loads((tmp_path / "t/lineage.json").read_text())
    own, four = lineage["sources"]
    assert four["board_size"] == 4
    per_row = [line["drawn"] / line["rows"] for line in (own, four)]
    assert per_row[1] / per_row[0] == pytest.approx(1, rel=0.25)  # sizes are drawn at random
    assert load_checkpoint(tmp_path / "t/checkpoint.pt").board_sizes == [SIZE, 4]


def test_a_source_that_does_not_fit_is_named(tmp_path, start, source):
    other = make_buckets(tmp_path / "other", size=4)
    told = (
        r"bucket_0000\.npz: positions of a 4×4 board, where 5×5 is wanted; to train on both, set"
        r" board_size: 4 in train\.sources"
    )
    with pytest.raises(BadInput, match=told):
        run(source, start, tmp_path / "t", small({"sources": [Source(path=str(other))]}))
    with pytest.raises(BadInput, match="skip_files 3 and max_files 0 leave no whole file"):
        run(
            source,
            start,
            tmp_path / "t",
            small({"sources": [Source(path=str(source), skip_files=3)]}),
        )
    bucket = other / "bucket_0001.npz"
    content = bucket.read_bytes()
    bucket.write_bytes(content.replace(b'"schema": 1', b'"schema": 7'))
    sized = small({"sources": [Source(path=str(other), board_size=4)]})
    with pytest.raises(BadInput, match=r"bucket_0001\.npz"):
        run(source, start, tmp_path / "t", sized)


def test_a_loss_that_is_not_finite_stops_at_once(tmp_path, start, source, monkeypatch):
    settings = small({"mini_epoch": 320})
    step, calls = Trainer.step, 0

    def spoil(trainer, batch, rate):
        nonlocal calls
        calls += 1
        if calls == 25:
            batch = batch._replace(weight=batch.weight * torch.nan)
        return step(trainer, batch, rate)

    monkeypatch.setattr(Trainer, "step", spoil)
    told = (
        r"bad_batch\.pt: the loss .* step 25, is not finite; the last good network is"
        r" .*epoch001_mini0002\.pt"
    )
    with pytest.raises(BadInput, match=told):
        run(source, start, tmp_path, settings)
    assert calls == 25
    saved = load(tmp_path / "progress/bad_batch.pt", "training batch")
    assert saved["planes"].shape == (32, 2, SIZE + 2, SIZE + 2)
    assert saved["step"] == 24
    good = load_checkpoint(tmp_path / "epochs/epoch001_mini0002.pt").network
    assert all(tensor.isfinite().all() for tensor in good.state_dict().values())
    assert not (tmp_path / "checkpoint.pt").exists()


def test_what_is_wrong_is_said_in_words():
    fine = {"loss": 1.0, "value_spread": 0.2, "validation_loss": 1.0}
    assert not watch.remarks([fine])
    (said,) = watch.remarks([fine | {"validation_value_spread": 0.001}])
    assert "its head has collapsed" in said
    (said,) = watch.remarks([fine | {"reply_loss": 0.0}])
    assert "make the positions with process.replies" in said
    assert not watch.remarks([fine | {"reply_loss": 2.0}])
    worse = [fine | {"loss": 1 - k / 10, "validation_loss": 1 + k / 10} for k in range(4)]
    (said,) = watch.remarks(worse)
    assert "learned by heart; lower train.reuse" in said
    assert not watch.remarks(worse[:3])
    assert not watch.remarks([*worse, fine])


def test_leaks_between_the_splits_are_said(source):
    whole = concatenate([read_positions(path) for path in bucket_files(source)])
    held_out = whole.game < 2**31
    ours, theirs = (whole.take(np.flatnonzero(side)) for side in (held_out, ~held_out))
    assert not watch.leakage(ours, theirs)
    (said,) = watch.leakage(ours, dataclasses.replace(ours, game=ours.game + 1))
    assert "from other games" in said
    turned = make_turned(ours)
    (said,) = watch.leakage(ours, dataclasses.replace(turned, game=turned.game + 1))
    assert said.startswith("100% of the held-out positions")
    games, _ = watch.leakage(ours, ours)
    assert "held-out games are also trained on" in games


def make_turned(positions):
    """Positions seen from the other side of the table."""
    planes = {
        name: np.packbits(
            np.unpackbits(getattr(positions, name), axis=1, count=SIZE * SIZE)[:, ::-1], axis=1
        )
        for name in ("own", "opponent")
    }
    return dataclasses.replace(positions, **planes)


def test_a_network_of_a_smaller_board_starts_above_a_random_one(tmp_path, start):
    """To see the move that wins at once, learned on 7×7, is of use on 9×9."""
    last = {"search": False, "positions": "penultimate"}
    seven = make_buckets(tmp_path / "seven", size=7, games=4000, seed=2, **last)
    nine = make_buckets(tmp_path / "nine", size=9, games=1500, seed=3, **last)
    settings = small({"reuse": 6.0, "learning_rate": 0.01, "batch_size": 64, "mini_epoch": 10**6})
    learned = run(seven, start, tmp_path / "learned", settings)
    brief = small({"reuse": 0.2, "mini_epoch": 100, "moving_average": 0.5})
    found = {}
    for name, first in (("learned", learned), ("random", start)):
        run(nine, first, tmp_path / f"on nine, {name}", brief)
        metrics = pd.read_csv(tmp_path / f"on nine, {name}/metrics.csv")
        found[name] = metrics.validation_policy_top1
    assert found["learned"].iloc[0] > 2 * found["random"].iloc[0]
    assert found["learned"].iloc[-1] > 2 * found["random"].iloc[-1]
    tuned = load_checkpoint(tmp_path / "on nine, learned/checkpoint.pt")
    assert tuned.board_sizes == [SIZE, 7, 9]
