"""What the pipeline before could do and no other test shows; and that each named test is there."""

import json
import re
import time
import tracemalloc
from pathlib import Path

import pytest
from synthetic import random_games

from hexlib.cli import main
from hexlib.files import sha256
from hexlib.game.positions import open_positions
from hexlib.game.records import write_games
from hexlib.settings import Process
from hexlib.stages import process, selfplay, shuffle

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs/migration.md"
# Every flag of the script; those that name a step all began with --no-.
FLAGS = (
    *("--model-path", "--num-games", "--num-workers", "--search-widths", "--temperature"),
    *("--batch-size", "--cache-size", "--selfplay-dir", "--no-selfplay", "--chunk-size"),
    *("--max-workers-trmph", "--num-buckets-shuffle", "--max-samples", "--results-dir"),
    *("--existing-shuffled-data-dir", "--skip-files", "--no-cleanup"),
)


def test_every_row_names_tests_and_they_are_there():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| ---", "| before"))]
    assert len(rows) > 40
    for row in rows:
        named = re.findall(r"`(test_\w+)::(test_\w+)`", row.split("|")[-2])
        assert named, row
        for file, test in named:
            text = (REPOSITORY / f"tests/{file}.py").read_text()
            assert re.search(rf"^def {test}\(", text, re.MULTILINE), f"{file}::{test}"


