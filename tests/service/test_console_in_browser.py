"""The console in a real Chromium: by eye, by keyboard, on a phone, from right to left, without a network, and with actions."""

import os
import re
import shutil
from pathlib import Path

import lamp_log
import pytest
from browser import ACCESSIBLE, Browser, needed
from test_service import BEARER, SECRET, Server

from rewriter import console, report, try_out
from rewriter.artefact import review
from rewriter.operate.review import rules

pytestmark = pytest.mark.browser

PICTURES = os.environ.get("REWRITER_PICTURES")
"""Folder for screenshots; none are kept if it is not set."""
RULE = "turn of the lamp"


@pytest.fixture(scope="module")
def browser():
    needed()
    with Browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def root(small, tmp_path_factory):
    root = tmp_path_factory.mktemp("console") / "artefact"
    shutil.copytree(small, root)
    return root


@pytest.fixture(scope="module")
def server(root):
    needed()
    server = Server(root)
    yield server
    server.process.kill()
    server.process.communicate()


@pytest.fixture
def file(browser, root, tmp_path):
    console(root, tmp_path / "console.html")
    browser.size(1200)
    browser.open((tmp_path / "console.html").as_uri())
    browser.complaints(), browser.fetched()
    return browser


@pytest.fixture
def live(browser, server, root):
    (root / review.FILE).unlink(missing_ok=True)
    browser.size(1200)
    browser.open(f"http://me:{SECRET}@127.0.0.1:{server.port}/console")
    return browser


def keep(browser, name):
    if PICTURES:
        browser.picture(Path(PICTURES) / f"{name}.png")


def overflow(browser):
    """Pixels by which the page is wider than the window, and what sticks out."""
    return browser.run(
        """const w = document.documentElement.clientWidth, out = [];
        for (const e of document.querySelectorAll("body *")) {
          const b = e.getBoundingClientRect();
          const sticks = (b.right > w + 1 || b.left < -1) && b.width > 1;
          if (sticks && !e.closest(".wide, nav ul, .skip, .sr")) out.push(e.outerHTML.slice(0, 90));
        }
        return [document.documentElement.scrollWidth - w, out];"""
    )


def test_the_file_opens_without_a_network_and_without_a_complaint(file):
    file.run("location.reload()")
    file.wait("return document.querySelectorAll('ul.rules > li').length")
    assert file.complaints() == []
    assert {url.partition(":")[0] for url in file.fetched()} <= {"file", "data", "blob"}
    assert file.text("h1").startswith("rewriter: ")
    assert "data-choice" not in file.run("return document.querySelector('ul.rules').innerHTML"), "it only shows"
    file.run("for (const d of document.querySelectorAll('details')) d.open = true")
    assert file.run("return document.querySelectorAll('ul.rules figure svg').length") == 1
    keep(file, "file-1200")


def test_the_file_answers_from_its_rules(file):
    file.write("#ask-text", "Turn of the lamp!")
    file.press("enter")
    assert file.wait("return document.querySelector('#answer').innerText").startswith("Sent instead: turn off the lamp")
    file.write("#ask-text", "hello")
    file.press("enter")
    assert file.wait("const t = document.querySelector('#answer').innerText; return t.includes('No rule') && t")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("direction", ["ltr", "rtl"])
