"""What the benchmarks share: one core, interleaved measuring, tables, and the page they write."""

import argparse
import os
import platform
import re
import resource
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import metadata
from pathlib import Path

# One thread for every library, so that rates are those of a core.
ONE_THREAD = {
    "JAX_PLATFORMS": "cpu",
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
# What holds OpenBLAS to the code of an older processor.
SLOWING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16", "bf16")
LIBRARIES = (
    *("numpy", "numba", "torch", "openvino"),
    *("jax", "pgx", "mctx", "open_spiel", "hexgame-server"),
)
MISSING = "not installed"
PAGE = """# Benchmarks

Each section is written by the script that it names; the peers come with
`pip install -r benchmarks/requirements.txt`. Rates are per second of processor time of one core,
medians of rounds in which the contestants take turns.
"""


def start(text: str, cores: int = 1) -> argparse.ArgumentParser:
    """Options that all benchmarks have; begins the process anew if its environment is not fit.

    It and what it starts are held to that many cores.
    """
    wanted = {key: value for key, value in os.environ.items() if key not in SLOWING} | ONE_THREAD
    if wanted != dict(os.environ):
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], wanted)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])
    parser = argparse.ArgumentParser(description=text)
    parser.add_argument(
        "--quick", action="store_true", help="See that it works; rates mean little."
    )
    parser.add_argument("--write", type=Path, metavar="F.md", help="Replace its section of a page.")
    return parser


def rate(
    step: Callable[[], int], seconds: float, clock: Callable[[], float] = time.process_time
) -> float:
    """How many things a second `step` does, which returns how many it did at a time."""
    count, begun = 0, clock()
    while (spent := clock() - begun) < seconds:
        count += step()
    return count / spent


def interleaved(contestants: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """The median of what each contestant measures, when they take turns."""
    measured: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, contestant in contestants.items():
            measured[name].append(contestant())
    return {name: statistics.median(values) for name, values in measured.items()}


def peak_memory() -> float:
    """The most memory that this process, without its children, has used so far, in MB."""
    status = Path("/proc/self/status")
    found = status.exists() and re.search(r"VmHWM:\s+(\d+)", status.read_text())
    if found:
        return int(found[1]) / 1000
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1000


def machine() -> str:
    """The processor and the versions that the figures hold for, in words."""
    try:
        described = Path("/proc/cpuinfo").read_text()
    except OSError:
        described = ""
    found = re.search(r"^model name\s*: (.*)$", described, re.MULTILINE)
    model = found[1] if found else platform.processor() or platform.machine()
    present = set(described.split())
    flags = " ".join(flag for flag in TELLING_FLAGS if flag in present)
    versions = [f"Python {platform.python_version()}"]
    for library in LIBRARIES:
        try:
            versions.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{library} {MISSING}")
    return f"{model}, {os.cpu_count()} cores ({flags or 'flags unknown'}); {', '.join(versions)}"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table, its columns aligned for those who read it as it is."""
    lines = [list(header), *map(list, rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(header))]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        "| "
        + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        + " |"
        for line in lines
    )


def number(value: float | None) -> str:
    """With about three digits that count; a dash for what does not apply."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def ratio(value: float | None, other: float | None) -> str:
    """`value` ÷ `other`; a dash where one does not apply."""
    if value is None or not other:
        return "–"
    return f"{value / other:.2f}" if value < 100 * other else f"{value / other:,.0f}"


def publish(name: str, title: str, parts: Sequence[str], page: Path | None) -> None:
    """Print a section, and put it into `page` in place of the one between its markers."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    command = shlex.join(["python", *sys.argv])
    section = "\n\n".join([f"## {title}", f"`{command}` on {machine()}.", *parts])
    print(section)
    if page is None:
        return
    text = page.read_text() if page.exists() else PAGE
    section = f"{begin}\n{section}\n{end}"
    old = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    text = old.sub(lambda _: section, text) if old.search(text) else f"{text}\n{section}\n"
    page.write_text(text)
