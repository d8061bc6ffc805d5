"""From visits and values to an improved policy (completed Q-values).

Danihelka et al., "Policy improvement by planning with Gumbel", ICLR 2022: the value of a move that
was not visited is completed by a mix of the network's value and the visited moves' (appendix D),
and scores grow with the number of visits (equation 8). A policy is then that of the network times
e to the score, made to sum to one; all moves without visits have the same score, so what they sum
to is known without looking at each.
"""

import math

import numpy as np

from hexlib.kernel import fast_kernel, kernel

C_VISIT = 50.0
# Q-values are rescaled to [0, 1] by their range at the node, but by no less than this (of 2), so
# that noise between equal moves is not blown up into certainty.
SMALLEST_RANGE = 0.2
EXCLUDED = np.float32(-1e30)  # the logit of a cell that may not be played


@kernel
def completed(tree, g, node):
    """What completes the values of a node: (visits of its children, mixed, highest, scale).

    A child of value q has the score (q − highest) · scale, at most 0, and an untried move the score
    (mixed − highest) · scale.
    """
    count, most = 0, 0
    weight, weighted = 0.0, 0.0
    low, high = 2.0, -2.0
    child = tree.newest[g, node]
    while child:
        visits, prior, q = tree.visits[g, child], tree.prior[g, child], tree.mean[g, child]
        count += visits
        most = max(most, visits)
        weight += prior
        weighted += prior * q
        low, high = min(low, q), max(high, q)
        child = tree.older[g, child]
    mixed = tree.raw_value[g, node]
    if count:
        mixed = (mixed + count * (weighted / max(weight, 1e-30))) / (1 + count)
    low, high = min(low, mixed), max(high, mixed)
    scale = (C_VISIT + most) * tree.c_scale / max(high - low, SMALLEST_RANGE)
    return count, mixed, high, scale


@kernel
def most_lagging(tree, g, node, best_untried):
    """The child of a node whose visits lag most behind the improved policy (equation 14).

    Returns 0 where that is `best_untried`, the untried move of the highest prior (−1: none).
    """
    count, mixed, high, scale = completed(tree, g, node)
    total, untried = 0.0, 1.0
    child = tree.newest[g, node]
    while child:
        prior = tree.prior[g, child]
        weight = prior * math.exp((tree.mean[g, child] - high) * scale)
        tree.weight[g, child] = weight
        untried -= prior
        total += weight
        child = tree.older[g, child]
    growth = math.exp((mixed - high) * scale)
    total += max(untried, 0.0) * growth
    to_share, per_visit = 1 / total, 1 / (1 + count)
    best, best_move, best_lag = 0, best_untried, -2.0
    if best_untried >= 0:
        best_lag = tree.untried[g, node, best_untried] * growth * to_share
    child = tree.newest[g, node]
    while child:
        lag = tree.weight[g, child] * to_share - tree.visits[g, child] * per_visit
        move = tree.move[g, child]
        if lag > best_lag or (lag == best_lag and move < best_move):
            best, best_move, best_lag = child, move, lag
        child = tree.older[g, child]
    return best


@fast_kernel
def softmax(logits, out):
    """Fill `out` float32 [A] with softmax(logits) of float32 [A]; EXCLUDED cells get 0.

    The exponential is 2^k · 2^f with a polynomial for 2^f (relative error below 3e−7) and the bits
    of a float32 for 2^k: unlike a call of `exp`, it compiles to vector instructions.
    """
    area = len(logits)
    bits = out.view(np.int32)
    highest = EXCLUDED
    for a in range(area):
        highest = max(highest, logits[a])
    for a in range(area):
        x = max(logits[a] - highest, np.float32(-87)) * np.float32(1.4426950408889634)
        k = np.floor(x)
        f = x - k
        p = np.float32(1.8775767e-3)
        p = p * f + np.float32(8.9893397e-3)
        p = p * f + np.float32(5.5826318e-2)
        p = p * f + np.float32(2.4015361e-1)
        p = p * f + np.float32(6.9315308e-1)
        out[a] = p * f + np.float32(9.9999994e-1)
        # p is in [1, 2): times 2^k is k more in the exponent's bits.
        bits[a] += np.int32(k) << np.int32(23)
    for a in range(area):
        out[a] = out[a] if logits[a] > EXCLUDED else np.float32(0)
    # Four sums side by side, since each addition waits for the one before.
    t0, t1, t2, t3 = np.float32(0), np.float32(0), np.float32(0), np.float32(0)
    whole = area - area % 4
    for a in range(0, whole, 4):
        t0, t1, t2, t3 = t0 + out[a], t1 + out[a + 1], t2 + out[a + 2], t3 + out[a + 3]
    for a in range(whole, area):
        t0 += out[a]
    scale = np.float32(1) / ((t0 + t1) + (t2 + t3))
    for a in range(area):
        out[a] *= scale
