"""Tell a database that cannot be used from a value that it refuses."""

from django.db import DataError, Error, IntegrityError


def is_database_fault(error: BaseException) -> bool:
    """Return True if the database could not be used. That is no fault of an order or connection, and no attempt.

    A value that the database refuses is an error of ours, and not such a fault.
    """
    return isinstance(error, Error) and not isinstance(error, DataError | IntegrityError)
