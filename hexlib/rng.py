"""Counter-based random numbers: each is a function of a key and a counter, and of nothing else.

A game's key is made from (seed, generation, game) and a move's from the game's key and the ply, so
that a game is the same whichever worker plays it, beside whichever others, however often restarted.
The mixing function is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
"""

import hashlib
import json
from typing import Any

import numpy as np

from hexlib.kernel import kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_TO_UNIT = 2.0**-53


@kernel
def mix(z):
    """Scramble a uint64 so that neighbouring inputs give unrelated outputs."""
    z = np.uint64(z) + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@kernel
def subkey(key, index):
    """The key of the `index`-th thing under `key`, for instance of a game's ply; uint64."""
    return mix(mix(key) + np.uint64(index))


@kernel
def uniform(key, counter):
    """A float64 strictly between 0 and 1."""
    bits = mix(np.uint64(key) + np.uint64(counter) * _GOLDEN)
    return (np.float64(bits >> np.uint64(11)) + 0.5) * _TO_UNIT


@kernel
def below(key, counter, bound):
    """An int64 from 0 to `bound` − 1 (the bias is below bound · 2⁻⁵³)."""
    return np.int64(uniform(key, counter) * bound)


@kernel
def gumbel(key, counter):
    """A float64 of the standard Gumbel distribution."""
    return -np.log(-np.log(uniform(key, counter)))


@kernel
def game_key(seed, generation, game):
    """The key of a game, from which all that is random in it follows; uint64."""
    return subkey(subkey(mix(np.uint64(seed)), generation), game)


def generator(*identity: Any) -> np.random.Generator:
    """A stream of random numbers of its own for whatever has this identity, plain values of JSON.

    Its key is the start of the identity's digest, so that no two streams can overlap (Philox:
    Salmon et al. 2011).
    """
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
