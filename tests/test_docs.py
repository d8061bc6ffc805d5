"""The documentation's commands work: what is printed there is run here."""

import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from hexlib.cli import parser
from hexlib.config import validate

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def blocks(page, kind="sh"):
    return re.findall(rf"^```{kind}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands(page, word):
    lines = [
        line.partition(" #")[0].strip() for block in blocks(page) for line in block.splitlines()
    ]
    return [line for line in lines if line.split()[:1] == [word]]


README_COMMANDS = commands(REPOSITORY / "README.md", "snakemake")


def test_there_is_something_to_run():
    assert len(README_COMMANDS) >= 5


@pytest.mark.parametrize("command", README_COMMANDS)
def test_snakemake_commands_of_the_readme_plan_jobs(command, new_project):
    plan = new_project().snakemake(*shlex.split(command)[1:], "--dry-run")
    assert plan.returncode == 0, plan.stdout
    assert re.search(r"^total +\d+", plan.stdout, re.MULTILINE)


def test_make_targets_of_the_readme_exist():
    for command in commands(REPOSITORY / "README.md", "make"):
        done = subprocess.run(
            [*shlex.split(command), "--dry-run"], cwd=REPOSITORY, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


@pytest.fixture
def in_folder(tmp_path):
    """Runs commands in a folder in which `hexlib` is the one of this repository."""
    tool = tmp_path / "bin/hexlib"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hexlib.cli "$@"\n')
    tool.chmod(0o755)
    path = f"{tool.parent}{os.pathsep}{os.environ['PATH']}"
    where = {"cwd": tmp_path, "text": True}
    where["env"] = {**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)}

    def run(*command):
        done = subprocess.run(command, **where, capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run.start = lambda *command: subprocess.Popen(command, **where, stderr=subprocess.PIPE)
    return run


def test_the_stages_run_by_hand_and_the_library_answers(in_folder):
    (block,) = blocks(REPOSITORY / "docs/by-hand.md")
    assert "kind: checkpoint" in in_folder("bash", "-e", "-c", block)
    (code,) = blocks(REPOSITORY / "docs/api.md", "python")
    said = in_folder(sys.executable, "-c", code)
    assert re.fullmatch(r"[a-e][1-5] [+-]\d\.\d\d for the player to move\n", said)


def test_engines_play_each_other_as_written(in_folder):
    in_folder("hexlib", "init", "--board-size", "4", "--channels", "8", "--output", "model.pt")
    first, *matches = commands(REPOSITORY / "docs/engines.md", "hexlib")
    assert first.startswith("hexlib htp ")
    assert len(matches) == 3
    for command in matches:
        assert "a_wins" in in_folder(*shlex.split(command), "--simulations", "4")
    board = in_folder("sh", "-c", f"printf 'play black b2\\nshowboard\\n' | {first}")
    assert "   a  b  c  d\n" in board


def test_fleets_take_as_long_as_written(in_folder, tmp_path):
    """Each block of commands prints the block of text that follows it."""
    (tmp_path / "config").symlink_to(REPOSITORY / "config")
    text = (REPOSITORY / "docs/scale.md").read_text()
    found = re.findall(r"^```sh\n([^`]*--fleet[^`]*)```\n\n```text\n(.*?)^```", text, re.M | re.S)
    assert len(found) == 2
    for block, printed in found:
        assert in_folder("bash", "-e", "-c", block).endswith(printed)


def test_tutorial_leads_from_a_run_to_a_game_and_its_analysis(in_folder, tmp_path):
    """With a run as it would be, but for a random network and one game."""
    page = REPOSITORY / "docs/tutorial.md"
    run = tmp_path / "results/default"
    in_folder("hexlib", "init", "--output", f"{run}/gen_013/train/checkpoint.pt")
    games = run / "gen_000/clean/chunk_0000.trmph"
    games.parent.mkdir(parents=True)
    games.write_text("#7,a1b1 b\n#7,a1c1 b\n#7,d1a1d2a2d3a3d4a4d5a5d6a6d7 b\n")
    play, *others = sorted(commands(page, "hexlib"), key=lambda line: "hexlib play" not in line)
    assert play.startswith("hexlib play ")
    for command in others:
        if "status" in command:  # told of whole runs in tests/test_status.py
            continue
        in_folder(*shlex.split(command))
    assert "Blunders: blue" in (tmp_path / "game.html").read_text()
    server = in_folder.start(*shlex.split(play), "--port", "0")
    try:
        address = re.search(r"http://\S+", server.stderr.readline())[0]
        with urllib.request.urlopen(address) as answer:
            assert "Hex against a network" in answer.read().decode()
    finally:
        server.send_signal(signal.SIGINT)
        assert server.wait(20) == 130


def test_snakemake_commands_of_the_tutorial_plan_jobs(new_project):
    (command,) = commands(REPOSITORY / "docs/tutorial.md", "snakemake")
    plan = new_project().snakemake(*shlex.split(command)[1:], "--dry-run")
    assert plan.returncode == 0, plan.stdout


def test_each_fault_is_shown_by_a_test_that_exists():
    """The last column of the table of faults: a file of tests, and the name of one, … for any."""
    text = (REPOSITORY / "docs/operations.md").read_text()
    table = text[text.index("| what happens |") :].split("\n\n")[0].splitlines()[2:]
    assert len(table) >= 15
    for row in table:
        shown = row.strip("|").split("|")[-1]
        file, *name = re.findall(r"`([^`]+)`", shown)
        tests = (REPOSITORY / f"tests/test_{file}.py").read_text()
        for one in name:
            pattern = re.escape(one).replace("…", r"\w*")
            assert re.search(rf"^def test_\w*{pattern}\(", tests, re.MULTILINE), row


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_not_run_here_are_understood(page):
    """Those of runs that take long; tests/test_workflow.py runs what looks at a finished one."""
    for command in commands(page, "hexlib"):
        known = parser().parse_args(shlex.split(command)[1:])
        assert known.verb == shlex.split(command)[1]
    for command in commands(page, "make"):
        target = shlex.split(command)[1]
        assert re.search(rf"^{target}:", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)


def test_the_only_command_of_the_readme_is_that_of_the_tutorial():
    tutorial = commands(REPOSITORY / "docs/tutorial.md", "hexlib")
    readme = commands(REPOSITORY / "README.md", "hexlib")
    assert readme
    assert set(readme) <= set(tutorial)


def test_the_library_is_told_on_pages_of_its_own(in_folder, tmp_path):
    """As by `make api`; ruff sees to it that nothing public is without a docstring."""
    pdoc = [sys.executable, "-m", "pdoc", "--docformat", "markdown"]
    in_folder(*pdoc, "--output-directory", f"{tmp_path}/api", "hexlib.game", "hexlib.pages")
    board = (tmp_path / "api/hexlib/game/board.html").read_text()
    for name in ("geometry", "place", "replay", "random_games"):
        assert f'id="{name}"' in board
    told = (tmp_path / "api/hexlib/pages/games.html").read_text()
    assert "[A]" in told, "shapes are told"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_settings_in_the_documents_are_such():
    found = [block for page in PAGES for block in blocks(page, "yaml")]
    assert len(found) >= 2
    for block in found:
        validate(yaml.safe_load(block), "the document")


def test_pictures_are_small():
    for picture in (REPOSITORY / "docs").glob("*.png"):
        assert picture.stat().st_size < 1_000_000
