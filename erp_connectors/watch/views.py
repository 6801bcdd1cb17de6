"""`/healthz`, `/readyz` and `/metrics`: without a session. Other clients see only the status."""

import structlog
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from erp_connectors import metrics as figures
from erp_connectors.watch import metrics_access, ready
from erp_connectors.watch.check_results import Level
from orderflow.tenancy import scope

TEXT = "text/plain"
log = structlog.get_logger(__name__)


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers; what stands behind it is not asked."""
    return HttpResponse("ok\n", content_type=TEXT)


@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """503 where a part is not as it must be; ``?only=database,migrations`` asks for some parts only."""
    try:
        found = ready.check(ready.chosen(request.GET.get("only", "")))
    except ready.UnknownPart as unknown:
        return JsonResponse({"error": str(unknown)}, status=400)
    failing = any(one.level is Level.ERROR for one in found)
    known = metrics_access.is_known(request)
    body = {
        "status": "failing" if failing else "ready",
        "checks": {
            one.check: {"status": one.level, "what": one.what, "to_do": one.to_do, "ms": one.ms}
            if known
            else {"status": one.level}
            for one in found
        },
    }
    answer = JsonResponse(body, status=503 if failing else 200)
    answer["Cache-Control"] = "no-store"
    return answer


@require_safe
@scope.everything()
def metrics(request: HttpRequest) -> HttpResponse:
    """Metrics for Prometheus, which sends METRICS_TOKEN as bearer token or is in METRICS_ALLOWED_NETWORKS."""
    if not metrics_access.is_open():
        raise Http404
    if not metrics_access.is_known(request):
        text = "Send METRICS_TOKEN as a bearer token, or ask from METRICS_ALLOWED_NETWORKS.\n"
        return HttpResponse(text, status=401, content_type=TEXT, headers={"WWW-Authenticate": "Bearer"})
    try:
        return HttpResponse(figures.scrape(), content_type=CONTENT_TYPE_LATEST)
    except DatabaseError:
        log.warning("scrape.failed", exc_info=True)
        return HttpResponse("The database does not answer.\n", status=503, content_type=TEXT)
