"""How a signal reaches the code that it is to stop."""

import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

from hexlib import signals
from hexlib.errors import Interrupted


def stop_and_wait(signum):
    os.kill(os.getpid(), signum)
    time.sleep(5)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_at_once(signum):
    with pytest.raises(Interrupted) as stopped, signals.listening():
        stop_and_wait(signum)
    assert stopped.value.exit_code == 128 + signum


def test_a_signal_is_no_crash_after_networks_have_gone():
    """OpenVINO gives signals a stack, and has freed it where several networks came and went."""
    script = """
import gc, os, signal, time
from hexlib import signals
from hexlib.errors import Interrupted
from hexlib.nn.device import choose
from hexlib.nn.inference import Evaluator
from hexlib.nn.model import random_network
from hexlib.settings import Inference, Net

network = random_network(Net(blocks=1, channels=8), 0).eval()
several = [Evaluator(network, 5, choose(Inference(device="cpu"))) for _ in range(2)]
del several[0]
gc.collect()
del several
gc.collect()
try:
    with signals.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
except Interrupted:
    print("stopped")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "stopped\n"), done.stderr


def test_a_deferred_signal_is_asked_for(caplog):
    with signals.listening():
        signals.defer()
        signals.stop_if_asked("not yet")
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.asked()
        with pytest.raises(Interrupted, match="3 of 5 are saved"):
            signals.stop_if_asked("3 of 5 are saved")
    assert not signals.asked(), "the next command starts anew"


def test_a_signal_that_native_code_drops_comes_again(capsys):
    """What numba does while it compiles: Python called from C, which knows no exceptions."""

    @ctypes.CFUNCTYPE(None)
    def callback():
        os.kill(os.getpid(), signal.SIGTERM)
        for _ in range(1000):
            pass

    def call_and_wait():
        callback()
        time.sleep(5)

    with pytest.raises(Interrupted), signals.listening():
        call_and_wait()
    assert "Traceback" not in capsys.readouterr().err


def test_what_fails_of_a_dropped_signal_is_interrupted():
    """What torch does while it loads: it goes on without numpy, whose import was stopped."""

    def load():
        try:
            stop_and_wait(signal.SIGTERM)
        except Interrupted:
            raise ImportError("cannot load module more than once per process") from None

    with pytest.raises(Interrupted, match="run the same command again"), signals.listening():
        load()


def test_a_failure_where_signals_are_deferred_is_told_as_it_is():

    def fail():
        signals.defer()
        os.kill(os.getpid(), signal.SIGTERM)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), signals.listening():
        fail()


def test_what_hangs_is_ended_by_itself(monkeypatch):
    monkeypatch.setattr(signals, "GRACE_SECONDS", 0.2)
    child = os.fork()
    if child == 0:
        with signals.listening():
            signals.defer()
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(30)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 143
