"""The documentation's commands work: what is printed there is run here."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]


def blocks(page):
    return re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


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


def test_the_stages_run_by_hand(tmp_path):
    (block,) = blocks(REPOSITORY / "docs/by-hand.md")
    tool = tmp_path / "bin/hexlib"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m hexlib.cli "$@"\n')
    tool.chmod(0o755)
    path = f"{tool.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "kind: checkpoint" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_pictures_are_small():
    for picture in (REPOSITORY / "docs").glob("*.png"):
        assert picture.stat().st_size < 1_000_000
