"""How long a move may take, from what an HTP controller says of the time."""

SHARE = 0.8  # of the time that is thought with: the rest goes to the line and to the other player
FEWEST_MOVES = 5  # that the time left is spread over, however full the board is


class Clock:
    """`time_settings` and `time_left` as GTP 2 has them: main time, then byo-yomi periods."""

    def __init__(self) -> None:
        self._main: float | None = None  # seconds; None: no limit
        self._period, self._stones = 0.0, 0
        self._left: dict[int, tuple[float, int]] = {}  # by colour: seconds, stones (0: main time)

    def set(self, main: float, period: float, stones: int) -> None:
        """New settings, in seconds; a period without stones means that there is no limit."""
        self._main = None if period > 0 and stones == 0 else main
        self._period, self._stones = period, stones
        self._left = {}

    def left(self, colour: int, seconds: float, stones: int) -> None:
        """What is left to a player: `seconds` for `stones` moves, or for the game if that is 0."""
        self._left[colour] = (seconds, stones)

    def spent(self, colour: int, seconds: float) -> None:
        """A move of a player took so long: counts until the controller says what is left."""
        if colour in self._left:
            before, stones = self._left[colour]
        elif self._main is not None:
            before, stones = self._main, 0
        else:
            return
        self._left[colour] = (max(0.0, before - seconds), max(0, stones - 1) if stones else 0)

    def for_move(self, colour: int, empty: int) -> float | None:
        """Seconds for the next move with `empty` cells left, or None where there is no limit."""
        if colour in self._left:
            seconds, stones = self._left[colour]
        elif self._main is not None:
            seconds, stones = self._main, 0
        else:
            return None
        if not stones and seconds <= 0 and self._stones:
            seconds, stones = self._period, self._stones
        # Half of the empty cells are the player's own, and few games fill the board.
        return SHARE * seconds / (stones or max(FEWEST_MOVES, empty // 4))
