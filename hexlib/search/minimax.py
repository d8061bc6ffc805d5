"""Fixed-width minimax: at each level only the moves that the network's policy likes best.

With widths [13, 8] the 13 best moves are tried, against each of them the 8 best replies, and the
positions after those are valued by the network. A level is evaluated in one call, over all slots,
in which a position that several move orders or several games come to stands once.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from hexlib.game.board import BLUE, geometry, place
from hexlib.search import tactics
from hexlib.search.interface import LEARN_BEST, Found, Positions
from hexlib.search.policy import turned

IDLE, WAITING, READY, DONE = 0, 1, 2, 3


class Nodes(NamedTuple):
    """G slots of N nodes, level by level: a level's nodes lie together, the root first."""

    cells: np.ndarray  # int8 [G, N, A + 1]
    chains: np.ndarray  # uint16 [G, N, A + 1]
    edges: np.ndarray  # uint8 [G, N, A + 1]
    allowed: np.ndarray  # uint8 [G, N, A + 1], see tactics
    parent: np.ndarray  # int32 [G, N]
    move: np.ndarray  # int16 [G, N], that led here
    value: np.ndarray  # float32 [G, N], for the player to move
    solved: np.ndarray  # bool [G, N]
    colour: np.ndarray  # int8 [G], to move at the root
    level: np.ndarray  # int32 [G], the deepest that has nodes
    first: np.ndarray  # int32 [G], its first node
    used: np.ndarray  # int32 [G], nodes in use
    state: np.ndarray  # int8 [G]


@njit(cache=True)
def _open_node(nodes, g, node, colour, neighbours, own_edges):
    """See what tactics say of a node whose position is set."""
    verdict = tactics.candidates(
        nodes.cells[g, node],
        nodes.chains[g, node],
        nodes.edges[g, node],
        colour,
        neighbours,
        own_edges,
        nodes.allowed[g, node],
    )
    nodes.value[g, node] = tactics.proven(verdict)
    nodes.solved[g, node] = nodes.value[g, node] != 0


@njit(cache=True)
def _start(nodes, slots, positions, rows, neighbours, own_edges):
    for k in range(len(slots)):
        g, row = slots[k], rows[k]
        nodes.cells[g, 0] = positions.cells[row]
        nodes.chains[g, 0] = positions.chains[row]
        nodes.edges[g, 0] = positions.edges[row]
        colour = positions.colours[row]
        nodes.colour[g], nodes.level[g], nodes.first[g], nodes.used[g] = colour, 0, 0, 1
        _open_node(nodes, g, 0, colour, neighbours, own_edges)
        nodes.state[g] = DONE if nodes.solved[g, 0] else WAITING


@njit(cache=True)
def _expand(nodes, g, node, logits, width, neighbours, own_edges):
    """Add the `width` best moves of a node, by `logits` in the turned frame, as nodes below it."""
    area = nodes.allowed.shape[2] - 1
    n = int(np.sqrt(area))
    colour = nodes.colour[g] if nodes.level[g] % 2 == 0 else tactics.opponent(nodes.colour[g])
    tried = np.zeros(area, np.bool_)
    for _ in range(width):
        best, best_logit = -1, np.float32(-np.inf)
        for cell in range(area):
            seen = cell if colour == BLUE else (cell % n) * n + cell // n
            if nodes.allowed[g, node, cell] and not tried[cell] and logits[seen] > best_logit:
                best, best_logit = cell, logits[seen]
        if best == -1:
            return
        tried[best] = True
        child = nodes.used[g]
        nodes.used[g] += 1
        nodes.parent[g, child], nodes.move[g, child] = node, best
        nodes.cells[g, child] = nodes.cells[g, node]
        nodes.chains[g, child] = nodes.chains[g, node]
        nodes.edges[g, child] = nodes.edges[g, node]
        place(
            nodes.cells[g, child],
            nodes.chains[g, child],
            nodes.edges[g, child],
            best,
            colour,
            neighbours,
            own_edges,
        )
        _open_node(nodes, g, child, tactics.opponent(colour), neighbours, own_edges)


@njit(cache=True)
def _back_up(nodes, g):
    """Negamax over all nodes, the children always behind their parents."""
    best = np.full(nodes.used[g], -np.inf)
    for node in range(nodes.used[g] - 1, 0, -1):
        if best[node] > -np.inf:
            nodes.value[g, node] = best[node]
        parent = nodes.parent[g, node]
        best[parent] = max(best[parent], -nodes.value[g, node])
    if nodes.used[g] > 1:
        nodes.value[g, 0] = best[0]


