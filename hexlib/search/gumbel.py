"""Gumbel AlphaZero search, a tree for each slot.

Danihelka et al., "Policy improvement by planning with Gumbel", ICLR 2022: at the root, Gumbel noise
picks the moves that compete by sequential halving; inside the tree, moves are taken so that
visits follow the improved policy (equation 14). A root that is solved ends its search.
"""

from typing import NamedTuple

import numpy as np

from hexlib import rng
from hexlib.game.board import BLUE, geometry
from hexlib.kernel import SameTypes, first_of_highest, kernel
from hexlib.search import tactics
from hexlib.search.halving import visit_tables
from hexlib.search.interface import LEARN_POLICY, Found, Positions
from hexlib.search.policy import turn_board
from hexlib.search.qtransform import EXCLUDED, completed, most_lagging, softmax
from hexlib.search.tree import (
    back_up,
    best_untried,
    children_of,
    expand,
    new_tree,
    open_root,
    solve_upwards,
)

IDLE, READY, WAITING, DONE = 0, 1, 2, 3  # states of a slot


class Roots(NamedTuple):
    """What is kept for each of G slots beside its tree, on boards of A cells."""

    state: np.ndarray  # int8 [G]
    effort: np.ndarray  # int8 [G], see interface
    logits: np.ndarray  # float32 [G, A], the network's, EXCLUDED where a move is not allowed
    rank: np.ndarray  # float32 [G, A], logit and Gumbel noise
    untried: np.ndarray  # float32 [G, A], the same, EXCLUDED where a move was tried
    simulations: np.ndarray  # int32 [G], done
    move: np.ndarray  # int16 [G], the result
    value: np.ndarray  # float32 [G], the result
    improved: np.ndarray  # float32 [G, A], the result
    scratch: np.ndarray  # float32 [A]


def new_roots(slots: int, area: int) -> Roots:
    """Slots that are idle."""
    return Roots(
        state=np.zeros(slots, np.int8),
        effort=np.zeros(slots, np.int8),
        logits=np.zeros((slots, area), np.float32),
        rank=np.zeros((slots, area), np.float32),
        untried=np.zeros((slots, area), np.float32),
        simulations=np.zeros(slots, np.int32),
        move=np.zeros(slots, np.int16),
        value=np.zeros(slots, np.float32),
        improved=np.zeros((slots, area), np.float32),
        scratch=np.zeros(area, np.float32),
    )


@kernel
def _start(
    tree, roots, slots, positions, rows, keys, effort, noise_scale, neighbours, own_edges, done
):
    """Set the roots; those that tactics settle are done at once.

    Fills `done` int64 [K] with those slots and returns how many.
    """
    settled = 0
    cells, chains, edges, colours = positions
    area = roots.rank.shape[1]
    for k in range(len(slots)):
        g, row = slots[k], rows[k]
        key, colour = keys[row], colours[row]
        position = (cells[row], chains[row], edges[row])
        roots.effort[g], roots.simulations[g] = effort[row], 0
        verdict = open_root(tree, g, *position, colour, neighbours, own_edges)
        allowed = tree.allowed[g]
        if verdict == tactics.OPEN:
            roots.state[g] = WAITING
            for a in range(area):
                roots.rank[g, a] = noise_scale * rng.gumbel(key, a) if noise_scale > 0 else 0.0
            continue
        # Any of the allowed moves is as good as another: take one by lot, or the first.
        count = tree.choices[g, 0]
        pick = rng.below(key, 0, count) if noise_scale > 0 else 0
        for a in range(area):
            if allowed[a]:
                if pick == 0:
                    roots.move[g] = a
                pick -= 1
            # A move in a lost position is nothing to learn from.
            lost = verdict == tactics.LOST
            roots.improved[g, a] = allowed[a] / count if not lost else 0.0
        roots.value[g] = np.nan if verdict == tactics.FORCED else tree.solved[g, 0]
        roots.state[g] = DONE
        done[settled] = g
        settled += 1
    return settled


@kernel
def _select_root(tree, roots, g, wanted):
    """The (child, move) for the next simulation: the best of those with `wanted` visits.

    The child is 0 for an untried move.
    """
    best, best_move, best_score = 0, -1, -np.inf
    if wanted == 0:  # all have the same score but for noise and logit
        best_move = first_of_highest(roots.untried[g])
        roots.untried[g, best_move] = EXCLUDED
        return best, best_move
    _, _, high, scale = completed(tree, g, 0)
    child = tree.newest[g, 0]
    while child:
        if tree.visits[g, child] == wanted:
            move = tree.move[g, child]
            score = roots.rank[g, move] + (tree.mean[g, child] - high) * scale
            if score > best_score or (score == best_score and move < best_move):
                best, best_move, best_score = child, move, score
        child = tree.older[g, child]
    return best, best_move


