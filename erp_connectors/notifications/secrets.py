"""The signing secret of a webhook: shown once; after a change the old one signs along for a day."""

from datetime import datetime, timedelta

from erp_connectors.faults import Fault
from erp_connectors.notifications.signing import new_secret
from erp_connectors.outbox.models import Subscription

OVERLAP = timedelta(hours=24)


def renew_secret(subscription: Subscription, now: datetime) -> str:
    """Give it a new one, which is returned to be shown; the one before signs along for `OVERLAP`. Save it then."""
    old = _readable(subscription)
    secret = new_secret()
    values = {"current": secret}
    if "current" in old:
        values |= {"previous": old["current"], "previous_until": (now + OVERLAP).isoformat()}
    subscription.secrets, subscription.secret_set_at = values, now
    return secret


def new_secret_only(subscription: Subscription, now: datetime) -> str:
    """Give it a new one, which is returned to be shown; the one before signs no more. Save it then."""
    subscription.secrets = {}
    return renew_secret(subscription, now)


def signing_keys(subscription: Subscription, now: datetime) -> list[str]:
    """Return the secrets, the current one first. Raises `Fault` CONFIG_UNREADABLE."""
    values = subscription.secrets
    keys = [values["current"]] if "current" in values else []
    if "previous" in values and datetime.fromisoformat(values["previous_until"]) > now:
        keys.append(values["previous"])
    return keys


def _readable(subscription: Subscription) -> dict[str, str]:
    try:
        return subscription.secrets
    except Fault:
        # One that no key opens any more signs nothing, so there is nothing to go on with.
        return {}
