"""A headless Chromium in which tests open the pages, told to note whatever goes wrong."""

import shutil

import pytest


def chromium():
    """Where the browser is; skips the test, with the reason, where there is none."""
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on the PATH; on Debian: apt install chromium")
    return path


class Visitor:
    """Opens pages and collects console errors and requests that leave the allowed start."""

    def __init__(self, browser, allowed, width=1280, scheme="light"):
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.faults = []
        self.page.on(
            "console",
            lambda said: said.type in ("error", "warning") and self.faults.append(said.text),
        )
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on(
            "request",
            lambda request: (
                request.url.startswith((allowed, "data:"))
                or self.faults.append(f"asks for {request.url}")
            ),
        )

    def part(self, name):
        return self.page.locator(f'[data-part="{name}"]')

    def status(self):
        return self.part("status").inner_text()

    def barriers(self):
        """What axe-core finds that keeps people out (names of rules and parts of the page)."""
        from axe_playwright_python.sync_playwright import Axe

        # Text of SVG and on gradients it cannot judge: tests/test_palette.py looks at colours.
        found = Axe().run(self.page).response["violations"]
        return [(one["id"], [node["target"] for node in one["nodes"][:5]]) for one in found]

    def overflow(self):
        """Pixels by which the page is wider than the window."""
        return self.page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )


@pytest.fixture(scope="module")
def browser():
    """One browser for the tests of a module."""
    path = chromium()
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        found = started.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield found
        found.close()
