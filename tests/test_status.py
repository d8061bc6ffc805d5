"""What a run tells of itself while it is made and afterwards, read from its files."""

import io
import itertools
import json
import os
import pty
import shutil
import subprocess
import sys
import threading
import time

import pytest
import torch
from rich.console import Console

from hexlib import checksums, cli, files, hold, logs
from hexlib.lineage import lineage
from hexlib.nn.checkpoint import load_checkpoint
from hexlib.status import headline, in_bars, in_lines, status_of


@pytest.fixture(scope="module")
def made(finished, tmp_path_factory):
    """The folder of a project in which two generations are done but for their evaluation."""
    project, _ = finished
    project = project.copy(tmp_path_factory.mktemp("made") / "project")
    for pattern in ("gen_*/evaluate", "evaluate.log", "ladder.csv", "report", "report.log"):
        for found in project.folder.glob(f"*/tiny/{pattern}"):
            shutil.rmtree(found) if found.is_dir() else found.unlink()
    run = project.folder / "results/tiny"
    noted = (run / checksums.NAME).read_text().splitlines(keepends=True)
    there = [line for line in noted if (run / line.split(maxsplit=1)[1].rstrip()).is_file()]
    (run / checksums.NAME).write_text("".join(there))
    return project.folder


@pytest.fixture
def here(made, monkeypatch):
    monkeypatch.chdir(made)
    return made / "results/tiny"


