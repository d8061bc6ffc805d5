"""From visit counts and values to one comparable score a move (completed Q-values).

Danihelka et al., "Policy improvement by planning with Gumbel", ICLR 2022: the value of a move that
was not visited is completed by a mix of the network's value and the visited moves' (appendix D),
and scores grow with the number of visits (equation 8).
"""

import numpy as np

from hexlib.kernel import fast_kernel

C_VISIT = 50.0
C_SCALE = 0.1
# Q-values are rescaled to [0, 1] by their range at the node, but by no less than this (of 2), so
# that noise between equal moves is not blown up into certainty.
SMALLEST_RANGE = 0.2
EXCLUDED = np.float32(-1e30)  # the logit of a cell that may not be played


@fast_kernel
def completed_scores(logits, prior, visits, totals, raw_value, scores):
    """Fill `scores` float32 [A] with sigma(completed Q) of one node.

    `logits`, `prior` float32 [A]: the network's policy over the allowed cells; `visits` int16 [A];
    `totals` float32 [A]: the sum of values, −1 to 1, for the player to move; `raw_value`: the
    network's value of the node. Excluded cells keep a finite score that has no meaning.
    """
    # Without branches, so that the loops compile to vector instructions.
    area = len(logits)
    one, zero = np.float32(1), np.float32(0)
    count, most = zero, zero
    weight, weighted = zero, zero
    low, high = np.float32(2), np.float32(-2)
    for a in range(area):
        n = np.float32(visits[a])
        q = totals[a] / max(n, one)
        share = prior[a] if n > zero else zero
        count += n
        most = max(most, n)
        weight += share
        weighted += share * q
        low = min(low, q if n > zero else np.float32(2))
        high = max(high, q if n > zero else np.float32(-2))
    raw = np.float32(raw_value)
    mixed = (raw + count * (weighted / max(weight, np.float32(1e-9)))) / (one + count)
    low, high = min(low, mixed), max(high, mixed)
    scale = (np.float32(C_VISIT) + most) * np.float32(C_SCALE)
    scale /= max(high - low, np.float32(SMALLEST_RANGE))
    for a in range(area):
        n = np.float32(visits[a])
        q = totals[a] / n if n > zero else mixed
        scores[a] = (q - low) * scale


@fast_kernel
def softmax_of_sum(logits, scores, bits, out):
    """Fill `out` float32 [A] with softmax(logits + scores); excluded cells get 0.

    `bits` int32 [A] is scratch.

    The exponential is 2^k · 2^f with a polynomial for 2^f (relative error below 3e−7) and the bits
    of a float32 for 2^k: unlike a call of `exp`, it compiles to vector instructions.
    """
    area = len(logits)
    powers = bits.view(np.float32)
    highest = EXCLUDED
    for a in range(area):
        out[a] = logits[a] + scores[a]
        highest = max(highest, out[a])
    for a in range(area):
        x = max(out[a] - highest, np.float32(-87)) * np.float32(1.4426950408889634)
        k = np.floor(x)
        f = x - k
        p = np.float32(1.8775767e-3)
        p = p * f + np.float32(8.9893397e-3)
        p = p * f + np.float32(5.5826318e-2)
        p = p * f + np.float32(2.4015361e-1)
        p = p * f + np.float32(6.9315308e-1)
        out[a] = p * f + np.float32(9.9999994e-1)
        bits[a] = (np.int32(k) + np.int32(127)) << np.int32(23)
    total = np.float32(0)
    for a in range(area):
        out[a] = out[a] * powers[a] if logits[a] > EXCLUDED else np.float32(0)
        total += out[a]
    scale = np.float32(1) / total
    for a in range(area):
        out[a] *= scale
