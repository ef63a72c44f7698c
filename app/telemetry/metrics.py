"""What this process counts about itself, for Prometheus: calls, webhooks, refusals, sweeps. No name, address or key.

What the rows say (bookings, payments, mails) is not counted here but read when someone asks, see
`app/operations/health.py`: so it is right after a restart, and whichever process wrote it. Labels are words of ours,
never what someone typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from platform import python_version

from prometheus_client import CollectorRegistry, Counter, Histogram, Info, ProcessCollector, disable_created_metrics

from app.errors import (
    SCHEDULER_CODES,
    BookingConflict,
    HoldfastError,
    MailError,
    SchedulerError,
    SlotTaken,
    StorageError,
    StripeError,
    TooManyHolds,
    WebhookRefused,
)

# Else each counter would come twice, the second time with the moment of its making.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the package leaves out this one's types

#: Seconds. A page waits for the scheduler up to 8, Stripe's five attempts end after 25.
_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)
_WEBHOOK_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
#: From the payment to the confirmation: the sale is the scheduler's one answer away, or an outage.
_CONFIRM_SECONDS = (1, 2.5, 5, 15, 60, 300, 900, 3600)
#: A warm page takes less than the first, a way to Stripe or the scheduler up to the last.
_REQUEST_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

#: What a sweep may find (`sweep_scheduler`, `sweep_stripe`).
_FINDINGS = ("lock", "payment", "refund", "dispute")
#: The worker's steps, and whose errors put each off.
_STEPS: Mapping[str, tuple[type[HoldfastError], ...]] = {
    "tick": (StorageError,),
    "expire": (SchedulerError, StripeError),
    "look": (SchedulerError, StripeError),
    "sweep_scheduler": (SchedulerError,),
    "sweep_stripe": (SchedulerError, StripeError),
    "fetch_missed": (StripeError,),
    "reconcile": (SchedulerError,),
    "take_event": (SchedulerError, StripeError, BookingConflict),
    "confirm": (SchedulerError, StripeError),
    "follow_move": (SchedulerError, StripeError),
    "release": (SchedulerError,),
    "pay": (StripeError,),
    "send": (MailError,),
}


class Metrics:
    """The counters of one process; each `Metrics` stands alone, so that tests do not share any. `providers` are named
    in labels, from the start."""

    def __init__(self, *, version: str = "", providers: Sequence[str] = ()) -> None:
        self._providers = providers
        self._registry = CollectorRegistry()
        self._zeros = False
        ProcessCollector(registry=self._registry)
        build = Info("holdfast_build", "What runs", registry=self._registry)
        build.info({"version": version, "python": python_version()})
        self._requests = self._counter("http_requests", "Requests answered", "method", "route", "status")
        self._request_seconds = self._histogram(
            "http_request_seconds", "Seconds until a request was answered", _REQUEST_SECONDS, "route"
        )
        # Looking a label up costs more than counting, and warm pages are quick.
        self._known_requests: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._calls = self._counter("provider_calls", "Requests sent", "provider", "operation", "outcome")
        self._call_seconds = self._histogram("provider_seconds", "Seconds a request took", _CALL_SECONDS, "provider")
        self._webhooks = self._counter("webhooks", "Webhooks received at the door", "provider", "outcome")
        self._webhook_seconds = self._histogram(
            "webhook_seconds", "Seconds until a webhook was answered", _WEBHOOK_SECONDS, "provider"
        )
        self._holds_refused = self._counter("holds_refused", "Attempts to hold a time that failed", "code")
        self._errors = self._counter("errors", "Answers that told of an error", "code")
        self._swept = self._counter("sweep_findings", "What a sweep found forgotten", "what")
        self._failed_steps = self._counter("worker_failures", "Steps of the worker that were put off", "act", "error")
        self.confirm_seconds = self._histogram(
            "confirm_seconds", "Seconds from the payment to the confirmation", _CONFIRM_SECONDS
        )

    @property
    def registry(self) -> CollectorRegistry:
        """What a scraper reads. The two hundred series that begin at zero are made for the first of them: most
        processes that open the parts, such as a command, are never scraped."""
        if not self._zeros:
            self._zeros = True
            self._begin_at_zero()
        return self._registry

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered. `route` is a template, never a path; `status` 0 where the client left."""
        known = self._known_requests.get((method, route, status))
        if known is None:
            known = self._requests.labels(method, route, str(status)), self._request_seconds.labels(route)
            self._known_requests[method, route, status] = known
        requests, times = known
        requests.inc()
        times.observe(seconds)

    def called(self, provider: str, operation: str, outcome: str, seconds: float) -> None:
        """A request was sent. `outcome` is a status, or a word where no answer came."""
        self._calls.labels(provider, operation, outcome).inc()
        self._call_seconds.labels(provider).observe(max(0.0, seconds))  # the clock may be set back meanwhile

    @contextmanager
    def webhook(self, provider: str) -> Iterator[None]:
        """Count a webhook, and time it: accepted, refused (not the provider's signature or body), or failed."""
        outcome = "failed"
        try:
            with self._webhook_seconds.labels(provider).time():
                yield
            outcome = "accepted"
        except WebhookRefused:
            outcome = "refused"
            raise
        finally:
            self._webhooks.labels(provider, outcome).inc()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Count the hold that is refused inside."""
        try:
            yield
        except HoldfastError as error:
            self.hold_refused(error.code)
            raise

    def hold_refused(self, code: str) -> None:
        """A time was not held; `code` is an error's."""
        self._holds_refused.labels(code).inc()

    def count_error(self, code: str) -> None:
        """Someone was told of an error."""
        self._errors.labels(code).inc()

    def swept(self, what: str) -> None:
        """A sweep found something that nobody had told us about."""
        self._swept.labels(what).inc()

    def put_off(self, act: str, error: Exception) -> None:
        """A step of the worker's did not come to its end."""
        self._failed_steps.labels(act, type(error).__name__).inc()

    def _begin_at_zero(self) -> None:
        """A counter that appears with its first event has risen from nothing, which `increase()` does not see."""
        theirs = {SCHEDULER_CODES[name] for name in self._providers if name in SCHEDULER_CODES}
        for code in theirs | {kind.code for kind in _kinds(HoldfastError)}:
            self._errors.labels(code)
        refusals = (SchedulerError, SlotTaken, StorageError, TooManyHolds)
        for code in theirs | {kind.code for base in refusals for kind in _kinds(base)}:
            self._holds_refused.labels(code)
        for provider in self._providers:
            for outcome in ("accepted", "refused", "failed"):
                self._webhooks.labels(provider, outcome)
            self._call_seconds.labels(provider)
            self._webhook_seconds.labels(provider)
        for what in _FINDINGS:
            self._swept.labels(what)
        for step, families in _STEPS.items():
            for kind in {kind for family in families for kind in _kinds(family)}:
                self._failed_steps.labels(step, kind.__name__)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"holdfast_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"holdfast_{name}", text, labels, buckets=buckets, registry=self._registry)


def _kinds(base: type[HoldfastError]) -> Iterator[type[HoldfastError]]:
    """An error and every kind of it."""
    yield base
    for kind in base.__subclasses__():
        yield from _kinds(kind)
