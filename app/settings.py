"""The environment, read once at start into one frozen Settings.

A wrong value stops the start and names its variable. Every name may be given as NAME_FILE instead, whose
content is the value (for secrets mounted as files). `make configuration` writes docs/configuration.md from what is said
under each setting here, and in app/widgets.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parseaddr
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import SplitResult, urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from app.domain.urls import origin_of
from app.explain import explain

#: The schedulers that a widget may name.
SCHEDULERS: Final = ("hapio", "calcom", "calendly")
#: Without one of these settings, by their variables' names, there is nothing to book.
CREDENTIALS: Final = ("HAPIO_API_TOKEN", "CALCOM_API_KEY", "CALENDLY_TOKEN", "CALENDLY_CLIENT_ID")
HAPIO_URL = "https://eu-central-1.hapio.net/v1"
CALCOM_URL = "https://api.cal.com/v2"
CALENDLY_URL = "https://api.calendly.com"
CALENDLY_AUTH_URL = "https://auth.calendly.com"
STRIPE_URL = "https://api.stripe.com"
HTMX_URL = "https://cdn.jsdelivr.net/npm/htmx.org@4.0.1/dist/htmx.min.js"
#: Of dist/htmx.min.js in the package htmx.org 4.0.1; a test compares it with the genuine file.
HTMX_INTEGRITY = "sha384-Qp9rdC8H7EqOoX+nR0P3RPG2Noji+qdwJlGpfzwQJsfOpp3sGwIdSP9xO3+UlEhn"

#: Which of the possible ways of signing Hapio has taken is not documented; this one is assumed.
HAPIO_SCHEME = "signed=timestamp.body encoding=hex unit=seconds"
_HEADER = r"^[a-z0-9-]{1,64}$"


class WebhookScheme(BaseModel):
    """How Hapio signs its webhooks: HMAC-SHA256 over `signed`, written as `encoding`; where the signature and the
    time of signing stand, and in which `unit` that time is."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)

    signed: Literal["timestamp.body", "timestamp+body", "body"] = "timestamp.body"
    """What the signature covers: the time stamp and the body, joined by a full stop or directly."""
    encoding: Literal["hex", "base64"] = "hex"
    """How the signature is written."""
    unit: Literal["seconds", "milliseconds", "iso"] = "seconds"
    """How the time stamp is written."""
    signature_header: Annotated[str, Field(alias="signature", pattern=_HEADER)] = "x-hapio-signature"
    """The header that holds the signature."""
    timestamp_header: Annotated[str, Field(alias="timestamp", pattern=_HEADER)] = "x-hapio-signature-timestamp"
    """The header that holds the time stamp."""

    @classmethod
    def read(cls, text: str) -> WebhookScheme:
        """From words such as `encoding=base64`; what is left out is as above. Raises ValueError."""
        return cls.model_validate(dict(part.partition("=")[::2] for part in text.lower().split()))


