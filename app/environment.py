"""Where settings come from: a file of NAME=value lines, overridden by the process's environment."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from app.settings import CREDENTIALS, Settings, SettingsError, read_settings

ENV_FILE = ".env"
WIDGETS_FILE = "widgets.toml"

_LINE = re.compile(
    r"""(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*
        (?:'(?P<literal>[^']*)'|"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>(?!['"]).*?))
        \s*(?:(?:^|(?<=\s))\#.*)?""",
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables, and the files that they were found by: `env_file` None without one. `lines` says in which line of
    that file a variable stands, of those that the file gave."""

    variables: Mapping[str, str]
    env_file: Path | None
    lines: Mapping[str, int] = field(default_factory=dict)

    def settings(self) -> Settings:
        """The settings. Raises SettingsError with a line for each fault, which names the file and the line in it where
        it came from there."""
        try:
            return read_settings(self.variables)
        except SettingsError as error:
            raise SettingsError("\n".join(map(self._placed, str(error).splitlines()))) from None

    def sources(self, settings: Settings) -> Iterator[str]:
        """What was read, for anyone who asks for it: no secret is among it."""
        if self.env_file:
            yield f"settings from {self.env_file} ({len(self.lines)} variables), and from the environment"
        else:
            yield "settings from the environment alone"
        yield f"widgets from {settings.widgets_file}" if settings.widgets_file else "no widgets.toml"
        address = urlsplit(settings.database_url)
        server = address.netloc.rpartition("@")[2]
        yield f"database {address.scheme}://{server}{address.path}"

    def _placed(self, sentence: str) -> str:
        name = sentence.partition(" ")[0]
        line = next((self.lines[one] for one in (name, f"{name}_FILE") if one in self.lines), None)
        return f"{self.env_file}, line {line}: {sentence}" if line else sentence


def read_environment(environ: Mapping[str, str], *, env_file: Path | None = None, folder: Path) -> Environment:
    """The process's variables over those of `env_file`, or of the file that ENV_FILE names, or of a `.env` in `folder`,
    the working directory.

    WIDGETS_FILE is the folder's `widgets.toml`, or the one next to the file of settings, if nothing else is said.
    Raises SettingsError for a file that cannot be read, or a line in it that is no setting.
    """
    path = env_file or usual_env_file(environ, folder)
    variables, lines = dict(environ), {}
    found = env_file is not None or path.is_file()
    if found:
        # Someone who sets NAME does not want the file's NAME_FILE next to it, nor the other way round.
        given = {name: told for name, told in _read(path).items() if not _twins(name) & environ.keys()}
        variables |= {name: value for name, (value, _) in given.items()}
        lines = {name: line for name, (_, line) in given.items()}
    if not _twins("WIDGETS_FILE") & {name for name, value in variables.items() if value}:
        near = (folder / WIDGETS_FILE, path.parent / WIDGETS_FILE)
        widgets = next((one for one in near if one.is_file()), None)
        if widgets:
            variables["WIDGETS_FILE"] = str(widgets)
    return Environment(variables, path if found else None, lines)


def usual_env_file(environ: Mapping[str, str], folder: Path) -> Path:
    """Where settings are looked for, and written to, if nobody names a file; it need not be there."""
    named = environ.get("ENV_FILE")
    return Path(named) if named else folder / ENV_FILE


def is_set_up(variables: Mapping[str, str]) -> bool:
    """Whether anyone has begun to set this up: there are keys, or a scheduler's credential."""
    names = ("SECRET_KEYS", *CREDENTIALS)
    return any(variables.get(one) for name in names for one in (name, f"{name}_FILE"))


def _twins(name: str) -> set[str]:
    """The names under which a setting may be given: itself, and NAME_FILE."""
    fields = {field.upper() for field in Settings.model_fields}
    base = name.removesuffix("_FILE") if name.removesuffix("_FILE") in fields else name
    return {base, f"{base}_FILE"}


def _read(path: Path) -> dict[str, tuple[str, int]]:
    """Each variable with its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise SettingsError(f"{path} does not exist; correct --env") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 text: save it as UTF-8") from error
    values = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line.strip())
        if found is None:
            # The line itself is not shown: it may hold a secret.
            raise SettingsError(f"{path}, line {number}: this is not NAME=value; put values with quotes in quotes")
        literal, quoted, bare = found["literal"], found["quoted"], found["bare"]
        if quoted is not None:
            value = re.sub(r'\\(["\\$`])', r"\1", quoted)
        else:
            value = literal if literal is not None else bare
        values[found["name"]] = value, number
    return values