def test_every_flag_has_its_row():
    first = [line.split("|")[1] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    for flag in FLAGS:
        assert any(re.search(rf"`{flag}\b", cell) for cell in first), flag


def test_settings_reach_the_jobs(new_project):
    """What stands for a flag of the script is on the command line of the job that it is for."""
    project = new_project()
    model = project.write("old model/epoch3_mini10.pt", "a checkpoint")
    settings = {
        "initial_checkpoint": model,
        "generations": {"count": 1},
        "selfplay": {
            **{"games": 30, "shards": 3, "search": "minimax", "widths": [5, 2]},
            **{"temperature": 1.25, "batch_size": 17, "cache_size": 123},
        },
        "clean": {"chunk_size": 6},
        "process": {"positions": "penultimate"},
        "shuffle": {"buckets": 4},
        "train": {"max_samples": 77},
    }
    overlay = project.write("old.yaml", json.dumps({"run": "moved", **settings}))
    project.run("train", "--configfile", "tests/config/tiny.yaml", overlay)
    logs = project.folder / "logs/moved/gen_000"

    def told(stage):
        return [path.read_text() for path in sorted((logs / stage).rglob("*.log"))]

    wanted = {
        "selfplay": (
            *("--games 10 ", "--search minimax ", "--widths 5 2 ", "--temperature 1.25 "),
            *("--batch-size 17 ", "--cache-size 123 "),
        ),
        "process": ("--positions penultimate ",),
        "train": ("--max-samples 77 ",),
    }
    for stage, options in wanted.items():
        assert told(stage)
        for option in options:
            assert all(option in f"{line} " for line in told(stage)), (stage, option)
    assert len(told("selfplay")) == 3
    assert len({re.search(r"--first-game \d+", line)[0] for line in told("selfplay")}) == 3
    made = project.files("results/moved/gen_000")
    assert sum("/shuffle/bucket_" in name for name in made) == 4
    assert sum("/clean/chunk_" in name and name.endswith(".trmph") for name in made) == 5


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An initial checkpoint and a folder of buckets, made by the commands."""
    folder = tmp_path_factory.mktemp("made")
    net = ["--board-size", "5", "--blocks", "1", "--channels", "8"]
    assert main(["init", *net, "--output", f"{folder}/initial.pt"]) == 0
    games = ["--games", "40", "--simulations", "2", "--output", f"{folder}/shard.trmph"]
    chunk = ["--board-size", "5", "--chunks", "1", "--output-dir", f"{folder}/clean"]
    scatter = ["--buckets", "1", "--output-dir", f"{folder}/parts"]
    gather = ["--bucket", "0", "--output", f"{folder}/buckets/bucket_0000.npz"]
    for command in (
        ["selfplay", "--checkpoint", f"{folder}/initial.pt", *games],
        ["clean", f"{folder}/shard.trmph", *chunk],
        ["process", f"{folder}/clean/chunk_0000.trmph", "--output", f"{folder}/chunk.npz"],
        ["shuffle", "scatter", f"{folder}/chunk.npz", *scatter],
        ["shuffle", "gather", f"{folder}/parts", *gather],
    ):
        assert main(command) == 0
    return folder


def trained(made, folder, *options):
    """The lineage of a training."""
    start = ["--checkpoint", f"{made}/initial.pt", "--output-dir", str(folder)]
    assert main(["train", *start, "--batch-size", "16", *options]) == 0
    return json.loads((folder / "lineage.json").read_text())


def test_samples_are_capped(made, tmp_path):
    source = ["--source", f"{made}/buckets"]
    free = trained(made, tmp_path / "free", *source)
    capped = trained(made, tmp_path / "capped", *source, "--max-samples", "160")
    assert free["samples"] > 320
    assert capped["samples"] == 160


def test_a_checkpoint_by_its_path_is_where_training_starts(made, tmp_path):
    renamed = tmp_path / "epoch3_mini10.pt"
    renamed.write_bytes((made / "initial.pt").read_bytes())
    start = ["--checkpoint", str(renamed), "--output-dir", f"{tmp_path}/train"]
    assert main(["train", *start, "--source", f"{made}/buckets", "--max-samples", "64"]) == 0
    lineage = json.loads((tmp_path / "train/lineage.json").read_text())
    assert lineage["parent"] == sha256(made / "initial.pt")


def played(made, folder, *options, games=40):
    """The records of some games without random openings, and the last line of their log."""
    folder.mkdir()
    start = ["--checkpoint", f"{made}/initial.pt", "--output", f"{folder}/a.trmph"]
    quiet = ["--random-openings", "0", "--balanced-first-move", "0", "--log", f"{folder}/a.log"]
    assert main(["selfplay", *start, *quiet, "--games", str(games), *options]) == 0
    lines = (folder / "a.trmph").read_text().splitlines()
    log = (folder / "a.log").read_text()
    *_, pace = re.findall(r"([\d,]+) positions asked for, (\d+)% of them in the cache", log)
    return [line for line in lines if not line.startswith("# ")], pace


def test_temperature_changes_the_games(made, tmp_path):
    cold, _ = played(made, tmp_path / "a", "--search", "policy", "--temperature", "0.05")
    warm, _ = played(made, tmp_path / "b", "--search", "policy", "--temperature", "3")
    assert len(set(cold)) == 1
    assert len(set(warm)) > 35


def test_batch_size_is_the_number_of_games_in_flight(made, tmp_path, monkeypatch):
    sizes = []

    class Watched(selfplay.Evaluator):
        def ask(self, boards):
            sizes.append(len(boards))
            return super().ask(boards)

    monkeypatch.setattr(selfplay, "Evaluator", Watched)
    for batch in (3, 20):
        sizes.clear()
        options = ["--batch-size", str(batch), "--cache-size", "0", "--simulations", "4"]
        played(made, tmp_path / str(batch), *options)
        rest = sizes[1:]  # the first asks for the value of each first move
        assert max(rest) == batch
        assert sum(rest) > 0.6 * batch * len(rest)


def test_cache_size_is_used(made, tmp_path):
    _, (_, none) = played(made, tmp_path / "a", "--simulations", "8", "--cache-size", "0")
    _, (_, much) = played(made, tmp_path / "b", "--simulations", "8", "--cache-size", "60000")
    assert (int(none), int(much) > 5) == (0, True)


def test_widths_are_those_of_the_search(made, tmp_path):
    asked = []
    for widths in (["2", "1"], ["6", "4"]):
        options = ["--search", "minimax", "--widths", *widths, "--cache-size", "0"]
        _, (positions, _) = played(made, tmp_path / widths[0], *options, games=10)
        asked.append(int(positions.replace(",", "")))
    # A move asks for its position and, at the end of 2 or of 24 lines, for those that are new.
    assert asked[1] > 3 * asked[0]


@pytest.mark.parametrize(("selector", "rows"), [("all", None), ("final", 1), ("penultimate", 1)])
def test_positions_are_selected(made, tmp_path, selector, rows):
    chunk = f"{made}/clean/chunk_0000.trmph"
    output = f"{tmp_path}/chunk.npz"
    assert main(["process", chunk, "--output", output, "--positions", selector]) == 0
    found = open_positions(Path(output))
    games = len(set(found.game.tolist()))
    assert len(found) == rows * games if rows else len(found) > 10 * games


def test_positions_take_a_small_part_of_the_memory_and_time_that_they_took(tmp_path):
    """2,146 bytes and 1/3,490 s a position, 1/1,200 s to shuffle one, were measured before.

    Processor time, so that another program on the machine is no fault.
    """
    chunk = tmp_path / "chunk_0000.trmph"

    def make(games):
        write_games(chunk, [random_games(13, games)], {"kind": "games"})
        begun = time.process_time()
        made = process.run(chunk, tmp_path / "chunk.npz", Process(), 13)
        middle = time.process_time()
        shuffle.scatter(tmp_path / "chunk.npz", tmp_path / "parts", 4, 0)
        for bucket in range(4):
            shuffle.gather([tmp_path / "parts"], bucket, tmp_path / f"{bucket}.npz", 0)
        rows = made["rows"]
        return rows, rows / (middle - begun), rows / (time.process_time() - middle)

    make(10)  # compiles
    _, processed, shuffled = make(1000)
    assert processed > 10 * 3490
    assert shuffled > 10 * 1200
    tracemalloc.start()
    rows, _, _ = make(2000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows > 200_000
    assert most / rows < 2146 / 5


def test_random_games_and_selfplay_are_far_faster_than_they_were(tmp_path):
    """405 random games a second, and 36 s for a 13×13 game by minimax, were measured before."""
    random_games(13, 10)
    begun = time.process_time()
    random_games(13, 2000)
    assert 2000 / (time.process_time() - begun) > 10 * 405
    net = ["--board-size", "13", "--blocks", "1", "--channels", "8"]
    assert main(["init", *net, "--output", f"{tmp_path}/net.pt"]) == 0
    begun = time.process_time()
    search = ["--search", "minimax", "--widths", "13", "8", "--games", "4", "--device", "cpu"]
    output = ["--checkpoint", f"{tmp_path}/net.pt", "--output", f"{tmp_path}/a.trmph"]
    assert main(["selfplay", *search, *output]) == 0
    assert (time.process_time() - begun) / 4 < 36 / 2