def test_it_is_accessible_and_fits(file, width, direction, scheme):
    file._ask("POST", "/goog/cdp/execute", {
        "cmd": "Emulation.setEmulatedMedia", "params": {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    })  # fmt: skip
    file.size(width)
    file.run(
        "document.documentElement.dir = arguments[0]; for (const d of document.querySelectorAll('details')) d.open = true",
        direction,
    )
    assert file.run(ACCESSIBLE) == []
    assert overflow(file) == [0, []]
    left = file.run("return document.querySelector('.pair bdi').getBoundingClientRect().left")
    assert (left > width / 2) == (direction == "rtl" and width > 1000) or width == 400
    keep(file, f"file-{width}-{direction}-{scheme}")


@pytest.mark.parametrize("width", [400, 1200])
@pytest.mark.parametrize("page", ["report", "try_out"])
def test_the_reports_are_accessible_and_fit(browser, root, tmp_path, page, width):
    if page == "report":
        report(root, tmp_path / "report.html")
    else:
        try_out(lamp_log.write(tmp_path / "log.jsonl"), out=tmp_path)
    browser.size(width)
    browser.open((tmp_path / "report.html").as_uri())
    assert browser.run(ACCESSIBLE) == []
    assert overflow(browser) == [0, []]
    charts = "[...document.querySelectorAll('figure svg')].map((e) => [e.clientWidth, e.viewBox.baseVal.width])"
    shown = browser.run(f"return {charts}.filter((e) => e[0])")
    assert shown
    assert all(pixels * 72 / 96 > 0.95 * points for pixels, points in shown), "no chart is shrunk: its words could not be read"
    keep(browser, f"{page}-{width}")


def test_the_service_shows_why_and_draws(live):
    live.write("#ask-text", "turn of the lamb")
    live.run("document.querySelector('#ask [name=late]').click()")
    live.press("enter")
    answer = live.wait("const t = document.querySelector('#answer').innerText; return t.length > 20 && t")
    assert "turn of the lamb" in answer
    live.write("#ask-text", RULE)
    live.press("enter")
    assert live.wait("const t = document.querySelector('#answer').innerText; return t.includes('global rule') && t").startswith(
        "Sent instead:"
    )
    live.run("document.querySelector('details[data-graph]').open = true")
    live.wait("return document.querySelector('.graph svg')")
    assert live.complaints() == []
    assert live.run(ACCESSIBLE) == []
    keep(live, "service-1200")


def test_a_person_decides_by_keyboard_alone(live, server, root):
    """Block, then edit, then approve; each holds from the next request on."""
    (rule, *_) = rules(root)

    def sent():
        return server.ask("POST", "/v1/rewrite", {"utterance": RULE}, BEARER)[1]

    def focus(choice):
        for _ in range(60):
            live.press("tab")
            if live.run("return document.activeElement.dataset.choice") == choice:
                return
        raise AssertionError(f"{choice} is not reached by the tab key")

    assert sent()["text"] == rule.target
    focus("block")
    live.press("enter")
    live.wait("return document.activeElement.id.startsWith('block-')")
    live.press("escape")
    assert live.run("return document.activeElement.dataset.choice") == "block", "the focus returns"
    live.press("enter")
    live.press(*"why")
    live.press("enter")
    live.wait("return document.querySelector('.review').textContent === 'blocked'")
    assert sent()["reason"] == "blocked_by_review"
    assert live.text("#said").startswith(f"blocked: {RULE}")
    live.run("document.querySelector('#filter').focus()")
    focus("edit")
    live.press("enter")
    live.wait("return document.activeElement.id.endsWith('-text')")
    live.run("document.activeElement.select()")
    live.press(*"lamp off")
    live.press("enter")
    live.wait("return document.querySelector('.review').textContent === 'edited'")
    assert sent()["text"] == "lamp off"
    assert "lamp off" in live.text(".edited")
    live.run("document.querySelector('#filter').focus()")
    focus("approve")
    live.press("space")
    live.wait("return document.querySelector('.review').textContent === 'approved'")
    (line,) = review.read(root / review.FILE).lines
    assert (line.choice, line.source, line.target) == ("approve", rule.source, rule.target)
    assert live.complaints() == []


def test_the_filter_finds(live):
    live.write("#filter", "nosuch")
    assert live.wait("return document.querySelector('#shown').textContent") == "0 shown"
    live.write("#filter", "LAMP")
    assert live.wait("return document.querySelector('#shown').textContent === '1 shown'")


def test_without_a_token_nobody_decides(browser, root):
    server = Server(root, token=None)
    try:
        browser.open(f"http://127.0.0.1:{server.port}/console")
        assert "decisions need a token" in browser.text("header")
        assert not browser.run("return document.querySelector('button[data-choice]')")
        (rule, *_) = rules(root)
        status, answer = server.ask("POST", "/console/review", {"rule": rule.rule, "choice": "block"}, {})
        assert (status, "token" in answer["error"]) == (400, True)
    finally:
        server.end()


def test_the_page_is_guarded_by_its_headers(server):
    status, page = server.ask("GET", "/console")
    assert status == 200
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert "default-src &#39;none&#39;" in found[1]
    assert server.ask("GET", "/console", headers={})[0] == 401
    assert server.ask("POST", "/console/review", {"rule": "x", "choice": "edit"})[0] == 400
    assert server.ask("POST", "/console/graph", {"rule": "nosuch"}) == (200, {"svg": ""})
    assert server.ask("POST", "/console/ask", {"text": "x" * 20_000})[1]["applied"] is False