def test_status_of_a_run_that_is_not_at_work(here, capsys):
    assert cli.main(["status", "results/tiny"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("results/tiny: stopped, 18 of 24 jobs done")
    assert said[0].endswith("run the same command to go on")
    counts = "selfplay 2/2, clean 1/1, process 2/2, shuffle 3/3, train 1/1, evaluate 0/3"
    assert said[1:] == [f"generation {number}: {counts}" for number in ("000", "001")]
    assert cli.main(["status", "nowhere"]) == 2
    assert "nowhere: no run has begun here" in capsys.readouterr().err


def test_status_of_a_run_at_work_shows_what_each_job_said_last(here, made, tmp_path):
    log = made / "logs/tiny/gen_001/evaluate/match.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    now = time.strftime("%Y-%m-%d %H:%M:%S")
    log.write_text(f"{now},123 INFO evaluate match: 3 of 8 games, 2/s, 2 s left\nmore\n")
    script = "import sys, time; from hexlib import hold; hold.take(sys.argv[1]); time.sleep(60)"
    workflow = subprocess.Popen([sys.executable, "-c", script, str(here)])
    try:
        while hold.owner_of(here) is None:
            time.sleep(0.05)
        status = status_of(here, made / "logs/tiny")
    finally:
        workflow.kill()
        workflow.wait()
    assert f"running (process {workflow.pid} on " in headline(status)
    assert in_lines(status)[3:] == [
        "gen_001/evaluate/match: evaluate match: 3 of 8 games, 2/s, 2 s left"
    ]
    out = io.StringIO()
    Console(file=out, width=120, force_terminal=True).print(in_bars(status))
    assert "selfplay" in out.getvalue()
    assert "4 of 4 jobs" in out.getvalue()
    assert "0 of 6 jobs" in out.getvalue()
    assert hold.owner_of(here) is None, "the lock goes with the process"
    assert not status_of(here, made / "logs/tiny").jobs


def test_watch_says_it_again_until_a_signal(here):
    command = [sys.executable, "-P", "-m", "hexlib.cli", "status", str(here), "--watch"]
    watch = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    for _ in range(2 * 3):
        assert watch.stdout.readline()
    watch.terminate()
    watch.communicate()
    assert watch.returncode == 143


def test_every_log_ends_with_how_long_the_job_took(made):
    for log in (made / "logs/tiny").rglob("*.log"):
        if log.parent.name != "evaluate":
            assert f"INFO {logs.DONE}" in log.read_text().splitlines()[-1], log


def on_a_terminal(command, environment):
    """What a command writes to a terminal."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stderr=theirs, env={**os.environ, **environment})
    os.close(theirs)
    said = b""

    def read():
        nonlocal said
        while True:
            try:
                said += os.read(ours, 4096)
            except OSError:
                return

    reader = threading.Thread(target=read)
    reader.start()
    process.wait(300)
    reader.join(10)
    os.close(ours)
    return said.decode()


def test_a_terminal_gets_a_bar_and_a_workflow_plain_lines(here, tmp_path):
    command = [
        # Not from the folder here, where nothing is compiled.
        *(sys.executable, "-P", "-m", "hexlib.cli", "selfplay"),
        "--checkpoint",
        str(here / "initial.pt"),
    ]
    command += ["--games", "20", "--simulations", "4", "--considered", "4"]
    command += ["--output", str(tmp_path / "s.trmph")]
    bar = on_a_terminal(command, {"TERM": "xterm"})
    assert "of 20 games" in bar
    assert "\x1b[?25l" in bar
    assert bar.rindex("\x1b[?25h") > bar.rindex("\x1b[?25l"), "the cursor is back"
    progress = logs.Progress("selfplay", "games", 10, every=0)
    assert progress._bar is None, "under pytest stderr is no terminal"


def test_verify_tells_what_was_altered(here, capsys):
    assert cli.main(["verify", str(here)]) == 0
    assert "products, all as they were made" in capsys.readouterr().out
    noted = checksums.read(here)
    for name in ("initial.pt", "gen_001/train/state.pt", "gen_000/selfplay/shard_0001.search.npz"):
        assert noted[name] == files.sha256(here / name)
    metrics, ladder = here / "gen_000/train/metrics.csv", here / "gen_001/clean/rejected.tsv"
    kept = metrics.read_bytes(), ladder.read_bytes()
    metrics.write_bytes(kept[0].replace(b"0", b"1", 1))
    ladder.unlink()
    assert cli.main(["verify", str(here)]) == 2
    told = capsys.readouterr()
    assert told.out.splitlines() == [f"altered: {metrics}", f"missing: {ladder}"]
    assert "1 of " in told.err
    assert "1 are missing" in told.err
    metrics.write_bytes(kept[0])
    ladder.write_bytes(kept[1])


def test_checksums_survive_a_torn_line_and_the_last_counts(tmp_path):
    for text in ("old", "new"):
        files.write_text(tmp_path / "a/x", text)
        checksums.record(tmp_path, [tmp_path / "a/x"])
        with (tmp_path / checksums.NAME).open("a") as handle:
            handle.write("0123")
    files.write_text(tmp_path / ".progress/p", "no product")
    checksums.record(tmp_path, [tmp_path / ".progress/p", tmp_path / "gone", tmp_path.parent])
    assert checksums.read(tmp_path) == {"a/x": files.sha256(tmp_path / "a/x")}
    checksums.tidy(tmp_path)
    assert (tmp_path / checksums.NAME).read_text() == f"{files.sha256(tmp_path / 'a/x')}  a/x\n"
    done = subprocess.run(["sha256sum", "-c", checksums.NAME], cwd=tmp_path, capture_output=True)
    assert done.returncode == 0


def test_lineage_walks_from_a_checkpoint_to_the_games(here, capsys):
    newest = here / "gen_001/train/checkpoint.pt"
    steps = lineage(newest)
    assert [step["generation"] for step in steps] == [1, 0, "initial"]
    for step, parent in itertools.pairwise(steps):
        assert step["parent"] == parent["sha256"]
        assert step["device"].startswith("cpu ")
        assert set(step["versions"]) >= {"python", "hexlib", "torch", "numpy", "numba"}
        assert step["code"].keys() == {"commit", "clean"}
        assert set(step["buckets"].values()) == {"as noted"}
        assert step["config"] == files.sha256(here / "config.yaml")
        games = step["games"][f"gen_{step['generation']:03d}/selfplay/shard_0000.trmph"]
        assert games["state"] == "as noted"
        assert games["checkpoint"] == parent["sha256"]
        assert games["settings"]["simulations"] == 4
        assert games["seed"] == step["seed"] == 0
    assert len(steps[0]["games"]) == 8, "the window reaches back to generation 0"
    capsys.readouterr()
    assert cli.main(["inspect", "--lineage", str(newest), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"lineage": steps}


def test_lineage_tells_what_is_not_what_it_was(here):
    shard = here / "gen_001/selfplay/shard_0001.trmph"
    bucket = here / "gen_001/shuffle/bucket_0001.npz"
    kept = shard.read_bytes()
    shard.write_bytes(kept + b"#5,a1 b\n")
    bucket.rename(bucket.with_suffix(".away"))
    step = lineage(here / "gen_001/train/checkpoint.pt")[0]
    assert step["games"]["gen_001/selfplay/shard_0001.trmph"]["state"] == "altered"
    assert step["buckets"]["gen_001/bucket_0001.npz"] == "missing"
    shard.write_bytes(kept)
    bucket.with_suffix(".away").rename(bucket)


def test_a_checkpoint_alone_still_tells_what_made_it(here, tmp_path):
    alone = tmp_path / "player.pt"
    alone.write_bytes((here / "gen_001/train/checkpoint.pt").read_bytes())
    (step,) = lineage(alone)
    assert step["versions"]["torch"] == str(torch.__version__)
    assert step["settings"]["batch_size"] == 32
    assert load_checkpoint(alone).lineage["parent"] == files.sha256(
        here / "gen_000/train/checkpoint.pt"
    )
