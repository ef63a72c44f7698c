"""python -m app setup | serve | worker | migrate | backup | copy-database | reconcile | forget | doctor | events |
mails | webhooks | bookings | demo | sandbox

A command's modules are imported when it is asked for: all of them together take seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.version import VERSION

if TYPE_CHECKING:
    from app.environment import Environment
    from app.settings import Settings

#: A setting or a file is wrong, so that the same start would fail again; systemd is told not to repeat it.
MISCONFIGURED = 2
#: Something else stood in the way, such as a full disk.
FAILED = 1


def main(words: Sequence[str] | None = None) -> int:
    """Run one command. 2 for a wrong setting or file, with a line on standard error for each fault; `OUTPUT_LOST` if it
    has done its work, and could not print what it had to say."""
    from app.cli.output import with_output

    return with_output(lambda: _main(words))


def _main(words: Sequence[str] | None) -> int:
    # The database, its copies and whatever lies next to them hold customers: nobody else on this machine reads them.
    os.umask(0o077)
    arguments = _parse(sys.argv[1:] if words is None else words)
    if arguments.command in {"demo", "sandbox"}:
        return _stand_ins(arguments)
    if arguments.command == "setup":
        from app.cli.setup import run_setup
        from app.telemetry.logs import set_up_logs

        set_up_logs("error")
        return run_setup(arguments, dict(os.environ), folder=Path.cwd())

    from app.environment import read_environment
    from app.errors import DatabaseUnusable
    from app.settings import SettingsError
    from app.telemetry.logs import set_up_logs
    from app.widgets_file import WidgetsFileError

    if arguments.command == "copy-database":
        return _copy_database(arguments)
    try:
        environment = read_environment(os.environ, env_file=arguments.env, folder=Path.cwd())
        if arguments.command == "doctor":
            from app.cli.doctor import run_doctor

            set_up_logs("error")
            return run_doctor(environment, arguments)
        if arguments.command == "serve":
            environment = _first_run(environment, arguments)
        settings = environment.settings()
        if arguments.verbose:
            print("\n".join(environment.sources(settings)), file=sys.stderr)
        set_up_logs(settings.log_level)
        return _run(settings, environment, arguments)
    except (SettingsError, WidgetsFileError) as error:
        return _refuse(arguments, str(error), MISCONFIGURED)
    except DatabaseUnusable as error:
        return _refuse(arguments, str(error), FAILED if error.retry else MISCONFIGURED)


def _first_run(environment: Environment, arguments: argparse.Namespace) -> Environment:
    """What there is to read once the first set-up is done, if nobody has set anything up yet."""
    from app.environment import is_set_up, read_environment, usual_env_file
    from app.telemetry.logs import set_up_logs

    if is_set_up(environment.variables):
        return environment
    from app.cli.setup.in_browser import serve_first_run

    set_up_logs("info")
    env = arguments.env or usual_env_file(os.environ, Path.cwd())
    if not asyncio.run(serve_first_run(dict(os.environ), env, arguments)):
        sys.exit(0)
    return read_environment(os.environ, env_file=env, folder=Path.cwd())


def _copy_database(arguments: argparse.Namespace) -> int:
    """Without settings: both databases are named on the command line."""
    from app.cli.copy_database import run_copy_database
    from app.errors import DatabaseUnusable
    from app.telemetry.logs import set_up_logs

    set_up_logs("error")
    try:
        return run_copy_database(arguments)
    except DatabaseUnusable as error:
        return _refuse(arguments, str(error), FAILED if error.retry else MISCONFIGURED)


def _refuse(arguments: argparse.Namespace, faults: str, code: int) -> int:
    print(f"`{arguments.command}` cannot start:\n{faults}", file=sys.stderr)
    return code


def _run(settings: Settings, environment: Environment, arguments: argparse.Namespace) -> int:
    from app.telemetry.logs import set_up_logs

    match arguments.command:
        case "serve":
            _prepare(settings, environment)
            _serve(settings, arguments)
        case "worker":
            _prepare(settings, environment)
            asyncio.run(_work(settings))
        case "migrate":
            asyncio.run(_migrate(settings))
        case "backup":
            from app.cli.backup import run_backup

            return run_backup(settings, arguments)
        case "bookings":
            from app.cli.desk import run

            # On the owner's terminal the sentences say it; what is put off stays readable from its row.
            set_up_logs("debug" if settings.log_level == "debug" else "error")
            return run(settings, arguments)
        case "reconcile":
            from app.cli.reconcile import run_reconcile

            set_up_logs("error")
            return run_reconcile(settings, arguments)
        case "mails":
            from app.cli.mails import run_mails

            set_up_logs("error")
            return run_mails(settings, arguments)
        case "forget":
            from app.cli.forget import run_forget

            set_up_logs("error")
            return run_forget(settings, arguments)
        case "events":
            from app.cli.events import run_events

            set_up_logs("error")
            return run_events(settings, arguments)
        case "webhooks":
            from app.cli.webhooks import run_webhooks

            set_up_logs("error")
            return run_webhooks(settings, arguments)
    return 0


def _parse(words: Sequence[str]) -> argparse.Namespace:
    # By itself, so that it may stand before the command, after it, and after an act of the command's.
    shared = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    shared.add_argument("--env", type=Path, metavar="FILE", help="the file to read settings from (default: ./.env)")
    shared.add_argument("--verbose", action="store_true", help="say on standard error what was read from where")
    env, rest = shared.parse_known_args(words)
    return _parser(rest, shared).parse_args(rest, namespace=env)


def _parser(words: Sequence[str], shared: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """The commands, and the options of the one that `words` name."""
    parser = argparse.ArgumentParser(
        prog="holdfast" if Path(sys.argv[0]).name == "holdfast" else "python -m app",
        description="Holdfast, the booking widget.",
        parents=[shared],
    )
    parser.add_argument("--version", action="version", version=f"Holdfast {VERSION}")
    names = parser.add_subparsers(dest="command", required=True)
    setup = names.add_parser("setup", help="set everything up by a few questions: from nothing to a live widget")
    serve = names.add_parser("serve", help="serve the widget, and run the worker with it")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--workers", type=int, default=1, help="server processes, one for each core (default: 1)")
    serve.add_argument(
        "--no-worker", action="store_true", help="do not run the worker here; it runs as a separate process"
    )
    serve.add_argument(
        "--proxy", default="127.0.0.1", help="addresses whose X-Forwarded-* headers are trusted, separated by commas"
    )
    names.add_parser("worker", help="run only the worker")
    names.add_parser("migrate", help="bring the database up to date, then exit")
    bookings = names.add_parser("bookings", help="manage bookings as the owner: list, show, cancel, move, refund")
    backup = names.add_parser("backup", help="copy the database, while the server runs or not")
    copy = names.add_parser(
        "copy-database", help="copy everything from one database into another: from SQLite to PostgreSQL, or back"
    )
    reconcile = names.add_parser(
        "reconcile", help="after restoring a backup: compare with Stripe and the scheduler, and fix differences"
    )
    forget = names.add_parser("forget", help="remove customers' personal data from bookings that are over")
    events = names.add_parser("events", help="events received from providers: list, replay, fetch")
    mails = names.add_parser("mails", help="emails that could not be delivered: list, resend")
    webhooks = names.add_parser("webhooks", help="programs that are told of bookings: list, show, replay, enable, test")
    doctor = names.add_parser("doctor", help="set-up check: what is wrong with this set-up, and how to fix it")
    demo = names.add_parser(
        "demo", help="run everything on this machine, with sandboxes for Hapio, Cal.com, Calendly and Stripe"
    )
    demo.add_argument("--port", type=int, default=8400, help="the first of seven ports in a row")
    demo.add_argument("--host", default="127.0.0.1", help="the address to listen on; 0.0.0.0 in a container")
    stand_ins = names.add_parser(
        "sandbox", help="run the stand-ins for Hapio, Cal.com, Calendly, Stripe and the mail server alone"
    )
    stand_ins.add_argument("--port", type=int, default=8500, help="the first of five ports in a row")
    stand_ins.add_argument("--host", default="127.0.0.1", help="the address to listen on; 0.0.0.0 in a container")
    stand_ins.add_argument("--webhook", metavar="URL", help="where Stripe's webhooks go, signed with whsec_sandbox")
    stand_ins.add_argument("--empty", action="store_true", help="without sample businesses in the calendars")
    from app.cli import options

    options.add_setup(setup)
    options.add_backup(backup)
    options.add_copy_database(copy)
    options.add_reconcile(reconcile)
    options.add_mails(mails)
    options.add_forget(forget)
    options.add_events(events)
    options.add_webhooks(webhooks)
    options.add_doctor(doctor)
    if "bookings" in words:
        from app.cli.arguments import add_bookings

        add_bookings(bookings)
    return parser


def _prepare(settings: Settings, environment: Environment) -> None:
    """What the house's own start does again, done before: there, uvicorn would make a traceback of what is wrong, and
    exit with a code of its own."""
    import structlog

    from app.widgets import unchargeable_prices
    from app.widgets_file import load_widgets

    log = structlog.get_logger()
    widgets = load_widgets(settings.widgets_file, settings.schedulers, settings.owner_schedulers)
    asyncio.run(_migrate(settings))
    files = {"env_file": environment.env_file, "widgets_file": settings.widgets_file}
    log.info("settings read", **{name: str(path) for name, path in files.items() if path})
    for widget, service, why in unchargeable_prices(widgets):
        log.error("a price cannot be charged", widget=widget, service=service, why=why)


def _serve(settings: Settings, arguments: argparse.Namespace) -> None:
    from app.cli.server import serve, serve_in_processes
    from app.main import STOP_SECONDS, create_app
    from app.telemetry.logs import log_crashes

    log_crashes()
    where = {"host": arguments.host, "port": arguments.port, "proxies": arguments.proxy, "patience": STOP_SECONDS}
    if arguments.workers > 1:
        serve_in_processes(arguments.workers, env_file=arguments.env, run_worker=not arguments.no_worker, **where)
        return
    serve(create_app(settings, run_worker=not arguments.no_worker), **where)


async def _work(settings: Settings) -> None:
    from app.build import open_parts
    from app.main import run_worker_of, tell_start
    from app.seams import Seams
    from app.telemetry.logs import log_crashes

    log_crashes()
    seams = Seams()
    async with open_parts(settings, seams, may_migrate=True) as parts:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, parts.worker.stop)
        await tell_start(parts, worker=True)
        async with run_worker_of(parts, seams) as clock:
            await clock.wait()


async def _migrate(settings: Settings) -> None:
    from app.store.database import Database

    database = Database(settings.database_url, now=lambda: datetime.now(UTC))
    try:
        await database.migrate()
    finally:
        await database.close()


def _stand_ins(arguments: argparse.Namespace) -> int:
    try:
        from app.cli.demo import run_demo
        from app.cli.demo.stand_ins import run_stand_ins
        from sandbox.serve import PortUnavailableError
    except ModuleNotFoundError as error:
        fix = "Run `make demo`, or `pip install 'holdfast[sandbox]'`."
        print(f"This needs the sandbox's libraries ({error.name}). {fix}", file=sys.stderr)
        return MISCONFIGURED
    try:
        if arguments.command == "demo":
            _until_stopped(run_demo(arguments.port, host=arguments.host))
        else:
            _until_stopped(
                run_stand_ins(arguments.port, host=arguments.host, webhook=arguments.webhook, empty=arguments.empty)
            )
    except PortUnavailableError as error:
        print(f"`{arguments.command}` cannot start:\n{error}\nChoose other ports with --port.", file=sys.stderr)
        return MISCONFIGURED
    return 0


def _until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run until SIGINT or SIGTERM, then let `work` close what it opened."""

    async def run() -> None:
        task = asyncio.create_task(work)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, task.cancel)
        with suppress(asyncio.CancelledError):
            await task

    asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