class Settings(BaseModel):
    """What an operator may set. Secrets do not print."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    hapio_api_token: SecretStr | None = None
    """The API token of your Hapio project."""
    hapio_base_url: str = HAPIO_URL
    """Hapio's address."""
    hapio_calls_per_month: Annotated[int, Field(ge=100)] = 2500
    """The calls that your Hapio plan includes each month. Times are read less often before they run out."""
    hapio_webhook_secret: SecretStr | None = None
    """The secret of the webhook that you made in Hapio's portal. Without it Hapio's webhooks are refused, and
    changes made in Hapio are found by checking every few hours."""
    hapio_webhook_scheme: str = HAPIO_SCHEME
    """How Hapio signs its webhooks, as words separated by spaces; the table below lists them."""
    calcom_api_key: SecretStr | None = None
    """The API key of your Cal.com account."""
    calcom_base_url: str = CALCOM_URL
    """The address of Cal.com's API; your own, if you host Cal.com yourself."""
    calcom_webhook_secret: SecretStr | None = None
    """The secret of the webhook that you made in Cal.com. Without it Cal.com's webhooks are refused, and changes made
    there are found by checking every few minutes."""
    calendly_token: SecretStr | None = None
    """A personal access token of your Calendly account."""
    calendly_base_url: str = CALENDLY_URL
    """The address of Calendly's API."""
    calendly_webhook_key: SecretStr | None = None
    """The key that Calendly's webhooks are signed with: that of your OAuth app, or the one that you gave when you made
    a webhook subscription yourself. Without it Calendly's webhooks are refused, and changes made there are found by
    checking every few minutes."""
    calendly_creates_per_day: Annotated[int, Field(ge=1)] = 100
    """How many bookings Calendly lets your plan make in a day, moves included; for each account."""
    calendly_client_id: str = ""
    """The client id of your OAuth app at Calendly. With it owners connect their own accounts on the staff page, and a
    widget's `scheduler` may be `calendly:` and an owner's name."""
    calendly_client_secret: SecretStr | None = None
    """The client secret of that app."""
    calendly_auth_url: str = CALENDLY_AUTH_URL
    """The address of Calendly's OAuth pages."""
    stripe_secret_key: SecretStr | None = None
    """A restricted Stripe key, live or test. Without one only free services can be booked."""
    stripe_webhook_secret: tuple[SecretStr, ...] = ()
    """The signing secret of Stripe's webhook endpoint. Required with a key; several while you replace it."""
    stripe_api_base: str = STRIPE_URL
    """Stripe's address, for the sandbox. Any other address is refused with a live key."""
    secret_keys: Annotated[tuple[SecretStr, ...], Field(min_length=1)]
    """Keys that sign the links and seal the tokens of connected accounts, newest first: the first signs and seals, all
    verify and open. At least 32 characters each. Keep an old key for as long as links that it signed must work, and for
    at least a day, so that tokens can be sealed again."""
    public_url: str
    """Where visitors reach the server: scheme and host, no path. Must be https with a live Stripe key."""
    # Not shown with the others, because a password may be in it.
    database_url: Annotated[str, Field(repr=False)] = "sqlite:///holdfast.sqlite3"
    """The SQLite file, or a PostgreSQL database. A file's absolute path has four slashes:
    `sqlite:////var/lib/holdfast/holdfast.sqlite3`. PostgreSQL, 14 or newer: `postgresql://user:password@host:port/name`,
    special characters percent-encoded."""
    keep_done_days: Annotated[int, Field(ge=35, le=3650)] = 90
    """For how many days webhook events that have had their effect, and the record of mails that were sent, are kept.
    Bookings, payments and their history stay."""
    redis_url: SecretStr | None = None
    """A Redis or Valkey server, in which several server processes count visitors together: `redis://host:6379/0`,
    `rediss://` with TLS. Without it each process counts for itself. If its data is lost, counting starts again."""
    smtp_url: SecretStr | None = None
    """The mail server: `smtp://`, `smtps://` or `smtp+starttls://`, then `user:password@host:port`.
    Percent-encode special characters. Without it mails wait, and go out once it is set."""
    mail_from: str = ""
    """The sender: an address, or `Name <address>`. Required with `SMTP_URL`."""
    api_keys: tuple[SecretStr, ...] = ()
    """Keys of servers that may do everything over JSON. At least 24 characters each."""
    seed_routes: Literal["off", "on"] = "off"
    """`on` opens the JSON routes for programs that were written for Calendly with Stripe, which docs/api.md lists.
    Needs `API_KEYS`."""
    webhook_private_origins: tuple[str, ...] = ()
    """Addresses that outgoing webhooks may be sent to although they are not public: scheme and host, with a port if
    there is one, such as `http://n8n.internal:5678`. Everywhere else they need https and a public address."""
    staff_emails: tuple[str, ...] = ()
    """Who may sign in to the staff page, by a link mailed to them. Needs `SMTP_URL`."""
    # The browser checks `form-action` on the redirect to Stripe's page, too.
    stripe_checkout_origins: tuple[str, ...] = ("https://checkout.stripe.com",)
    """The origins of Stripe's payment page. Change it if you use a custom domain for Checkout."""
    htmx_url: str = HTMX_URL
    """Where browsers load htmx from. To host it yourself, put the same file into `static/` and set
    `/static/htmx.min.js`."""
    htmx_integrity: str = HTMX_INTEGRITY
    """The hash of that file, which browsers check, wherever it comes from."""
    metrics_token: Annotated[SecretStr, Field(min_length=16)] | None = None
    """The bearer token that Prometheus presents at `/metrics`, at least 16 characters. Without it there is no
    such page."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe lines that are logged."""
    widgets_file: Path | None = None
    """The file that describes the widgets. If it is not set, `widgets.toml` in the working directory is used;
    without that file there is one widget, `default`, with all services."""
    availability_ttl: Annotated[int, Field(ge=5, le=3600)] = 45
    """For how many seconds times count as fresh."""
    availability_max_age: Annotated[int, Field(ge=60, le=86400)] = 3600
    """For how many seconds times may still be shown while the scheduler does not answer."""

    @field_validator(
        "stripe_webhook_secret",
        "secret_keys",
        "api_keys",
        "webhook_private_origins",
        "staff_emails",
        "stripe_checkout_origins",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("secret_keys")
    @classmethod
    def _long_enough(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < 32 for key in keys):
            raise ValueError("every key needs at least 32 characters, for example from `openssl rand -hex 32`")
        return keys

    @field_validator("api_keys")
    @classmethod
    def _hard_to_guess(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value()) < 24 for key in keys):
            raise ValueError("every key needs at least 24 characters, for example from `openssl rand -hex 32`")
        return keys

    @field_validator("webhook_private_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            parts = urlsplit(origin)
            bare = origin == f"{parts.scheme}://{parts.netloc}"
            if parts.scheme not in {"http", "https"} or not parts.hostname or not bare or _odd(parts):
                raise ValueError("must be origins such as http://n8n.internal:5678, separated by commas")
        return origins

    @field_validator("staff_emails")
    @classmethod
    def _are_addresses(cls, addresses: tuple[str, ...]) -> tuple[str, ...]:
        try:
            return tuple(validate_email(one, check_deliverability=False).normalized for one in addresses)
        except EmailNotValidError as error:
            raise ValueError("must be email addresses, separated by commas") from error

    @field_validator(
        "public_url",
        "hapio_base_url",
        "calcom_base_url",
        "calendly_base_url",
        "calendly_auth_url",
        "stripe_api_base",
    )
    @classmethod
    def _is_web_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment or _odd(parts):
            raise ValueError("must be an address such as https://book.example.com")
        return url.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _is_an_origin(cls, url: str) -> str:
        # Links and the frame's policy are made for a server that has the host to itself.
        if urlsplit(url).path:
            raise ValueError("must have no path: Holdfast needs a host of its own, such as https://book.example.com")
        # Browsers compare it with an origin in their own spelling.
        origin = origin_of(url)
        if not origin:
            raise ValueError("must be an address such as https://book.example.com")
        return origin

    @field_validator("mail_from")
    @classmethod
    def _is_a_sender(cls, sender: str) -> str:
        if not sender:
            return sender
        try:
            validate_email(parseaddr(sender)[1], check_deliverability=False, globally_deliverable=False)
        except EmailNotValidError as error:
            raise ValueError("must be an address, or a name with an address: Studio Nord <book@example.com>") from error
        return sender

    @field_validator("database_url")
    @classmethod
    def _is_known_database(cls, url: str) -> str:
        return checked_database_url(url)

    @field_validator("hapio_webhook_scheme")
    @classmethod
    def _is_scheme(cls, text: str) -> str:
        try:
            WebhookScheme.read(text)
        except ValueError as error:
            raise ValueError(f"is made of words such as {HAPIO_SCHEME}; docs/configuration.md lists them") from error
        return text

    @field_validator("redis_url")
    @classmethod
    def _is_redis(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value()) if url else None
        if parts and (parts.scheme not in {"redis", "rediss"} or _odd(parts)):
            raise ValueError("must be redis:// or rediss://, then user:password@host:port/number")
        return url

    @field_validator("smtp_url")
    @classmethod
    def _is_smtp(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value()) if url else None
        if parts and (parts.scheme not in {"smtp", "smtps", "smtp+starttls"} or _odd(parts)):
            raise ValueError("must be smtp://, smtps:// or smtp+starttls:// and then user:password@host:port")
        return url

    @model_validator(mode="after")
    def _money_is_safe(self) -> Self:
        key = opened(self.stripe_secret_key)
        if key and not key.startswith(("sk_test_", "rk_test_", "sk_live_", "rk_live_")):
            raise ValueError("STRIPE_SECRET_KEY must start with sk_ or rk_, then test_ or live_")
        if self.live and urlsplit(self.public_url).scheme != "https":
            raise ValueError("PUBLIC_URL must be https with a live STRIPE_SECRET_KEY")
        if self.live and self.stripe_api_base != STRIPE_URL:
            raise ValueError("STRIPE_API_BASE must not be set with a live STRIPE_SECRET_KEY")
        for name in SCHEDULERS:
            if self.live and urlsplit(getattr(self, f"{name}_base_url")).scheme != "https":
                raise ValueError(
                    f"{name.upper()}_BASE_URL must be https with a live STRIPE_SECRET_KEY: real money, real times"
                )
        if self.live and urlsplit(self.calendly_auth_url).scheme != "https":
            raise ValueError("CALENDLY_AUTH_URL must be https with a live STRIPE_SECRET_KEY")
        if bool(self.calendly_client_id) != bool(self.calendly_client_secret):
            missing = "CALENDLY_CLIENT_SECRET" if self.calendly_client_id else "CALENDLY_CLIENT_ID"
            raise ValueError(f"{missing} is missing; an OAuth app has both")
        if not self.schedulers and not self.owner_schedulers:
            raise ValueError(
                "HAPIO_API_TOKEN, CALCOM_API_KEY, CALENDLY_TOKEN or CALENDLY_CLIENT_ID is missing; without one there "
                "is nothing to book"
            )
        if key and not self.stripe_webhook_secret:
            raise ValueError("STRIPE_WEBHOOK_SECRET is missing; without it a forged webhook could not be told apart")
        if self.smtp_url and not self.mail_from:
            raise ValueError("MAIL_FROM is missing")
        if self.seed_routes == "on" and not self.api_keys:
            raise ValueError("API_KEYS is missing; SEED_ROUTES are for programs that have one")
        if self.staff_emails and not self.smtp_url:
            raise ValueError("SMTP_URL is missing; STAFF_EMAILS sign in by a link that is mailed to them")
        return self

    @property
    def schedulers(self) -> tuple[str, ...]:
        """The schedulers whose credentials are set."""
        credentials = (self.hapio_api_token, self.calcom_api_key, self.calendly_token)
        return tuple(name for name, credential in zip(SCHEDULERS, credentials, strict=True) if credential)

    @property
    def owner_schedulers(self) -> tuple[str, ...]:
        """The schedulers to which any number of owners can connect their accounts."""
        return ("calendly",) if self.calendly_client_id else ()

    @property
    def live(self) -> bool:
        """Whether the Stripe key moves real money."""
        key = opened(self.stripe_secret_key)
        return key.startswith(("sk_live_", "rk_live_"))

    @property
    def keys(self) -> list[str]:
        """The signing keys, newest first."""
        return [key.get_secret_value() for key in self.secret_keys]


def opened(secret: SecretStr | None) -> str:
    """A secret's text; empty where none is set."""
    return secret.get_secret_value() if secret else ""


def checked_database_url(url: str) -> str:
    """The same, if it names a file, or a database on a server. ValueError says what is wrong, and shows nothing of it:
    there may be a password in it."""
    if url.startswith("postgresql://"):
        _check_postgresql(url)
    elif not url.startswith("sqlite:///"):
        raise ValueError("must start with sqlite:///, followed by the file's path, or with postgresql://")
    else:
        path = url.removeprefix("sqlite:///")
        if not path or ":memory:" in path or "?" in path:
            raise ValueError("must name a file: what is owed to customers has to outlive the process")
    return url


def _check_postgresql(url: str) -> None:
    parts = urlsplit(url)
    try:
        odd = parts.port == 0
    except ValueError:
        odd = True
    # Characters such as / and # end the address early where they are not percent-encoded, and a password is cut in two.
    if odd or not parts.path.strip("/") or parts.fragment or "," in parts.netloc:
        raise ValueError(
            "must be postgresql://user:password@host:port/name, with special characters in it percent-encoded"
        )


def _odd(parts: SplitResult) -> bool:
    """Whether host or port of an address cannot be one."""
    try:
        (parts.hostname or "").encode("idna")
        return parts.port == 0
    except ValueError:
        return True


class SettingsError(ValueError):
    """A setting is wrong or missing; the text names the variable and never shows a secret's value."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Settings from environment variables. Raises SettingsError, which stops the start."""
    values: dict[str, Any] = {}
    for field in Settings.model_fields:
        name = field.upper()
        text = value_of(environ, name)
        if text:
            values[field] = text
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsError("\n".join(_explain(item) for item in error.errors(include_input=False))) from None


def value_of(environ: Mapping[str, str], name: str) -> str:
    """A variable's text, or that of the file that NAME_FILE names; empty without either. Raises SettingsError."""
    path = environ.get(f"{name}_FILE")
    if path and environ.get(name):
        raise SettingsError(f"{name} and {name}_FILE are both set; keep one")
    if not path:
        return environ.get(name, "").strip()
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"{name}_FILE names {path}, which cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{name}_FILE names {path}, which is not UTF-8 text") from error


def _explain(item: Mapping[str, Any]) -> str:
    return explain(item, str(item["loc"][0]).upper() if item["loc"] else "")
