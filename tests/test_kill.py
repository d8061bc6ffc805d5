"""Kills and signals: nothing lost, nothing twice, the same bytes, and nothing left behind."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
from conftest import TINY
from kill_campaign import campaign, jobs_of, verb_of


def start(*arguments):
    """Start `hexlib` by hand."""
    return subprocess.Popen(
        [sys.executable, "-m", "hexlib.cli", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_jobs(process, verb, patience=300):
    """The jobs of this verb that a workflow has at work, once there is one."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        found = [job for job in jobs_of(process.pid) if verb_of(job) == verb]
        if found:
            return found
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    raise AssertionError(f"no {verb} in {patience} s")


@pytest.fixture(scope="module")
def long_run(new_project):
    """A project whose self-play takes minutes."""
    project = new_project(stand_in=False)
    project.write("long.yaml", "selfplay: {games: 20000, simulations: 64, considered: 16}\n")
    return project, ("train", "--cores", "2", "--configfile", TINY, "long.yaml")


def at_work(project, command):
    """Start a workflow and wait until its jobs have finished games."""
    progress = project.folder / "results/tiny/.progress"
    before = saved_bytes(progress)
    process = project.start(*command)
    jobs = wait_for_jobs(process, "selfplay")
    while saved_bytes(progress) <= before:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.1)
    return process, jobs


def is_alive(job):
    """Whether a process runs: one that nobody has asked for its exit code does not."""
    return job.is_running() and job.status() != psutil.STATUS_ZOMBIE


def saved_bytes(progress):
    """Bytes of all journals of games in a folder."""
    return sum(path.stat().st_size for path in progress.rglob("*.games"))


@pytest.mark.parametrize(
    ("whom", "signum"),
    [
        ("snakemake", signal.SIGTERM),
        pytest.param("snakemake", signal.SIGINT, marks=pytest.mark.slow),
        pytest.param("group", signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param("group", signal.SIGINT, marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_the_workflow_within_ten_seconds(long_run, whom, signum):
    project, command = long_run
    process, jobs = at_work(project, command)
    before = time.monotonic()
    (os.kill if whom == "snakemake" else os.killpg)(process.pid, signum)
    said, _ = process.communicate(timeout=60)
    assert time.monotonic() - before < 10
    assert process.returncode == 128 + signum
    assert "results/tiny: stopped; run the same command to go on" in said
    assert not any(map(is_alive, jobs))
    assert not list(project.folder.glob("results/**/*.tmp"))


@pytest.mark.slow
def test_jobs_of_a_killed_workflow_end_and_the_next_one_goes_on(long_run):
    project, command = long_run
    process, jobs = at_work(project, command)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    end = time.monotonic() + 10
    while any(map(is_alive, jobs)):
        assert time.monotonic() < end
        time.sleep(0.05)
    saved = saved_bytes(project.folder)
    process, jobs = at_work(project, command)
    assert saved_bytes(project.folder) > saved
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_of_two_workflows_on_one_run_the_second_is_told(long_run):
    project, command = long_run
    process, jobs = at_work(project, command)
    second = project.snakemake(*command)
    assert second.returncode == 2
    assert f"another workflow is at work on this run (process {process.pid} on" in second.stdout
    assert "Traceback" not in second.stdout
    assert all(map(is_alive, jobs)), "the first goes on"
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()


@pytest.mark.slow
def test_two_runs_in_one_folder_do_not_meet(long_run):
    project, command = long_run
    process, _ = at_work(project, command)
    other = project.snakemake("results/other/initial.pt", *command[1:], "--config", "run=other")
    assert other.returncode == 0, other.stdout
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate()


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM], ids=lambda s: s.name)
def test_a_job_by_hand_says_how_far_it_came_and_goes_on(tmp_path, signum):
    net = tmp_path / "net.pt"
    small = ("--blocks", 1, "--channels", 8, "--board-size", 5)
    assert start("init", *small, "--output", net).wait() == 0
    command = ("selfplay", "--checkpoint", net, "--games", 20000, "--output", tmp_path / "s.trmph")
    job = start(*command)
    while saved_bytes(tmp_path / ".progress") < 5000:  # the first of them tell the settings
        time.sleep(0.1)
    before = time.monotonic()
    job.send_signal(signum)
    _, said = job.communicate(timeout=60)
    assert time.monotonic() - before < 10
    assert job.returncode == 128 + signum
    assert "of 20,000 games are saved; run the same command to go on" in said
    assert not (tmp_path / "s.trmph").exists()


@pytest.mark.slow
def test_fifty_kills_change_no_byte(new_project):
    projects = (new_project(stand_in=False), new_project(stand_in=False))
    tally = campaign(*projects, kills=50, seed=7)
    print(tally)
    assert not tally.differences
    assert sum(tally.kills.values()) == 50
    assert tally.runs >= 1
    assert tally.products > 40
