"""Webhook endpoints: made, changed and deleted over the API, and those of the Dashboard.

Who makes one is told its signing secret in that answer and never again (Stripe docs, Webhook Endpoints).
"""

from urllib.parse import urlsplit

from sandbox.stripe.account import Account, Object
from sandbox.stripe.errors import StripeError, missing
from sandbox.stripe.schema import API_VERSION

#: The most that one account may have (Stripe docs, Webhooks).
MOST = 16


def create(account: Account, params: Object) -> Object:
    """A new endpoint, enabled, with its secret."""
    if len(account.webhook_endpoints) >= MOST:
        raise StripeError(f"You have reached the maximum of {MOST} test webhook endpoints.")
    _check_url(account, params["url"])
    endpoint = new(
        account,
        url=params["url"],
        enabled_events=params["enabled_events"],
        api_version=params.get("api_version"),
        secret=account.new_id("whsec_", 32),
    )
    endpoint |= {"description": params.get("description") or None, "metadata": dict(params.get("metadata") or {})}
    return {**endpoint, "secret": account.endpoint_secrets[endpoint["id"]]}


# Six, which an endpoint is made of.
def new(
    account: Account, *, url: str, enabled_events: list[str], api_version: str | None, secret: str, ident: str = ""
) -> Object:
    """An endpoint, wherever it was made."""
    endpoint: Object = {
        "id": ident or account.new_id("we_"),
        "object": "webhook_endpoint",
        "api_version": api_version,
        "application": None,
        "created": account.seconds(),
        "description": None,
        "enabled_events": list(enabled_events),
        "livemode": False,
        "metadata": {},
        "status": "enabled",
        "url": url,
    }
    account.webhook_endpoints[endpoint["id"]] = endpoint
    account.endpoint_secrets[endpoint["id"]] = secret
    return endpoint


def find(account: Account, ident: str) -> Object:
    try:
        return account.webhook_endpoints[ident]
    except KeyError:
        raise missing("webhook endpoint", ident, param="id") from None


def update(account: Account, ident: str, params: Object) -> Object:
    """Its version cannot be changed (Stripe docs, Webhook Endpoints)."""
    endpoint = find(account, ident)
    if "url" in params:
        _check_url(account, params["url"])
        endpoint["url"] = params["url"]
    if "enabled_events" in params:
        endpoint["enabled_events"] = list(params["enabled_events"])
    if "disabled" in params:
        endpoint["status"] = "disabled" if params["disabled"] else "enabled"
    if "description" in params:
        endpoint["description"] = params["description"] or None
    return endpoint


def delete(account: Account, ident: str) -> Object:
    find(account, ident)
    del account.webhook_endpoints[ident]
    return {"id": ident, "object": "webhook_endpoint", "deleted": True}


def version_of(endpoint: Object) -> str:
    """In which its events are written: the account's own where it names none."""
    return str(endpoint["api_version"] or API_VERSION)


def _check_url(account: Account, url: str) -> None:
    parts = urlsplit(url)
    local = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme not in {"http", "https"} or not parts.hostname or (local and not account.switches.local_endpoints):
        raise StripeError(
            "Invalid URL: URL must be publicly accessible. Consider using a tool like ngrok.", param="url"
        )
