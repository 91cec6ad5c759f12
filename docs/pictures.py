"""Make docs/report.png and docs/console.png from the sample log: ``python docs/pictures.py``. It needs Chromium."""

import sys
import tempfile
from pathlib import Path

from PIL import Image

from rewriter import console, learn, try_out

DOCS = Path(__file__).parent
SAMPLE = DOCS.parent / "data" / "sample.parquet"
WIDTH, HEIGHT = 1200, 1500
COLOURS = 64
"""Few colours, so that a picture stays far below 300 kB."""

sys.path.insert(0, str(DOCS.parent / "tests"))
from browser import Browser  # noqa: E402 - the tests are no package


def main() -> None:
    """Learn from the sample, and photograph the top of both pages."""
    with tempfile.TemporaryDirectory() as temporary, Browser() as browser:
        folder = Path(temporary)
        try_out(SAMPLE, out=folder / "try")
        learn(SAMPLE, out=folder / "artefact")
        console(folder / "artefact", out=folder / "console.html")
        browser.size(WIDTH, HEIGHT)
        for page, name in ((folder / "try" / "report.html", "report"), (folder / "console.html", "console")):
            browser.open(page.as_uri())
            browser.picture(folder / "whole.png")
            whole = Image.open(folder / "whole.png")  # narrower than the window by its scroll bar
            whole.crop((0, 0, whole.width, HEIGHT)).convert("RGB").quantize(COLOURS).save(DOCS / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main()
