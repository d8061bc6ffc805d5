"""Line charts as inline SVG that take their colours and font from the page."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, PercentFormatter, StrMethodFormatter

# matplotlib wants colours, the page has CSS variables that know light from dark: each colour below
# is drawn as a stand-in and replaced by its variable in the text of the SVG.
STAND_IN = {
    "ink": "#010101",
    "muted": "#020202",
    "line": "#030303",
    "first": "#040404",
    "second": "#050505",
    "third": "#060606",
    "fourth": "#070707",
    "fifth": "#080808",
    "sixth": "#090909",
}
VARIABLE = {colour: f"var(--{name})" for name, colour in STAND_IN.items()}
# One series after the other; dashes and markers make colour needless to tell them apart.
LOOKS: list[tuple[str, Any, str]] = [
    ("first", "-", "o"),
    ("second", (0, (3, 1.5)), "s"),
    ("third", (0, (1, 1)), "^"),
    ("fourth", (0, (5, 1, 1, 1)), "D"),
    ("fifth", (0, (7, 2)), "v"),
    ("sixth", (0, (2, 1, 1, 1, 1, 1)), "P"),
]
WIDTH, HEIGHT = 360, 216  # units of the SVG; a card is about as many pixels wide
MARKED = 60  # points at most of a line that shows each of them
STYLE: Any = {
    "svg.fonttype": "none",
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.edgecolor": STAND_IN["line"],
    "axes.labelcolor": STAND_IN["muted"],
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": STAND_IN["line"],
    "grid.linewidth": 0.8,
    "text.color": STAND_IN["ink"],
    "xtick.color": STAND_IN["line"],
    "ytick.color": STAND_IN["line"],
    "xtick.labelcolor": STAND_IN["muted"],
    "ytick.labelcolor": STAND_IN["muted"],
    "ytick.major.size": 0,
    "xtick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.markersize": 4.5,
    "path.simplify_threshold": 0.5,
}


@dataclass
class Series:
    """One line: `x` and `y` floats [K], NaN for a gap; `low` and `high` [K] of an interval."""

    label: str
    x: np.ndarray
    y: np.ndarray
    low: np.ndarray | None = None
    high: np.ndarray | None = None


@dataclass
class Chart:
    """A picture with its words: `description` is read out in place of the picture."""

    title: str
    caption: str
    svg: Markup
    description: str
    legend: list[str] = field(default_factory=list)


def line_chart(
    title: str,
    caption: str,
    series: Sequence[Series],
    x_label: str = "generation",
    *,
    percent: bool = False,
    steps: bool = False,
    zero: bool = False,
    dividers: Sequence[float] = (),
    first_tick: tuple[float, str] | None = None,
) -> Chart:
    """Draw up to as many series over a common x axis as there are `LOOKS`.

    `percent` formats shares of 1, `steps` draws a histogram's outline, `zero` starts the y axis at
    0, `dividers` are x at which a faint vertical line stands, `first_tick` names one x otherwise.
    The same data gives the same bytes.
    """
    salt = "".join(character for character in title if character.isalnum())
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # the user's own matplotlibrc must not change the page
        matplotlib.rcParams.update(STYLE)
        matplotlib.rcParams["svg.hashsalt"] = salt
        figure = Figure(figsize=(WIDTH / 72, HEIGHT / 72), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        for x in dividers:
            axes.axvline(x, color=STAND_IN["line"], linewidth=0.6)
        for look, one in zip(LOOKS, series, strict=False):
            _draw(axes, one, look, steps=steps)
        axes.set_xlabel(x_label)
        axes.margins(x=0.03, y=0.1)
        if zero:
            axes.set_ylim(bottom=0)
        if percent and axes.dataLim.y1 <= 1 < axes.get_ylim()[1]:
            axes.set_ylim(top=1)  # the margin must not promise more than everything
        axes.yaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
        axes.yaxis.set_major_formatter(
            PercentFormatter(1) if percent else StrMethodFormatter("{x:,g}")
        )
        _name_ticks(axes, first_tick, all(np.all(one.x % 1 == 0) for one in series))
        buffer = io.StringIO()
        figure.savefig(
            buffer,
            format="svg",
            transparent=True,
            metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"]),
        )
    return Chart(
        title,
        caption,
        _inline(buffer.getvalue()),
        f"{title}. {_in_words(series, percent)}",
        [one.label for one in series] if len(series) > 1 else [],
    )


def _draw(axes, one: Series, look: tuple[str, Any, str], *, steps: bool) -> None:
    name, dashes, marker = look
    colour = STAND_IN[name]
    known = np.isfinite(one.y)
    x, y = one.x[known], one.y[known]
    axes.plot(
        x,
        y,
        color=colour,
        linestyle=dashes,
        marker=marker if len(x) <= MARKED and not steps else None,
        clip_on=False,  # or a marker at 100 % would be cut in half
        drawstyle="steps-mid" if steps else "default",
    )
    if one.low is not None and one.high is not None:
        reach = [y - one.low[known], one.high[known] - y]
        axes.errorbar(x, y, np.maximum(reach, 0), fmt="none", ecolor=colour, elinewidth=1)


def _name_ticks(axes, first_tick: tuple[float, str] | None, whole: bool) -> None:
    """Numbers along x, whole ones if `whole`; `first_tick` gives one x a word in their place."""
    low, high = axes.dataLim.intervalx
    axes.xaxis.set_major_locator(
        FixedLocator([low]) if low == high else MaxNLocator(7, integer=whole)
    )
    if first_tick is None:
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        return
    left, word = first_tick
    low, high = axes.get_xlim()
    ticks = [tick for tick in axes.get_xticks() if left + 0.5 < tick <= high]
    # The word is wider than a number and would run into one that stands close to it.
    ticks = [tick for tick in ticks if tick - left > 0.12 * (high - low)]
    axes.set_xticks([left, *ticks], [word, *(f"{tick:,.0f}" for tick in ticks)])
    axes.set_xlim(low, high)


def _in_words(series: Sequence[Series], percent: bool) -> str:
    """From where to where each line runs."""
    parts = []
    for one in series:
        known = one.y[np.isfinite(one.y)]
        if len(known):
            first, last = (f"{y:.1%}" if percent else f"{y:,.4g}" for y in known[[0, -1]])
            parts.append(
                f"{one.label}: from {first} to {last}" if len(known) > 1 else f"{one.label}: {last}"
            )
    return "; ".join(parts) + "." if parts else "No data."


def _inline(document: str) -> Markup:
    """The `<svg>` element alone, without ids and styles that would leak into the page."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg .*?viewBox="([^"]*)".*?>', r'<svg viewBox="\1" aria-hidden="true">', svg, count=1
    )
    svg = re.sub(r"font(-size|-family)?: [^;\"]*;? ?", "", svg)
    svg = svg.replace("xlink:href", "href")
    for colour, variable in VARIABLE.items():
        svg = svg.replace(colour, variable)
    return Markup(re.sub(r"\s*\n\s*", "\n", svg))
