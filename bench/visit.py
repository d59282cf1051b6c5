"""Both pages as a visitor sees them: seconds until there is something to see."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
MOST_SECONDS = 120

STAGE = ".studio-stage[data-ready]"
"""A picture with its classes drawn, on the segment page."""
PANELS = ".panels[data-shown]"
"""The same on the compare page."""


def both_pages(url: str) -> None:
    """Opens both pages in Chromium, has an example segmented on each, and prints the seconds.

    Args: url: of a running app with checkpoints to compare.
    """
    from playwright.sync_api import sync_playwright

    def timed(what: str, ask: Callable[[], object], shown: str) -> None:
        start = time.perf_counter()
        ask()
        page.locator(shown).first.wait_for()
        print(f"in the browser   {what}: {time.perf_counter() - start:.1f} s", flush=True)

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.set_default_timeout(1e3 * MOST_SECONDS)
        timed("/ opened, its example segmented", lambda: page.goto(url), STAGE)
        name = page.locator(f"{STAGE} img").first.get_attribute("alt")
        other = f'{STAGE}:has(img):not(:has(img[alt="{name}"]))'
        timed("/ another example", lambda: page.click('[data-example="1"]'), other)
        timed(
            "/compare/ opened, its picture segmented", lambda: page.goto(f"{url}/compare/"), PANELS
        )
        browser.close()
