"""The command line as a user meets it: help, settings, and what wrong input gets."""

import importlib
import json
import os
import signal
import subprocess
import sys

import pytest

from hexlib import cli
from hexlib.errors import Interrupted
from hexlib.verbs import report


def hexlib(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "hexlib.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        **options,
    )


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "net.pt"
    small = ("--blocks", "1", "--channels", "8", "--board-size", "5")
    assert cli.main(["init", *small, "--output", str(path)]) == 0
    return path


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as end:
        cli.main([verb, "--help"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    assert importlib.import_module(f"hexlib.verbs.{verb}").__doc__ in text
    assert "--log" in text or verb in ("shuffle", "evaluate")


def test_help_shows_the_defaults_of_the_settings(capsys):
    with pytest.raises(SystemExit):
        cli.main(["selfplay", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--simulations X Simulations a move (gumbel). Default: 16." in text
    assert "--widths X [X ...]" in text


def bad(message, *arguments):
    return pytest.param(arguments, message, id=message[:40])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        bad(
            "no such checkpoint", "selfplay", "--checkpoint", "no.pt", "--games", 1, "--output", "s"
        ),
        bad(
            "--simulations: Input should be greater",
            *("selfplay", "--checkpoint", "net.pt", "--games", 1, "--output", "s"),
            *("--simulations", 0),
        ),
        bad("nowhere: no such file or folder", "clean", "nowhere", "--output-dir", "d"),
        bad("no game", "clean", "empty", "--output-dir", "d"),
        bad("no.trmph: no such file", "process", "no.trmph", "--output", "p.npz"),
        bad("no.npz: no such file", "shuffle", "scatter", "no.npz", "--output-dir", "d"),
        bad(
            "no whole bucket_*.npz",
            "train",
            "--source",
            "empty",
            "--checkpoint",
            "net.pt",
            "--output-dir",
            "d",
        ),
        bad("p.csv", "evaluate", "solved", "--checkpoint", "net.pt", "--positions", "p.csv"),
        bad("empty", "report", "empty", "--output", "r.html"),
        bad("board size 2: sizes from 3", "htp", "--board-size", 2),
        bad("no.yaml: No such file", "init", "--config", "no.yaml", "--output", "n.pt"),
    ],
)
def test_wrong_input_gets_one_line_and_exit_code_2(
    arguments, message, checkpoint, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    before = {p for p in tmp_path.rglob("*") if p.is_file()}
    assert cli.main([str(argument) for argument in arguments]) == 2
    error = capsys.readouterr().err.strip()
    assert message in error
    assert len(error.splitlines()) == 1
    assert "Traceback" not in error
    assert {p for p in tmp_path.rglob("*") if p.is_file()} == before, "nothing is half-written"


def test_a_config_file_gives_a_section_and_an_option_overrides_it(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("net: {blocks: 2, channels: 16}\n")
    output = tmp_path / "n.pt"
    arguments = ["init", "--config", str(config), "--channels", "8", "--output", str(output)]
    assert cli.main(arguments) == 0
    from hexlib.nn.checkpoint import load_checkpoint

    net = load_checkpoint(output).network.settings
    assert (net.blocks, net.channels) == (2, 8)


def test_a_record_of_another_board_size_is_told(tmp_path, capsys):
    (tmp_path / "games.trmph").write_text("#5,a1b1a2b2a3b3a4b4a5 b\n")
    arguments = ["clean", str(tmp_path / "games.trmph"), "--output-dir", str(tmp_path / "d")]
    assert cli.main([*arguments, "--board-size", "7"]) == 2
    error = capsys.readouterr().err
    assert "games.trmph" in error
    assert "5" in error
    assert len(error.strip().splitlines()) == 1


def test_signals_and_failures_have_their_exit_codes(monkeypatch, tmp_path, capsys):
    def interrupt(_):
        raise Interrupted(15, "stopped, 3 of 5 are saved; run the same command to go on")

    def fail(_):
        raise ZeroDivisionError("ours")

    log = tmp_path / "log"
    arguments = ["report", "x", "--output", "y", "--log", str(log)]
    monkeypatch.setattr(report, "run", interrupt)
    assert cli.main(arguments) == 143
    assert "3 of 5 are saved" in capsys.readouterr().err
    monkeypatch.setattr(report, "run", fail)
    assert cli.main(arguments) == 1
    assert "ZeroDivisionError: ours" in log.read_text()


def test_a_crash_of_native_code_says_where():
    script = (
        "import ctypes; from hexlib import cli, hold\n"
        "hold.join = lambda: ctypes.string_at(0)\n"
        "cli.main(['inspect', 'nothing'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == -signal.SIGSEGV
    assert "Segmentation fault" in done.stderr
    assert "hexlib/cli.py" in done.stderr


def test_a_command_needs_no_standard_error(checkpoint):
    closed = ["sh", "-c", 'exec "$@" 2>&-', "sh"]
    command = [sys.executable, "-m", "hexlib.cli", "inspect", str(checkpoint)]
    done = subprocess.run([*closed, *command], capture_output=True, text=True)
    assert done.returncode == 0
    assert "parameters" in done.stdout


def test_a_reader_that_has_seen_enough_is_no_failure(checkpoint):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "hexlib.cli", "inspect", str(checkpoint)]
    done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True)
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_evaluation_is_json_for_programs(checkpoint):
    done = hexlib(
        *("evaluate", "solved", "--checkpoint", checkpoint, "--simulations", 2, "--json"),
    )
    result = json.loads(done.stdout)
    assert result["positions"]["count"] == 300
    assert "move accuracy" in done.stderr
    assert done.returncode == 0


def test_a_verb_needs_no_torch_to_refuse_its_arguments():
    script = (
        "import sys; from hexlib import cli\n"
        "try: cli.main(['selfplay', '--games', 'x'])\n"
        "except SystemExit as end: print(end.code, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.strip() == "2 False"
