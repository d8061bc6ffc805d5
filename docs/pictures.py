"""Make the pictures of the documentation from a run: `make pictures RUN_DIR=results/default`.

With a folder as a second argument, it has the report at two widths, light and dark, to look at, and
prints how soon the browser had drawn it.

Needs a Chromium on the PATH (Debian: `apt install chromium`) and what the tests need.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

HERE = Path(__file__).parent
MOVES = "#7,b3e4d4d3e2"  # of the game in the picture of `hexlib play`
PLAY = [sys.executable, "-m", "hexlib.cli", "play", "--port", "0"]
ANALYZE = [sys.executable, "-m", "hexlib.cli", "analyze", "--simulations", "256"]


def opened(browser: Browser, address: str, width: int, height: int, scheme: str = "light") -> Page:
    """A page of so many CSS pixels."""
    size = {"width": width, "height": height}
    page = browser.new_page(viewport=size, color_scheme=scheme)  # type: ignore[arg-type]
    page.goto(address)
    return page


def save(page: Page, name: str, part: str | None = None) -> None:
    """Save the window, or a part of the page, as PNG beside this file."""
    path = HERE / f"{name}.png"
    if part:
        page.locator(part).first.screenshot(path=path)
    else:
        page.screenshot(path=path)
    print(f"wrote {path}")


def looks(browser: Browser, run: Path, folder: Path) -> None:
    """The whole report as people may see it, and the milliseconds until it was drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    report = run / "report/index.html"
    print(f"{report}: {report.stat().st_size:,} bytes")
    for width in (360, 1280):
        for scheme in ("light", "dark"):
            page = opened(browser, report.resolve().as_uri(), width, 900, scheme)
            drawn = page.evaluate(
                """new Promise((drawn) => requestAnimationFrame(() => setTimeout(() => drawn(
                    Math.max(performance.getEntriesByType("navigation")[0].loadEventEnd,
                      ...performance.getEntriesByType("paint").map((one) => one.startTime))))))"""
            )
            path = folder / f"report_{width}_{scheme}.png"
            page.screenshot(path=path, full_page=True)
            print(f"drawn in {drawn:,.0f} ms, wrote {path}")


def pictures(browser: Browser, run: Path) -> None:
    """All of them."""
    report = (run / "report/index.html").resolve().as_uri()
    save(opened(browser, report, 1100, 1500), "report")

    page = opened(browser, report, 1100, 900, "dark")
    page.locator("[data-part=game]").select_option(index=2)
    for ply in range(12, 50):  # the first that a search saw, after a random opening
        page.locator("[data-part=ply]").fill(str(ply))
        if page.locator("[data-viewer] [data-part=balance]").inner_text() != "value not known":
            break
    save(page, "viewer", "[data-viewer]")

    checkpoint = str(sorted(run.glob("gen_*/train/checkpoint.pt"))[-1])
    with subprocess.Popen(
        [*PLAY, "--checkpoint", checkpoint], stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stderr is not None
        address = next(word for line in server.stderr for word in line.split() if "http:" in word)
        page = opened(browser, f"{address}?size=7", 1100, 760)
        page.locator("[data-part=hints]").check()
        page.locator("[data-part=text]").fill(MOVES)
        page.locator("[data-part=paste] button").click()
        page.locator("[data-part=balance]").wait_for()
        save(page, "play", "[data-play]")
        server.terminate()

    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "analysis.html"
        games = sorted(run.glob("gen_*/clean/chunk_0000.trmph"))[0]  # early ones have blunders
        options = ["--checkpoint", checkpoint, "--output", str(output)]
        subprocess.run([*ANALYZE, str(games), *options], check=True)
        save(opened(browser, output.as_uri(), 1100, 760), "analysis")


if __name__ == "__main__":
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        sys.exit("no chromium on the PATH; on Debian: apt install chromium")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        if len(sys.argv) > 2:
            looks(chromium, Path(sys.argv[1]), Path(sys.argv[2]))
        else:
            pictures(chromium, Path(sys.argv[1]))
