"""Restrict a query to the rows of one org, or to those that a user may see."""

from typing import Any, Self, TypeVar
from uuid import UUID

from django.db import models

from orderflow.tenancy.member import Member

RowT = TypeVar("RowT", bound=models.Model)


class OrgScopedQuerySet(models.QuerySet[RowT]):
    """Queryset of models with an ``org``. Models without one override ``org_lookup``.

    ``orgless_are_shown``: what belongs to no org may be read by every org.
    """

    org_lookup = "org"
    orgless_are_shown = False

    def for_org(self, org: models.Model | UUID) -> Self:
        # By id, because Org itself is looked up by its primary key.
        lookup: dict[str, Any] = {self.org_lookup: getattr(org, "pk", org)}
        return self.filter(**lookup)

    def visible_to(self, user: Member) -> Self:
        """Return the rows of the user's org; all rows for platform staff; none for an inactive user."""
        if not user.is_active:
            return self.none()
        return self.all() if user.org_id is None else self.for_org(user.org_id)
