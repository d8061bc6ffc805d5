"""The report of a run: one page that opens from disk and asks nothing of any other host."""

from pathlib import Path

from hexlib.files import write_text
from hexlib.pages import render
from hexlib.stages.report.account import accounting, glance, lineage
from hexlib.stages.report.calibration import calibration
from hexlib.stages.report.learning import games, selfplay, training
from hexlib.stages.report.read import Run, read_run
from hexlib.stages.report.strength import openings, strength

SECTIONS = (
    glance,
    strength,
    openings,
    games,
    training,
    calibration,
    selfplay,
    accounting,
    lineage,
)  # as on the page


def run(run_dir: Path, output: Path, logs: Path | None = None) -> None:
    """Write the page of the run under `run_dir`, whole or not at all.

    `logs` is the folder of its jobs' logs: how fast self-play was is only said there. What is
    missing or damaged in the run is said on the page. Raises `BadInput` when `run_dir` is not the
    folder of a run. The page knows of no clock: times come from the files of the
    run, and the same files give the same bytes.
    """
    write_text(output, page(read_run(Path(run_dir), logs)))


def page(content: Run) -> str:
    """The page as HTML, with style, script and pictures inside it."""
    return render(
        "report.html",
        ("board.js", "viewer.js"),
        run=content,
        sections=[make(content) for make in SECTIONS],
    )
