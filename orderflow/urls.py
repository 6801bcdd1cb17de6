from django.conf import settings
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path
from django.utils.crypto import constant_time_compare
from django.views.generic import RedirectView
from django.views.i18n import set_language
from prometheus_client import CONTENT_TYPE_LATEST

from erp_connectors.metrics import scrape


def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers; what stands behind it is not asked."""
    return HttpResponse("ok\n", content_type="text/plain")


def metrics(request: HttpRequest) -> HttpResponse:
    """For Prometheus, which sends METRICS_TOKEN as its bearer token; without one there is no such page."""
    if not settings.METRICS_TOKEN:
        raise Http404
    offered = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not constant_time_compare(offered, settings.METRICS_TOKEN):
        return HttpResponse("The bearer token is not METRICS_TOKEN.\n", status=401, content_type="text/plain")
    return HttpResponse(scrape(), content_type=CONTENT_TYPE_LATEST)


def favicon(request: HttpRequest) -> HttpResponse:
    """For pages that name no icon of their own."""
    return HttpResponseRedirect(static("orderflow/favicon.svg"))


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("language/", set_language, name="set_language"),
    path("favicon.ico", favicon),
    path("api/v1/", include("erp_connectors.api.urls")),
    path("healthz", healthz),
    path("metrics", metrics),
]

handler400 = "erp_connectors.api.errors.bad_request"
handler404 = "erp_connectors.api.errors.not_found"
handler500 = "erp_connectors.api.errors.server_error"
