"""Gumbel AlphaZero search, a tree of arrays for each slot.

Danihelka et al., "Policy improvement by planning with Gumbel", ICLR 2022: at the root, Gumbel noise
picks the moves that compete by sequential halving; inside the tree, moves are taken so that
visits follow the improved policy (equation 14). Positions that tactics or their children decide
are solved: they cost no evaluation, and a root that is solved ends its search.
"""

from typing import NamedTuple

import numpy as np

from hexlib import rng
from hexlib.game.board import BLUE, geometry, place
from hexlib.kernel import copy_into, kernel
from hexlib.search import tactics
from hexlib.search.halving import visit_tables
from hexlib.search.interface import LEARN_POLICY, Found, Positions
from hexlib.search.qtransform import EXCLUDED, completed_scores, softmax_of_sum

IDLE, READY, WAITING, DONE = 0, 1, 2, 3  # states of a slot


class Tree(NamedTuple):
    """G slots with N nodes each on boards of A cells; node 0 is the root."""

    cells: np.ndarray  # int8 [G, N, A + 1]
    chains: np.ndarray  # uint16 [G, N, A + 1]
    edges: np.ndarray  # uint8 [G, N, A + 1]
    logits: np.ndarray  # float32 [G, N, A], EXCLUDED where a move is not allowed
    prior: np.ndarray  # float32 [G, N, A], their softmax
    child: np.ndarray  # int16 [G, N, A], −1 where there is none yet
    visits: np.ndarray  # int16 [G, N, A]
    totals: np.ndarray  # float32 [G, N, A], sums of values for the player to move at the node
    raw_value: np.ndarray  # float32 [G, N], the network's, or ±1 where solved
    solved: np.ndarray  # int8 [G, N], +1 won, −1 lost for the player to move, 0 unknown
    allowed: np.ndarray  # uint8 [G, N, A + 1], 1 where a move may be tried; see tactics
    nodes: np.ndarray  # int32 [G], in use
    path: np.ndarray  # int32 [G, N, 2], (node, move) from the root to where the slot is
    depth: np.ndarray  # int32 [G], length of the path
    state: np.ndarray  # int8 [G]
    colour: np.ndarray  # int8 [G], to move at the root
    effort: np.ndarray  # int8 [G], 1 where the search is a cheap one, else 0
    noise: np.ndarray  # float32 [G, A], Gumbel
    simulations: np.ndarray  # int32 [G], done
    move: np.ndarray  # int16 [G], the result
    improved: np.ndarray  # float32 [G, A], the result
    scores: np.ndarray  # float32 [A], scratch
    policy: np.ndarray  # float32 [A], scratch
    bits: np.ndarray  # int32 [A], scratch


def new_tree(slots: int, nodes: int, area: int) -> Tree:
    """An empty tree."""
    position, moves = (slots, nodes, area + 1), (slots, nodes, area)
    return Tree(
        cells=np.zeros(position, np.int8),
        chains=np.zeros(position, np.uint16),
        edges=np.zeros(position, np.uint8),
        logits=np.zeros(moves, np.float32),
        prior=np.zeros(moves, np.float32),
        child=np.zeros(moves, np.int16),
        visits=np.zeros(moves, np.int16),
        totals=np.zeros(moves, np.float32),
        raw_value=np.zeros((slots, nodes), np.float32),
        solved=np.zeros((slots, nodes), np.int8),
        allowed=np.zeros(position, np.uint8),
        nodes=np.zeros(slots, np.int32),
        path=np.zeros((slots, nodes, 2), np.int32),
        depth=np.zeros(slots, np.int32),
        state=np.zeros(slots, np.int8),
        colour=np.zeros(slots, np.int8),
        effort=np.zeros(slots, np.int8),
        noise=np.zeros((slots, area), np.float32),
        simulations=np.zeros(slots, np.int32),
        move=np.zeros(slots, np.int16),
        improved=np.zeros((slots, area), np.float32),
        scores=np.zeros(area, np.float32),
        policy=np.zeros(area, np.float32),
        bits=np.zeros(area, np.int32),
    )


