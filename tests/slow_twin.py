"""The rules of Hex and the Gumbel search again, slow and obvious, to hold the fast code against."""

import numpy as np

from hexlib import rng
from hexlib.game.board import BLUE, RED
from hexlib.search.halving import considered_visits
from hexlib.search.qtransform import C_VISIT, SMALLEST_RANGE

STEPS = [(0, 1), (0, -1), (1, 0), (-1, 0), (-1, 1), (1, -1)]


def connects(grid: np.ndarray, colour: int) -> bool:
    """True if `colour` joins its edges on a grid [n, n]: a flood from one edge to the other."""
    if colour == RED:
        # Red's game is blue's with rows and columns exchanged.
        return connects(np.where(grid == RED, BLUE, np.where(grid == BLUE, RED, 0)).T, BLUE)
    n = len(grid)
    reached = {(0, c) for c in range(n) if grid[0, c] == BLUE}
    frontier = list(reached)
    while frontier:
        r, c = frontier.pop()
        for down, right in STEPS:
            cell = (r + down, c + right)
            inside = 0 <= cell[0] < n and 0 <= cell[1] < n
            if inside and cell not in reached and grid[cell] == BLUE:
                reached.add(cell)
                frontier.append(cell)
    return any((n - 1, c) in reached for c in range(n))


def wins(grid: np.ndarray, colour: int) -> list[int]:
    """Cells at which a stone of `colour` joins its edges at once."""
    found = []
    for cell in np.flatnonzero(grid.ravel() == 0):
        after = grid.copy()
        after.flat[cell] = colour
        if connects(after, colour):
            found.append(int(cell))
    return found


class Node:
    """A position of the search."""

    def __init__(self, grid: np.ndarray, colour: int, c_scale: float):
        self.grid, self.colour, self.c_scale = grid, colour, c_scale
        own, others = wins(grid, colour), wins(grid, BLUE + RED - colour)
        self.solved = 1 if own else (-1 if len(others) > 1 else 0)
        self.moves = own or others or np.flatnonzero(grid.ravel() == 0).tolist()
        self.forced = not own and len(others) == 1
        self.logits: dict[int, float] = {}
        self.value = float(self.solved)
        self.children: dict[int, Node] = {}
        self.visits = dict.fromkeys(self.moves, 0)
        self.totals = dict.fromkeys(self.moves, 0.0)

    def child(self, move: int) -> "Node":
        grid = self.grid.copy()
        grid.flat[move] = self.colour
        return Node(grid, BLUE + RED - self.colour, self.c_scale)

    def evaluate(self, evaluator) -> None:
        """Ask the network, which sees the board of the player to move, turned."""
        n = len(self.grid)
        seen = self.grid if self.colour == BLUE else self.grid.T
        other = BLUE + RED - self.colour
        board = np.where(seen == self.colour, 1, np.where(seen == other, 2, 0))
        logits, values = evaluator(board.reshape(1, -1).astype(np.int8))
        turned = logits[0].reshape(n, n)
        turned = turned if self.colour == BLUE else turned.T
        self.logits = {move: float(turned.flat[move]) for move in self.moves}
        self.value = float(values[0])

    def prior(self) -> dict[int, float]:
        top = max(self.logits.values())
        weights = {move: np.exp(logit - top) for move, logit in self.logits.items()}
        return {move: weight / sum(weights.values()) for move, weight in weights.items()}

    def completed(self) -> tuple[dict[int, float], float]:
        """The value of each move, and that of untried ones (Danihelka et al. 2022, appendix D)."""
        seen = [move for move in self.moves if self.visits[move]]
        q = {move: self.totals[move] / self.visits[move] for move in seen}
        count, prior = sum(self.visits.values()), self.prior()
        mixed = self.value
        if seen:
            weighted = sum(prior[m] * q[m] for m in seen) / sum(prior[m] for m in seen)
            mixed = (self.value + count * weighted) / (1 + count)
        return {move: q.get(move, mixed) for move in self.moves}, mixed

    def scores(self) -> dict[int, float]:
        """sigma(completed Q): equations 8 and 10 to 12 of Danihelka et al. 2022, mctx's scaling."""
        completed, mixed = self.completed()
        low = min([mixed, *completed.values()])
        high = max([mixed, *completed.values()])
        growth = (C_VISIT + max(self.visits.values())) * self.c_scale
        scale = growth / max(high - low, SMALLEST_RANGE)
        return {move: (value - low) * scale for move, value in completed.items()}

    def improved(self) -> dict[int, float]:
        scores = self.scores()
        sums = {move: self.logits[move] + scores[move] for move in self.moves}
        top = max(sums.values())
        weights = {move: np.exp(value - top) for move, value in sums.items()}
        return {move: weight / sum(weights.values()) for move, weight in weights.items()}


def gumbel_search(
    grid, colour, evaluator, simulations, considered, key, noise_scale=1.0, c_scale=0.2
):
    """What a search of one position finds.

    The move, the improved policy {cell: probability}, the simulations done, and the value of that
    policy (NaN where the move is forced).
    """
    root = Node(grid, colour, c_scale)
    if root.solved or root.forced:
        pick = int(rng.below(key, 0, len(root.moves))) if noise_scale else 0
        share = 0.0 if root.solved == -1 else 1 / len(root.moves)
        value = float(root.solved) if root.solved else np.nan
        return root.moves[pick], dict.fromkeys(root.moves, share), 0, value
    root.evaluate(evaluator)
    noise = {m: noise_scale * rng.gumbel(key, m) if noise_scale else 0.0 for m in root.moves}
    limit = min(considered, simulations, grid.size)
    plan = considered_visits(min(limit, len(root.moves)), simulations)
    done = 0
    while done < simulations and not root.solved:
        node, path = root, []
        while True:
            scores = node.scores()
            if node is root:
                fit = [m for m in root.moves if root.visits[m] == plan[done]]
                move = max(fit, key=lambda m: noise[m] + root.logits[m] + scores[m])
            else:
                policy, count = node.improved(), sum(node.visits.values())
                move = max(node.moves, key=lambda m: policy[m] - node.visits[m] / (1 + count))
            path.append((node, move))
            if move not in node.children:
                leaf = node.children[move] = node.child(move)
                if not leaf.solved:
                    leaf.evaluate(evaluator)
                break
            node = node.children[move]
            if node.solved:
                leaf = node
                break
        value = leaf.solved or leaf.value
        for node, move in reversed(path):
            value = -value
            node.visits[move] += 1
            node.totals[move] += value
        for node, move in reversed(path):
            if node.children[move].solved == -1:
                node.solved = 1
            elif node.children[move].solved == 1 and all(
                m in node.children and node.children[m].solved == 1 for m in node.moves
            ):
                node.solved = -1
            else:
                break
            node.value = node.solved
        done += 1
    most, scores = max(root.visits.values()), root.scores()

    def rank(move):
        child = root.children.get(move)
        winning = child is not None and child.solved == -1
        return (winning, root.visits[move] == most, noise[move] + root.logits[move] + scores[move])

    best = max(root.moves, key=rank)
    if root.solved:
        return best, {best: 1.0} if root.solved == 1 else {}, done, float(root.solved)
    policy, (values, _) = root.improved(), root.completed()
    return best, policy, done, sum(policy[move] * values[move] for move in root.moves)
