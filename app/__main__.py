"""python -m app serve | worker | migrate | backup | reconcile | forget | doctor | events | mails | bookings | demo"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from app import commands
from app.commands.backup import add_backup, run_backup
from app.commands.doctor import add_doctor, run_doctor
from app.commands.events import add_events, run_events
from app.commands.forget import add_forget, run_forget
from app.commands.mails import add_mails, run_mails
from app.commands.reconcile import add_reconcile, run_reconcile
from app.main import STOP_SECONDS, Outside, create_app, open_house, run_worker_of, tell_start, utc_now
from app.server import serve
from app.settings import Settings, SettingsError, read_settings
from app.store import Store
from app.telemetry import log_crashes, set_up_logs
from app.widgets import WidgetsFileError


def main() -> int:
    """Run one command; 2 for a wrong setting, whose name is printed."""
    arguments = _parser().parse_args()
    os.umask(0o077)  # the database and its copies hold customers
    if arguments.command == "demo":
        return _demo(arguments.port)
    if arguments.command == "doctor":
        set_up_logs("error")
        return run_doctor(os.environ, arguments)
    try:
        settings = read_settings(os.environ)
        set_up_logs(settings.log_level)
        match arguments.command:
            case "serve":
                _serve(settings, arguments)
            case "worker":
                asyncio.run(_work(settings))
            case "migrate":
                asyncio.run(_migrate(settings))
            case "bookings":
                # On the owner's terminal the sentences say it; what is put off stays readable from its row.
                set_up_logs("debug" if settings.log_level == "debug" else "error")
                return commands.run(settings, arguments)
            case "backup":
                return run_backup(settings, arguments)
            case "reconcile":
                set_up_logs("error")
                return run_reconcile(settings, arguments)
            case "forget":
                set_up_logs("error")
                return run_forget(settings, arguments)
            case "events":
                set_up_logs("error")
                return run_events(settings, arguments)
            case "mails":
                set_up_logs("error")
                return run_mails(settings, arguments)
    except (SettingsError, WidgetsFileError) as error:
        print(f"holdfast does not start:\n{error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app", description="Holdfast, the booking widget.")
    names = parser.add_subparsers(dest="command", required=True)
    serve = names.add_parser("serve", help="serve the widget, with the worker beside it")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--no-worker", action="store_true", help="the worker runs as a process of its own")
    serve.add_argument(
        "--proxy", default="127.0.0.1", help="addresses whose X-Forwarded-* headers are believed, with commas"
    )
    names.add_parser("worker", help="only the worker")
    names.add_parser("migrate", help="bring the database up to date and stop")
    commands.add_bookings(names.add_parser("bookings", help="what the owner does: list, show, cancel, move, refund"))
    add_backup(names.add_parser("backup", help="copy the database, beside a running server"))
    add_reconcile(
        names.add_parser("reconcile", help="compare with Stripe and Hapio, after a backup was restored; and act")
    )
    add_forget(names.add_parser("forget", help="take customers out of bookings that are over"))
    add_events(names.add_parser("events", help="what providers have told: list, replay, fetch"))
    add_mails(names.add_parser("mails", help="what could not be delivered: list, resend"))
    add_doctor(names.add_parser("doctor", help="what is wrong with this set-up, and how it is mended"))
    demo = names.add_parser("demo", help="everything on this machine, with sandboxes for Hapio and Stripe")
    demo.add_argument("--port", type=int, default=8400, help="the first of five ports in a row")
    return parser


def _serve(settings: Settings, arguments: argparse.Namespace) -> None:
    log_crashes()
    app = create_app(settings, run_worker=not arguments.no_worker)
    serve(app, host=arguments.host, port=arguments.port, proxies=arguments.proxy, patience=STOP_SECONDS)


async def _work(settings: Settings) -> None:
    log_crashes()
    outside = Outside()
    async with open_house(settings, outside) as house:
        loop = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(name, house.worker.stop)
        await tell_start(house, worker=True)
        async with run_worker_of(house, outside) as clock:
            await clock.wait()


async def _migrate(settings: Settings) -> None:
    store = Store(settings.database_url, now=utc_now)
    await store.migrate()
    await store.close()


def _demo(port: int) -> int:
    try:
        from app.demo import run_demo
        from app.sandbox.serve import PortUnavailableError
    except ModuleNotFoundError as error:
        print(f"the demo needs the sandbox's libraries ({error.name}); run `make demo`", file=sys.stderr)
        return 2
    try:
        _until_stopped(run_demo(port))
    except PortUnavailableError as error:
        print(f"the demo does not start:\n{error}\nChoose other ports with --port.", file=sys.stderr)
        return 2
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
