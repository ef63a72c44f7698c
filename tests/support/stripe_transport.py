"""Stripe over any httpx transport: how tests let the real Stripe client speak with the sandbox in process."""

import httpx

from app.payments.connection import StripeHTTP


class TransportHTTPClient(StripeHTTP):
    """The product's own HTTP client, except that waiting between attempts takes no time.

    `slept` lists the pauses in seconds that were asked for.
    """

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        super().__init__(transport)
        self.slept: list[float] = []

    async def sleep_async(self, secs: float) -> None:
        """Note the pause, and go on at once."""
        self.slept.append(secs)
