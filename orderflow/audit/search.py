"""Find entries of the audit log by what they are about, who did it, or in which request."""

from collections.abc import Callable

from django.db.models import Q, QuerySet

from orderflow.audit.models import AuditLog
from orderflow.search.lookups import contains
from orderflow.search.normal_form import words
from orderflow.tenancy.models import User

# Return the ids of the entities that a text finds for a user.
Finder = Callable[[User, str], list[str]]
MAX_PEOPLE = 100
_finders: list[Finder] = []


def finds_entities(finder: Finder) -> None:
    """Register ``finder``: the audit log's search includes entries about the entities that it returns."""
    if finder not in _finders:
        _finders.append(finder)


def search(entries: QuerySet[AuditLog], user: User, text: str) -> QuerySet[AuditLog]:
    """Return those of ``entries`` that ``text`` finds for ``user``: by id, order number, file name or address."""
    text = text.strip()
    if not words(text):
        return entries.none()
    # Ids, not a join or a subquery: then the database uses an index for each, and not one scan for all.
    ids = [text, text.lower(), *(found for finder in _finders for found in finder(user, text))]
    who = list(_people(user).filter(contains(text, "email")).values_list("pk", flat=True)[:MAX_PEOPLE])
    return entries.filter(Q(entity_id__in=ids) | Q(request_id=text) | Q(actor__in=who))


def _people(user: User) -> QuerySet[User]:
    """Return the users whose entries may be searched: also platform staff, who act in every org."""
    everyone = User.objects.visible_to(user)
    return everyone | User.objects.filter(org=None) if user.is_active else everyone