@kernel
def _colour_at(tree, g, depth):
    """The player to move `depth` moves below the root."""
    return tree.colour[g] if depth % 2 == 0 else tactics.opponent(tree.colour[g])


@kernel
def _open_node(tree, g, node, colour, neighbours, own_edges):
    """Reset a node whose position is set, and see what tactics say of it."""
    child, visits, totals = tree.child[g, node], tree.visits[g, node], tree.totals[g, node]
    for a in range(len(child)):
        child[a], visits[a], totals[a] = -1, 0, 0
    verdict = tactics.candidates(
        tree.cells[g, node],
        tree.chains[g, node],
        tree.edges[g, node],
        colour,
        neighbours,
        own_edges,
        tree.allowed[g, node],
    )
    solved = tactics.proven(verdict)
    tree.solved[g, node] = solved
    tree.raw_value[g, node] = solved
    return verdict


@kernel
def _start(tree, slots, cells, chains, edges, colours, keys, noise_scale, neighbours, own_edges):
    """Set the roots; those that tactics settle are done at once."""
    area = tree.logits.shape[2]
    for k in range(len(slots)):
        g = slots[k]
        copy_into(tree.cells[g, 0], cells[k])
        copy_into(tree.chains[g, 0], chains[k])
        copy_into(tree.edges[g, 0], edges[k])
        tree.colour[g] = colours[k]
        tree.nodes[g], tree.depth[g], tree.simulations[g] = 1, 0, 0
        verdict = _open_node(tree, g, 0, colours[k], neighbours, own_edges)
        if verdict == tactics.OPEN:
            tree.state[g] = WAITING
            for a in range(area):
                tree.noise[g, a] = noise_scale * rng.gumbel(keys[k], a) if noise_scale > 0 else 0.0
            continue
        # Any of the allowed moves is as good as another: take one by lot, or the first.
        count = 0
        for a in range(area):
            count += tree.allowed[g, 0, a]
        pick = rng.below(keys[k], 0, count) if noise_scale > 0 else 0
        for a in range(area):
            if tree.allowed[g, 0, a]:
                if pick == 0:
                    tree.move[g] = a
                pick -= 1
            # A move in a lost position is nothing to learn from.
            lost = verdict == tactics.LOST
            tree.improved[g, a] = tree.allowed[g, 0, a] / count if not lost else 0.0
        if verdict == tactics.FORCED:
            tree.raw_value[g, 0] = np.nan
        tree.state[g] = DONE


@kernel
def _score(tree, g, node):
    """Fill the scratch `scores` with what the visits say of each move of a node."""
    completed_scores(
        tree.logits[g, node],
        tree.prior[g, node],
        tree.visits[g, node],
        tree.totals[g, node],
        tree.raw_value[g, node],
        tree.scores,
    )


@kernel
def _select_root(tree, g, visit_tables):
    """The move for the next simulation, by sequential halving among the considered moves."""
    scores, allowed = tree.scores, 0
    for a in range(len(scores)):
        allowed += tree.allowed[g, 0, a]
    table = visit_tables[tree.effort[g]]
    wanted = table[min(allowed, len(table) - 1), tree.simulations[g]]
    _score(tree, g, 0)
    best, best_score = -1, -np.inf
    for a in range(len(scores)):
        if tree.allowed[g, 0, a] and tree.visits[g, 0, a] == wanted:
            score = tree.noise[g, a] + tree.logits[g, 0, a] + scores[a]
            if score > best_score:
                best, best_score = a, score
    return best


@kernel
def _select_inside(tree, g, node):
    """The move whose visits lag most behind the improved policy (equation 14)."""
    scores, policy = tree.scores, tree.policy
    _score(tree, g, node)
    softmax_of_sum(tree.logits[g, node], scores, tree.bits, policy)
    visits, allowed = tree.visits[g, node], tree.allowed[g, node]
    count = 0
    for a in range(len(scores)):
        count += visits[a]
    share = np.float32(1.0 / (1 + count))
    for a in range(len(scores)):
        lag = policy[a] - np.float32(visits[a]) * share
        scores[a] = lag if allowed[a] else EXCLUDED
    best = 0
    for a in range(1, len(scores)):
        if scores[a] > scores[best]:
            best = a
    return best


