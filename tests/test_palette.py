"""The colours of the pages: contrast enough to read, and apart for colour-blind people."""

import itertools
import re

import numpy as np
import pytest

from hexlib.pages import DATA

# Severe colour blindness as matrices on linear RGB: Machado, Oliveira and Fernandes 2009, "A
# physiologically-based model for simulation of color vision deficiency", table 1.
SIGHT = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)  # of linear sRGB, IEC 61966-2-1


def palettes():
    css = (DATA / "style.css").read_text()
    light, dark = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    variables = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]
    return {"light": variables[0], "dark": variables[1]}


PALETTES = palettes()


def linear(colour):
    """Linear RGB, floats [3] from 0 to 1, of #rrggbb."""
    share = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """The ratio of WCAG 2.2, from 1 to 21."""
    dark, light = sorted(float(TO_XYZ[1] @ linear(colour)) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def lab(colour, sight):
    """CIELAB of a colour as it is seen, D65."""
    xyz = TO_XYZ @ np.clip(np.asarray(SIGHT[sight]) @ linear(colour), 0, 1)
    ratio = xyz / TO_XYZ.sum(1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_formulas():
    assert contrast("#000000", "#ffffff") == pytest.approx(21, abs=0.01)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)
    assert lab("#ffffff", "normal") == pytest.approx([100, 0, 0], abs=0.1)
    red, green = "#b00000", "#4f6a00"  # nearly one colour to who has no red cones
    apart = [np.linalg.norm(lab(red, s) - lab(green, s)) for s in ("normal", "protanopia")]
    assert apart[1] < apart[0] / 3


@pytest.mark.parametrize("scheme", PALETTES)
def test_text_and_lines_stand_out(scheme):
    """4.5 for text, 3 for lines and stones: WCAG 2.2, level AA."""
    colour = PALETTES[scheme]
    lines = ["first", "second", "third", "fourth", "fifth", "sixth"]
    for ground in ("page", "card"):
        for name in ("ink", "muted", "warn", "first"):
            assert contrast(colour[name], colour[ground]) >= 4.5, (name, ground)
        for name in (*lines, "blue", "red"):
            assert contrast(colour[name], colour[ground]) >= 3, (name, ground)
    for stone in ("blue", "red"):
        assert contrast(colour["stone-ink"], colour[stone]) >= 4.5, stone
        assert contrast("#ffffff", colour[f"{stone}-deep"]) >= 4.5, f"{stone}-deep"


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("scheme", PALETTES)
def test_blue_and_red_are_apart_in_every_sight(scheme, sight):
    """A distance of 2.3 is just seen; stones, edges and lines are far beyond it."""
    colour = PALETTES[scheme]
    for one, other in [("blue", "red"), ("blue-deep", "red-deep"), ("first", "second")]:
        apart = np.linalg.norm(lab(colour[one], sight) - lab(colour[other], sight))
        assert apart > 30, (one, other, apart)


def test_no_meaning_hangs_on_colour_alone():
    css = (DATA / "board.css").read_text()
    assert re.search(r"\.cell\.red \.ring \{ stroke: ", css), "a red stone has a ring"
    assert re.search(r"\.moves \.red \{[^}]*double", css), "a red move has a double bar"
    dashes = re.findall(
        r"path\.(\w+) \{[^}]*dasharray: ([\d. ]+);", (DATA / "style.css").read_text()
    )
    assert len({dash for _, dash in dashes}) == len(dashes) == 5  # and one line has none
    for one, other in itertools.combinations(dashes, 2):
        assert one != other
