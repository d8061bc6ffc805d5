"""The whole workflow on a real Slurm of one machine, disturbed in the middle: the same bytes."""

import re
import subprocess
import tempfile
import time

import pytest
from conftest import REPOSITORY, TINY
from kill_campaign import products

pytestmark = pytest.mark.slow

SCRIPTS = REPOSITORY / "tests/slurm"
IMPOSSIBLE = 77  # exit code of up.sh on a machine without root, or without Slurm and apt
COMMAND = (
    *("train", "report", "--configfile", TINY, "slower.yaml"),
    # The status is asked for often, since jobs of seconds are waited for here.
    *("--workflow-profile", "profiles/slurm", "--slurm-init-seconds-before-status-checks", "1"),
    # As docs/scale.md tells for a Slurm without accounting, and for nodes of fewer than four cores.
    *("--slurm-no-account", "--slurm-status-command", "squeue", "--cores", "2"),
    *("--set-resources", "train:gpu=1", "train_past:gpu=1"),
)


def said_by(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def node():
    """The name of the one node of a Slurm that lives as long as the test."""
    with tempfile.TemporaryDirectory(prefix="slurm", dir="/tmp") as folder:
        up = subprocess.run([SCRIPTS / "up.sh", folder], capture_output=True, text=True)
        if up.returncode == IMPOSSIBLE:
            pytest.skip(up.stderr.strip())
        assert up.returncode == 0, up.stderr
        try:
            yield said_by("sinfo", "--noheader", "--format=%n").strip()
        finally:
            subprocess.run([SCRIPTS / "down.sh", folder], check=True)


def jobs(state, rule=""):
    """Numbers of the jobs in a state of Slurm whose comment, which the plugin sets, has a word."""
    lines = said_by("squeue", "--noheader", f"--states={state}", "--format=%i %k").splitlines()
    return [line.split()[0] for line in lines if rule in line]


def about(job):
    """What Slurm knows of a job."""
    return dict(re.findall(r"(\w+)=(\S+)", said_by("scontrol", "--oneliner", "show", "job", job)))


def wait_for(what, process, patience=600):
    """The first true value of `what()`, asked for ten times a second while the workflow runs."""
    end = time.monotonic() + patience
    while not (found := what()):
        assert process.poll() is None, "the workflow has ended"
        assert time.monotonic() < end
        time.sleep(0.1)
    return found


def test_a_cancelled_job_and_a_drained_node_change_no_byte(node, new_project):
    local, cluster = new_project(stand_in=False), new_project(stand_in=False)
    for project in (local, cluster):
        project.write("slower.yaml", "selfplay: {simulations: 128}\n")
    local.run("train", "report", "--configfile", TINY, "slower.yaml", timeout=900)

    output = cluster.folder / "output.txt"
    with output.open("w") as said:
        workflow = cluster.start(*COMMAND, stdout=said)
    try:
        # A self-play that has saved games is cancelled.
        progress = cluster.folder / "results/tiny/.progress/gen_000/selfplay/shard_0000"
        wait_for(lambda: sum(f.stat().st_size for f in progress.glob("*.games")) > 3000, workflow)
        (first,) = jobs("running", "wildcards_000_0000")
        said_by("scancel", first)
        again = wait_for(
            lambda: [j for j in jobs("all", "wildcards_000_0000") if j != first], workflow
        )[0]
        assert about(first)["JobState"] == "CANCELLED"
        memory = [int(about(job)["MinMemoryNode"].rstrip("M")) for job in (first, again)]
        assert memory[1] == 2 * memory[0]

        # The node is drained under the cleaning, so that what follows has nowhere to run.
        wait_for(lambda: jobs("running", "rule_clean"), workflow)
        said_by("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
        wait_for(lambda: jobs("pending"), workflow)
        assert not jobs("running")
        said_by("scontrol", "update", f"nodename={node}", "state=resume")

        assert workflow.wait(1200) == 0, output.read_text()
    finally:
        workflow.kill()
    assert (
        "goes on after"
        in (cluster.folder / "logs/tiny/gen_000/selfplay/shard_0000.log").read_text()
    )
    trainings = jobs("completed", "rule_train")
    assert [about(training)["TresPerJob"] for training in trainings] == ["gres:gpu:1"] * 2
    assert len(jobs("completed", "rule_positions")) == 2, "process and scatter share a job"
    wanted, found = products(local), products(cluster)
    assert len(found) > 30
    assert wanted == found
