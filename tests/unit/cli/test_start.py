"""python -m app with something wrong in it: one sentence for each fault, no traceback, and nothing made or changed."""

import json
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from app.environment import read_environment
from app.settings import SettingsError, opened, read_settings
from app.version import VERSION
from app.widgets_file import WidgetsFileError, load_widgets
from tests.support.commands import environ

#: Every command that reads or changes a database and may not make one, with what it needs.
OTHERS = (
    ("bookings", "list"),
    ("bookings", "show", "bk_1"),
    ("events", "list"),
    ("forget", "--email", "anna@example.com", "--yes"),
    ("forget", "--older-than-days", "400"),
    ("backup", "copies"),
)


COMMANDS = (
    *("setup", "serve", "worker", "migrate", "bookings", "backup", "copy-database", "reconcile", "forget"),
    *("events", "mails", "doctor", "demo", "sandbox"),
)


def start(words: Sequence[str], folder: Path, **changes: str) -> subprocess.Popen[str]:
    """One command in `folder`, on a port that is free."""
    more = ("--port", "0") if "serve" in words else ()
    return subprocess.Popen(  # noqa: S603 — our own command line
        [sys.executable, "-m", "app", *words, *more],
        env=environ(**changes),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


#: Runs commands one after the other, as `python -m app` runs each: starting Python takes a second of CPU every time.
EACH = """
import contextlib, io, json, sys
from app.__main__ import main
outcomes = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    outcomes.append((code, out.getvalue(), err.getvalue()))
print(json.dumps(outcomes))
"""


def outcomes(commands: Sequence[Sequence[str]], folder: Path, **changes: str) -> list[tuple[int, str, str]]:
    """Exit code, output and errors of each of these commands in `folder`, all in one process."""
    ran = subprocess.run(  # noqa: S603 — our own commands
        [sys.executable, "-c", EACH, json.dumps([list(words) for words in commands])],
        env=environ(**changes),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return [(code, out, err) for code, out, err in json.loads(ran.stdout)]


def outcome(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


# What stops a start


def a_table_that_is_not_closed(folder: Path) -> None:
    (folder / "widgets.toml").write_text('# ours\n[studio\ntitle = "Studio"\n')


def a_slip_in_a_settings_name(folder: Path) -> None:
    (folder / "widgets.toml").write_text('[studio]\ntitle = "Studio"\ncancelation = []\n')


def a_wrong_currency(folder: Path) -> None:
    (folder / "widgets.toml").write_text('[studio]\n\ncurrency = "euro"\n')


def no_folder(folder: Path) -> dict[str, str]:
    return {"DATABASE_URL": f"sqlite:///{folder}/gone/holdfast.sqlite3"}


def a_folder_where_nothing_can_be_written(_: Path) -> dict[str, str]:
    return {"DATABASE_URL": "sqlite:////proc/holdfast.sqlite3"}


def a_folder_instead_of_a_file(folder: Path) -> dict[str, str]:
    return {"DATABASE_URL": f"sqlite:///{folder}"}


def a_damaged_database(folder: Path) -> None:
    (folder / "holdfast.sqlite3").write_bytes(b"SQLite format 3\0" + b"rubbish " * 2000)


def another_programs_database(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "holdfast.sqlite3")) as connection:
        connection.execute("CREATE TABLE recipes (name)")


def a_newer_database(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "holdfast.sqlite3")) as connection:
        connection.execute("CREATE TABLE alembic_version (version_num)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
        connection.commit()


def a_setting_that_makes_no_sense(_: Path) -> dict[str, str]:
    return {"SMTP_URL": "mail.example:25"}


def a_line_that_is_no_setting(folder: Path) -> None:
    (folder / ".env").write_text("# ours\nSECRET KEYS\n")


WRONG: list[tuple[Callable[[Path], dict[str, str] | None], str]] = [
    (a_table_that_is_not_closed, "widgets.toml, line 2: this is not TOML"),
    (a_slip_in_a_settings_name, "widgets.toml, line 3, widget studio: cancelation is not a setting; did you mean"),
    (a_wrong_currency, "widgets.toml, line 3, widget studio: currency must be an ISO currency code"),
    (no_folder, "/gone of the database does not exist. Create it"),
    (a_folder_where_nothing_can_be_written, "/proc/holdfast.sqlite3 cannot be written by this user. Give the file"),
    (a_folder_instead_of_a_file, "is a folder. Let DATABASE_URL name a file in it"),
    (a_damaged_database, "holdfast.sqlite3 cannot be read as a database"),
    (another_programs_database, "holdfast.sqlite3 is the database of another program. Correct DATABASE_URL."),
    (a_newer_database, "holdfast.sqlite3 was made by a newer version of Holdfast (9999;"),
    (a_setting_that_makes_no_sense, "SMTP_URL must be smtp://"),
    (a_line_that_is_no_setting, ".env, line 2: this is not NAME=value"),
]


@pytest.mark.parametrize(("wrong", "says"), WRONG, ids=[wrong.__name__.replace("_", " ") for wrong, _ in WRONG])
def test_what_stops_a_start_is_one_sentence_and_the_exit_code_of_a_wrong_configuration(
    tmp_path: Path, wrong: Callable[[Path], dict[str, str] | None], says: str
) -> None:
    changes = wrong(tmp_path) or {}
    commands = (["serve", "--port", "0"], ["worker"])
    for (name, *_), (code, out, err) in zip(commands, outcomes(commands, tmp_path, **changes), strict=True):
        assert (code, out) == (2, ""), name
        heading, *sentences = err.strip().splitlines()
        assert heading == f"`{name}` cannot start:"
        assert [says in sentence for sentence in sentences] == [True], err


def test_each_of_several_faults_has_a_line_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "widgets.toml"
    file.write_text("""
[studio]
titel = "Studio"
hold_minutes = "ten"
cancellation = [{ at_least_hours = 24 }]
languages = ["en", "xx"]

[studio.theme]
accent = "red"

[[studio.services]]
id = "one"

[[studio.services]]
id = 5
price = "a lot"

[shop]
phone = "never"
""")
    with pytest.raises(WidgetsFileError) as refused:
        load_widgets(file)
    assert [line.removeprefix(f"{file}, ") for line in str(refused.value).splitlines()] == [
        "line 3, widget studio: titel is not a setting; did you mean title?",
        "line 4, widget studio: hold_minutes must be a whole number",
        "line 5, widget studio: cancellation.refund_percent is missing",
        (
            "line 6, widget studio: languages must name one or more of ar, da, de, en, es, fi, fr, he, it, ja, nb, nl, "
            "pl, pt, sv, tr, uk, zh"
        ),
        'line 9, widget studio: theme.accent must be a color such as "#2f5d50"',
        "line 15, widget studio: services.id must be text in quotes",
        'line 16, widget studio: services.price must be an amount such as "65.00"',
        'line 19, widget shop: phone must be "off", "optional" or "required"',
    ]


@pytest.mark.parametrize("price", ["1_0", "1e2", "٣", "１２", "+12", "1e99999", "-5", "1.200,00", ""])
def test_a_price_in_the_file_is_read_as_people_write_it_or_not_at_all(tmp_path: Path, price: str) -> None:
    file = tmp_path / "widgets.toml"
    file.write_text(f'[studio]\n[[studio.services]]\nid = "one"\nprice = "{price}"\n', encoding="utf-8")
    with pytest.raises(WidgetsFileError) as refused:
        load_widgets(file)
    assert str(refused.value) == f'{file}, line 4, widget studio: services.price must be an amount such as "65.00"'


@pytest.mark.parametrize(("price", "is_"), [('"65.00"', 65), ('"12,50"', 12.5), ("65", 65), ("12.5", 12.5), ('"0"', 0)])
def test_a_price_in_the_file_may_have_a_point_or_a_comma(tmp_path: Path, price: str, is_: float) -> None:
    file = tmp_path / "widgets.toml"
    file.write_text(f'[studio]\n[[studio.services]]\nid = "one"\nprice = {price}\n')
    assert load_widgets(file)["studio"].services[0].price == Decimal(is_)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'[studio]\ntitle = "\xff"\n', "is not UTF-8 text: save it as UTF-8"),
        (b'title = "Studio"\n', "line 1: title must stand in a widget's table"),
        (b"", "has no widget: add a table such as [studio]"),
        (b"[studio]\nlanguages = []", "languages must name one or more"),
        (
            b'[studio]\ntitle = { se = "Hej" }',
            'line 2, widget studio: title names the language "se"; there are ar,',
        ),
        (b"[studio]\nconsent = 5", "consent must be text in quotes, or one for each language, such as { en ="),
        (b'[studio]\nreschedule = "no"', "line 2, widget studio: reschedule must be a table"),
        (b"[studio]\nallowed_origins = 'https://a.example'", "allowed_origins must be a list in square brackets"),
    ],
)
def test_whatever_is_wrong_in_the_widgets_file_is_told_in_one_line(tmp_path: Path, text: bytes, says: str) -> None:
    file = tmp_path / "widgets.toml"
    file.write_bytes(text)
    with pytest.raises(WidgetsFileError) as refused:
        load_widgets(file)
    [line] = str(refused.value).splitlines()
    assert line.startswith(str(file))
    assert says in line


