"""The one door to an org's rows."""

from typing import TYPE_CHECKING, Any, Self, TypeVar
from uuid import UUID

from django.db import models

if TYPE_CHECKING:
    from orderflow.tenancy.models import Org, User

RowT = TypeVar("RowT", bound=models.Model)


class OrgScopedQuerySet(models.QuerySet[RowT]):
    """For every model with an ``org``; other shapes override ``org_lookup``, by which the database finds the org, too.

    ``orgless_are_shown``: what belongs to no org may be read by every org.
    """

    org_lookup = "org"
    orgless_are_shown = False

    def for_org(self, org: "Org | UUID") -> Self:
        # By id, because Org itself is looked up by its primary key.
        lookup: dict[str, Any] = {self.org_lookup: getattr(org, "pk", org)}
        return self.filter(**lookup)

    def visible_to(self, user: "User") -> Self:
        """The user's own org; everything for platform staff; nothing for anybody else."""
        if not user.is_active:
            return self.none()
        if user.is_platform_staff:
            return self.all()
        return self.for_org(user.org) if user.org else self.none()
