"""The networks that come with hexlib: what their names say, and stronger than chance."""

import shutil
import subprocess
import sys

import pytest

from hexlib.nn import checkpoint
from hexlib.nn.checkpoint import SHIPPED, load_checkpoint, shipped
from hexlib.settings import Evaluate, Inference
from hexlib.stages.evaluate.solved import solved

NETWORKS = sorted(SHIPPED.glob("*.pt"))


def test_there_are_networks_for_newcomers():
    assert {"5x5.pt", "7x7.pt", "9x9.pt", "11x11.pt"} <= {path.name for path in NETWORKS}
    assert all(path.stat().st_size < 700_000 for path in NETWORKS)


@pytest.mark.parametrize("path", NETWORKS, ids=lambda path: path.stem)
def test_a_network_is_of_the_board_in_its_name_and_says_where_it_comes_from(path):
    loaded = load_checkpoint(path)
    size = loaded.board_sizes[-1]
    assert path.name == f"{size}x{size}.pt"
    assert loaded.lineage["kind"] == "lineage"
    assert loaded.lineage["rows_made"] > 100_000
    assert {"settings", "code", "versions", "parent", "seed"} <= loaded.lineage.keys()


@pytest.mark.parametrize(("size", "moves", "value"), [(5, 0.97, 0.92), (7, 0.9, 0.86)])
def test_a_network_keeps_wins_that_are_known(size, moves, value):
    """Bounds well below what was measured: that the files are the networks that they should be."""
    measure = Evaluate(simulations=0)
    raw = solved(shipped(size), "auto", measure, Inference(precision="float32"), size)["raw"]
    assert raw["move_accuracy"] > moves
    assert raw["value_accuracy"] > value


def test_a_board_without_a_network_of_its_own_gets_the_nearest(tmp_path, monkeypatch):
    for name in ("5x5.pt", "7x7.pt"):
        shutil.copy(SHIPPED / name, tmp_path)
    monkeypatch.setattr(checkpoint, "SHIPPED", tmp_path)
    nearest = {size: shipped(size).name for size in (3, 5, 6, 7, 19)}
    assert nearest == {3: "5x5.pt", 5: "5x5.pt", 6: "7x7.pt", 7: "7x7.pt", 19: "7x7.pt"}


def test_an_engine_plays_at_once():
    command = [sys.executable, "-m", "hexlib.cli", "htp", "--board-size", "5", "--simulations", "0"]
    commands = "genmove black\nshowboard\nquit\n"
    done = subprocess.run(command, input=commands, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("= ")
    assert "e" in done.stdout