@kernel
def _finish(tree, roots, g):
    """Set the result: the best of the most visited moves, the improved policy and its value.

    That value is the mean of the moves' values by their chances in the improved policy, untried
    moves having what completes theirs. The mean over all simulations would be far too low: most of
    a few simulations go to moves that are only tried.
    """
    improved = roots.improved[g]
    roots.state[g] = DONE
    _, mixed, high, scale = completed(tree, g, 0)
    scores = roots.scratch
    for a in range(len(scores)):
        scores[a] = roots.logits[g, a] + (mixed - high) * scale
    most = 0
    child = tree.newest[g, 0]
    while child:
        most = max(most, tree.visits[g, child])
        child = tree.older[g, child]
    best_move, best_score = -1, -np.inf
    child = tree.newest[g, 0]
    while child:
        visits, move = tree.visits[g, child], tree.move[g, child]
        gain = (tree.mean[g, child] - high) * scale
        scores[move] = roots.logits[g, move] + gain
        score = roots.rank[g, move] + gain
        if tree.solved[g, child] == -1:
            score += 1e6
        elif visits < most:
            score -= 1e6
        if score > best_score or (score == best_score and move < best_move):
            best_move, best_score = move, score
        child = tree.older[g, child]
    roots.move[g] = best_move
    if tree.solved[g, 0] == 0:
        softmax(scores, improved)
        value, untried = 0.0, 1.0
        child = tree.newest[g, 0]
        while child:
            chance = improved[tree.move[g, child]]
            value += chance * tree.mean[g, child]
            untried -= chance
            child = tree.older[g, child]
        roots.value[g] = value + max(untried, 0.0) * mixed
        return
    roots.value[g] = tree.solved[g, 0]
    for a in range(len(improved)):  # a move in a lost position is nothing to learn from
        improved[a] = tree.solved[g, 0] == 1 and a == best_move


@kernel
def _absorb(tree, roots, g, n, logits, value):
    """Give a waiting slot's newest node its policy and value, and back the value up."""
    node = tree.nodes[g] - 1
    allowed, own = tree.allowed[g], roots.scratch if node else roots.logits[g]
    if tree.colour[g, node] == BLUE:
        for cell in range(n * n):
            own[cell] = logits[cell] if allowed[cell] else EXCLUDED
    else:
        for row in range(n):
            for column in range(n):
                cell = row * n + column
                own[cell] = logits[column * n + row] if allowed[cell] else EXCLUDED
    softmax(own, tree.untried[g, node])
    tree.raw_value[g, node] = value
    if node:
        back_up(tree, g, node, value)
    else:
        for cell in range(n * n):
            roots.rank[g, cell] += own[cell]
            roots.untried[g, cell] = roots.rank[g, cell]
    roots.state[g] = READY


@kernel
def _advance(
    tree, roots, slots, n, logits, values, budgets, visit_tables, neighbours, own_edges, done
):
    """Take the answers to what each slot waits for, and simulate until it waits again or is done.

    A slot's part of the tree does not stay in the processor's cache while the others have their
    turn, so all that is to do there is done in one go. Fills `done` int64 [K] with the slots that
    are and returns how many.
    """
    count = 0
    for k in range(len(slots)):
        g = slots[k]
        _absorb(tree, roots, g, n, logits[k], values[k])
        effort = roots.effort[g]
        while roots.state[g] == READY:
            if roots.simulations[g] >= budgets[effort] or tree.solved[g, 0] != 0:
                _finish(tree, roots, g)
                done[count] = g
                count += 1
                break
            table = visit_tables[effort]
            wanted = table[min(tree.choices[g, 0], len(table) - 1), roots.simulations[g]]
            roots.simulations[g] += 1
            node = 0
            child, move = _select_root(tree, roots, g, wanted)
            while child and tree.solved[g, child] == 0:
                node = child
                move = best_untried(tree, g, node)
                child = most_lagging(tree, g, node, move)
            if child == 0:
                child = expand(tree, g, node, move, neighbours, own_edges)
                if tree.solved[g, child] == 0:
                    roots.state[g] = WAITING
                    break
                solve_upwards(tree, g, child)
            back_up(tree, g, child, tree.solved[g, child])
    return count


@kernel
def _gather(tree, roots, n, slots, boards):
    """The boards of the slots that wait, each turned for the player to move.

    Fills `slots` int64 [G] with them and `boards` int8 [G, A], and returns how many.
    """
    count = 0
    for g in range(len(roots.state)):
        if roots.state[g] != WAITING:
            continue
        slots[count] = g
        node = tree.nodes[g] - 1
        turn_board(tree.cells[g, node], tree.colour[g, node], n, boards[count])
        count += 1
    return count


