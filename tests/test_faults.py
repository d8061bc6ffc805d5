"""Faults from outside: each gets one clear line, nothing is lost, and the same command goes on."""

import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from synthetic import make_buckets, random_games

from hexlib import cli, faults, files
from hexlib.errors import BadInput
from hexlib.game import journal
from hexlib.game.journal import Journal
from hexlib.game.records import write_games
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.inference import Evaluator
from hexlib.nn.learning import Trainer
from hexlib.nn.model import random_network
from hexlib.settings import Net
from hexlib.stages import train

SIZE = 5
# Linux: a file that cannot be read, and a folder in which nobody can make anything.
UNREADABLE, UNWRITABLE = Path("/proc/self/mem"), Path("/sys")
only_linux = pytest.mark.skipif(
    not (UNREADABLE.exists() and UNWRITABLE.exists()), reason="needs Linux's /proc and /sys"
)


def hexlib(*arguments, **options):
    """Run a command by hand; its exit code and the last line that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "hexlib.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        **options,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stderr.strip().splitlines()[-1]


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    path = tmp_path_factory.mktemp("net") / "net.pt"
    save_checkpoint(path, Checkpoint(random_network(Net(blocks=1, channels=8), 0), [SIZE], {}))
    return path


def selfplay(net, folder, *options):
    few = ("--games", 60, "--simulations", 2, "--considered", 2, "--batch-size", 16)
    output = ("--output", folder / "shard.trmph")
    return ("selfplay", "--checkpoint", net, *few, *output, "--device", "cpu", *options)


@pytest.fixture(scope="module")
def undisturbed(net, tmp_path_factory):
    """Digests of a shard that was made without any fault."""
    folder = tmp_path_factory.mktemp("undisturbed")
    assert hexlib(*selfplay(net, folder))[0] == 0
    return shard(folder)


def shard(folder):
    return files.sha256_of([folder / "shard.trmph", folder / "shard.search.npz"])


def test_a_shard_that_is_taken_away_at_its_end_is_not_played_again(net, undisturbed, tmp_path):
    """Snakemake removes the products of a job that is killed after it has written them."""
    command = selfplay(net, tmp_path, "--keep-progress")
    assert hexlib(*command)[0] == 0
    for path in tmp_path.glob("shard.*"):
        path.unlink()
    code, said = hexlib(*command)
    assert (code, said.partition(": ")[2]) == (0, "goes on after 60 saved games")
    assert shard(tmp_path) == undisturbed


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 16 kB, and what makes it larger."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*options):
        command = ["mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, check=True)

    try:
        mount("size=16k")
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount a disk")
    yield folder, lambda: mount("remount", "size=10m")
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_keeps_what_is_finished(net, undisturbed, small_disk):
    folder, enlarge = small_disk
    code, said = hexlib(*selfplay(net, folder))
    assert code == 1
    assert "shard.games: No space left on device; free some space, then run the same" in said
    assert (folder / ".progress/shard.games").stat().st_size > 4000
    assert not list(folder.glob("shard.*"))
    enlarge()
    assert hexlib(*selfplay(net, folder))[0] == 0
    assert shard(folder) == undisturbed


@pytest.mark.parametrize("limit", [6000, 20000], ids=["progress", "product"])
def test_a_limit_of_file_sizes_does_no_harm(net, undisturbed, tmp_path, limit):
    def limited():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    # numba's cache would meet the limit first.
    hexlib(*selfplay(net, tmp_path / "warm"))
    code, said = hexlib(*selfplay(net, tmp_path), preexec_fn=limited)
    assert code == 1, said
    assert "File too large; raise the limit of file sizes (ulimit -f), then run the same" in said
    assert not list(tmp_path.glob("shard.*"))
    assert not list(tmp_path.glob(".*.tmp"))
    assert hexlib(*selfplay(net, tmp_path))[0] == 0
    assert shard(tmp_path) == undisturbed


@only_linux
def test_an_unwritable_folder_is_named(net):
    code, said = hexlib(*selfplay(net, UNWRITABLE / "run"))
    assert code == 1
    assert "/sys/run" in said
    assert "make it writable, or name another place" in said
    code, said = hexlib(*selfplay(net, UNWRITABLE), "--log", UNWRITABLE / "log")
    assert code == 1
    assert "/sys/log: " in said


@only_linux
def test_a_workflow_names_an_unwritable_folder_before_any_job(new_project):
    project = new_project()
    done = project.snakemake("--cores", "1", "train", "--config", "results_dir=/sys/x")
    assert done.returncode == 1
    assert "/sys/x" in done.stdout
    assert "make it writable, or name another place (results_dir in the settings)" in done.stdout
    assert "Traceback" not in done.stdout


@only_linux
@pytest.mark.parametrize(
    ("name", "verb"),
    [
        ("games.trmph", ("clean", "--output-dir", "d")),
        ("chunk.trmph", ("process", "--output", "p.npz")),
        ("chunk.npz", ("shuffle", "scatter", "--output-dir", "d")),
        ("net.pt", ("evaluate", "solved", "--board-size", 5, "--checkpoint")),
    ],
)
def test_a_read_error_names_the_file(tmp_path, name, verb):
    (tmp_path / name).symlink_to(UNREADABLE)
    code, said = hexlib(*verb, name, cwd=tmp_path)
    assert code in (1, 2)
    assert name in said
    assert "nput/output error" in said


def test_out_of_memory_says_what_to_lower(net, tmp_path):
    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))

    many = ("--games", 65536, "--batch-size", 65536, "--board-size", 19)
    code, said = hexlib(*selfplay(net, tmp_path), *many, preexec_fn=limited)
    assert code == 1
    assert "out of memory (" in said
    assert "lower the batch size, or run fewer jobs at once" in said


def test_a_gpu_that_disappears_loses_no_game(net, undisturbed, tmp_path, monkeypatch, capsys):
    arguments = [str(word) for word in selfplay(net, tmp_path)]
    ask, calls = Evaluator.ask, 0

    def vanishing(self, boards):
        nonlocal calls
        calls += 1
        if calls == 20:
            raise RuntimeError("CUDA error: device not ready\nmore for experts")
        return ask(self, boards)

    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "ask", vanishing)
        assert cli.main(arguments) == 1
    said = capsys.readouterr().err
    assert "the GPU failed or is gone (CUDA error: device not ready); see what nvidia-smi" in said
    assert cli.main(arguments) == 0
    assert "goes on after" in capsys.readouterr().err
    assert shard(tmp_path) == undisturbed


def test_a_gpu_that_disappears_loses_no_training(net, tmp_path, monkeypatch, capsys):
    """It goes on from the last state on disk, here that of the step before."""
    source = make_buckets(tmp_path / "source")
    settings = ("--batch-size", "32", "--reuse", "1", "--seed", "4")
    where = ("--checkpoint", str(net), "--source", str(source), "--device", "cpu")

    def command(folder):
        return ["train", *where, *settings, "--output-dir", str(tmp_path / folder)]

    assert cli.main(command("undisturbed")) == 0
    step, calls = Trainer.step, 0

    def vanishing(*arguments):
        nonlocal calls
        calls += 1
        if calls == 10:
            raise torch.AcceleratorError("CUDA error: device-side assert triggered\nfor experts")
        return step(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(train, "SAVE_SECONDS", -1)
        patch.setattr(Trainer, "step", vanishing)
        assert cli.main(command("t")) == 1
    said = capsys.readouterr().err
    assert "the GPU failed or is gone (CUDA error: device-side assert triggered); see" in said
    assert "Traceback" not in said
    assert not (tmp_path / "t/checkpoint.pt").exists()
    assert cli.main(command("t")) == 0
    assert "goes on" in capsys.readouterr().err
    for name in ("checkpoint.pt", "state.pt", "metrics.csv"):
        assert files.sha256(tmp_path / "t" / name) == files.sha256(tmp_path / "undisturbed" / name)


def test_a_gpu_that_disappears_from_a_match_leaves_no_half_of_it(
    net, tmp_path, monkeypatch, capsys
):
    def gone(self, boards):
        raise RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED")

    command = ["evaluate", "match", "--a", str(net), "--b", str(net), "--games", "2"]
    command += ["--simulations", "2", "--device", "cpu", "--output", str(tmp_path / "match.json")]
    with monkeypatch.context() as patch:
        patch.setattr(Evaluator, "ask", gone)
        assert cli.main(command) == 1
    assert "the GPU failed or is gone (cuDNN error" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert cli.main(command) == 0


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: unspecified launch failure",
        "No CUDA GPUs are available",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR",
        "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU",
        "Can't initialize NVML",
        "NCCL Error 2: unhandled system error",
    ],
)
def test_all_that_torch_says_of_a_lost_gpu_is_understood(said):
    explained = faults.explain(RuntimeError(f"{said}\nfor experts"))
    assert explained.startswith(f"the GPU failed or is gone ({said})")
    assert explained.endswith("then run the same command to go on: what is finished is saved")
    assert faults.explain(ValueError(said)) is None


def test_games_of_a_device_that_is_gone_are_not_dropped(tmp_path):
    path = tmp_path / "shard.games"
    Journal(path, {"seed": 1, "device": "cuda bfloat16 torch"}).close()
    before = path.read_bytes()
    with pytest.raises(BadInput, match=r"were made on 'cuda .*, and this is 'cpu .*; bring that"):
        Journal(path, {"seed": 1, "device": "cpu float32 torch"})
    assert path.read_bytes() == before


def test_the_clock_may_jump(net, undisturbed, tmp_path, monkeypatch, caplog):
    jumping = iter(range(10**9, 0, -86400))
    monkeypatch.setattr(time, "time", lambda: next(jumping))
    assert cli.main([str(word) for word in selfplay(net, tmp_path)]) == 0
    assert shard(tmp_path) == undisturbed


def test_a_workflow_whose_clock_was_set_back_makes_the_same_again(new_project):
    """Products that seem older than what they were made of are made again, and are the same."""
    project = new_project()
    project.run("train", "report", "--configfile", "tests/config/tiny.yaml")
    run = project.folder / "results/tiny"
    early = {path: path.read_bytes() for path in run.rglob("gen_001/**/*") if path.is_file()}
    for path in early:
        if "clean" not in path.parts:
            os.utime(path, (time.time() - 7200,) * 2)
    project.run("train", "report", "--configfile", "tests/config/tiny.yaml")
    assert {path: path.read_bytes() for path in early} == early
    assert not project.plan("train", "report", "--configfile", "tests/config/tiny.yaml")


def test_a_file_that_changes_while_it_is_read_is_told(tmp_path, monkeypatch, capsys):
    games = tmp_path / "games.trmph"
    write_games(games, [random_games(SIZE, 50, 1)], {"board_size": SIZE})
    digest = files.sha256

    def meddle(path):
        with games.open("a") as handle:
            handle.write("#5,a1 b\n")
        return digest(path)

    monkeypatch.setattr(files, "sha256", meddle)
    output = tmp_path / "clean"
    command = ["clean", str(games), "--output-dir", str(output), "--board-size", str(SIZE)]
    assert cli.main(command) == 2
    said = capsys.readouterr().err
    assert f"{games}: changed while it was being read, so that nothing was made of it" in said
    assert not list(output.iterdir())


@pytest.mark.parametrize("meddle", ["write", "replace", "remove", "touch"])
def test_every_kind_of_change_is_seen(tmp_path, meddle):
    path = tmp_path / "x"
    path.write_text("before")
    unchanged = files.Unchanged([path])
    unchanged.check()
    if meddle == "write":
        path.write_text("after!")
    elif meddle == "replace":
        files.write_text(path, "before")
    elif meddle == "remove":
        path.unlink()
    else:
        os.utime(path, (1, 1))
    with pytest.raises(BadInput, match="changed while it was being read"):
        unchanged.check()


def test_a_killed_writer_leaves_nothing_for_ever(tmp_path):
    """Not even while it is a zombie, whose process number is still taken."""
    script = (
        "import os, sys; from hexlib import files\n"
        "with files.atomic(sys.argv[1]) as handle:\n"
        "    handle.write(b'half'); handle.flush(); print(flush=True); sys.stdin.read()"
    )
    path = tmp_path / "a [product]"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", script, str(path)], **pipes) as writer:
        writer.stdout.readline()
        files.write_text(path, "whole")
        assert len(list(tmp_path.iterdir())) == 2, "who still writes is left alone"
        writer.kill()
        while psutil.Process(writer.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        files.write_text(path, "whole")
        assert [found.name for found in tmp_path.iterdir()] == ["a [product]"]


def test_a_log_has_no_line_a_game(net, tmp_path):
    log = tmp_path / "log"
    assert hexlib(*selfplay(net, tmp_path, "--games", 400), "--log", log)[0] == 0
    lines = log.read_text().splitlines()
    assert "400 games in" in log.read_text()
    assert len(lines) < 40
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d+ [A-Z]+ ", line) for line in lines)


def test_progress_on_disk_is_never_older_than_a_minute():
    """Games are written as they end, which outlives a kill, and synced for a loss of power."""
    assert journal._SYNC_SECONDS <= 60
    assert train.SAVE_SECONDS <= 60


def test_faults_of_ours_are_not_explained_away():
    assert faults.explain(RuntimeError("the records do not add up")) is None
    assert faults.explain(FileNotFoundError(2, "no", "x")) is None
    assert "GPU" not in faults.explain(torch.OutOfMemoryError("CUDA out of memory. Tried"))
