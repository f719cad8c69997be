"""Every way in: keyboard alone, a phone, a key, light and dark; and what goes wrong is said in a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from serve.settings import Settings
from tests.serve.live import FREE, Live, serving
from tests.serve.web.conftest import told
from tests.serve.web.map_page import RED, MapPage, coloured
from tests.serve.web.told import ToldEngine

# Tiles are drawn in several threads at once, and Python's own way to silence a warning holds for one at a time.
pytestmark = pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
KEY = "a-key-for-the-test"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Serve answers that take their time, to those with the key."""
    settings = Settings(tmp_path_factory.mktemp("slow"), (KEY, "another-key"), limits=FREE)
    with serving(ToldEngine(lambda prompt: told(prompt) * 2000, pause_s=0.05), settings) as running:
        yield running


def test_a_broken_file_is_refused_in_a_sentence(page: MapPage, scenes: dict[str, Path]) -> None:
    page.page.set_input_files("#file", str(scenes["broken"]))
    notice = page.page.locator(".notice.fault p")
    notice.wait_for()
    words = notice.inner_text()
    assert words.startswith("broken.tif cannot be read as an image") and words.endswith("send it again."), words
    assert page.page.locator(".upload").count() == 0
    page.page.get_by_role("button", name="Close this message").click()
    assert page.page.locator(".notice").count() == 0


def test_a_file_can_be_dropped(page: MapPage) -> None:
    page.page.evaluate(
        """() => {
          const data = new DataTransfer()
          data.items.add(new File(['hello'], 'story.txt'))
          document.body.dispatchEvent(new DragEvent('dragenter', { dataTransfer: data, bubbles: true }))
          document.body.dispatchEvent(new DragEvent('drop', { dataTransfer: data, bubbles: true }))
        }"""
    )
    page.page.locator(".notice.fault p", has_text="story.txt was not taken. The bytes begin with b'hello'").wait_for()


def test_a_question_that_is_refused_says_why_and_can_be_asked_again(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["plain"])
    raster = page.page.locator(".raster.chosen .pick").get_attribute("id")
    assert raster is not None
    page.page.evaluate("id => fetch('/v1/rasters/' + id, { method: 'DELETE' })", raster.removeprefix("pick-"))
    turn = page.ask("Where is the field?")
    problem = turn.get_by_role("alert").inner_text()
    assert problem.startswith("There is no raster") and "Ask again" in problem


def test_the_page_is_walked_by_keyboard_alone(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["plain"])
    page.page.reload()
    page.page.wait_for_selector("body[aria-busy=false]")
    names = walk(page, 40)
    order = [
        "Skip to the question", "The API, route by route", "API key", "Keys and help", "Add", "plain.png",
    ]  # fmt: skip
    seen = [next(name for name in names if part in name) for part in order]
    assert [names.index(name) for name in seen] == sorted(names.index(name) for name in seen), names
    page.page.locator(".raster .pick").first.focus()
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("#question:enabled")
    page.settle()
    page.page.keyboard.press("/")
    page.page.keyboard.type("Where is the field?")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector(".turn[data-state=done]")
    page.page.locator("#map").focus()
    page.page.keyboard.press("]")
    page.settle()
    assert page.page.evaluate("document.activeElement.dataset.region") == "1"
    assert page.page.locator(".region.lit").count() == 1


def walk(page: MapPage, steps: int) -> list[str]:
    """Press Tab and collect what the focus names; each must be seen to have it."""
    names = []
    for _ in range(steps):
        page.page.keyboard.press("Tab")
        name = page.page.evaluate(
            """() => {
              const node = document.activeElement
              return node === document.body ? '' : (node.getAttribute('aria-label') || node.innerText || node.id).trim()
            }"""
        )
        if not name:
            break
        names.append(name)
    return names


def test_a_region_is_drawn_by_keyboard(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["plain"])
    page.page.keyboard.press("b")
    assert page.page.evaluate("document.activeElement.id") == "map"
    page.page.keyboard.press("Enter")
    for _ in range(2):
        page.page.keyboard.press("ArrowRight")
        page.settle()
    page.page.keyboard.press("ArrowDown")
    page.settle()
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector("#asked .tag")
    assert page.page.evaluate("document.activeElement.id") == "question"
    page.page.keyboard.type("What is in this region?")
    page.page.keyboard.press("Enter")
    page.page.wait_for_selector(".turn[data-state=done] .chip")
    page.page.locator("#map").focus()
    page.page.keyboard.press("f")
    page.settle()
    assert coloured(page.pixels(), RED).sum() > 200