@kernel
def _found(roots, slots, move, value, policy, simulations):
    """Copy the results of slots out, and free them."""
    for k in range(len(slots)):
        g = slots[k]
        roots.state[g] = IDLE
        move[k], value[k], simulations[k] = roots.move[g], roots.value[g], roots.simulations[g]
        for a in range(policy.shape[1]):
            policy[k, a] = roots.improved[g, a]


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
        thorough_simulations: int = 0,
        c_scale: float = 0.2,
    ):
        """A cheap search is never more, a thorough one never less than `simulations`.

        `considered` moves compete at the root; the larger `c_scale`, the sooner their values
        outweigh the network's policy.
        """
        self.slots = slots
        self.target = LEARN_POLICY
        self.board_size = board_size
        self.noise_scale = noise_scale
        cheap = min(cheap_simulations, simulations)
        thorough = max(thorough_simulations, simulations)
        self._budgets = np.array([simulations, cheap, thorough], np.int32)  # by effort
        self._visit_tables = visit_tables(min(considered, board_size**2), self._budgets)
        self._geometry = geometry(board_size)
        self._tree = new_tree(slots, thorough + 1, board_size**2, c_scale)
        self._roots = new_roots(slots, board_size**2)
        self._waiting = np.empty(0, np.int64)
        self._start, self._advance = SameTypes(_start), SameTypes(_advance)
        self._gather, self._found = SameTypes(_gather), SameTypes(_found)

    def start(
        self,
        slots: np.ndarray,
        positions: Positions,
        rows: np.ndarray,
        keys: np.ndarray,
        effort: np.ndarray,
    ) -> np.ndarray:
        """See `interface.Search`."""
        done = np.empty(len(slots), np.int64)
        count = self._start(
            *(self._tree, self._roots, slots, positions, rows, keys, effort),
            *(self.noise_scale, *self._geometry, done),
        )
        return done[:count]

    def waiting(self) -> np.ndarray:
        """See `interface.Search`."""
        slots = np.empty(self.slots, np.int64)
        boards = np.empty((self.slots, self.board_size**2), np.int8)
        count = self._gather(self._tree, self._roots, self.board_size, slots, boards)
        self._waiting = slots[:count]
        return boards[:count]

    def advance(self, logits: np.ndarray, values: np.ndarray) -> np.ndarray:
        """See `interface.Search`."""
        slots = self._waiting
        done = np.empty(len(slots), np.int64)
        answers = (slots, self.board_size, logits, values)
        plan = (self._budgets, self._visit_tables)
        count = self._advance(self._tree, self._roots, *answers, *plan, *self._geometry, done)
        return done[:count]

    def found(self, slots: np.ndarray) -> Found:
        """See `interface.Search`; the value is that of the improved policy."""
        count, area = len(slots), self.board_size**2
        found = Found(
            np.empty(count, np.int16),
            np.empty(count, np.float32),
            np.empty((count, area), np.float32),
            np.empty(count, np.int32),
        )
        self._found(self._roots, slots, *found)
        return found

    def line(self, slot: int) -> list[int]:
        """The moves that a slot's search expects: its best one, then the most visited replies.

        For a slot that is done and not started again.
        """
        tree, move = self._tree, int(self._roots.move[slot])
        line, node = [move], self._child(slot, move)
        while node and tree.newest[slot, node]:
            node = max(children_of(tree, slot, node), key=lambda c: tree.visits[slot, c])
            line.append(int(tree.move[slot, node]))
        return line

    def value_of_move(self, slot: int) -> float:
        """Mean value, −1 to 1 for the player to move, of the simulations through the best move.

        ±1 where the position is solved, NaN where the move is forced and nothing was searched.
        `found` gives the mean over the improved policy. For a slot that is done and not started
        again.
        """
        child = self._child(slot, int(self._roots.move[slot]))
        if self._tree.solved[slot, 0] or not child:
            return float(self._roots.value[slot])
        return float(self._tree.mean[slot, child])

    def tried(self, slot: int) -> tuple[np.ndarray, np.ndarray]:
        """Visits int32 [A] of each move from the root, and its mean value float32 [A].

        Values are −1 to 1 for the player to move, NaN where a move was not tried. For a slot that
        is done and not started again.
        """
        area = self.board_size**2
        visits, values = np.zeros(area, np.int32), np.full(area, np.nan, np.float32)
        for child in children_of(self._tree, slot, 0):
            move, solved = self._tree.move[slot, child], self._tree.solved[slot, child]
            visits[move] = self._tree.visits[slot, child]
            values[move] = -solved if solved else self._tree.mean[slot, child]
        return visits, values

    def _child(self, slot: int, move: int) -> int:
        """The node to which a move leads from the root, 0 where it was not tried."""
        tried = children_of(self._tree, slot, 0)
        return next((child for child in tried if self._tree.move[slot, child] == move), 0)


def player_search(slots: int, board_size: int, simulations: int) -> GumbelSearch:
    """The search of a player: deterministic, and fewer moves compete than in self-play.

    The matches that decided its constants are in docs/recipe.md, "How a player searches".
    """
    return GumbelSearch(slots, board_size, simulations, considered=8, noise_scale=0, c_scale=0.2)
