"""What every search offers, so that games, matches and tests drive all of them alike.

A search holds a number of slots; each slot searches one position. Its owner starts slots, lets
them advance until each is done or waits for the network, evaluates what they wait for in one call,
and hands the answers back. A slot that is done can be started again at once, so that no call to
the network goes out half empty.
"""

from typing import NamedTuple, Protocol

import numpy as np

from hexlib.game.board import BLUE, empty_boards, geometry, place


class Positions(NamedTuple):
    """K unfinished positions as the board module has them, on one board size."""

    cells: np.ndarray  # int8 [K, A + 1]
    chains: np.ndarray  # uint16 [K, A + 1]
    edges: np.ndarray  # uint8 [K, A + 1]
    colours: np.ndarray  # int8 [K], the player to move


class Evaluate(Protocol):
    """A network to ask, such as `nn.inference.Evaluator`."""

    def __call__(self, boards: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Turned boards int8 [R, A] → policy logits float32 [R, A] and values float32 [R]."""


class Found(NamedTuple):
    """What the searches of K slots found, in board cells as they lie (not turned)."""

    move: np.ndarray  # int16 [K], the best move
    value: np.ndarray  # float32 [K], −1 to 1 for the player to move; NaN if there was no search
    policy: np.ndarray  # float32 [K, A], to draw a move from; all 0 where `move` is to be played
    simulations: np.ndarray  # int32 [K], done in this search


# How much a search may spend: as much as usual, less, or more.
FULL, CHEAP, THOROUGH = 0, 1, 2

# What a search gives a network to learn.
LEARN_POLICY, LEARN_BEST, LEARN_PLAYED = 0, 1, 2


class Search(Protocol):
    """See the module's text. `slots` arguments are int64 [K] arrays of slot numbers."""

    slots: int
    board_size: int
    target: (
        int  # LEARN_POLICY, the improved policy; LEARN_BEST, `move`; LEARN_PLAYED, what is drawn
    )

    def start(
        self,
        slots: np.ndarray,
        positions: Positions,
        rows: np.ndarray,
        keys: np.ndarray,
        effort: np.ndarray,
    ) -> np.ndarray:
        """Begin to search in slots [K] the positions that `rows` int64 [K] names.

        Of all P positions, `keys` uint64 [P] decide what is random in their searches, and `effort`
        int8 [P] (FULL, CHEAP, THOROUGH) how much a search spends that can spend more and less.
        Returns the slots that are done already.
        """

    def waiting(self) -> np.ndarray:
        """The boards to evaluate, int8 [R, A], turned for their player to move; maybe none."""

    def advance(self, logits: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Take the answers to `waiting`, [R, A] and [R], and go on; returns the slots now done."""

    def found(self, slots: np.ndarray) -> Found:
        """The results of slots that are done, which are free from then on."""


def positions_after(board_size: int, games: list[list[int]]) -> Positions:
    """The positions after some legal moves each, blue first; ValueError where a game has ended."""
    neighbours, own_edges = geometry(board_size)
    cells, chains, edges = empty_boards(len(games), board_size)
    for k, moves in enumerate(games):
        for ply, move in enumerate(moves):
            colour = BLUE + ply % 2
            if place(cells[k], chains[k], edges[k], move, colour, neighbours, own_edges):
                raise ValueError(f"the game {moves} is over at ply {ply + 1}")
    colours = np.array([BLUE + len(moves) % 2 for moves in games], np.int8)
    return Positions(cells, chains, edges, colours)


def search_all(
    search: Search, evaluator: Evaluate, positions: Positions, keys: np.ndarray
) -> Found:
    """Search any number of positions to the end, as many at a time as there are slots."""
    total = len(positions.colours)
    area = positions.cells.shape[1] - 1
    result = Found(
        np.zeros(total, np.int16),
        np.zeros(total, np.float32),
        np.zeros((total, area), np.float32),
        np.zeros(total, np.int32),
    )
    in_full = np.full(total, FULL, np.int8)
    job_of = np.full(search.slots, -1, np.int64)
    begun = 0

    def begin(slots: np.ndarray) -> np.ndarray:
        nonlocal begun
        slots = slots[: total - begun]
        jobs = np.arange(begun, begun + len(slots))
        begun += len(slots)
        job_of[slots] = jobs
        return search.start(slots, positions, jobs, keys, in_full)

    done = begin(np.arange(search.slots))
    while True:
        while len(done):
            for field, values in zip(result, search.found(done), strict=True):
                field[job_of[done]] = values
            done = begin(done)
        boards = search.waiting()
        if not len(boards):
            return result
        done = search.advance(*evaluator(boards))