def test_everything_has_a_name(page: MapPage, scenes: dict[str, Path]) -> None:
    page.add(scenes["before"])
    page.ask("Where is the field?")
    nameless = page.page.evaluate(
        """() => [...document.querySelectorAll('button, a, select, input, textarea, [role=slider], progress')]
          .filter((node) => !node.hidden && node.type !== 'file')
          .filter((node) => !(node.getAttribute('aria-label') || node.innerText?.trim() || node.labels?.length))
          .map((node) => node.outerHTML.slice(0, 120))"""
    )
    assert nameless == []


def test_a_key_is_asked_for_and_used_for_everything(chromium: Browser, slow: Live, scenes: dict[str, Path]) -> None:
    with chromium.new_context(viewport={"width": 1280, "height": 800}) as context:
        opened = MapPage(context.new_page())
        opened.open(slow.url, ready="#key-dialog[open]")
        opened.page.fill("#key-text", "wrong-key")
        opened.page.keyboard.press("Enter")
        opened.page.locator("#key-problem", has_text="carries no known key").wait_for()
        opened.page.fill("#key-text", KEY)
        opened.page.keyboard.press("Enter")
        opened.page.wait_for_selector("#key-dialog:not([open])", state="attached")
        opened.page.wait_for_selector("body[aria-busy=false]")
        opened.add(scenes["before"])
        assert opened.page.evaluate("sessionStorage.length + ',' + localStorage.getItem('nadir:key')") == "1,null"
        opened.page.reload()
        opened.page.wait_for_selector(".raster")
        assert opened.complaints == []


def test_an_answer_streams_and_can_be_stopped(chromium: Browser, slow: Live, scenes: dict[str, Path]) -> None:
    with chromium.new_context(viewport={"width": 1280, "height": 800}) as context:
        context.add_init_script(f"sessionStorage.setItem('nadir:key', '{KEY}')")
        opened = MapPage(context.new_page())
        opened.open(slow.url)
        opened.add(scenes["plain"])
        opened.page.fill("#question", "Describe this image.")
        opened.page.keyboard.press("Enter")
        words = opened.page.locator(".turn .words")
        opened.page.wait_for_function("() => document.querySelector('.turn .words')?.textContent.includes('A field')")
        first = words.inner_text()
        opened.page.wait_for_function(
            "length => document.querySelector('.turn .words').textContent.length > length", arg=len(first)
        )
        opened.page.get_by_role("button", name="Stop the answer").click()
        opened.page.wait_for_selector(".turn[data-state=stopped]")
        assert opened.page.get_by_role("button", name="Ask again").is_visible()


def test_on_a_phone_the_panes_lie_in_a_sheet(chromium: Browser, server: Live, scenes: dict[str, Path]) -> None:
    size = {"width": 390, "height": 844}
    with chromium.new_context(viewport=size, has_touch=True, is_mobile=True, reduced_motion="reduce") as context:
        opened = MapPage(context.new_page())
        opened.open(server.url)
        opened.page.set_input_files("#file", str(scenes["plain"]))
        opened.page.wait_for_selector("#question:enabled")
        turn = opened.ask("Where is the field?")
        assert turn.locator(".words").is_visible()
        assert coloured(opened.pixels(), RED).sum() > 200, "the shape is seen above the sheet"
        opened.page.tap("#tab-images")
        assert opened.page.locator(".raster").first.is_visible() and not turn.is_visible()
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
        opened.page.tap("#tab-chat")
        before = opened.page.locator("#map").bounding_box()
        opened.page.focus("#handle")
        opened.page.keyboard.press("ArrowDown")
        opened.settle()
        after = opened.page.locator("#map").bounding_box()
        assert before and after and after["height"] > before["height"] + 200


def test_light_and_dark_follow_the_system_and_the_button(page: MapPage) -> None:
    def ground() -> str:
        return str(page.page.evaluate("getComputedStyle(document.querySelector('.chat')).backgroundColor"))

    light = ground()
    page.page.emulate_media(color_scheme="dark")
    dark = ground()
    assert light == "rgb(255, 255, 255)" and dark != light
    page.page.click("#theme")
    assert ground() == light
    page.page.click("#theme")
    page.page.emulate_media(color_scheme="light")
    assert ground() == dark
    page.page.reload()
    assert ground() == dark


def test_nothing_is_loaded_from_elsewhere(page: MapPage, server: Live, scenes: dict[str, Path]) -> None:
    asked: list[str] = []
    page.page.on("request", lambda request: asked.append(request.url))
    page.page.goto(f"{server.url}/docs")
    page.page.wait_for_selector(".opblock")
    page.open(server.url)
    page.add(scenes["before"])
    foreign = [url for url in asked if not url.startswith((server.url, "data:", "blob:"))]
    assert asked and not foreign
