from typing import Any

from django.http import HttpRequest

from orderflow.tenancy.admin import OrgScopedAdmin
from orderflow.tenancy.permissions import signed_in


class OrgColumn(OrgScopedAdmin):
    """Whose row it is, for those who see more than one org's."""

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return (*shown, "org") if signed_in(request).is_platform_staff else shown
