"""The `webhooks` of a widget in widgets.toml."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from app.domain.outgoing_webhooks import WebhookEvent


class WebhookSetting(BaseModel):
    """An address to which messages about a widget's bookings are sent."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")]
    """What the commands call it, after the widget: `studio.crm`. Its secret belongs to this name."""
    url: Annotated[str, Field(max_length=2000)]
    """Where messages are sent: an https address that anyone can reach, or one of `WEBHOOK_PRIVATE_ORIGINS`."""
    events: tuple[WebhookEvent, ...] = ()
    """Which events are sent to it. Without it all."""
    personal_data: bool = False
    """Whether messages have the customer's name, address and answers, and a program's own `reference` and
    `metadata`."""
    secret_versions: Annotated[tuple[Annotated[int, Field(ge=1, le=999)], ...], Field(min_length=1, max_length=5)] = (
        1,
    )
    """Which secrets sign, newest first. To replace one, put a higher number in front, and take the old one away when
    your program knows the new one."""

    @field_validator("url")
    @classmethod
    def _is_web_address(cls, url: str) -> str:
        try:
            parts = urlsplit(url)
            usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            usable = False
        # A password in an address would be shown wherever the address is.
        if not usable or parts.username is not None or parts.fragment or not url.isprintable() or " " in url:
            raise ValueError("must be an address such as https://crm.example.com/holdfast")
        return url
