"""Nothing that a file or a path holds is ever run."""

import ast
import io
import json
import os
import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from synthetic import random_games

from hexlib import cli
from hexlib.files import sha256
from hexlib.game.records import write_games
from hexlib.nn.checkpoint import Checkpoint, save_checkpoint
from hexlib.nn.model import random_network
from hexlib.settings import Net

REPOSITORY = Path(__file__).parents[1]
SOURCES = sorted((REPOSITORY / "hexlib").rglob("*.py"))
RULES = [REPOSITORY / "Snakefile", *sorted((REPOSITORY / "rules").glob("*.smk"))]
# What runs what it reads, or writes where an archive says.
FORBIDDEN = (
    r"allow_pickle\s*=\s*True|weights_only\s*=\s*False|\b(cP|cloudp|jsonp)ickle\b|\bdill\b|\bjoblib\b"
    r"|\bshelve\b|\bmarshal\b|\byaml\.(load|unsafe_load)\(|shell\s*=\s*True|os\.system\(|os\.popen\("
    r"|(?<![.\w])(eval|exec)\(|extractall|\.extract\(|unpack_archive|\btarfile\b"
)
NASTY = "a b'c\"d;touch pwned;$(touch pwned)&ü"


@pytest.mark.parametrize("path", [*SOURCES, *RULES], ids=lambda path: path.name)
def test_no_code_runs_what_it_reads(path):
    assert not re.search(FORBIDDEN, path.read_text())


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_of_pickle_only_its_error_is_used(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", None) == "pickle":
            assert node.attr == "UnpicklingError"
        if isinstance(node, ast.ImportFrom):
            assert node.module != "pickle"


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_shell_commands_quote_every_path(path):
    """What is not quoted is a number, or was quoted when it was made."""
    plain = {"params.flags", "params.start", "params.rates", "params.games", "params.first_game"}
    plain |= {"params.generation", "params.board", "params.command", "params.earlier"}
    plain |= {"params.shared", "wildcards.bucket", "resources.partial"}
    plain |= {"resources.batch_size", "resources.cache_size"}
    plain |= {"resources.keep_last", "resources.keep_every", "resources.training_threads"}
    for command in re.findall(r"shell:\n((?: +\".*\"\n)+)", path.read_text()):
        for name, quoted in re.findall(r"\{([\w.]+)(:q)?\}", command):
            assert quoted or name in plain, name


class Malicious:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def as_pickle(mark):
    return pickle.dumps(Malicious(mark))


def as_torch(mark):
    out = io.BytesIO()
    torch.save({"kind": "checkpoint", "schema": 1, "weights": Malicious(mark)}, out)
    return out.getvalue()


def as_npz(mark):
    out = io.BytesIO()
    arrays = {"meta": np.zeros(1, np.uint8), "value": np.array([Malicious(mark)], object)}
    np.savez(out, **arrays)
    return out.getvalue()


def as_climbing_zip(mark):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(f"../../../{mark.name}", b"x")
    return out.getvalue()


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A good file of each kind, to give a command what it needs besides."""
    folder = tmp_path_factory.mktemp("good")
    net = Checkpoint(random_network(Net(blocks=1, channels=8), 0), [5], {})
    save_checkpoint(folder / "net.pt", net)
    write_games(
        folder / "games.trmph", [random_games(5, 30, 1)], {"kind": "games", "board_size": 5}
    )
    good = str(folder)
    for command in (
        ("process", f"{good}/games.trmph", "--output", f"{good}/p.npz", "--board-size", "5"),
        ("shuffle", "scatter", f"{good}/p.npz", "--output-dir", f"{good}/d", "--buckets", "1"),
        (
            "shuffle",
            "gather",
            f"{good}/d",
            "--bucket",
            "0",
            "--output",
            f"{good}/s/bucket_0000.npz",
        ),
    ):
        assert cli.main(command) == 0
    return folder


TRAIN = ("train", "--source", "GOOD/s", "--checkpoint", "GOOD/net.pt", "--output-dir", "t")
COMMANDS = {
    "net.pt": [
        ("inspect", "BAD"),
        ("inspect", "--lineage", "BAD"),
        ("selfplay", "--checkpoint", "BAD", "--games", "1", "--output", "x.trmph"),
        ("train", "--source", "GOOD/s", "--checkpoint", "BAD", "--output-dir", "t"),
        ("evaluate", "solved", "--checkpoint", "BAD"),
        ("evaluate", "match", "--a", "GOOD/net.pt", "--b", "BAD", "--games", "2"),
    ],
    "state.pt": [(*TRAIN, "--state", "BAD")],
    "progress/train.pt": [(*TRAIN, "--progress-dir", "progress")],
    "chunk.trmph": [
        ("inspect", "BAD"),
        ("clean", "BAD", "--output-dir", "c", "--board-size", "5"),
        ("process", "BAD", "--output", "p.npz", "--board-size", "5"),
    ],
    "games.search.npz": [("clean", "games.trmph", "--output-dir", "c", "--board-size", "5")],
    "p.npz": [
        ("inspect", "BAD"),
        ("shuffle", "scatter", "BAD", "--output-dir", "d"),
        ("shuffle", "summary", "BAD", "--output", "s.json"),
    ],
    "d/parts.npz": [("shuffle", "gather", "d", "--bucket", "0", "--output", "b.npz")],
    "s/bucket_0000.npz": [
        ("train", "--source", "s", "--checkpoint", "GOOD/net.pt", "--output-dir", "t")
    ],
    "s/summary.json": [
        ("train", "--source", "s", "--checkpoint", "GOOD/net.pt", "--output-dir", "t")
    ],
    "match.json": [
        ("inspect", "BAD"),
        ("evaluate", "ladder", "BAD", "--output", "l.csv"),
    ],
    "positions.csv": [
        ("evaluate", "solved", "--checkpoint", "GOOD/net.pt", "--positions", "BAD"),
    ],
    "config.yaml": [("init", "--config", "BAD", "--output", "x.pt"), ("status", ".")],
    "checksums.sha256": [("verify", ".")],
}


@pytest.mark.parametrize("made", [as_pickle, as_torch, as_npz, as_climbing_zip])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_malicious_file_in_place_of_a_product_is_refused(
    name, made, good, tmp_path, monkeypatch, capsys
):
    folder = tmp_path / "a/b/c/d"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    mark = folder / "pwned"
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    if name == "games.search.npz":
        write_games(folder / "games.trmph", [random_games(5, 3, 1)], {"board_size": 5})
    path.write_bytes(made(mark))
    for command in COMMANDS[name]:
        words = [word.replace("BAD", str(path)).replace("GOOD", str(good)) for word in command]
        capsys.readouterr()
        assert cli.main(words) == 2, words
        said = capsys.readouterr().err
        assert "Traceback" not in said
        assert said.strip().splitlines()[-1].startswith(f"hexlib {command[0]}: ")
    assert not [found for found in tmp_path.rglob("*") if found.name == "pwned"]


@pytest.mark.parametrize("made", [as_pickle, as_torch])
def test_a_malicious_journal_is_dropped(made, good, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    progress = tmp_path / ".progress"
    progress.mkdir()
    (progress / "x.games").write_bytes(made(tmp_path / "pwned"))
    words = ["--games", "1", "--simulations", "1", "--considered", "1", "--output", "x.trmph"]
    assert cli.main(["selfplay", "--checkpoint", str(good / "net.pt"), *words]) == 0
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "name",
    [NASTY, *(pytest.param(name, marks=pytest.mark.slow) for name in ("-x", "--output=pwned"))],
)
def test_no_path_of_the_config_reaches_a_shell(new_project, good, name):
    """A real run: spaces, quotes, `;`, `$()`, `&`, unicode and a leading dash in every path."""
    project = new_project(stand_in=False)
    games = project.folder / f"{name}.games/deep"
    games.mkdir(parents=True)
    (games / f"{name}.trmph").write_bytes((good / "games.trmph").read_bytes())
    beside = project.folder / f"{name}.beside"
    beside.mkdir()
    (beside / f"{name}.trmph").write_bytes((good / "games.trmph").read_bytes())
    (project.folder / f"{name}.pt").write_bytes((good / "net.pt").read_bytes())
    solved = (REPOSITORY / "hexlib/data/solved/positions_5x5.csv").read_text().splitlines()
    project.write(f"{name}.csv", "\n".join(solved[:12]) + "\n")
    settings = {
        "run": "nasty",
        "board_size": 5,
        "results_dir": f"{name}.results",
        "initial_checkpoint": f"{name}.pt",
        "generations": {"count": 1},
        "selfplay": {"existing": [f"{name}.games"]},
        "shuffle": {"buckets": 2},
        "train": {"sources": [f"{name}.beside"]},
        "evaluate": {"games": 2, "simulations": 2, "positions": f"{name}.csv"},
    }
    config = project.write(f"{NASTY}.yaml", json.dumps(settings))
    project.run("all", "--configfile", config)
    run = project.folder / f"{name}.results/nasty"
    assert (run / "report/index.html").is_file()
    summary = json.loads((run / "gen_000/clean/summary.json").read_text())
    assert summary["records"] == 30
    solved_json = json.loads((run / "gen_000/evaluate/solved.json").read_text())
    assert solved_json["positions"]["count"] == 11
    lineage = json.loads((run / "gen_000/train/lineage.json").read_text())
    assert lineage["parent"] == sha256(good / "net.pt")
    assert len(lineage["sources"]) == 2
    assert not list(project.folder.rglob("pwned*"))
