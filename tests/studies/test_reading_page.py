"""The readers' page in a real browser: a whole session, kills, and every byte searched for the truth."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from made_studies import make_study

from medsynth.studies.reading.answers import AnswerStore
from medsynth.studies.reading.closing import close_study
from medsynth.studies.reading.design import ITEMS, load_design

sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
LINE = re.compile(r"  (.+): (http\S+)")
SECONDS = 30_000


class Served:
    """`medsynth study serve` as a process of its own, on one port that it keeps."""

    def __init__(self, study):
        self.study, self.port = study, 0
        self.start()

    def start(self):
        words = [
            sys.executable,
            "-m",
            "medsynth",
            "study",
            "serve",
            self.study,
            "--port",
            self.port,
        ]
        self.process = subprocess.Popen(
            [str(w) for w in words], stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.links = {}
        for line in self.process.stdout:
            if found := LINE.match(line):
                self.links[found[1]] = found[2]
            if "Ctrl-C" in line:
                break
        self.port = int(re.search(r":(\d+)/", next(iter(self.links.values())))[1])

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(timeout=20)

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(timeout=20) == 0


@pytest.fixture
def serve():
    started = []

    def start(study):
        started.append(Served(study))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.kill()


@pytest.fixture
def playwright():
    if CHROMIUM is None:
        pytest.skip("needs chromium (Debian package chromium)")
    with sync_api.sync_playwright() as found:
        yield found


def browser_of(playwright):
    return playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def sign_in(page, link, *, ai=True):
    page.goto(link)
    page.wait_for_selector("select[name=role]", timeout=SECONDS)
    page.select_option("select[name=role]", "radiologist")
    page.fill("input[name=experience_years]", "4")
    if ai:
        page.select_option("select[name=ai_knowledge]", "nothing")
    page.click(".go")
    begin(page)


def begin(page):
    page.wait_for_selector("body[data-card=intro]", timeout=SECONDS)
    page.keyboard.press("Space")


def at(page, position, phase=0):
    page.wait_for_selector(f"body[data-card=''][data-at='{phase}/{position}']", timeout=SECONDS)


def read(page, position, key, *, phase=0):
    at(page, position, phase)
    page.keyboard.press(key)
    page.keyboard.press("Space")


def recorded(page, traffic):
    """Keep every byte that the page receives, its headers and addresses included."""

    def keep(response):
        text = f"{response.url} {response.status} {json.dumps(response.headers)}"
        try:
            body = response.body()
        except sync_api.Error:
            body = b""
        traffic.append((response.url, text, body))

    page.on("response", keep)


def answers(study):
    return AnswerStore(study / "study.db").all()


def test_a_whole_session_by_keyboard_and_no_byte_tells_the_truth(tmp_path, serve, playwright):
    study = tmp_path / "study"
    make_study(study, items=40)
    server, browser, traffic = serve(study), browser_of(playwright), []
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    recorded(page, traffic)
    sign_in(page, server.links["Ana"])
    for position in range(40):
        at(page, position)
        if position == 3:
            page.keyboard.press("p")
            page.wait_for_selector("body[data-card=pause]")
            page.keyboard.press("Space")
            at(page, position)
        if position == 5:
            page.keyboard.press("u")
            at(page, 4)
            read(page, 4, "1")
            at(page, 5)
        if position == 6:
            page.keyboard.press("r")
            page.keyboard.type("12 ribs, 2 lungs")
            page.keyboard.press("Escape")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowRight")
        read(page, position, "123"[position % 3])
    page.wait_for_selector("body[data-card=end]", timeout=SECONDS)
    assert errors == []
    given = answers(study)
    assert [row["position"] for row in sorted(given, key=lambda r: r["position"])] == [*range(40)]
    assert len(AnswerStore(study / "study.db").all(withdrawn=True)) == 41
    by_position = {row["position"]: row for row in given}
    assert by_position[6]["remark"] == "12 ribs, 2 lungs"
    assert by_position[7]["answer"] == "fake"
    assert by_position[7]["sure"] == 4
    assert all(0 < row["seconds"] < 60 for row in given)
    _search(study, "Ana", traffic)
    browser.close()
    server.stop()


def _search(study, name, traffic):
    """Nothing received names an item, a source or its file; no size, header or address differs by truth."""
    design, _ = load_design(study)
    (reader,) = (r for r in design.readers if r.name == name)
    received = [
        (text + body.decode("latin-1")) for url, text, body in traffic if "/image/" not in url
    ]
    images = {
        url.split("/image/")[1]: (text, body) for url, text, body in traffic if "/image/" in url
    }
    secrets = {i.id for i in design.items} | {f for i in design.items for f in i.files}
    secrets |= {i.person for i in design.items} | {s for i in design.items for s in i.sha256}
    secrets |= {"made0", "pictures", "real-0", str(study)}
    for secret in secrets:
        assert not [t for t in received if secret in t], secret
        assert not [u for u, (t, body) in images.items() if secret in t or secret.encode() in body]
    # What the page receives of an image is the same for every one, but for place and window.
    states = [json.loads(body) for url, _, body in traffic if url.endswith("/state") and body]
    states = [s for s in states if s["status"] == "reading"]
    for state in states:
        del state["position"], state["can_undo"], state["question"]["window"]
    assert len({json.dumps(s, sort_keys=True) for s in states}) == 1
    assert len(images) == 40
    seen = {True: set(), False: set()}
    for position, showing in enumerate(reader.orders[0]):
        text, body = images[f"0/{position}/0"]
        item = design.index[showing.item]
        assert body == (study / ITEMS / item.files[0]).read_bytes()
        seen[item.synthetic].add((len(body), re.sub(r"\S*/image/\S+", "", text)))
    assert seen[True] == seen[False]
    assert len(seen[True]) == 1


def test_before_the_readers_know_no_byte_says_what_it_is_about(tmp_path, serve, playwright):
    study = tmp_path / "study"
    make_study(study, items=4, naive=3)
    server, browser, traffic = serve(study), browser_of(playwright), []
    page = browser.new_page()
    recorded(page, traffic)
    sign_in(page, server.links["Ana"], ai=False)
    read(page, 0, "4")
    read(page, 1, "2")
    at(page, 2)
    received = " ".join(text + body.decode("latin-1") for _, text, body in traffic).lower()
    for word in ("synthetic", "fake", "generated", "artificial", "ai_", "made by"):
        assert word not in received, word
    page.keyboard.press("5")
    page.keyboard.press("Space")
    page.wait_for_selector("select[name=ai_knowledge]", timeout=SECONDS)
    assert "synthetic images" in page.inner_text("#notice")
    browser.close()


def test_two_readers_at_once_one_of_them_on_a_phone(tmp_path, serve, playwright):
    study = tmp_path / "study"
    make_study(study, items=6)
    server, browser = serve(study), browser_of(playwright)
    wide = browser.new_page(viewport={"width": 1280, "height": 800})
    phone = browser.new_context(
        viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True
    ).new_page()
    sign_in(wide, server.links["Ana"])
    sign_in(phone, server.links["Ben"])
    for position in range(6):
        read(wide, position, "1")
        at(phone, position)
        for selector in ("#choices button:nth-child(2)", "#next"):
            target = phone.locator(selector)
            box = target.bounding_box()
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 390
            target.tap()
    for page in (wide, phone):
        page.wait_for_selector("body[data-card=end]", timeout=SECONDS)
    found = {(row["reader"], row["answer"]) for row in answers(study)}
    assert found == {("Ana", "real"), ("Ben", "fake")}
    assert len(answers(study)) == 12
    browser.close()


def test_a_wrong_link_and_a_closed_study(tmp_path, serve, playwright):
    study = tmp_path / "study"
    make_study(study, items=4)
    server, browser = serve(study), browser_of(playwright)
    page = browser.new_page()
    sign_in(page, server.links["Ana"])
    at(page, 0)
    other = browser.new_page()
    for wrong in ("r/nobody/", "r/nobody/state", "docs", "openapi.json", ""):
        response = other.goto(f"http://127.0.0.1:{server.port}/{wrong}")
        assert response.status == 404
        assert "Ana" not in response.text()
    assert "leads nowhere" in other.inner_text("h1")
    close_study(study, unfinished=True)
    page.keyboard.press("1")
    page.keyboard.press("Space")
    page.wait_for_selector("body[data-card=end]", timeout=SECONDS)
    assert "closed" in page.inner_text("#cover-card")
    assert other.goto(server.links["Ben"]).status == 410
    assert answers(study) == []
    browser.close()


KILLS = int(os.environ.get("MEDSYNTH_KILLS", "3"))


def test_killed_servers_and_browsers_lose_and_double_nothing(tmp_path, serve, playwright):
    """Both are killed at any moment, also between an answer and its acknowledgment.

    MEDSYNTH_KILLS=30 is the long version: 60 items and 3 readers.
    """
    readers = ("Ana", "Ben", "Cleo") if KILLS >= 30 else ("Ana",)
    items = 60 if KILLS >= 30 else 12
    study = tmp_path / "study"
    make_study(study, items=items, readers=readers, side=32)
    server, killed = serve(study), 0
    every = max(2, items * len(readers) // KILLS)
    answered = 0
    for name in readers:
        profile = tmp_path / f"profile-{name}"
        context, page, pid = _open(playwright, profile)
        sign_in(page, server.links[name])
        position = 0
        while position < items:
            at(page, position)
            page.keyboard.press("12"[position % 2])
            kill = killed < KILLS and answered % every == every - 1
            if kill and killed % 2 == 0:
                server.kill()  # the page keeps the answer and goes on asking
            page.keyboard.press("Space")
            answered += 1
            if kill and killed % 2 == 0:
                killed += 1
                time.sleep(0.2)
                server.start()
            elif kill:
                killed += 1
                time.sleep(0.05 * (killed % 4))
                os.kill(pid, signal.SIGKILL)
                for lock in profile.glob("Singleton*"):  # of the process that is no more
                    lock.unlink()
                _closed(context)
                context, page, pid = _open(playwright, profile)
                page.goto(server.links[name])
                page.wait_for_selector("body[data-card]", timeout=SECONDS)
                page.wait_for_selector(
                    "body[data-card=intro], body[data-card=end]", timeout=SECONDS
                )
                state = page.get_attribute("body", "data-at")
                if page.get_attribute("body", "data-card") == "intro":
                    page.wait_for_selector("body[data-at*='/']", timeout=SECONDS)
                    state = page.get_attribute("body", "data-at")
                    # Not acknowledged: the reader sees the same image again, and answers it again.
                    assert int(state.split("/")[1]) in (position, position + 1)
                    position = int(state.split("/")[1]) - 1
                    page.keyboard.press("Space")
            position += 1
        page.wait_for_selector("body[data-card=end]", timeout=SECONDS)
        _closed(context)
    assert killed == KILLS
    given = answers(study)
    for name in readers:
        own = sorted((r for r in given if r["reader"] == name), key=lambda r: r["position"])
        assert [r["position"] for r in own] == list(range(items))
        assert [r["answer"] for r in own] == [
            "real" if k % 2 == 0 else "fake" for k in range(items)
        ]
    assert len({r["nonce"] for r in given}) == len(given) == items * len(readers)


def _open(playwright, profile):
    """A browser with a profile on the disk, its first page and the id of its process."""
    context = playwright.chromium.launch_persistent_context(
        str(profile), executable_path=CHROMIUM, args=["--no-sandbox"]
    )
    found = subprocess.run(
        ["pgrep", "-o", "-f", f"user-data-dir={profile}"], capture_output=True, text=True
    )
    return context, context.pages[0], int(found.stdout.split()[0])


def _closed(context):
    with contextlib.suppress(sync_api.Error):
        context.close()
