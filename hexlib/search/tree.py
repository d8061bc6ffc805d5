"""Search trees as arrays: G slots with N nodes each on boards of A cells.

Only moves that were tried have nodes. A node's children form a list, newest first: `newest` of the
node, then `older` of each child. Node 0 is the root; since it is nobody's child, a link of 0 means
none. What belongs to the edge that leads to a node (its move, prior, visits) is kept at the node.
Positions that tactics or their children decide are solved: they cost no evaluation.
"""

from typing import NamedTuple

import numpy as np

from hexlib.game.board import place
from hexlib.kernel import copy_into, first_of_highest, kernel
from hexlib.search import tactics


class Tree(NamedTuple):
    """See the module's text; values are −1 to 1."""

    cells: np.ndarray  # int8 [G, N, A + 1]
    chains: np.ndarray  # uint16 [G, N, A + 1]
    edges: np.ndarray  # uint8 [G, N, A + 1]
    untried: np.ndarray  # float32 [G, N, A], the prior of moves that have no node, else 0
    best: np.ndarray  # int16 [G, N], the untried move of the highest prior; see NOBODY, UNKNOWN
    choices: np.ndarray  # int16 [G, N], how many moves may be tried
    colour: np.ndarray  # int8 [G, N], to move
    raw_value: np.ndarray  # float32 [G, N], the network's, or ±1 where solved
    solved: np.ndarray  # int8 [G, N], +1 won, −1 lost for the player to move, 0 unknown
    parent: np.ndarray  # int16 [G, N]
    newest: np.ndarray  # int16 [G, N], child
    older: np.ndarray  # int16 [G, N], sibling
    move: np.ndarray  # int16 [G, N], that led here
    prior: np.ndarray  # float32 [G, N], its probability at the parent
    visits: np.ndarray  # int32 [G, N]
    total: np.ndarray  # float32 [G, N], sum of values for the player who moved here
    mean: np.ndarray  # float32 [G, N], total by visits
    weight: np.ndarray  # float64 [G, N], scratch
    nodes: np.ndarray  # int32 [G], in use; the last one is the one that waits for the network
    allowed: np.ndarray  # uint8 [G, A + 1], 1 where a move may be tried there; see tactics
    c_scale: float  # how far values outweigh policies; see qtransform


NOBODY, UNKNOWN = -1, -2  # no untried move is left; not looked for yet


def new_tree(slots: int, nodes: int, area: int, c_scale: float) -> Tree:
    """An empty tree."""
    position, each = (slots, nodes, area + 1), (slots, nodes)
    return Tree(
        cells=np.zeros(position, np.int8),
        chains=np.zeros(position, np.uint16),
        edges=np.zeros(position, np.uint8),
        untried=np.zeros((slots, nodes, area), np.float32),
        best=np.zeros(each, np.int16),
        choices=np.zeros(each, np.int16),
        colour=np.zeros(each, np.int8),
        raw_value=np.zeros(each, np.float32),
        solved=np.zeros(each, np.int8),
        parent=np.zeros(each, np.int16),
        newest=np.zeros(each, np.int16),
        older=np.zeros(each, np.int16),
        move=np.zeros(each, np.int16),
        prior=np.zeros(each, np.float32),
        visits=np.zeros(each, np.int32),
        total=np.zeros(each, np.float32),
        mean=np.zeros(each, np.float32),
        weight=np.zeros(each, np.float64),
        nodes=np.zeros(slots, np.int32),
        allowed=np.zeros((slots, area + 1), np.uint8),
        c_scale=c_scale,
    )


@kernel
def _open_node(tree, g, node, colour, neighbours, own_edges):
    """Reset a node whose position is set, and see what tactics say of it (their verdict)."""
    allowed = tree.allowed[g]
    verdict = tactics.candidates(
        tree.cells[g, node],
        tree.chains[g, node],
        tree.edges[g, node],
        colour,
        neighbours,
        own_edges,
        allowed,
    )
    count = 0
    for a in range(len(allowed) - 1):
        count += allowed[a]
    solved = tactics.proven(verdict)
    tree.choices[g, node], tree.colour[g, node] = count, colour
    tree.solved[g, node], tree.raw_value[g, node] = solved, solved
    tree.newest[g, node], tree.best[g, node] = 0, UNKNOWN
    tree.visits[g, node], tree.total[g, node] = 0, 0
    return verdict


@kernel
def _set_position(tree, g, node, cells, chains, edges):
    """Copy a position into a node."""
    copy_into(tree.cells[g, node], cells)
    copy_into(tree.chains[g, node], chains)
    copy_into(tree.edges[g, node], edges)


@kernel
def open_root(tree, g, cells, chains, edges, colour, neighbours, own_edges):
    """Begin slot g anew from a position; returns the verdict of tactics."""
    _set_position(tree, g, 0, cells, chains, edges)
    tree.nodes[g] = 1
    return _open_node(tree, g, 0, colour, neighbours, own_edges)


@kernel
def expand(tree, g, node, move, neighbours, own_edges):
    """Try an untried move at a node; returns the new child."""
    child = tree.nodes[g]
    tree.nodes[g] += 1
    tree.parent[g, child], tree.move[g, child] = node, move
    tree.prior[g, child] = tree.untried[g, node, move]
    tree.untried[g, node, move], tree.best[g, node] = 0, UNKNOWN
    tree.older[g, child], tree.newest[g, node] = tree.newest[g, node], child
    _set_position(tree, g, child, tree.cells[g, node], tree.chains[g, node], tree.edges[g, node])
    position = (tree.cells[g, child], tree.chains[g, child], tree.edges[g, child])
    colour = tree.colour[g, node]
    place(*position, move, colour, neighbours, own_edges)
    _open_node(tree, g, child, tactics.opponent(colour), neighbours, own_edges)
    return child


@kernel
def best_untried(tree, g, node):
    """The untried move of the highest prior at a node, the first of equals, or NOBODY."""
    if tree.best[g, node] == UNKNOWN:
        best = first_of_highest(tree.untried[g, node])
        tree.best[g, node] = best if tree.untried[g, node, best] > 0 else NOBODY
    return tree.best[g, node]


@kernel
def back_up(tree, g, node, value):
    """Add a value for the player to move at a node to the edges from there up to the root."""
    while node != 0:
        value = -value
        tree.visits[g, node] += 1
        tree.total[g, node] += value
        tree.mean[g, node] = tree.total[g, node] / tree.visits[g, node]
        node = tree.parent[g, node]


@kernel
def solve_upwards(tree, g, node):
    """Carry the result of a solved node towards the root while it decides."""
    while node != 0:
        result = tree.solved[g, node]
        node = tree.parent[g, node]
        if result == 1:  # the opponent wins there: lost only if he wins everywhere
            count, child = 0, tree.newest[g, node]
            while child:
                count += tree.solved[g, child] == 1
                child = tree.older[g, child]
            if count < tree.choices[g, node]:
                return
        tree.solved[g, node], tree.raw_value[g, node] = -result, -result


def children_of(tree: Tree, slot: int, node: int) -> list[int]:
    """The nodes of the moves that were tried at a node, the first one first."""
    found, child = [], int(tree.newest[slot, node])
    while child:
        found.append(child)
        child = int(tree.older[slot, child])
    return found[::-1]
