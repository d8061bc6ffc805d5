"""The whole workflow, run for real on the tiny configuration, as a user would run it."""

import json
import os
import re
import shlex
import subprocess
import sys

import pandas as pd
import pytest
from conftest import REPOSITORY

from hexlib.config import read_config
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.planning.disk import plan

TINY = ("--configfile", "tests/config/tiny.yaml")


def products(project):
    run = project.folder / "results/tiny"
    return {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}


def test_every_product_is_there(finished):
    project, _ = finished
    made = products(project)
    for gen in ("gen_000", "gen_001"):
        for name in (
            *("selfplay/shard_0000.trmph", "selfplay/shard_0001.search.npz"),
            *("clean/chunk_0001.trmph", "clean/summary.json", "clean/rejected.tsv"),
            *("shuffle/bucket_0002.npz", "shuffle/summary.json"),
            *("train/checkpoint.pt", "train/metrics.csv", "train/lineage.json"),
            *("evaluate/match.json", "evaluate/pool.json", "evaluate/solved.json"),
        ):
            assert f"{gen}/{name}" in made
    assert {"ladder.csv", "report/index.html", "config.yaml"} <= made.keys()
    assert not [name for name in made if name.startswith((".progress", "gen_000/process"))]
    logs = list((project.folder / "logs/tiny").rglob("*.log"))
    assert len(logs) == 33
    assert all(log.stat().st_size for log in logs)


def test_it_says_what_it_made_how_strong_it_is_and_where_to_read(finished):
    _, said = finished
    assert "Made results/tiny/gen_001/train/checkpoint.pt" in said
    assert re.search(r"On solved positions .* keeps the win in \d+\.\d%", said)
    assert "Report: results/tiny/report/index.html" in said


def test_every_game_and_position_is_accounted_for(finished):
    project, _ = finished
    for gen in ("gen_000", "gen_001"):
        folder = project.folder / "results/tiny" / gen
        games = sum(
            sum(not line.startswith("# ") for line in shard.read_text().splitlines())
            for shard in (folder / "selfplay").glob("*.trmph")
        )
        clean = json.loads((folder / "clean/summary.json").read_text())
        assert games == clean["records"] == 40
        assert clean["records"] == clean["kept"] + clean["duplicates"] + clean["rejected"]
        assert clean["rejected"] == 0
        shuffled = json.loads((folder / "shuffle/summary.json").read_text())
        # A game of N moves has N + 1 positions.
        assert shuffled["rows"] == clean["moves"] + clean["kept"]
        assert sum(bucket["rows"] for bucket in shuffled["buckets"]) == shuffled["rows"]
        lineage = json.loads((folder / "train/lineage.json").read_text())
        assert lineage["rows_made"] <= shuffled["rows"] * (1 + lineage["generation"]) * 1.2
    ladder = pd.read_csv(project.folder / "results/tiny/ladder.csv")
    own, fixed = ladder["generation"][:3].tolist(), ladder["generation"][3:].tolist()
    assert own == ["initial", "gen_000", "gen_001"]
    assert {name.partition(":")[0] for name in fixed} == {"random", "one-ply", "rollouts"}


def test_the_disk_that_a_plan_tells_is_what_the_run_took(finished):
    project, _ = finished
    sizes = {name: path.stat().st_size for name, path in products(project).items()}
    planned = plan(read_config(project.folder / "results/tiny/config.yaml"))
    assert planned.kept == pytest.approx(sum(sizes.values()), rel=0.15)
    for stage, (size, kept) in planned.by_stage().items():
        took = sum(size for name, size in sizes.items() if re.match(rf"gen_\d+/{stage}/", name))
        if kept and stage not in ("report", "evaluate"):
            assert size == pytest.approx(took, rel=0.15), stage
        elif not kept:
            assert took == 0


def test_snakemakes_own_report_has_the_page_and_its_sources(finished):
    project, _ = finished
    made = project.snakemake("--report", "whole.html", *TINY)
    assert made.returncode == 0, made.stdout
    text = (project.folder / "whole.html").read_text()
    for name in ("report/index.html", "ladder.csv", "metrics.csv", "match.json", "summary.json"):
        assert name in text
    for category in ("Run", "Strength", "Training", "Games"):
        assert f'"{category}"' in text
    assert "A run of hexlib" in text
    # Each file has its caption, with the wildcards filled in.
    captions = [path.read_text() for path in (REPOSITORY / "rules/captions").glob("*.rst")]
    for caption in captions:
        words = re.split(r"\{\{.*?\}\}", " ".join(caption.split()))
        assert max(words, key=len).strip()[:40] in " ".join(text.split()), caption
    assert "snakemake.wildcards" not in text


def test_what_the_documents_say_to_look_at_a_run_with_works(finished):
    project, _ = finished
    page = (REPOSITORY / "docs/operations.md").read_text()
    commands = re.findall(r"^hexlib .*", page, re.MULTILINE)
    assert len(commands) >= 5
    for command in commands:
        if "--watch" in command:  # which goes on for ever
            continue
        command = command.replace("results/default/gen_013", "results/tiny/gen_001")
        words = shlex.split(command.replace("results/default", "results/tiny"))[1:]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "hexlib.cli", *words],  # not from the folder's own copy
            cwd=project.folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout


