"""The environment is read once, at start; a wrong or missing value stops it and is named."""

from pathlib import Path

import pytest

from app.settings import SettingsError, opened, read_settings
from app.widgets_file import WidgetsFileError, load_widgets

GOOD = {
    "HAPIO_API_TOKEN": "token-of-the-owner",
    "STRIPE_SECRET_KEY": "sk_test_123",
    "STRIPE_WEBHOOK_SECRET": "whsec_new, whsec_old",
    "SECRET_KEYS": "a" * 32 + "," + "b" * 32,
    "PUBLIC_URL": "https://book.example/",
    "SMTP_URL": "smtps://user:secret@mail.example",
    "MAIL_FROM": "Studio <book@studio.example>",
}

RISING_TIERS = """
[studio]
cancellation = [{ at_least_hours = 2, refund_percent = 50 }, { at_least_hours = 24, refund_percent = 100 }]
"""


def test_good_settings_are_read() -> None:
    settings = read_settings(GOOD)
    assert settings.public_url == "https://book.example"
    assert settings.keys == ["a" * 32, "b" * 32]
    assert [secret.get_secret_value() for secret in settings.stripe_webhook_secret] == ["whsec_new", "whsec_old"]
    assert settings.hapio_calls_per_month == 2500
    assert not settings.live


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://Book.Example", "https://book.example"),
        ("https://book.example:443/", "https://book.example"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
        ("HTTP://127.1:8080", "http://127.0.0.1:8080"),
    ],
)
def test_the_public_address_is_read_as_browsers_write_it(written: str, read: str) -> None:
    assert read_settings(GOOD | {"STRIPE_SECRET_KEY": "", "PUBLIC_URL": written}).public_url == read


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"HAPIO_API_TOKEN": ""}, "HAPIO_API_TOKEN"),
        ({"PUBLIC_URL": ""}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "book.example"}, "PUBLIC_URL"),
        ({"SECRET_KEYS": ""}, "SECRET_KEYS"),
        ({"SECRET_KEYS": "short"}, "SECRET_KEYS"),
        ({"STRIPE_WEBHOOK_SECRET": ""}, "STRIPE_WEBHOOK_SECRET"),
        ({"STRIPE_SECRET_KEY": "pk_test_1"}, "STRIPE_SECRET_KEY"),
        ({"STRIPE_SECRET_KEY": "sk_live_1", "PUBLIC_URL": "http://book.example"}, "PUBLIC_URL"),
        ({"STRIPE_SECRET_KEY": "rk_live_1", "STRIPE_API_BASE": "http://127.0.0.1:8402"}, "STRIPE_API_BASE"),
        ({"STRIPE_SECRET_KEY": "sk_live_1", "HAPIO_BASE_URL": "http://127.0.0.1:8401/v1"}, "HAPIO_BASE_URL"),
        ({"DATABASE_URL": "mysql://x"}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:///"}, "DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://book@db.example"}, "DATABASE_URL must be postgresql://"),
        ({"DATABASE_URL": "postgresql://book:open/sesame@db.example/book"}, "DATABASE_URL must be postgresql://"),
        ({"DATABASE_URL": "postgresql://book@one.example,two.example/book"}, "DATABASE_URL must be postgresql://"),
        ({"DATABASE_URL": "sqlite:///:memory:"}, "DATABASE_URL"),
        ({"DATABASE_URL": "sqlite:///file:x?mode=memory&uri=true"}, "DATABASE_URL"),
        ({"SMTP_URL": "mail.example:25"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://mail.example:port"}, "SMTP_URL"),
        ({"SMTP_URL": "smtp://mail..example"}, "SMTP_URL"),
        ({"PUBLIC_URL": "https://book.example/booking"}, "PUBLIC_URL must have no path"),
        ({"PUBLIC_URL": "https://book.example:port"}, "PUBLIC_URL"),
        ({"MAIL_FROM": ""}, "MAIL_FROM"),
        ({"MAIL_FROM": "nonsense"}, "MAIL_FROM must be an address"),
        ({"MAIL_FROM": "Studio Nord"}, "MAIL_FROM must be an address"),
        ({"HAPIO_CALLS_PER_MONTH": "many"}, "HAPIO_CALLS_PER_MONTH must be a whole number"),
        ({"HAPIO_CALLS_PER_MONTH": "10"}, "HAPIO_CALLS_PER_MONTH must be 100 or more"),
        ({"SEED_ROUTES": "on"}, "API_KEYS is missing"),
        ({"SEED_ROUTES": "yes", "API_KEYS": "k" * 24}, 'SEED_ROUTES must be "off" or "on"'),
        ({"LOG_LEVEL": "loud"}, 'LOG_LEVEL must be "debug", "info", "warning" or "error"'),
        ({"HAPIO_API_TOKEN_FILE": "/nowhere"}, "HAPIO_API_TOKEN"),
        ({"HAPIO_API_TOKEN": "", "HAPIO_API_TOKEN_FILE": "/nowhere"}, "HAPIO_API_TOKEN_FILE"),
    ],
)
def test_a_wrong_or_missing_value_is_named(changes: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings(GOOD | changes)
    assert named in str(refused.value)


def test_no_secret_is_printed_not_even_a_wrong_one() -> None:
    settings = read_settings(GOOD)
    assert "token-of-the-owner" not in repr(settings)
    with pytest.raises(SettingsError) as refused:
        read_settings(GOOD | {"STRIPE_SECRET_KEY": "pk_secret_slip", "SECRET_KEYS": "slip"})
    assert "slip" not in str(refused.value)


def test_every_name_may_be_given_as_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("from-a-file\n")
    environ = {name: value for name, value in GOOD.items() if name != "HAPIO_API_TOKEN"}
    settings = read_settings(environ | {"HAPIO_API_TOKEN_FILE": str(secret)})
    assert opened(settings.hapio_api_token) == "from-a-file"


def test_without_a_file_there_is_one_widget_with_everything() -> None:
    assert list(load_widgets(None)) == ["default"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "no widget"),
        ("[studio\n", "line 1"),
        ("[studio]\ntitel = 'x'", "titel"),
        ("[studio]\nallowed_origins = ['https://a.example/path']", "allowed_origins"),
        ("[studio]\nhold_minutes = 0", "hold_minutes"),
        ("[studio]\ncapture = 'later'", "capture"),
        ("[studio]\nowner_email = 'nobody'", "owner_email"),
        ("[studio]\ntheme = { accent = 'red' }", "accent"),
        ("[studio]\nquestions = [{ name = 'a', label = 'A', kind = 'select' }]", "options"),
        (RISING_TIERS, "tiers"),
        ("['Not A Name']\n", "name"),
    ],
)
def test_a_wrong_widgets_file_says_which_widget_and_setting(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "widgets.toml"
    file.write_text(text)
    with pytest.raises(WidgetsFileError) as refused:
        load_widgets(file)
    assert named in str(refused.value)


# Owners' accounts

OWNERS = {
    **{name: value for name, value in GOOD.items() if name != "HAPIO_API_TOKEN"},
    "CALENDLY_CLIENT_ID": "an-app",
    "CALENDLY_CLIENT_SECRET": "its-secret",
}


def test_an_oauth_app_alone_is_enough_to_book_at_owners_accounts() -> None:
    settings = read_settings(OWNERS)
    assert (settings.schedulers, settings.owner_schedulers) == ((), ("calendly",))
    assert read_settings(GOOD).owner_schedulers == ()


@pytest.mark.parametrize("name", ["CALENDLY_CLIENT_ID", "CALENDLY_CLIENT_SECRET"])
def test_an_oauth_app_has_an_id_and_a_secret(name: str) -> None:
    with pytest.raises(SettingsError, match=f"{name} is missing"):
        read_settings({key: value for key, value in {**GOOD, **OWNERS}.items() if key != name})


def test_a_widget_names_the_owner_whose_account_it_books_in(tmp_path: Path) -> None:
    file = tmp_path / "widgets.toml"
    file.write_text("[studio]\nscheduler = 'calendly:nora-2'\n[salon]\nscheduler = 'hapio'")
    widgets = load_widgets(file, ("hapio",), ("calendly",))
    assert [widget.scheduler for widget in widgets.values()] == ["calendly:nora-2", "hapio"]


@pytest.mark.parametrize(
    ("named", "connected", "says"),
    [
        ("calendly:Nora", (), "up to 40 small letters, digits and hyphens"),
        ("calendly:", (), "up to 40 small letters, digits and hyphens"),
        (f"calendly:{'n' * 41}", (), "up to 40 small letters, digits and hyphens"),
        ("calendly:nora:2", (), "up to 40 small letters, digits and hyphens"),
        ("calendly", (), "for which no credentials are set"),
        ("hapio:nora", ("hapio",), "for which no credentials are set"),
        ("acuity:nora", ("hapio",), "must be one of hapio, calcom, calendly"),
        ("", (), "scheduler is missing; it must be one of calendly:<owner>"),
        ("", ("hapio",), "scheduler is missing; it must be one of hapio, calendly:<owner>"),
    ],
)
def test_a_wrong_name_of_an_owner_stops_the_start(
    tmp_path: Path, named: str, connected: tuple[str, ...], says: str
) -> None:
    file = tmp_path / "widgets.toml"
    file.write_text(f"[studio]\nscheduler = '{named}'")
    with pytest.raises(WidgetsFileError, match=says):
        load_widgets(file, connected, ("calendly",))


def test_without_an_oauth_app_no_widget_can_name_an_owner(tmp_path: Path) -> None:
    file = tmp_path / "widgets.toml"
    file.write_text("[studio]\nscheduler = 'calendly:nora'")
    with pytest.raises(WidgetsFileError, match="for which no credentials are set"):
        load_widgets(file, ("calendly",))


def test_without_a_file_there_is_no_owner_to_book_with() -> None:
    with pytest.raises(WidgetsFileError, match="each widget must name its scheduler"):
        load_widgets(None, (), ("calendly",))
