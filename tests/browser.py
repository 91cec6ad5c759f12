"""A real Chromium, steered by its own driver over WebDriver (W3C), with nothing but the standard library."""

import base64
import json
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

import pytest

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--force-color-profile=srgb",
)  # fmt: skip
KEYS = {"tab": "\ue004", "enter": "\ue007", "escape": "\ue00c", "space": " "}
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


def needed():
    """The driver and the browser, or skip the test."""
    driver = shutil.which("chromedriver")
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if driver is None or browser is None:
        pytest.skip("no chromium with its driver here: apt-get install chromium chromium-driver")
    return driver, browser


class Browser:
    """One window. Use it in a ``with`` block."""

    def __enter__(self):
        driver, browser = needed()
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._driver = subprocess.Popen([driver, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        port = next(int(found[1]) for line in self._driver.stdout if (found := re.search(r"successfully on port (\d+)", line)))
        self._session = f"http://127.0.0.1:{port}"
        options = {"binary": browser, "args": [*FLAGS, f"--user-data-dir={self._profile.name}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        found = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session += f"/session/{found['sessionId']}"
        return self

    def __exit__(self, *_):
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.communicate()
            self._profile.cleanup()

    def _ask(self, method, path, body=None):
        data = json.dumps(body or {}).encode() if method == "POST" else None
        request = urllib.request.Request(self._session + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from error

    def open(self, url):
        self._ask("POST", "/url", {"url": url})

    def size(self, width, height=900):
        """Show the page in a window of this inner size."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._ask("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def run(self, script, *args):
        """What a function body returns in the page; promises are waited for."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(args)})

    def element(self, css):
        return self._ask("POST", "/element", {"using": "css selector", "value": css})[_ELEMENT]

    def click(self, css):
        self._ask("POST", f"/element/{self.element(css)}/click")

    def write(self, css, text):
        self._ask("POST", f"/element/{self.element(css)}/clear")
        self._ask("POST", f"/element/{self.element(css)}/value", {"text": text})

    def press(self, *keys):
        """Press keys one after the other, wherever the focus is."""
        actions = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def text(self, css):
        return self.run("return document.querySelector(arguments[0]).innerText", css)

    def wait(self, script, *args):
        """Wait until a function body returns something true, and return it."""
        return self.run(
            """const test = new Function(arguments[0]), given = arguments[1], end = Date.now() + 20000;
            return new Promise((done, fail) => { (function look() {
              const found = test.apply(null, given);
              if (found) done(found); else if (Date.now() > end) fail(new Error("waited in vain for " + test));
              else setTimeout(look, 30); })(); });""",
            script, list(args),
        )  # fmt: skip

    def complaints(self):
        """Errors of the console of the browser since the last call."""
        return [line["message"] for line in self._ask("POST", "/se/log", {"type": "browser"}) if line["level"] == "SEVERE"]

    def fetched(self):
        """URLs that were asked for since the last call."""
        lines = [json.loads(line["message"])["message"] for line in self._ask("POST", "/se/log", {"type": "performance"})]
        return [line["params"]["request"]["url"] for line in lines if line["method"] == "Network.requestWillBeSent"]

    def picture(self, path: Path):
        """Write the whole page as PNG."""
        shot = {"cmd": "Page.captureScreenshot", "params": {"captureBeyondViewport": True}}
        path.write_bytes(base64.b64decode(self._ask("POST", "/goog/cdp/execute", shot)["data"]))


ACCESSIBLE = (Path(__file__).parent / "accessible.js").read_text(encoding="utf-8")
"""The checks of axe-core that matter here, by hand; returns what is wrong."""
