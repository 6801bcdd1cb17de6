"""Ignore other orgs' files in a shared ack folder: they are not read, moved, counted or named."""

from collections.abc import Container, Iterable
from uuid import UUID

from erp_connectors.models import ERPExport
from erp_connectors.services.exports.batching import by_size
from orderflow.tenancy import scope

# PostgreSQL takes 65,535 parameters in a statement, and a page of files may hold more answers.
NAMES_AT_ONCE = 5000


def foreign_filenames(org_id: UUID, filenames: Iterable[str], *, expected: Container[str] = ()) -> set[str]:
    """Return the file names of other orgs' exports, and those that no export has yet and that are ``expected``.

    Its statement is the only one that looks at the file names of all orgs.
    """
    # No export has another name, and a database may be unable to look for one.
    names = {name for name in filenames if name.isprintable()}
    owners: dict[str, UUID] = {}
    with scope.everything():
        for page in by_size(names, lambda name: 1, files=NAMES_AT_ONCE):
            owners |= dict(ERPExport.objects.filter(filename__in=page).values_list("filename", "org_id"))
    return {
        name
        for name in names
        if owners.get(name, org_id) != org_id or (name not in owners and name in expected)
    }
