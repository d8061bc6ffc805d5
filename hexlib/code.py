"""Which code a product was made by: a digest that changes when a statement does, and only then.

Snakemake does not see into the package that its rules call. Each rule therefore carries the
digest of its stage as a parameter, and a change of that reruns the stage and what follows.
"""

import ast
import functools
import hashlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent

# What these decide reaches a product through the parameters of its rule, or not at all.
UNTRACKED = {"settings", "run_config", "config"}
UNTRACKED |= {"logs", "errors", "signals", "hold", "faults", "provenance"}


def code_version(module: str, package: Path = PACKAGE) -> str:
    """Digest (16 hex digits) of a module and of all that it imports from its own package.

    `module` is a dotted name such as "hexlib.stages.clean"; `package` the folder that holds the
    package's source. Comments, docstrings, layout and the modules in `UNTRACKED` do not count.
    Raises `ModuleNotFoundError` when the module, or one that it imports, has no source there.
    """
    digest = hashlib.sha256()
    for name, path in sorted(_closure(module, package).items()):
        digest.update(f"{name}\n{_statements(path)}\n".encode())
    return digest.hexdigest()[:16]


def _closure(module: str, package: Path) -> dict[str, Path]:
    """The modules that importing `module` runs, itself and its parents included, with sources."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        parts = name.split(".")
        if name in found or (len(parts) > 1 and parts[1] in UNTRACKED):
            continue
        path = _source(name, package)
        if path is None:
            raise ModuleNotFoundError(f"no source of {name} in {package}: is it installed whole?")
        found[name] = path
        waiting += [".".join(parts[:depth]) for depth in range(1, len(parts))]
        waiting += _imports(name, path, package)
    return found


def _source(name: str, package: Path) -> Path | None:
    """The source file of a module of the package, or None where there is none."""
    base = package.joinpath(*name.split(".")[1:])
    candidates = [base / "__init__.py", base.parent / f"{base.name}.py"]
    return next((path for path in candidates if path.is_file()), None)


@functools.cache
def _imports(name: str, path: Path, package: Path) -> tuple[str, ...]:
    """Modules of the package that a module names in its import statements, wherever they stand.

    Nearly all stages ask for nearly all modules, and each walk through a module's tree is long.
    """
    return tuple(_named(name, path, package))


def _named(name: str, path: Path, package: Path) -> Iterator[str]:
    here = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(_parse(path)):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == here[0])
        elif isinstance(node, ast.ImportFrom):
            above = here[: len(here) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if base.split(".")[0] == here[0]:
                yield base
                members = (f"{base}.{alias.name}" for alias in node.names)
                yield from (member for member in members if _source(member, package))


@functools.cache
def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes(), filename=str(path))


@functools.cache
def _statements(path: Path) -> str:
    """The module as text without what does not run."""
    return _text(_parse(path))


def _text(node: object) -> str:
    """A syntax tree as text, without positions, docstrings and empty fields.

    `ast.dump` would do but for the fields that each Python version adds, empty as a rule: a new
    Python is no reason to play all games again.
    """
    if isinstance(node, list):
        return f"[{','.join(map(_text, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = []
    for name, value in ast.iter_fields(node):
        if name == "body" and isinstance(value, list):
            value = [statement for statement in value if not _is_bare_text(statement)]
        if value is not None and value != []:
            fields.append(f"{name}={_text(value)}")
    return f"{type(node).__name__}({','.join(fields)})"


def _is_bare_text(statement: ast.stmt) -> bool:
    """Whether a statement is a string that nothing uses, as a docstring is."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
