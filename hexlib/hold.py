"""A run belongs to one workflow at a time, and a job only works while its workflow lives.

The workflow keeps `RUN/.running/workflow` locked, and every job of it shares a lock on
`RUN/.running/jobs`. The system drops both locks when a process ends, however it ends: nothing is
left to be unlocked by hand, and jobs that outlive a killed workflow are seen.
"""

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from operator import methodcaller
from pathlib import Path
from types import FrameType
from typing import IO, Any

import psutil

from hexlib import signals
from hexlib.errors import BadInput, Interrupted

FOLDER = ".running"
VARIABLE = "HEXLIB_WORKFLOW"  # in a job's environment: the run's folder and the workflow's token
LOOK_SECONDS = 0.5  # how often a job looks after its workflow
TIDY_SECONDS = 1.5  # that Snakemake has after the last job was killed
PATIENCE = 15.0  # seconds that a workflow waits for what an earlier one has left to end

_held: list[IO[str]] = []  # an open file is a lock that is held


def take(run: Path | str) -> None:
    """Make this process the one workflow of a run, after the jobs of a killed one have ended.

    Raises `BadInput` if another workflow is at work on the run.
    """
    folder = Path(run) / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    workflow = (folder / "workflow").open("a+")
    # A job that looks after a dead workflow holds the lock for an instant.
    if not _lock(workflow, fcntl.LOCK_EX, 4 * LOOK_SECONDS):
        owner = owner_of(run) or {"pid": "unknown", "host": "unknown"}
        raise BadInput(
            f"{run}: another workflow is at work on this run (process {owner['pid']} on"
            f" {owner['host']}); wait for it or end it, or set `run` to another name"
        )
    token = {"pid": os.getpid(), "host": socket.gethostname(), "started": round(time.time(), 3)}
    workflow.truncate(0)
    workflow.write(json.dumps(token))
    workflow.flush()
    _held.append(workflow)
    os.environ[VARIABLE] = json.dumps([str(folder.resolve()), token])
    if not no_jobs(run):
        raise BadInput(
            f"{run}: jobs of a workflow that was killed are still at work on this run; end them"
            f" (fuser {folder / 'jobs'} tells which they are) and run the same command again"
        )


def no_jobs(run: Path | str, patience: float = PATIENCE) -> bool:
    """Whether the run has no job at work, waiting up to `patience` seconds until that is so."""
    with (Path(run) / FOLDER / "jobs").open("a+") as jobs:
        if _lock(jobs, fcntl.LOCK_EX, 0):
            return True
        print(f"{run}: waiting for jobs to save their progress", file=sys.stderr)
        return _lock(jobs, fcntl.LOCK_EX, patience)


def owner_of(run: Path | str) -> dict[str, Any] | None:
    """Process, host and start (seconds since 1970) of the workflow at work on a run, or None."""
    try:
        with (Path(run) / FOLDER / "workflow").open() as workflow:
            if _lock(workflow, fcntl.LOCK_SH, 0):
                return None
            return json.loads(workflow.read())
    except (OSError, ValueError):
        return None


def _lock(handle: IO[str], kind: int, patience: float) -> bool:
    """Lock an open file, or return False if that is not to be had within `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
            time.sleep(0.05)


def join() -> None:
    """In a job of a workflow: be counted among its jobs, and stop as by SIGTERM once it is gone.

    Does nothing in a command that was started by hand. Raises `Interrupted` if it is gone already.
    """
    if VARIABLE not in os.environ:
        return
    folder, token = json.loads(os.environ[VARIABLE])
    jobs = (Path(folder) / "jobs").open("a+")
    fcntl.flock(jobs, fcntl.LOCK_SH)
    _held.append(jobs)
    if token["host"] != socket.gethostname():
        return  # not every shared file system shows locks of other machines
    if not _is_alive(Path(folder), token):
        raise Interrupted(signal.SIGTERM, "the workflow that started this job has ended")

    def look_after() -> None:
        while _is_alive(Path(folder), token):
            time.sleep(LOOK_SECONDS)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=look_after, daemon=True).start()


def run_of_job() -> Path | None:
    """The run whose job this process is; None in a command that was started by hand."""
    if VARIABLE not in os.environ:
        return None
    return Path(json.loads(os.environ[VARIABLE])[0]).parent


def _is_alive(folder: Path, token: dict[str, Any]) -> bool:
    return owner_of(folder.parent) == token


class Stop:
    """What a workflow does on SIGINT and SIGTERM: its jobs stop, and are waited for.

    A thread of its own sees to the jobs. The main thread is Snakemake's, which may be held up, may
    drop what is raised there while it writes to its log, and takes seconds to tidy up thousands of
    jobs that it will not do.
    """

    def __init__(self, run: Path | str, local: bool):
        """Of the run's workflow; `local` if no job of it is on another machine."""
        self.run, self.local = run, local
        self.signum = 0

    def listen(self) -> None:
        """From here on, stop on a signal. Snakemake by itself would let its jobs run to the end."""
        numbers, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        # Written to at once, whatever the main thread does.
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        threading.Thread(target=self._end, args=(numbers,), daemon=True).start()
        for signum in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signum, self._interrupt)

    def _interrupt(self, signum: int, frame: FrameType | None) -> None:
        if not self.signum:
            self.signum = signum
            raise KeyboardInterrupt  # on which Snakemake's scheduler ends

    def _end(self, numbers: int) -> None:
        """Pass the signals on to the jobs, and end what does not end by itself in time."""
        (signum,) = os.read(numbers, 1)
        end = time.monotonic() + signals.GRACE_SECONDS + 1
        _of_jobs(methodcaller("send_signal", signum))
        while select.select([numbers], [], [], max(0, end - time.monotonic()))[0]:
            _of_jobs(methodcaller("send_signal", *os.read(numbers, 1)))
        _of_jobs(psutil.Process.kill)
        if self.local:  # else jobs elsewhere are taken back yet
            time.sleep(TIDY_SECONDS)
            self._exit(signum)

    def leave(self) -> None:
        """Once the workflow has ended: if by a signal, exit as it asks when all jobs have ended."""
        if self.signum:
            no_jobs(self.run)
            self._exit(self.signum)

    def _exit(self, signum: int) -> None:
        """Exit at once: to take thousands of planned jobs apart would take Python seconds."""
        with contextlib.suppress(OSError):  # nobody may be listening any more
            print(
                f"{self.run}: stopped; run the same command to go on", file=sys.stderr, flush=True
            )
        os._exit(128 + signum)


def _of_jobs(act: Callable[[psutil.Process], None]) -> None:
    """Do something to each job: what the shells run that this process has started."""
    for shell in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            for job in shell.children() or [shell]:
                act(job)
