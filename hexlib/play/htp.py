"""An HTP engine: a network that other programs can play against, see `game.htp`.

What HexGui sends was read in its source: `boardsize W H`, which also clears the board; set-ups as
`play` of all stones, colour by colour or not; answers must start with `= ` and may hold no empty
line. Its analysis menu is filled by `hexgui-analyze_commands`.
"""

import math
import time
from collections.abc import Callable
from io import BytesIO, RawIOBase
from typing import IO

import hexlib
from hexlib.game.board import BLUE, EMPTY, MAX_SIZE, MIN_SIZE, RED
from hexlib.game.htp import COLOUR_NAME, COLOURS, RESIGN, SWAP_PIECES, answer, command_words
from hexlib.game.notation import cell_name
from hexlib.play.clock import Clock
from hexlib.play.game import Game, Refused
from hexlib.search.player import Thinker, Thought

LONGEST_LINE = 1000  # bytes
MOST_SECONDS = 10**7
FEWEST = 4  # simulations, however short the time is
SLOW = 100.0  # simulations a second, until it is known better
SYMBOL = {EMPTY: ".", BLUE: "B", RED: "W"}
ANALYSES = (
    "pspairs/Values/hex-values %c",
    "pspairs/Visits/hex-visits %c",
    "plist/Best move/reg_genmove %c",
    "string/Search/hex-analyze %c",
)