def test_a_widgets_file_that_is_missing_or_a_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(WidgetsFileError, match=r"does not exist; make it from widgets\.example\.toml"):
        load_widgets(tmp_path / "widgets.toml")
    with pytest.raises(WidgetsFileError, match="is a folder; remove it"):
        load_widgets(tmp_path)


def test_a_price_of_the_file_that_stripe_does_not_charge_is_told_at_each_start(tmp_path: Path) -> None:
    (tmp_path / "widgets.toml").write_text("""
[studio]
services = [
  { id = "cheap", price = "0.20" },
  { id = "odd", price = "1.005" },
  { id = "dear", price = "1000000.00" },
  { id = "free", price = "0" },
  { id = "right", price = "0.50" },
]
""")
    process = start(["worker"], tmp_path, LOG_LEVEL="error")
    assert process.stderr
    told = [json.loads(process.stderr.readline()) for _ in range(3)]
    process.terminate()
    outcome(process)
    assert [(line["level"], line["widget"], line["service"]) for line in told] == [
        ("error", "studio", "cheap"),
        ("error", "studio", "odd"),
        ("error", "studio", "dear"),
    ]
    assert told[0]["why"] == "0.20 EUR is less than Stripe charges, which is 0.50 or more"
    assert told[2]["why"] == "1000000.00 EUR is more than Stripe charges at once"


