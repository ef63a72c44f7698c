"""The WordPress plugin in a real WordPress, with real requests to the product, and its pages in a browser."""

import asyncio
import json
import re
import subprocess
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.async_api import Route, expect

from scripts.wordpress import HELP, ROOT, find, php
from tests.e2e.conftest import Visit
from tests.e2e.stack import Shop
from tests.e2e.steps import PORTRAIT, widget

RUN: Final = ROOT / "tests" / "wordpress" / "run.php"
#: The block in WordPress's own editor, as it is when it was just added. `written` is what a post keeps of it.
EDIT: Final = """() => {
    const { createElement, useState } = wp.element;
    const { BlockEditorProvider, BlockList, BlockInspector, BlockTools } = wp.blockEditor;
    const Editor = () => {
        const [value, set] = useState([wp.blocks.createBlock("holdfast/booking")]);
        window.written = wp.blocks.serialize(value);
        return createElement(BlockEditorProvider, { value, onInput: set, onChange: set },
            createElement(BlockTools, null, createElement(BlockList)), createElement(BlockInspector));
    };
    wp.element.render(createElement(wp.keyboardShortcuts.ShortcutProvider, null,
        createElement(wp.components.SlotFillProvider, null, createElement(Editor))), root);
}"""


async def run_wordpress(shop: Shop) -> dict[str, Any]:
    """What the plugin does from its settings to the page, in one request of WordPress's."""
    wordpress, program = find(), php()
    assert wordpress, HELP
    assert program, HELP
    words = [program, "-d", "display_errors=stderr", str(RUN), str(wordpress), shop.public, shop.host]
    printed = await asyncio.to_thread(subprocess.check_output, words, text=True)
    told: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return told


async def test_the_plugin_keeps_an_address_tests_it_and_puts_the_widget_on_the_page(shop: Shop, visit: Visit) -> None:
    told = await run_wordpress(shop)
    assert told["problems"] == []
    # Without an address visitors see nothing; what is typed becomes an origin, or is refused with a sentence.
    assert told["unset"] == ""
    assert told["server"] == {"not an address": "", "path": shop.public, "bare": "https://book.example.com"}
    [refused] = told["refused"]
    assert "such as https://book.example.com" in refused
    # The test button asks the product, and says what to change.
    allowed, unknown, stranger, silent = told["test"]
    assert allowed == ["success", f"{shop.public} answers, and {shop.host} may show the widget “studio”."]
    assert unknown == ["error", f"{shop.public} has no widget called “nobody”."]
    assert stranger[0] == silent[0] == "error"
    assert stranger[1] == f"What answers at {shop.host} is not Holdfast (status 404)."
    assert silent[1].startswith("http://127.0.0.1:9 does not answer: ")
    assert told["elsewhere"].startswith("Add https://elsewhere.example to allowed_origins of [studio]")
    assert told["page for others"] == ""
    assert f'value="{shop.public}"' in told["settings"]
    assert 'value="studio"' in told["settings"]
    # What an author types stays text.
    assert "<script" not in told["hostile"]
    assert "<img" not in told["hostile"]
    assert told["left"] == []

    visitor = await visit()
    shop.demo.host.written["wp"] = f"<!doctype html><html lang=en><body>{told['block']}{told['popup']}</body></html>"
    await visitor.page.goto(f"{shop.host}/written/wp")
    await expect(widget(visitor).get_by_role("button", name=PORTRAIT)).to_be_visible()
    assert "accent=%232f5d50" in (await visitor.page.locator("iframe").get_attribute("src") or "")
    await visitor.page.get_by_role("link", name="Book now").click()
    dialog = visitor.page.get_by_role("dialog")
    await expect(dialog.frame_locator("iframe").get_by_role("button", name=PORTRAIT)).to_be_visible()
    assert "theme=dark" in (await dialog.locator("iframe").get_attribute("src") or "")

    # In the editor: the block writes what the page above was made from.
    async def answer(route: Route) -> None:
        path = (find() or ROOT) / urlsplit(route.request.url).path.lstrip("/")
        await (route.fulfill(path=path) if path.is_file() else route.fulfill(body="", content_type="text/plain"))

    visitor.expect_problem("noConflict")  # of underscore, which Debian has in a package of its own
    await visitor.context.route(re.compile("/wp-(includes|admin)/"), answer)
    page = f"<!doctype html><html lang=en><head>{told['editor']}</head><body><div id=root></div></body></html>"
    shop.demo.host.written["editor"] = page
    await visitor.page.goto(f"{shop.host}/written/editor")
    await visitor.page.evaluate(EDIT)
    await visitor.page.get_by_label("Service").fill("portrait")
    await visitor.page.get_by_label("Where it opens").select_option("popup")
    written = await visitor.page.evaluate("written")
    assert written == '<!-- wp:holdfast/booking {"mode":"popup","service":"portrait"} /-->'
