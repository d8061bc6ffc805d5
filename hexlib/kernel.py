"""How the inner loops are compiled."""

from numba import njit

# For functions that only fill arrays that they are given. They cannot allocate, and in return numba
# counts no references: passing a NamedTuple of twenty arrays would otherwise cost twenty atomic
# increments a call, five times what such a function does.
kernel = njit(cache=True, _nrt=False)  # type: ignore[call-overload]

# The same for sums over floats, whose order the compiler may choose.
fast_kernel = njit(cache=True, _nrt=False, fastmath=True)  # type: ignore[call-overload]


@kernel
def copy_into(into, source):
    """Copy one array [L] into another (an assignment of slices would allocate)."""
    for k in range(len(source)):
        into[k] = source[k]
