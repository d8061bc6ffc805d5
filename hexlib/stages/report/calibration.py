"""Whether the values are to be believed: what was foreseen against what came."""

import numpy as np

from hexlib.ladder import wilson
from hexlib.stages.report.charts import Series, line_chart
from hexlib.stages.report.read import Generation, Run
from hexlib.stages.report.sample import BINS
from hexlib.stages.report.words import UNKNOWN, Section, Table, floats, percent


def calibration(run: Run) -> Section:
    """Chances that the search gave against games won, and how far they are apart."""
    section = Section("calibration", "Calibration of the value")
    sampled = [(one, one.sample) for one in run.generations if one.sample]
    known = [(one, sample) for one, sample in sampled if sample.error is not None]
    if not known:
        section.empty = "No positions with a value of the search have been shuffled yet."
        return section
    section.intro = (
        "The value of the search at the root of its tree, as a chance to win, against how often"
        " the player to move did win: self-play positions of each generation, judged by the network"
        " that played them, untrained on them. On the diagonal it is to be believed."
    )
    shown = [known[-1][0], known[0][0]] if len(known) > 1 else [known[-1][0]]
    even = np.array([0.0, 1.0])
    section.charts = [
        line_chart(
            "Chance foreseen and games won",
            "Share of games won by the player to move; 95% intervals (Wilson).",
            [*(_curve(one) for one in shown), Series("exact", even, even)],
            "chance foreseen",
            percent=True,
        ),
        line_chart(
            "Calibration error",
            "Mean distance between the chance foreseen and the games won.",
            [
                Series(
                    "calibration error",
                    np.array([one.number for one, _ in known]),
                    floats(sample.error for _, sample in known),
                )
            ],
            percent=True,
            zero=True,
        ),
    ]
    last, sample = known[-1]
    rows = [
        [
            f"{k / BINS:.0%} to {(k + 1) / BINS:.0%}",
            f"{sample.count[k]:,}",
            percent(sample.foreseen[k]) if sample.count[k] else UNKNOWN,
            percent(sample.won[k] / sample.count[k]) if sample.count[k] else UNKNOWN,
        ]
        for k in range(BINS)
    ]
    headers = ["chance foreseen", "positions", "mean", "won"]
    section.folded = [Table(f"Chances of {last.name}", headers, rows)]
    return section


def _curve(one: Generation) -> Series:
    sample = one.sample
    assert sample is not None
    known = sample.count > 0
    won, count = sample.won[known], sample.count[known]
    low, high = np.array([wilson(int(w), int(c)) for w, c in zip(won, count, strict=True)]).T
    return Series(one.name, sample.foreseen[known], won / count, low, high)
