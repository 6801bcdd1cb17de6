from typing import Any

from django.http import HttpRequest

from orderflow.tenancy.admin import OrgScopedAdmin
from orderflow.tenancy.permissions import signed_in


class OrgColumn(OrgScopedAdmin):
    """Show the org of each row to users who see several orgs."""

    def get_list_display(self, request: HttpRequest) -> Any:
        shown = super().get_list_display(request)
        return (*shown, "org") if signed_in(request).is_platform_staff else shown