# What must not make a database


def test_a_command_without_its_database_names_the_path_and_makes_nothing(tmp_path: Path) -> None:
    for words, (code, out, err) in zip(OTHERS, outcomes(OTHERS, tmp_path), strict=True):
        assert (code, out) == (2, ""), words
        assert f"There is no database at {tmp_path / 'holdfast.sqlite3'}." in err, words
        assert "Traceback" not in err, words
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_refused_instead_of_reporting_that_a_customer_was_forgotten(tmp_path: Path) -> None:
    (tmp_path / "holdfast.sqlite3").touch()
    code, out, err = outcome(start(["forget", "--email", "anna@example.com", "--yes"], tmp_path))
    assert (code, out) == (2, "")
    assert "holdfast.sqlite3 is empty: there is no database in it" in err
    assert (tmp_path / "holdfast.sqlite3").stat().st_size == 0


def test_a_database_that_is_made_can_be_read_by_nobody_else(tmp_path: Path) -> None:
    assert outcome(start(["migrate"], tmp_path))[0] == 0
    assert (tmp_path / "holdfast.sqlite3").stat().st_mode & 0o777 == 0o600


# Where settings come from


def test_the_working_directorys_env_file_and_widgets_file_are_read(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///ours.sqlite3\nLOG_LEVEL=info\n")
    (tmp_path / "widgets.toml").write_text("[studio]\nphone = 'never'\n")
    assert outcome(start(["migrate"], tmp_path))[0] == 0
    assert (tmp_path / "ours.sqlite3").exists()
    code, _, err = outcome(start(["bookings", "list"], tmp_path))
    assert code == 2
    assert f"{tmp_path / 'widgets.toml'}, line 2" in err


def test_another_file_of_settings_is_named_with_env_before_or_after_the_command(tmp_path: Path) -> None:
    file = tmp_path / "settings"
    file.write_text("DATABASE_URL=sqlite:///named.sqlite3\n")
    assert outcome(start(["--env", str(file), "migrate"], tmp_path))[0] == 0
    assert (tmp_path / "named.sqlite3").exists()
    code, _, err = outcome(start(["bookings", "list", "--env", str(tmp_path / "gone")], tmp_path))
    assert code == 2
    assert f"{tmp_path / 'gone'} does not exist; correct --env" in err


def test_the_environment_wins_over_the_file_also_where_one_names_a_file_of_the_value(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-the-secret")
    (tmp_path / ".env").write_text(f"HAPIO_API_TOKEN_FILE={tmp_path / 'secret'}\nPUBLIC_URL=https://file.example\n")
    given = {"SECRET_KEYS": "k" * 32, "HAPIO_API_TOKEN": "from-the-environment", "PUBLIC_URL": "https://given.example"}
    settings = read_settings(read_environment(given, folder=tmp_path).variables)
    assert opened(settings.hapio_api_token) == "from-the-environment"
    assert settings.public_url == "https://given.example"
    del given["HAPIO_API_TOKEN"]
    settings = read_settings(read_environment(given, folder=tmp_path).variables)
    assert opened(settings.hapio_api_token) == "from-the-secret"


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=plain", "plain"),
        ("export NAME=plain", "plain"),
        ("NAME = spaced ", "spaced"),
        ("NAME=", ""),
        ("NAME=  # nothing", ""),
        ("NAME=a#b # a comment", "a#b"),
        ("NAME=Studio Nord <book@example.com>", "Studio Nord <book@example.com>"),
        ("NAME='a # b' # a comment", "a # b"),
        ('NAME="a \\"b\\" \\\\ $c"', 'a "b" \\ $c'),
        ('NAME="it\'s"', "it's"),
        ("NAME=a=b", "a=b"),
    ],
)
def test_a_line_of_the_env_file_means_what_a_shell_makes_of_it_without_replacing_anything(
    tmp_path: Path, line: str, value: str
) -> None:
    (tmp_path / ".env").write_text(f"# ours\n\n{line}\n")
    assert read_environment({}, folder=tmp_path).variables["NAME"] == value