def test_a_second_run_has_nothing_to_do(finished):
    project, _ = finished
    again = project.snakemake("train", "report", "--cores", "2", *TINY)
    assert again.returncode == 0
    assert "Nothing to be done" in again.stdout


def test_the_same_bytes_on_one_core_and_after_losing_an_intermediate_file(finished, new_project):
    """On another number of cores, after a stop at `shuffle`, all products are the same bytes."""
    project, _ = finished
    other = new_project(stand_in=False)
    stopped = other.snakemake("--cores", "1", *TINY, "--until", "shuffle", "--", "train")
    assert stopped.returncode == 0, stopped.stdout
    assert "gen_001/shuffle/bucket_0002.npz" in products(other)
    assert "gen_001/train/checkpoint.pt" not in products(other)
    (other.folder / "results/tiny/gen_001/shuffle/bucket_0001.npz").unlink()
    done = other.snakemake("train", "--cores", "1", *TINY)
    assert done.returncode == 0, done.stdout
    first, second = products(project), products(other)
    other_kinds = ("benchmarks", ".running", ".progress", "checksums")
    compared = [name for name in second if not name.startswith(other_kinds)]
    left = [name for name in second if name.startswith(".progress")]
    assert left == [".progress/gen_001/train/train.pt"]  # until the evaluation
    assert len(compared) > 30
    for name in compared:
        assert first[name].read_bytes() == second[name].read_bytes(), name


def test_games_and_buckets_of_another_run_are_drawn_beside_its_own(finished, new_project):
    project, _ = finished
    other = new_project(stand_in=False)
    old = project.folder / "results/tiny/gen_000"
    config = {
        "generations": {"count": 1},
        "train": {
            "sources": [
                {"path": f"{old}/shuffle", "weight": 0.5, "max_files": 2},
                {"path": f"{old}/selfplay/shard_0001.trmph", "weight": 2},
            ]
        },
    }
    overlay = other.write("beside.yaml", json.dumps(config))
    options = ("train", *TINY, overlay)
    other.run(*options)
    lineage = json.loads(products(other)["gen_000/train/lineage.json"].read_text())
    own, buckets, games = lineage["sources"]
    assert own["rows"] == lineage["rows_window"]
    assert (buckets["files"], games["files"]) == (2, 3)
    assert (buckets["weight"], games["weight"]) == (0.5, 2)
    assert games["name"].startswith("results/tiny/sources/shard_0001_trmph-")
    assert 0 < games["rows"] < lineage["rows_window"]
    assert min(own["drawn"], buckets["drawn"], games["drawn"]) > 0
    assert other.plan(*options) == {}


def test_games_that_somebody_else_made_need_no_selfplay(finished, new_project):
    project, _ = finished
    other = new_project(stand_in=False)
    games = other.folder / "my games/deep/er"
    games.mkdir(parents=True)
    source = project.folder / "results/tiny/gen_000/selfplay/shard_0000.trmph"
    (games / "old.trmph").write_bytes(source.read_bytes())
    before = {path: path.read_bytes() for path in games.iterdir()}
    other.write(
        "o.yaml",
        "run: old\nboard_size: 5\ngenerations: {count: 1}\nnet: {blocks: 1, channels: 8}\n"
        "selfplay: {existing: ['my games']}\nshuffle: {buckets: 2}\n",
    )
    done = other.snakemake("train", "--cores", "2", "--configfile", "o.yaml")
    assert done.returncode == 0, done.stdout
    summary = other.folder / "results/old/gen_000/clean/summary.json"
    assert json.loads(summary.read_text())["records"] == 20
    assert not (other.folder / "results/old/gen_000/selfplay").exists()
    assert {path: path.read_bytes() for path in games.iterdir()} == before


@pytest.mark.slow
def test_a_curriculum_carries_the_network_to_a_larger_board(new_project):
    project = new_project(stand_in=False)
    steps = "curriculum: [{board_size: 4, generations: 1}]\ngenerations: {count: 3}\n"
    steps += "train: {earlier_boards: 1}\n"
    settings = (*TINY, project.write("steps.yaml", steps))
    done = project.snakemake("train", "report", "--cores", "2", *settings, timeout=1500)
    assert done.returncode == 0, done.stdout
    run = project.folder / "results/tiny"
    for gen, sizes in enumerate([[4], [4, 5], [4, 5]]):
        made = load_checkpoint(run / f"gen_{gen:03d}/train/checkpoint.pt")
        assert made.board_sizes == sizes
        assert made.lineage["board_size"] == sizes[-1]
        solved = json.loads((run / f"gen_{gen:03d}/evaluate/solved.json").read_text())
        assert solved["board_size"] == sizes[-1]
    names = [one["name"] for one in made.lineage["sources"]]
    assert names == ["gen_002", "gen_001", "results/tiny/gen_000/shuffle"]
    assert made.lineage["sources"][2]["drawn"] > 0, "positions of the board before, for memory"
    ladder = pd.read_csv(run / "ladder.csv")
    players = {"gen_000", "gen_001", "gen_002", "random", "one-ply", "rollouts:2000"}
    assert set(ladder.generation) == players
    assert "Nothing to be done" in project.run("train", *settings)