class Engine:
    """Answers commands by what a player thinks."""

    def __init__(
        self,
        player: Thinker,
        board_size: int,
        simulations: int,
        *,
        name: str = "hexlib",
        version: str = hexlib.__version__,
        swap: bool = False,
        resign_value: float = 0.0,
    ):
        """`simulations`: of a move, fewer where the time is short; 0: the network's policy alone.

        `swap`: open evenly and take over a first move that is too good. `resign_value`: give up
        where the value is below minus this; 0: never.
        """
        self._player = player
        self._simulations = simulations
        self._swap = swap
        self._resign_value = resign_value
        self._clock = Clock()
        self._pace = SLOW
        self._game = Game(board_size)
        self._make_ready()
        self.finished = False  # `quit` was asked for
        self._commands: dict[str, Callable[[list[str]], str]] = {
            "name": lambda _: name,
            "version": lambda _: version,
            "protocol_version": lambda _: "2",
            "list_commands": lambda _: "\n".join(self._commands),
            "known_command": self._known_command,
            "quit": self._quit,
            "boardsize": self._boardsize,
            "clear_board": self._clear_board,
            "play": self._play,
            "genmove": self._genmove,
            "reg_genmove": self._reg_genmove,
            "undo": self._undo,
            "showboard": self._showboard,
            "final_score": self._final_score,
            "time_settings": self._time_settings,
            "time_left": self._time_left,
            "hex-analyze": self._analyze,
            "hex-values": self._values,
            "hex-visits": self._visits,
            "hexgui-analyze_commands": lambda _: "\n".join(ANALYSES),
        }

    def reply(self, line: str) -> str:
        """The whole answer to one line, empty for a line without a command."""
        number, words = command_words(line)
        if not words:
            return ""
        command = self._commands.get(words[0])
        if command is None:
            return answer(number, False, f"unknown command: {words[0]}")
        try:
            return answer(number, True, command(words[1:]))
        except Refused as error:
            return answer(number, False, str(error))

    def _known_command(self, words: list[str]) -> str:
        return "true" if words[:1] and words[0] in self._commands else "false"

    def _quit(self, words: list[str]) -> str:
        self.finished = True
        return ""

    def _boardsize(self, words: list[str]) -> str:
        sizes = {_whole(word, "board size", MAX_SIZE) for word in words}
        if len(words) not in (1, 2) or len(sizes) != 1 or min(sizes) < MIN_SIZE:
            raise Refused(f"unacceptable size: n or n n is wanted, from {MIN_SIZE} to {MAX_SIZE}")
        (size,) = sizes
        self._game = Game(size)
        self._make_ready()
        return ""

    def _clear_board(self, words: list[str]) -> str:
        self._game = Game(self._game.board_size)
        return ""

    def _play(self, words: list[str]) -> str:
        if len(words) != 2:
            raise Refused("syntax: play COLOUR MOVE")
        self._game.play(_colour(words[0]), words[1])
        return ""

    def _undo(self, words: list[str]) -> str:
        self._game.undo()
        return ""

    def _to_move(self, words: list[str]) -> int:
        """The colour that a command names, or whose turn it is when stones are counted."""
        if len(words) > 1:
            raise Refused("syntax: one colour is wanted")
        if words:
            return _colour(words[0])
        stones = self._game.stones
        return BLUE if (stones == BLUE).sum() <= (stones == RED).sum() else RED

    def _make_ready(self) -> None:
        """Think once of this board size: what is loaded and compiled now costs no move's time."""
        self._search(BLUE, min(self._simulations, FEWEST))

    def _search(self, colour: int, simulations: int) -> Thought:
        begun = time.perf_counter()
        (thought,) = self._player.think_of(self._game.position(colour), simulations)
        seconds = time.perf_counter() - begun
        if (done := int(thought.visits.sum())) >= FEWEST:
            self._pace = done / seconds
        return thought

    def _within(self, seconds: float | None) -> int:
        """Simulations for a move: all, or the largest power of two that the last pace allows.

        Sequential halving must know its budget when it starts.
        """
        if seconds is None or seconds * self._pace >= self._simulations:
            return self._simulations
        most = int(seconds * self._pace)
        return min(self._simulations, max(FEWEST, 1 << most.bit_length() >> 1))

    def _think(self, colour: int) -> Thought:
        if self._game.winner != EMPTY:
            raise Refused(f"the game is over, {COLOUR_NAME[self._game.winner]} has won")
        begun = time.perf_counter()
        seconds = self._clock.for_move(colour, int((self._game.stones == EMPTY).sum()))
        thought = self._search(colour, self._within(seconds))
        self._clock.spent(colour, time.perf_counter() - begun)
        return thought

    def _choice(self, colour: int) -> str:
        """The move, with swap and resignation as they are set."""
        if self._swap and not self._game.moves:
            size = self._game.board_size
            return cell_name(self._player.even_opening(size)[0], size)
        thought = self._think(colour)
        may_swap = self._game.can_swap and self._game.moves[0][0] != colour
        if self._swap and may_swap and thought.value < 0:
            return SWAP_PIECES
        if self._resign_value and thought.value < -self._resign_value:
            return RESIGN
        return cell_name(thought.move, self._game.board_size)

    def _genmove(self, words: list[str]) -> str:
        colour = self._to_move(words)
        move = self._choice(colour)
        self._game.play(colour, move)
        return move

    def _reg_genmove(self, words: list[str]) -> str:
        return self._choice(self._to_move(words))

    def _final_score(self, words: list[str]) -> str:
        if self._game.winner == EMPTY:
            raise Refused("cannot score: the game is not over")
        return f"{SYMBOL[self._game.winner]}+"

    def _showboard(self, words: list[str]) -> str:
        n = self._game.board_size
        letters = "  ".join(cell_name(column, n)[0] for column in range(n))
        lines = ["", f"   {letters}"]
        for row in range(n):
            stones = "  ".join(SYMBOL[s] for s in self._game.stones[row * n : row * n + n])
            lines.append(f"{' ' * row}{row + 1:2}  {stones}  {row + 1}")
        lines.append(f"{' ' * n}    {letters}")
        return "\n".join(lines)

    def _time_settings(self, words: list[str]) -> str:
        if len(words) != 3:
            raise Refused("syntax: time_settings MAIN PERIOD STONES")
        stones = _whole(words[2], "number of stones", 10**6)
        self._clock.set(_seconds(words[0]), _seconds(words[1]), stones)
        return ""

    def _time_left(self, words: list[str]) -> str:
        if len(words) not in (2, 3):
            raise Refused("syntax: time_left COLOUR SECONDS STONES")
        stones = _whole(words[2], "number of stones", 10**6) if len(words) == 3 else 0
        self._clock.left(_colour(words[0]), _seconds(words[1]), stones)
        return ""

    def _analyze(self, words: list[str]) -> str:
        colour = self._to_move(words)
        thought, n = self._think(colour), self._game.board_size
        lines = [
            f"{COLOUR_NAME[colour]} {cell_name(thought.move, n)} value {_number(thought.value)}"
            f" simulations {thought.visits.sum()}"
        ]
        empty = [cell for cell in range(n * n) if self._game.stones[cell] == EMPTY]
        for cell in sorted(empty, key=lambda cell: (-thought.visits[cell], -thought.policy[cell])):
            lines.append(
                f"{cell_name(cell, n)} {thought.visits[cell]} {_number(thought.values[cell])}"
                f" {thought.policy[cell]:.4f}"
            )
        return "\n".join(lines)

    def _values(self, words: list[str]) -> str:
        thought, n = self._think(self._to_move(words)), self._game.board_size
        return " ".join(
            f"{cell_name(cell, n)} {value:+.2f}"
            for cell, value in enumerate(thought.values)
            if not math.isnan(value)
        )

    def _visits(self, words: list[str]) -> str:
        thought, n = self._think(self._to_move(words)), self._game.board_size
        return " ".join(
            f"{cell_name(cell, n)} {visits}" for cell, visits in enumerate(thought.visits) if visits
        )


def _number(value: float) -> str:
    """A value, or a dash where there is none."""
    return "-" if math.isnan(value) else f"{value:+.4f}"


def _colour(word: str) -> int:
    colour = COLOURS.get(word.lower())
    if colour is None:
        raise Refused(f"{word}: not a colour; black or white is wanted")
    return colour


def _whole(word: str, what: str, most: int) -> int:
    """A whole number from 0 to `most`."""
    digits = word.isascii() and word.isdigit() and len(word) < 10
    if not digits or int(word) > most:
        raise Refused(f"unacceptable {what}: a number from 0 to {most} is wanted")
    return int(word)


def _seconds(word: str) -> float:
    try:
        seconds = float(word)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MOST_SECONDS:
        raise Refused(f"{word}: not a time in seconds")
    return seconds


def serve(engine: Engine, commands: IO[bytes], answers: RawIOBase | BytesIO) -> None:
    """Answer line by line until `quit`, or until nobody asks or listens any more."""
    while not engine.finished and (line := commands.readline(LONGEST_LINE)):
        if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = commands.readline(LONGEST_LINE)
            reply = answer("", False, f"the line is longer than {LONGEST_LINE} bytes")
        else:
            reply = engine.reply(line.decode("utf-8", "replace"))
        try:
            answers.write(reply.encode())
        except BrokenPipeError:
            return
