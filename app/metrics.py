"""What this process counts about itself, for Prometheus: calls, webhooks, refusals, sweeps. No name, address or key.

What the rows say (bookings, payments, mails) is not counted here but read when somebody asks, see `app/health.py`: so
it is right after a restart and whichever process wrote it. Labels are words of ours, never what somebody typed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics

from app.errors import HoldfastError, WebhookRefused

# Else each counter would come twice, the second time with the moment of its making.
disable_created_metrics()  # type: ignore[no-untyped-call]  # the package leaves out this one's types

#: Seconds. A page waits for Hapio up to 8, Stripe's five attempts end after 25.
_CALL_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25)
_WEBHOOK_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
#: From the payment to the confirmation: the sale is Hapio's one answer away, or an outage.
_CONFIRM_SECONDS = (1, 2.5, 5, 15, 60, 300, 900, 3600)


class Metrics:
    """The counters of one process; each `Metrics` stands alone, so that tests do not share any."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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

    def called(self, provider: str, operation: str, outcome: str, seconds: float) -> None:
        """A request was sent. `outcome` is a status, or a word where no answer came."""
        self._calls.labels(provider, operation, outcome).inc()
        self._call_seconds.labels(provider).observe(seconds)

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

    def told(self, code: str) -> None:
        """Somebody was told of an error."""
        self._errors.labels(code).inc()

    def swept(self, what: str) -> None:
        """A sweep found something that nobody had told us about."""
        self._swept.labels(what).inc()

    def put_off(self, act: str, error: Exception) -> None:
        """A step of the worker's did not come to its end."""
        self._failed_steps.labels(act, type(error).__name__).inc()

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"holdfast_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"holdfast_{name}", text, labels, buckets=buckets, registry=self.registry)
