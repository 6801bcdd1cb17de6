from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views.generic import RedirectView


def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers; what stands behind it is not asked."""
    return HttpResponse("ok\n", content_type="text/plain")


urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/v1/", include("erp_connectors.api.urls")),
    path("healthz", healthz),
]

handler400 = "erp_connectors.api.errors.bad_request"
handler404 = "erp_connectors.api.errors.not_found"
handler500 = "erp_connectors.api.errors.server_error"
