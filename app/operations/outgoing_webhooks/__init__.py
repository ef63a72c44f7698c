"""Outgoing webhooks: owners' programs are told of bookings.

`deliveries` reads what happened and sends it, `messages` has the bodies, `signature` the secrets, `sender` the one
request, `words` what an owner is mailed.
"""

from app.operations.outgoing_webhooks.deliveries import OutgoingWebhooks
from app.operations.outgoing_webhooks.messages import ABOUT, WebhookMessage
from app.operations.outgoing_webhooks.sender import Sender, Sent
from app.operations.outgoing_webhooks.signature import Secrets

__all__ = ["ABOUT", "OutgoingWebhooks", "Secrets", "Sender", "Sent", "WebhookMessage"]
