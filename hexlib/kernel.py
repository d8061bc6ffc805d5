"""How the inner loops are compiled, and called."""

from typing import Any

from numba import njit, typeof

# For functions that only fill arrays that they are given. They cannot allocate, and in return numba
# counts no references: passing a NamedTuple of twenty arrays would otherwise cost twenty atomic
# increments a call, five times what such a function does.
kernel = njit(cache=True, _nrt=False)  # type: ignore[call-overload]

# The same without NaN, infinity and negative zero to care for, so that minima and maxima become
# vector instructions. Sums keep their order: were it the compiler's choice, a result would depend
# on what it had inlined, that is on which functions a process found in numba's cache.
fast_kernel = njit(cache=True, _nrt=False, fastmath={"nnan", "ninf", "nsz"})  # type: ignore[call-overload]


class SameTypes:
    """A compiled function whose arguments have the same types at each call.

    It looks at them once: for a tuple of twenty arrays that takes 5 µs, more than the call itself.
    """

    def __init__(self, function: Any):
        self._function = function
        self._compiled: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """Call it."""
        if self._compiled is None:
            self._compiled = self._function.compile(tuple(typeof(a) for a in arguments))
        return self._compiled(*arguments)


@kernel
def copy_into(into, source):
    """Copy one array [L] into another (an assignment of slices would allocate)."""
    for k in range(len(source)):
        into[k] = source[k]


@fast_kernel
def first_of_highest(values):
    """The index of the highest of float32 [L], the first of equals."""
    highest = values[0]
    for k in range(len(values)):  # in vector instructions, which a search for the place is not
        highest = max(highest, values[k])
    for k in range(len(values)):
        if values[k] == highest:
            return k
    return 0