@kernel
def _back_up(tree, g, value):
    """Add a value for the player to move below the path's end to every edge of the path."""
    for d in range(tree.depth[g] - 1, -1, -1):
        value = -value
        node, move = tree.path[g, d, 0], tree.path[g, d, 1]
        tree.visits[g, node, move] += 1
        tree.totals[g, node, move] += value
    tree.simulations[g] += 1


@kernel
def _solve_upwards(tree, g):
    """Carry the result of a solved child at the path's end towards the root while it decides."""
    for d in range(tree.depth[g] - 1, -1, -1):
        node, move = tree.path[g, d, 0], tree.path[g, d, 1]
        result = tree.solved[g, tree.child[g, node, move]]
        if result == 1:  # the opponent wins there: lost only if he wins everywhere
            for a in range(tree.logits.shape[2]):
                if tree.allowed[g, node, a]:
                    other = tree.child[g, node, a]
                    if other == -1 or tree.solved[g, other] != 1:
                        return
        tree.solved[g, node] = -result
        tree.raw_value[g, node] = -result


@kernel
def _finish(tree, g):
    """Set the result: the best of the most visited moves, and the improved policy."""
    area = tree.logits.shape[2]
    tree.state[g] = DONE
    _score(tree, g, 0)
    scores = tree.scores
    softmax_of_sum(tree.logits[g, 0], scores, tree.bits, tree.improved[g])
    most = 0
    for a in range(area):
        most = max(most, tree.visits[g, 0, a])
    best, best_score = -1, -np.inf
    for a in range(area):
        if tree.allowed[g, 0, a]:
            winning = tree.child[g, 0, a] != -1 and tree.solved[g, tree.child[g, 0, a]] == -1
            score = tree.noise[g, a] + tree.logits[g, 0, a] + scores[a]
            if winning:
                score += 1e6
            elif tree.visits[g, 0, a] < most:
                score -= 1e6
            if score > best_score:
                best, best_score = a, score
    tree.move[g] = best
    if tree.solved[g, 0] == 1:
        for a in range(area):
            tree.improved[g, a] = a == best
    elif tree.solved[g, 0] == -1:
        for a in range(area):
            tree.improved[g, a] = 0


@kernel
def _advance(tree, slots, budgets, visit_tables, neighbours, own_edges):
    """Simulate in each slot until it waits for the network or is done."""
    for g in slots:
        while tree.state[g] == READY:
            if tree.simulations[g] >= budgets[tree.effort[g]] or tree.solved[g, 0] != 0:
                _finish(tree, g)
                break
            node, depth = 0, 0
            while True:
                if node == 0:
                    move = _select_root(tree, g, visit_tables)
                else:
                    move = _select_inside(tree, g, node)
                tree.path[g, depth, 0], tree.path[g, depth, 1] = node, move
                depth += 1
                child = tree.child[g, node, move]
                if child == -1:
                    child = tree.nodes[g]
                    tree.nodes[g] += 1
                    tree.child[g, node, move] = child
                    copy_into(tree.cells[g, child], tree.cells[g, node])
                    copy_into(tree.chains[g, child], tree.chains[g, node])
                    copy_into(tree.edges[g, child], tree.edges[g, node])
                    place(
                        tree.cells[g, child],
                        tree.chains[g, child],
                        tree.edges[g, child],
                        move,
                        _colour_at(tree, g, depth - 1),
                        neighbours,
                        own_edges,
                    )
                    colour = _colour_at(tree, g, depth)
                    _open_node(tree, g, child, colour, neighbours, own_edges)
                    tree.depth[g] = depth
                    if tree.solved[g, child] == 0:
                        tree.state[g] = WAITING
                    else:
                        _solve_upwards(tree, g)
                        _back_up(tree, g, tree.solved[g, child])
                    break
                if tree.solved[g, child] != 0:
                    tree.depth[g] = depth
                    _back_up(tree, g, tree.solved[g, child])
                    break
                node = child


