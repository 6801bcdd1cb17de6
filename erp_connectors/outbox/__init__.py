"""Changes that subscriptions want to be notified of, recorded in the transaction that makes the change."""
