"""How a status changes everywhere: look at the table, then update where it is still the old one."""


class IllegalMove(Exception):
    """A move that no table allows: a bug of ours, or a person's stale page."""


class LostRace(Exception):
    """Somebody else moved it first: walk away."""