@kernel
def _gather(tree, slots, n, boards):
    """Fill `boards` int8 [R, A] with each waiting slot's newest node, turned for its player."""
    for k in range(len(slots)):
        g = slots[k]
        colour = _colour_at(tree, g, tree.depth[g])
        cells = tree.cells[g, tree.nodes[g] - 1]
        for cell in range(n * n):
            seen = cell if colour == BLUE else (cell % n) * n + cell // n
            stone = cells[cell]
            boards[k, seen] = 0 if stone == 0 else (1 if stone == colour else 2)


@kernel
def _absorb(tree, slots, n, logits, values):
    """Give each waiting slot's newest node its policy and value, and back the value up."""
    area = n * n
    for a in range(area):
        tree.scores[a] = 0
    for k in range(len(slots)):
        g = slots[k]
        node = tree.nodes[g] - 1
        colour = _colour_at(tree, g, tree.depth[g])
        for cell in range(area):
            seen = cell if colour == BLUE else (cell % n) * n + cell // n
            allowed = tree.allowed[g, node, cell]
            tree.logits[g, node, cell] = logits[k, seen] if allowed else EXCLUDED
        softmax_of_sum(tree.logits[g, node], tree.scores, tree.bits, tree.prior[g, node])
        tree.raw_value[g, node] = values[k]
        if node != 0:
            _back_up(tree, g, values[k])
        tree.state[g] = READY


class GumbelSearch:
    """Implements `interface.Search`; with `noise_scale` 0 it is deterministic, at its best."""

    def __init__(
        self,
        slots: int,
        board_size: int,
        simulations: int,
        considered: int = 16,
        noise_scale: float = 1.0,
        cheap_simulations: int = 4,
    ):
        self.slots = slots
        self.target = LEARN_POLICY
        self.board_size = board_size
        self.simulations = simulations
        self.noise_scale = noise_scale
        cheap_simulations = min(cheap_simulations, simulations)
        self._budgets = np.array([simulations, cheap_simulations], np.int32)
        self._visit_tables = visit_tables(min(considered, board_size**2), self._budgets)
        self._geometry = geometry(board_size)
        self._tree = new_tree(slots, simulations + 1, board_size**2)
        self._waiting = np.empty(0, np.int64)

    def start(
        self, slots: np.ndarray, positions: Positions, keys: np.ndarray, cheap: np.ndarray
    ) -> None:
        """See `interface.Search`."""
        self._tree.effort[slots] = cheap
        _start(self._tree, slots, *positions, keys, self.noise_scale, *self._geometry)

    def advance(self, slots: np.ndarray) -> np.ndarray:
        """See `interface.Search`."""
        _advance(self._tree, slots, self._budgets, self._visit_tables, *self._geometry)
        return slots[self._tree.state[slots] == DONE]

    def waiting(self) -> np.ndarray:
        """See `interface.Search`."""
        self._waiting = np.flatnonzero(self._tree.state == WAITING)
        boards = np.empty((len(self._waiting), self.board_size**2), np.int8)
        _gather(self._tree, self._waiting, self.board_size, boards)
        return boards

    def absorb(self, logits: np.ndarray, values: np.ndarray) -> np.ndarray:
        """See `interface.Search`."""
        _absorb(self._tree, self._waiting, self.board_size, logits, values)
        return self._waiting

    def found(self, slots: np.ndarray) -> Found:
        """See `interface.Search`; the value is the mean over all simulations and the root's own."""
        tree = self._tree
        tree.state[slots] = IDLE
        raw = tree.raw_value[slots, 0]
        total, count = tree.totals[slots, 0].sum(1), tree.visits[slots, 0].sum(1)
        mean = np.where(tree.solved[slots, 0] != 0, raw, (raw + total) / (1 + count))
        return Found(tree.move[slots], mean, tree.improved[slots], tree.simulations[slots])
