"""What a scheduler that does not answer, or not as it should, is told as."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from app.operations.setup_check.finding import Finding, fail


@dataclass(frozen=True, slots=True)
class Whom:
    """Who is asked: what the findings are about, the provider's name, its address with the setting that has it, and
    what that address is like."""

    about: str
    provider: str
    url: str
    setting: str
    form: str


@contextmanager
def outages_told(found: list[Finding], whom: Whom) -> Iterator[None]:
    """Look inside; what stops the look is one more finding, after those that came before it."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        fix = f"Check {whom.provider}'s status page, and try again."
        found.append(fail(whom.about, f"{whom.url} answers {error.response.status_code}", fix))
    except httpx.HTTPError as error:
        fix = f"Check {whom.setting}, this machine's DNS and firewall, then {whom.provider}'s status page."
        found.append(fail(whom.about, f"{whom.url} does not answer ({type(error).__name__})", fix))
    except (ValueError, LookupError, TypeError):
        fix = f"Check {whom.setting}; {whom.form}."
        found.append(fail(whom.about, f"{whom.url} does not answer as {whom.provider} does", fix))