@pytest.mark.parametrize("line", ["marked-secret", "NAME='marked-secret", 'NAME="a" marked-secret', "1NAME=x"])
def test_a_line_that_is_no_setting_is_named_by_its_number_and_not_shown(tmp_path: Path, line: str) -> None:
    (tmp_path / ".env").write_text(f"A=1\n{line}\n")
    with pytest.raises(SettingsError) as refused:
        read_environment({}, folder=tmp_path)
    assert f"{tmp_path / '.env'}, line 2" in str(refused.value)
    assert "marked-secret" not in str(refused.value)


# What a program tells of itself


def test_the_version_is_told_and_is_the_newest_of_the_changelog(tmp_path: Path) -> None:
    assert outcome(start(["--version"], tmp_path)) == (0, f"Holdfast {VERSION}\n", "")
    changelog = (Path(__file__).parents[3] / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d{2}-\d{2})?$", changelog, re.MULTILINE)
    assert headings[:2] == ["Unreleased", VERSION]


def test_a_wrong_setting_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# ours\nPUBLIC_URL=book.example\nSMTP_URL=smtp://mail.example\n")
    environment = read_environment({"SECRET_KEYS": "short", "HAPIO_API_TOKEN": "token"}, folder=tmp_path)
    with pytest.raises(SettingsError) as refused:
        environment.settings()
    keys, address = sorted(str(refused.value).splitlines(), key=lambda line: "line" in line)
    assert keys.startswith("SECRET_KEYS every key needs")
    assert address == f"{file}, line 2: PUBLIC_URL must be an address such as https://book.example.com"


def test_a_command_says_what_it_read_and_shows_no_password(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://holdfast:marked-password@db.example/holdfast\n")
    (tmp_path / "widgets.toml").write_text("[studio]\n")
    _, _, err = outcome(start(["bookings", "list", "--verbose"], tmp_path))
    assert f"settings from {tmp_path / '.env'} (1 variables)" in err
    assert f"widgets from {tmp_path / 'widgets.toml'}" in err
    assert "database postgresql://db.example/holdfast" in err
    assert "marked-password" not in err


HELP = """
import contextlib, io, sys
from app.__main__ import main
for words in ([], *([one] for one in sys.argv[1:]), ["bookings", "list"]):
    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()) as told:
        main([*words, "--help"])
    assert "usage:" in told.getvalue(), words
print(*sorted({"sqlalchemy", "pydantic", "httpx", "starlette", "stripe"} & {*sys.modules}))
"""


def test_help_is_shown_without_loading_what_the_command_needs(tmp_path: Path) -> None:
    """All of it together takes seconds."""
    parsed = subprocess.run(  # noqa: S603 — our own command line
        [sys.executable, "-c", HELP, *COMMANDS], env=environ(), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert parsed.stdout.strip() == ""


# Output that cannot be written


LOST = "What the command did is done; only its output is missing."
TALKERS = (
    (("bookings", "list"), 74),
    (("bookings", "list", "--json"), 74),
    (("forget", "--older-than-days", "400", "--yes"), 74),
    (("backup", "copies"), 74),
    (("events", "list"), 74),
    (("--help",), 74),
    (("--version",), 74),
    (("bookings", "show", "bk_1"), 1),
    (("migrate",), 0),
)


def in_shell(folder: Path, words: Sequence[str], where: str) -> subprocess.CompletedProcess[str]:
    """One command, with its standard output somewhere else."""
    command = f"{shlex.join([sys.executable, '-m', 'app', *words])} {where}"
    return subprocess.run(  # noqa: S602 — our own command line
        f"{command}; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        env=environ(PYTHONPATH=str(Path.cwd())),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize(
    ("where", "why"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")], ids=["full", "closed"]
)
def test_a_command_whose_output_is_lost_does_its_work_and_says_so_in_one_sentence(
    tmp_path: Path, where: str, why: str
) -> None:
    assert in_shell(tmp_path, ["migrate"], "").returncode == 0
    for words, code in TALKERS:
        ran = in_shell(tmp_path, words, where)
        said = f"Standard output could not be written: {why}. {LOST}\n" if code else ""
        assert (ran.returncode, ran.stderr) == (code, said), words
    [copy] = (tmp_path / "copies").iterdir()
    with closing(sqlite3.connect(copy)) as copied:
        assert copied.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_command_whose_reader_has_left_says_nothing(tmp_path: Path) -> None:
    ran = in_shell(tmp_path, ["bookings", "--help"], "| (exec <&-; sleep 4)")
    assert (ran.returncode, ran.stderr) == (141, "")
