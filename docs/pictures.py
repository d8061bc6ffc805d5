"""Make the pictures of the documentation from a run: `make pictures RUN=results/default`.

Needs a Chromium on the PATH (Debian: `apt install chromium`).
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
# No window, no request of the browser's own, and a fresh profile, so that the page is all there is.
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--blink-settings=preferredColorScheme=1",
]


def picture(page: Path, output: Path, width: int, height: int) -> None:
    """Save the top of a page as PNG, `width` × `height` CSS pixels."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit("no chromium on the PATH; on Debian: apt install chromium")
    with tempfile.TemporaryDirectory() as profile:
        window = [f"--user-data-dir={profile}", f"--window-size={width},{height}"]
        subprocess.run(
            [chromium, *FLAGS, *window, f"--screenshot={output}", page.resolve().as_uri()],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    run = Path(sys.argv[1])
    picture(run / "report/index.html", HERE / "report.png", 1100, 1500)
    print(f"wrote {HERE / 'report.png'}")
