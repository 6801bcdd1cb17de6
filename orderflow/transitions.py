"""Errors of a change of status. Each change is checked against a table, then done by compare-and-set."""

from orderflow.messages import Refusal


class IllegalMove(Refusal):
    """No table allows this change of status: a bug of ours, or the user's page is out of date."""


class LostRace(Refusal):
    """Another process changed the row first; the caller must stop."""
