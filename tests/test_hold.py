"""A workflow that is asked to stop does, whatever its main thread is at."""

import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

WORKFLOW = """
    import signal, subprocess, time
    from hexlib import hold, signals

    signals.GRACE_SECONDS, hold.TIDY_SECONDS = -0.8, 0.1
    for job in ("sleep 60", "(trap '' TERM; exec sleep 60)"):  # the second one ignores the signal
        subprocess.Popen(["bash", "-c", f"{job}; true"])
    hold.Stop("a-run", local=True).listen()
"""
DROPS_WHAT_IS_RAISED = """
    while True:
        try:
            print("ready", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            pass
"""
# Its other thread gets the signal, and so nothing ends its sleep. On a busy machine the signal may
# come before that has begun; then it is raised, and dropped, here too.
HEARS_NOTHING = (
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
"""
    + DROPS_WHAT_IS_RAISED
)


@pytest.mark.parametrize(
    "main", [DROPS_WHAT_IS_RAISED, HEARS_NOTHING], ids=["drops what is raised", "hears nothing"]
)
def test_a_workflow_stops_while_its_main_thread_is_held_up(main):
    code = textwrap.dedent(WORKFLOW) + textwrap.dedent(main)
    workflow = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert workflow.stdout.readline() == "ready\n"
    jobs = []
    while [job.name() for job in jobs].count("sleep") < 2:  # the shells are starting them
        time.sleep(0.05)
        jobs = psutil.Process(workflow.pid).children(recursive=True)
    workflow.send_signal(signal.SIGTERM)
    assert workflow.wait(10) == 128 + signal.SIGTERM
    assert workflow.stderr.read().endswith("a-run: stopped; run the same command to go on\n")
    assert not psutil.wait_procs(jobs, 5)[1]
