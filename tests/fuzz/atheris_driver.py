"""Fuzz a reader with atheris: `atheris_driver.py TARGET FOLDER [libFuzzer options]`.

The corpus grows in FOLDER, from seeds and from what it had grown to before. Modules with compiled
functions are not instrumented, since numba compiles the byte code that it finds. `make fuzz` runs
all targets.
"""

import sys
from pathlib import Path

import atheris

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "hexlib"
sys.path.insert(0, str(TESTS))


def compiled() -> list[str]:
    """The modules that have functions for numba."""
    return [
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in PACKAGE.rglob("*.py")
        if any(word in path.read_text() for word in ("import njit", "hexlib.kernel"))
    ]


with atheris.instrument_imports(include=["hexlib", "zipfile", "json"], exclude=compiled()):
    import targets


def main() -> None:
    """Write the target's seeds and corpus into the folder, then fuzz until told to stop."""
    name, folder = sys.argv.pop(1), Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for k, seed in enumerate([*targets.TARGETS[name][1](), *targets.grown(name)]):
        (folder / f"seed_{k}").write_bytes(seed)
        targets.feed(name, seed)  # imports and compiles, which would count as slow
    atheris.Setup(sys.argv, lambda data: targets.feed(name, data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
