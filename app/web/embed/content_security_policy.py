"""Reading someone else's Content-Security-Policy: whether it lets a frame or a script of ours in, and what it would
have to say instead (Content Security Policy Level 3, sections 2, 6.7 and 6.8)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import urlsplit

from app.domain.urls import origin_of

Kind = Literal["frame", "script"]

#: Which directive decides: the first of these that a policy has.
_DECIDES: Final[Mapping[Kind, tuple[str, ...]]] = {
    "frame": ("frame-src", "child-src", "default-src"),
    "script": ("script-src-elem", "script-src", "default-src"),
}
_HOST_SOURCE: Final = re.compile(
    r"(?:(?P<scheme>[a-z][a-z0-9+.-]*)://)?(?P<host>\*|(?:\*\.)?[^/:*\s]+)(?::(?P<port>[0-9]{1,5}|\*))?(?P<path>/\S*)?",
    re.IGNORECASE,
)
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Policy:
    """One policy: its directives by name in small letters. `in_page` where a meta element said it."""

    directives: Mapping[str, tuple[str, ...]]
    in_page: bool = False
    text: str = field(default="", compare=False)

    def decider(self, kind: Kind) -> str:
        """The directive that decides over frames, or scripts; empty where anything goes."""
        return next((name for name in _DECIDES[kind] if name in self.directives), "")

    def allows(self, kind: Kind, url: str, *, page: str, nonce: str = "") -> bool:
        """Whether a page at the address `page` may load this address; `nonce` is the script tag's."""
        name = self.decider(kind)
        if not name:
            return True
        sources = self.directives[name]
        if kind == "script":
            if nonce and f"'nonce-{nonce}'" in sources:
                return True
            if "'strict-dynamic'" in {source.lower() for source in sources}:
                return False
        return any(_matches(source, url, page) for source in sources)

    @property
    def wants_nonce(self) -> bool:
        """Whether scripts are let in by nonce alone, whatever their address."""
        sources = self.directives.get(self.decider("script"), ())
        return "'strict-dynamic'" in {source.lower() for source in sources}

    def with_source(self, kind: Kind, source: str) -> Policy:
        """The same policy with one source more; what other things fall back to stays as it was."""
        name = self.decider(kind)
        if not name:
            return self
        kept = tuple(old for old in self.directives[name] if old.lower() != "'none'")
        target = name if name != "default-src" and name != "child-src" else f"{kind}-src"
        return Policy({**self.directives, target: (*kept, source)}, self.in_page)

    def __str__(self) -> str:
        return "; ".join(" ".join((name, *sources)) for name, sources in self.directives.items())


def read_policies(lines: Iterable[str], *, in_page: bool = False) -> list[Policy]:
    """Every policy of some headers, or of some meta elements. Each of them has to allow a thing."""
    return [
        Policy(_directives(text), in_page, text.strip())
        for line in lines
        for text in ([line] if in_page else line.split(","))
        if text.strip()
    ]


def _directives(text: str) -> dict[str, tuple[str, ...]]:
    directives: dict[str, tuple[str, ...]] = {}
    for part in text.split(";"):
        name, *sources = part.split() or [""]
        if name:
            directives.setdefault(name.lower(), tuple(sources))
    return directives


def _matches(source: str, url: str, page: str) -> bool:
    source_lower, asked, own = source.lower(), urlsplit(url), urlsplit(page)
    if source_lower == "'self'":
        return origin_of(url) == origin_of(page)
    if source_lower == "*":
        return asked.scheme in _PORTS
    if re.fullmatch(r"[a-z][a-z0-9+.-]*:", source_lower):
        return _scheme_fits(source_lower[:-1], asked.scheme)
    found = _HOST_SOURCE.fullmatch(source)
    if source.startswith("'") or not found:
        return False
    return (
        _scheme_fits((found["scheme"] or own.scheme).lower(), asked.scheme)
        and _host_fits(found["host"].lower(), asked.hostname or "")
        and _port_fits(found["port"], asked.port or _PORTS.get(asked.scheme, 0), asked.scheme)
        and _path_fits(found["path"] or "", asked.path)
    )


def _scheme_fits(allowed: str, scheme: str) -> bool:
    return scheme == allowed or (allowed == "http" and scheme == "https")


def _host_fits(allowed: str, host: str) -> bool:
    if allowed == "*":
        return True
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def _port_fits(allowed: str | None, port: int, scheme: str) -> bool:
    if allowed is None:
        return port == _PORTS.get(scheme)
    return allowed == "*" or int(allowed) == port or (allowed == "80" and port == 443)


def _path_fits(allowed: str, path: str) -> bool:
    if allowed in {"", "/"}:
        return True
    return path.startswith(allowed) if allowed.endswith("/") else path == allowed
