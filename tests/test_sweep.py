"""A sweep: trials in parallel, failed ones told, the best taken over."""

import json
import math

import pandas as pd
import pytest
from synthetic import make_buckets

from hexlib import cli
from hexlib.errors import BadInput
from hexlib.files import sha256
from hexlib.nn.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from hexlib.nn.model import random_network
from hexlib.settings import Net
from hexlib.stages.train import sweep

FAILS = 1e39  # above what float32 has: a loss with this weight is infinite


@pytest.fixture(scope="module")
def trials(tmp_path_factory):
    """Folders of three trials, made by the command; the second has failed."""
    folder = tmp_path_factory.mktemp("trials")
    buckets = make_buckets(folder)
    network = random_network(Net(blocks=1, channels=8), 0)
    save_checkpoint(folder / "start.pt", Checkpoint(network, [5], {}))
    for name, options in {
        "short": ["--reuse", "0.05", "--learning-rate", "0.5"],
        "wrong": ["--policy-weight", f"{FAILS}"],
        "long": ["--reuse", "2", "--net-blocks", "2", "--net-channels", "8"],
    }.items():
        done = cli.main(
            [
                *("train", "--source", f"{buckets}", "--checkpoint", f"{folder / 'start.pt'}"),
                *("--output-dir", f"{folder / name}", "--trial", json.dumps({"train.x": name})),
                *("--batch-size", "32", "--warmup-steps", "2", "--validation-fraction", "0.2"),
                *("--device", "cpu", "--precision", "float32"),
                *("--learning-rate", "0.002"),
                *options,
            ]
        )
        assert done == 0
    return [folder / name for name in ("short", "wrong", "long")]


def test_the_best_trial_is_taken_over_and_the_failed_one_told(trials, tmp_path, caplog):
    table = sweep.choose(trials, tmp_path)
    assert "trial wrong failed" in caplog.text
    assert table.trial.tolist() == ["long", "short", "wrong"]
    assert table["train.x"].tolist() == ["long", "short", "wrong"]
    written = pd.read_csv(tmp_path / "sweep.csv")
    for row, folder in zip(written.itertuples(), (trials[2], trials[0]), strict=False):
        last = pd.read_csv(folder / "metrics.csv").iloc[-1]
        loss = last.validation_policy_loss + last.validation_value_loss
        assert row.validation_loss == pytest.approx(loss, rel=1e-4)
    assert math.isnan(written.validation_loss[2])
    assert "bad_batch.pt" in written.failed[2]
    for name in sweep.PRODUCTS:
        assert sha256(tmp_path / name) == sha256(trials[2] / name)
    assert json.loads((tmp_path / "lineage.json").read_text())["trial"] == "long"
    assert load_checkpoint(tmp_path / "checkpoint.pt").network.settings.blocks == 2
    shown = (tmp_path / "sweep.svg").read_text()
    assert "long" in shown
    assert "wrong" not in shown
    again = sweep.choose(trials, tmp_path / "again")
    assert again.equals(table)
    assert sha256(tmp_path / "sweep.svg") == sha256(tmp_path / "again/sweep.svg")


def test_games_can_decide(trials, tmp_path):
    asked = []

    def play(a, b):
        asked.append((a, b))
        return 0.75

    table = sweep.choose(trials, tmp_path, play)
    assert asked == [(trials[0] / "checkpoint.pt", trials[2] / "checkpoint.pt")]
    assert table.trial.tolist() == ["short", "long", "wrong"]
    assert table.won.tolist()[:2] == [0.75, 0.5]
    assert sha256(tmp_path / "checkpoint.pt") == sha256(trials[0] / "checkpoint.pt")


def test_the_command_plays_the_games(trials, tmp_path):
    names = [str(trial) for trial in trials]
    done = cli.main(
        [
            *("sweep", *names, "--by", "match", "--output-dir", f"{tmp_path}"),
            *("--games", "4", "--simulations", "2", "--device", "cpu"),
        ]
    )
    assert done == 0
    won = pd.read_csv(tmp_path / "sweep.csv").won
    assert won.dropna().isin([0, 0.25, 0.5, 0.75, 1]).all()
    assert won.notna().sum() == 2


def test_a_full_disk_is_no_outcome_of_a_trial(tmp_path):
    def train():
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        sweep.attempt(train, {}, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_sweep_without_success_is_an_error(trials, tmp_path):
    with pytest.raises(BadInput, match=r"no trial of the sweep has succeeded; .* not finite"):
        sweep.choose([trials[1]], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_four_trials_of_the_tiny_run(new_project):
    """Two networks, each with a loss that is finite and with one that is not."""
    project = new_project(stand_in=False)
    settings = {
        "generations": {"count": 1},
        "train": {"sweep": {"net.channels": [8, 16], "train.policy_weight": [1.0, FAILS]}},
    }
    overlay = project.write("sweep.yaml", json.dumps(settings))
    options = ("train", "--configfile", "tests/config/tiny.yaml", overlay)
    assert project.plan(*options)["trial"] == 4
    said = project.run(*options)
    folder = project.folder / "results/tiny/gen_000/train"
    table = pd.read_csv(folder / "sweep.csv")
    assert sorted(table["net.channels"]) == [8, 8, 16, 16]
    assert table.failed.notna().tolist() == [False, False, True, True]
    assert (table["train.policy_weight"][2:] == FAILS).all()
    assert said.count("failed: ") >= 2
    best = folder / "trials" / table.trial[0]
    assert sha256(folder / "checkpoint.pt") == sha256(best / "checkpoint.pt")
    channels = load_checkpoint(folder / "checkpoint.pt").network.settings.channels
    assert channels == table["net.channels"][0]
    assert project.plan(*options) == {}
    unused = "evaluate={games: 6, anchor_games: 3, gate: true}"
    assert project.plan(*options, "--config", unused) == {}, "no trial is compared by a match"
    assert not (project.folder / "results/tiny/.progress/gen_000/trials").exists()
