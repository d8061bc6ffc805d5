"""Engines of others, through the Hex Text Protocol: one process a game in flight."""

import contextlib
import os
import select
import shlex
import signal
import subprocess
import tempfile
import time

import numpy as np

from hexlib.errors import BadInput
from hexlib.game.board import BLUE
from hexlib.game.htp import COLOUR_NAME, RESIGN
from hexlib.game.notation import cell_index, cell_name
from hexlib.stages.evaluate.sides import Turn

START_SECONDS = 120.0  # for an answer that is no move: an engine may load its network first
LONGEST_ANSWER = 1 << 20  # bytes


class Fault(Exception):
    """An engine cannot go on, in words that are counted in the result."""


class Process:
    """A running engine. Commands and their answers alternate."""

    def __init__(self, command: str):
        """Raises BadInput when the command cannot be run."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process
        self.moves: list[int] | None = None  # of the game that it knows; None: none yet
        try:
            self._process = subprocess.Popen(
                shlex.split(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,  # so that what a script has started ends with it
            )
        except (OSError, ValueError, IndexError) as error:
            raise BadInput(f"htp:{command}: cannot be run ({error}); name another") from None
        self._asked = time.monotonic()

    def send(self, command: str) -> None:
        """Begin a command."""
        assert self._process.stdin is not None
        self._asked = time.monotonic()
        try:
            self._process.stdin.write(f"{command}\n".encode())
            self._process.stdin.flush()
        except OSError:
            raise Fault("crash") from None

    def receive(self, seconds: float) -> str:
        """The text of the answer, which must come within so many seconds after `send`."""
        assert self._process.stdout is not None
        source, received = self._process.stdout.fileno(), b""
        # Blank lines in front of an answer are passed over, as GTP controllers do.
        while b"\n\n" not in received.replace(b"\r", b"").lstrip(b"\n"):
            left = max(0.0, self._asked + seconds - time.monotonic())
            if not select.select([source], [], [], left)[0]:
                raise Fault("time-out")
            part = os.read(source, 1 << 16)
            if not part:
                raise Fault("crash")
            received += part
            if len(received) > LONGEST_ANSWER:
                raise Fault("endless answer")
        text = received.decode("utf-8", "replace").replace("\r", "").strip()
        if text[:1] not in ("=", "?"):
            raise Fault("not HTP")
        if text.startswith("?"):
            raise Fault(f"refused: {' '.join(text[1:].split())[:80]}")
        return text[1:].strip()

    def ask(self, command: str) -> str:
        """A command that is no move."""
        self.send(command)
        return self.receive(START_SECONDS)

    def last_words(self) -> str:
        """The last line that it wrote to its standard error."""
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "")[:200]

    def end(self) -> None:
        """Let it quit, and kill it if it does not."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(b"quit\n")
            self._process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.3)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process.stdout.close()
        self._errors.close()


class EngineSide:
    """Implements `sides.Side` by engines that a command starts."""

    sha256 = None
    simulations = None

    def __init__(
        self,
        command: str,
        board_size: int,
        *,
        processes: int = 1,
        move_seconds: float = 60.0,
        setup: tuple[str, ...] = (),
    ):
        """Start one, to learn its name; BadInput if it does not start or refuses the board size.

        `setup`: commands that each process is given first, for instance to switch off the swap
        rule, which does not hold in a match. An engine that breaks is started anew.
        """
        self._command, self._board_size, self._setup = command, board_size, setup
        self._move_seconds = move_seconds
        self.at_once = processes
        self._of: dict[int, Process] = {}  # by game
        self._idle = [self._started()]
        self.name = self._idle[0].ask("name") or "engine"
        with contextlib.suppress(Fault):
            self.name += f" {self._idle[0].ask('version')}"
        self.name = self.name.strip()

    def _started(self) -> Process:
        process = Process(self._command)
        n = self._board_size
        try:
            process.ask("name")
            try:
                process.ask(f"boardsize {n} {n}")
            except Fault as fault:
                if not str(fault).startswith("refused"):
                    raise
                process.ask(f"boardsize {n}")
            for line in self._setup:
                process.ask(line)
        except Fault as fault:
            words = process.last_words()
            process.end()
            said = f"; it said: {words}" if words else ""
            raise BadInput(
                f"htp:{self._command}: it does not start a game on {n}×{n} ({fault}){said}"
            ) from None
        return process

    def choose(self, turn: Turn) -> list[int | str]:
        """See `Side`: all engines think at the same time; one with a fault is ended."""
        games = list(zip(turn.games.tolist(), turn.moves, strict=True))
        choices: dict[int, int | str] = {}
        for game, moves in games:
            if game not in self._of:
                self._of[game] = self._idle.pop() if self._idle else self._started()
                self._of[game].moves = None
            try:
                self._ask(self._of[game], moves)
            except Fault as fault:
                choices[game] = str(fault)
        for game, moves in games:
            if game not in choices:
                try:
                    choices[game] = self._answer(self._of[game], moves)
                    continue
                except Fault as fault:
                    choices[game] = str(fault)
            self._of.pop(game).end()
        return [choices[game] for game, _ in games]

    def _ask(self, process: Process, moves: list[int]) -> None:
        """Tell what was played since, and ask for a move."""
        if process.moves is None:
            process.ask("clear_board")
            process.moves = []
        for ply in range(len(process.moves), len(moves)):
            cell = cell_name(moves[ply], self._board_size)
            process.ask(f"play {COLOUR_NAME[BLUE + ply % 2]} {cell}")
        process.send(f"genmove {COLOUR_NAME[BLUE + len(moves) % 2]}")

    def _answer(self, process: Process, moves: list[int]) -> int | str:
        word = process.receive(self._move_seconds).lower()
        if word == RESIGN:
            return "resignation"
        try:
            cell = cell_index(word, self._board_size)
        except ValueError:
            return f"no move: {word[:20]}"
        process.moves = [*moves, cell]
        return cell

    def close(self, games: list[int]) -> None:
        """See `Side`: their engines are free for other games."""
        self._idle += [self._of.pop(game) for game in games if game in self._of]

    def end(self) -> None:
        """End all processes."""
        for process in [*self._idle, *self._of.values()]:
            process.end()
        self._idle, self._of = [], {}

    def blue_value(self, games: list[list[int]]) -> np.ndarray | None:
        """See `Side`: an engine is not asked."""
        return None
