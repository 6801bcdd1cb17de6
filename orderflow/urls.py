from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from django.views.i18n import set_language

from erp_connectors.api.description.index import IndexWithoutSlash
from erp_connectors.watch.views import healthz, metrics, readyz


def favicon(request: HttpRequest) -> HttpResponseRedirect:
    """Serve the icon for pages that name none."""
    return HttpResponseRedirect(static("orderflow/favicon.svg"))


admin.autodiscover()

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("language/", set_language, name="set_language"),
    path("favicon.ico", favicon),
    path("api/v1", IndexWithoutSlash.as_view()),
    path("api/v1/", include("erp_connectors.api.urls")),
    path("healthz", healthz),
    path("readyz", readyz),
    path("metrics", metrics),
]

handler400 = "erp_connectors.api.common.errors.bad_request"
handler404 = "erp_connectors.api.common.errors.not_found"
handler500 = "erp_connectors.api.common.errors.server_error"
