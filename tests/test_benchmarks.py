"""The benchmarks run, say what is not installed, and write their own section of the page."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from slow_twin import connects

from hexlib.game.board import BLUE, RED
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.nn.model import random_network
from hexlib.search.interface import positions_after, search_all
from hexlib.search.policy import PolicySearch
from hexlib.settings import Inference, Net
from hexlib.stages.evaluate.solved import read_solved

REPOSITORY = Path(__file__).parents[1]
PEERS = ("jax", "mctx", "pgx", "pyspiel")


@pytest.fixture
def run(tmp_path):
    """Run a benchmark as if no peer were installed."""
    absent = tmp_path / "absent"
    absent.mkdir()
    for peer in PEERS:
        (absent / f"{peer}.py").write_text("raise ImportError\n")

    def run_script(name, *options):
        script = REPOSITORY / "benchmarks" / f"{name}.py"
        done = subprocess.run(
            [sys.executable, script, "--quick", *options],
            env={**os.environ, "PYTHONPATH": f"{absent}{os.pathsep}{REPOSITORY}"},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run_script


def rows(text):
    """The cells of all table rows."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def positive(cell):
    return float(cell.split()[0].replace(",", "")) > 0


def test_board_prints_rates_and_keeps_the_rest_of_its_page(run, tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- board: begin -->\nold\n<!-- board: end -->\nafter\n")
    printed = run("board", "--write", str(page))
    table = {(row[0], row[1]): row[2] for row in rows(printed)}
    assert positive(table["13×13", "hexlib"])
    assert table["13×13", "OpenSpiel, C++"] == table["11×11", "pgx, XLA"] == "not installed"
    written = page.read_text()
    assert written.startswith("before\n<!-- board: begin -->\n## Random games")
    assert written.endswith("<!-- board: end -->\nafter\n")
    assert "old" not in written
    assert printed.strip() in written


@pytest.mark.slow
def test_inference_prints_a_rate_for_each_board(run):
    header, _, *table = rows(run("inference"))
    column = header.index("torch float32")
    assert [row[1] for row in table] == ["7×7", "11×11", "13×13"]
    assert all(positive(row[column]) for row in table)


@pytest.mark.slow
def test_selfplay_prints_speed_start_and_memory(run):
    table = rows(run("selfplay"))
    ours = [row for row in table if row[1].startswith("hexlib, torch")]
    assert ours
    assert all(positive(row[2]) and 0 < float(row[4]) < 1.5 for row in ours)
    others = [row for row in table if "MCTS" in row[1] or "mctx" in row[1]]
    assert {row[2] for row in others} == {"not installed"}
    (memory,) = [row for row in table if row[0].startswith("memory")]
    assert positive(memory[1])


@pytest.mark.slow
def test_selfplay_counts_duplicates_of_a_checkpoint(run, tmp_path):
    made = [sys.executable, "-m", "hexlib.cli", "init", "--board-size", "3", "--blocks", "1"]
    checkpoint = tmp_path / "model.pt"
    subprocess.run(
        [*made, "--channels", "8", "--output", checkpoint],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        check=True,
        capture_output=True,
    )
    (row,) = rows(run("selfplay", "--checkpoint", str(checkpoint), "--games", "60"))[2:]
    assert row[:2] == ["3×3", "60"]
    # There are few games on 3×3.
    assert 0 < int(row[2]) < 60
    assert row[3] == f"{int(row[2]) / 60:.1%}"


@pytest.mark.slow
def test_strength_has_a_row_for_each_way_of_thinking(run, tmp_path):
    """Of a board size that no opponent has; whether one is installed does not matter then."""
    path = tmp_path / "model.pt"
    network = random_network(Net(blocks=1, channels=8), 0)
    save_checkpoint(path, Checkpoint(network, [6]))
    table = rows(run("strength", "--checkpoint", str(path), "--simulations", "0", "4"))
    assert [row[:5] for row in table[2:]] == [
        ["6×6", path.as_posix(), "1 × 8", how, "–"] for how in ("raw", "4 simulations")
    ]
    assert {row[6] for row in table[2:]} == {"no network of this size"}


@pytest.mark.slow
def test_a_search_against_itself_splits_every_pair(run, tmp_path):
    path = tmp_path / "model.pt"
    save_checkpoint(path, Checkpoint(random_network(Net(blocks=1, channels=8), 0), [4]))
    options = ["--search", "4,0.3", "16,0.1", "--against", "16,0.1", "--simulations", "6"]
    table = rows(run("search", "--checkpoint", str(path), *options))
    assert [row[2:5] for row in table[2:]] == [
        ["4,0.3", "16,0.1", "4"],
        ["16,0.1", "16,0.1", "4"],
    ]
    assert table[3][-3:] == ["0", "2", "0"]


def test_a_deep_search_judges_small_boards_as_brute_force_does(tmp_path):
    model, output = tmp_path / "model.pt", tmp_path / "judged.csv"
    save_checkpoint(model, Checkpoint(random_network(Net(blocks=1, channels=8), 0), [3]))
    known = judged_by(model, output)
    assert len(known.games) > 30
    for game, winner, winning in zip(known.games, known.winners, known.winning, strict=True):
        colour = BLUE + len(game) % 2
        grid = np.zeros((3, 3), np.int8)
        for ply, cell in enumerate(game):
            grid.flat[cell] = BLUE + ply % 2
        assert winning == winning_moves(grid, colour)
        assert (winner == colour) == bool(winning)


def test_judged_positions_may_be_early_ones_of_which_the_network_is_unsure(tmp_path):
    model, output = tmp_path / "model.pt", tmp_path / "judged.csv"
    network = random_network(Net(blocks=1, channels=8), 1)
    save_checkpoint(model, Checkpoint(network, [3]))
    evaluator = Evaluator(network, 3, choose(Inference(device="cpu")))

    def values(*options):
        known = judged_by(model, output, "--most-stones", "3", *options)
        assert {len(game) for game in known.games} == {2, 3}
        boards = positions_after(3, known.games)
        keys = np.zeros(len(known.games), np.uint64)
        return np.abs(search_all(PolicySearch(16, 3), evaluator, boards, keys).value)

    every = values()
    limit = float(np.median(every))
    some = values("--unsure", str(limit))
    assert 0 < len(some) < len(every)
    assert some.max() <= limit


def judged_by(model, output, *options):
    """The positions that the script writes."""
    script = REPOSITORY / "benchmarks/judged.py"
    options = ("--count", "60", "--simulations", "2000", *options)
    command = [sys.executable, script, "--checkpoint", model, "--output", output, *options]
    subprocess.run(command, check=True, capture_output=True)
    (known,) = read_solved(output)
    return known


def winning_moves(grid, colour):
    """By brute force: after such a move the other player has none."""
    found = set()
    for cell in np.flatnonzero(grid.ravel() == 0).tolist():
        after = grid.copy()
        after.flat[cell] = colour
        if connects(after, colour) or not winning_moves(after, BLUE + RED - colour):
            found.add(cell)
    return found


def test_clean_prints_rates_of_reading_and_cleaning(run):
    table = {(row[0], row[1]): row[2:] for row in rows(run("clean"))[2:]}
    for what, limit in (("moves read", "each byte once"), ("games cleaned", "copied and synced")):
        assert positive(table[what, "hexlib"][0])
        assert positive(table[what, f"limit: {limit}"][0])
    assert table["games cleaned", "Python, played by OpenSpiel"][0] == "not installed"


def test_process_prints_rates_sizes_and_memory(run):
    table = {row[0]: row[1:] for row in reversed(rows(run("process")))}
    assert positive(table["hexlib"][0])
    assert positive(table["plain Python"][0])
    # A row of 13×13 takes 60 bytes; so small a file, its headers besides.
    assert 59 < float(table["bytes a position"][0]) < 61
    assert positive(table["memory of a job"][0])


def test_shuffle_prints_rates_beside_a_copy_and_memory_of_both_passes(run):
    table = {row[0]: row[1:] for row in reversed(rows(run("shuffle")))}
    assert all(positive(table[name][0]) for name in ("hexlib", "numpy in memory", "cp, synced"))
    assert table["cp, synced"][1] == "1.00"
    assert all(positive(table[f"memory of {step}"][0]) for step in ("scatter", "gather"))


@pytest.mark.slow
def test_a_folder_of_games_goes_from_text_to_buckets(run):
    said = run("million")
    table = {row[0]: row[1] for row in rows(said)}
    assert positive(table["from text to buckets, by the clock"])
    assert positive(table["memory"])
    assert {"jobs of clean: 1", "jobs of process: 1", "jobs of scatter: 1"} <= table.keys()
    assert "Of 500 records 500 games were kept" in said


@pytest.mark.slow
def test_train_prints_rates_and_memory(run):
    printed = run("train")
    table = {row[0]: row for row in rows(printed)}
    assert all(positive(cell) for net in ("4×32", "6×64") for cell in table[net][1:4])
    assert re.search(r"with 100,000 positions \(0\.0 GB\) on disk: -?[\d,]+ MB;", printed)


def log_of_selfplay(root, generation, asked):
    """What self-play leaves of a generation of `root`/results/run, a tenth from the cache."""
    log = root / f"logs/run/{generation}/selfplay/shard_0000.log"
    log.parent.mkdir(parents=True)
    line = "selfplay shard_0000: {}, {:,} positions asked for, {}% of them in the cache\n"
    halfway, whole = ("4 of 9 games, 1/s", asked // 2, 0), ("9 games in 5 s, 2/s", asked, 10)
    log.write_text(line.format(*halfway) + line.format(*whole))


def drawn(script, *arguments):
    """What a script prints that draws a picture."""
    done = subprocess.run(
        [sys.executable, REPOSITORY / "benchmarks" / script, *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_progress_counts_what_was_evaluated_and_draws_it(tmp_path):
    for gen, (asked, right) in enumerate([(1000, 0.5), (3000, 0.75)]):
        log_of_selfplay(tmp_path, f"gen_{gen:03d}", asked)
        solved = tmp_path / f"results/run/gen_{gen:03d}/evaluate/solved.json"
        solved.parent.mkdir(parents=True)
        shares = {"move_accuracy": right, "value_accuracy": right}
        solved.write_text(json.dumps({"board_size": 5, "raw": shares, "search": shares}))
    picture = tmp_path / "progress.svg"
    last = drawn("progress.py", tmp_path / "results/run", "--output", picture).split()[-5:]
    assert [float(cell) for cell in last] == [5, 3600, 0.75, 0.75, 0.75]  # nine tenths of 4,000
    assert "run, 5×5" in picture.read_text()


@pytest.mark.slow
def test_progress_won_plays_each_generation_once_on_each_board(tmp_path):
    def learned(generation):
        folder = tmp_path / "results/run" / generation / "train"
        folder.mkdir(parents=True)
        network = random_network(Net(blocks=1, channels=8), 0)
        save_checkpoint(folder / "checkpoint.pt", Checkpoint(network, [5]))
        log_of_selfplay(tmp_path, generation, 1000)

    picture = tmp_path / "won.svg"
    options = ("--sizes", "5", "7", "--games", "4", "--output", picture)
    learned("gen_000")
    first = drawn("progress_won.py", tmp_path / "results/run", *options)
    assert first.count("evaluated 900,") == 2
    learned("gen_001")
    second = drawn("progress_won.py", tmp_path / "results/run", *options)
    assert second.count("evaluated 1800,") == 2
    assert "generation 0" not in second
    table = pd.read_csv(picture.with_suffix(".csv"))
    assert table[["generation", "board"]].values.tolist() == [[0, 5], [0, 7], [1, 5], [1, 7]]
    assert (table["games"] == 4).all()
    assert table["won"].between(0, 3).all()  # by a random network
    assert "7×7" in picture.read_text()
