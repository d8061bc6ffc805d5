"""How the inner loops are compiled."""

from numba import njit

# For functions that only fill arrays that they are given. They cannot allocate, and in return numba
# counts no references: passing a NamedTuple of twenty arrays would otherwise cost twenty atomic
# increments a call, five times what such a function does.
kernel = njit(cache=True, _nrt=False)  # type: ignore[call-overload]

# The same without NaN, infinity and negative zero to care for, so that minima and maxima become
# vector instructions. Sums keep their order: were it the compiler's choice, a result would depend
# on what it had inlined, that is on which functions a process found in numba's cache.
fast_kernel = njit(cache=True, _nrt=False, fastmath={"nnan", "ninf", "nsz"})  # type: ignore[call-overload]


@kernel
def copy_into(into, source):
    """Copy one array [L] into another (an assignment of slices would allocate)."""
    for k in range(len(source)):
        into[k] = source[k]