@njit(cache=True)
def _absorb(nodes, owner, which, logits, values, widths, neighbours, own_edges):
    """Take answers, row r being node which[r] of slot owner[r], the rows of a slot together."""
    rows = len(owner)
    row = 0
    while row < rows:
        g = owner[row]
        new_level = nodes.used[g]
        while row < rows and owner[row] == g:
            nodes.value[g, which[row]] = values[row]
            if nodes.level[g] < len(widths):
                width = widths[nodes.level[g]]
                _expand(nodes, g, which[row], logits[row], width, neighbours, own_edges)
            row += 1
        nodes.level[g] += 1
        nodes.first[g] = new_level
        nodes.state[g] = READY


@njit(cache=True)
def _advance(nodes, slots, levels):
    for g in slots:
        if nodes.state[g] != READY:
            continue
        unsolved = 0
        for node in range(nodes.first[g], nodes.used[g]):
            unsolved += not nodes.solved[g, node]
        if nodes.level[g] <= levels and unsolved > 0:
            nodes.state[g] = WAITING
        else:
            _back_up(nodes, g)
            nodes.state[g] = DONE


class MinimaxSearch:
    """Implements `interface.Search`. `found` gives softmax(root values) as the policy, so that a
    temperature over it is one over the root values."""

    def __init__(self, slots: int, board_size: int, widths: list[int]):
        self.slots = slots
        self.target = LEARN_BEST
        self.board_size = board_size
        self._widths = np.array(widths, np.int64)
        self._geometry = geometry(board_size)
        self._waiting: tuple[np.ndarray, ...] = ()
        area = board_size**2
        size = 1 + int(np.cumprod(self._widths).sum())
        self._nodes = Nodes(
            cells=np.zeros((slots, size, area + 1), np.int8),
            chains=np.zeros((slots, size, area + 1), np.uint16),
            edges=np.zeros((slots, size, area + 1), np.uint8),
            allowed=np.zeros((slots, size, area + 1), np.uint8),
            parent=np.zeros((slots, size), np.int32),
            move=np.zeros((slots, size), np.int16),
            value=np.zeros((slots, size), np.float32),
            solved=np.zeros((slots, size), np.bool_),
            colour=np.zeros(slots, np.int8),
            level=np.zeros(slots, np.int32),
            first=np.zeros(slots, np.int32),
            used=np.zeros(slots, np.int32),
            state=np.zeros(slots, np.int8),
        )

    def start(
        self,
        slots: np.ndarray,
        positions: Positions,
        rows: np.ndarray,
        keys: np.ndarray,
        effort: np.ndarray,
    ) -> np.ndarray:
        """See `interface.Search`; nothing here is random, or could be more or less."""
        _start(self._nodes, slots, positions, rows, *self._geometry)
        return slots[self._nodes.state[slots] == DONE]

    def waiting(self) -> np.ndarray:
        """See `interface.Search`: the newest level of each waiting slot, equal positions once."""
        nodes = self._nodes
        column = np.arange(nodes.value.shape[1])
        newest = (column >= nodes.first[:, None]) & (column < nodes.used[:, None])
        newest &= ~nodes.solved & (nodes.state == WAITING)[:, None]
        owner, which = np.nonzero(newest)
        boards = np.empty((len(owner), self.board_size**2), np.int8)
        root_colour = nodes.colour[owner]
        odd = nodes.level[owner] % 2 == 1
        colours = np.where(odd, 3 - root_colour, root_colour).astype(np.int8)
        turned(nodes.cells[owner, which], colours, self.board_size, boards)
        boards, row_of = np.unique(boards, axis=0, return_inverse=True)
        self._waiting = owner, which, row_of
        return boards

    def advance(self, logits: np.ndarray, values: np.ndarray) -> np.ndarray:
        """See `interface.Search`."""
        owner, which, row_of = self._waiting
        answers = (owner, which, logits[row_of], values[row_of])
        _absorb(self._nodes, *answers, self._widths, *self._geometry)
        slots = np.unique(owner)
        _advance(self._nodes, slots, len(self._widths))
        return slots[self._nodes.state[slots] == DONE]

    def found(self, slots: np.ndarray) -> Found:
        """See `interface.Search`; `simulations` counts the positions valued or solved."""
        nodes = self._nodes
        nodes.state[slots] = IDLE
        policy = np.zeros((len(slots), self.board_size**2), np.float32)
        for k, g in enumerate(slots):
            level_one = np.flatnonzero(nodes.parent[g, 1 : nodes.used[g]] == 0) + 1
            if nodes.used[g] == 1:  # settled by tactics: any allowed move is as good as another
                policy[k, nodes.allowed[g, 0, :-1] == 1] = 1
            else:
                policy[k, nodes.move[g, level_one]] = np.exp(-nodes.value[g, level_one])
        policy /= policy.sum(1, keepdims=True)
        return Found(
            policy.argmax(1).astype(np.int16),
            nodes.value[slots, 0],
            policy,
            nodes.used[slots] - 1,
        )
