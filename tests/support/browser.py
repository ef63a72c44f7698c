"""A browser without scripts that follows forms and redirects through the HTML door."""

import re
from html import unescape
from urllib.parse import urlsplit

import httpx

from tests.support.stack import Stack, text_of


class Browser:
    """A visitor's browser: follows redirects, fills forms in, keeps nothing."""

    def __init__(self, stack: Stack, language: str = "en-GB") -> None:
        self._stack = stack
        self._language = language
        self.page = httpx.Response(0)

    async def open(self, url: str) -> str:
        """Go there; the page's text."""
        self.page = await self._stack.client.get(
            url, headers={"Accept-Language": self._language}, follow_redirects=True
        )
        return text_of(self.page.text)

    async def send(self, form: str, **fields: str) -> str:
        """Send the form whose tag matches, with its hidden fields and these; the page's text."""
        match = re.search(rf"(?s)<form[^>]*{form}[^>]*>.*?</form>", self.page.text)
        assert match, f"no form {form} in {text_of(self.page.text)[:300]}"
        tag = match[0].split(">")[0]
        inputs = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', match[0])
        hidden = {name: unescape(value) for name, value in inputs}
        found = re.search(r'action="([^"]+)"', tag)
        assert found
        action = unescape(found[1])
        headers, post = {"Accept-Language": self._language}, 'method="post"' in tag
        if post:
            self.page = await self._stack.client.post(action, data=hidden | fields, headers=headers)
        else:
            self.page = await self._stack.client.get(action, params=hidden | fields, headers=headers)
        if self.page.is_redirect and urlsplit(self.page.headers["location"]).netloc in {"", "book.example"}:
            return await self.open(self.page.headers["location"])
        return text_of(self.page.text)

    @property
    def starts(self) -> list[str]:
        """The times that can be clicked."""
        return re.findall(r'name="start" value="([^"]+)"', self.page.text)
