"""Admin pages of notifications: receivers, events, a test, and the results of the last ones."""

from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from erp_connectors.admin.common.columns import OrgColumn
from erp_connectors.admin.common.list_pages import SHAPES, ListPage, short_time
from erp_connectors.admin.notifications.form import SubscriptionForm
from erp_connectors.notifications import subscription_status, subscriptions
from erp_connectors.notifications.email_text import named
from erp_connectors.notifications.notification_content import connection_ref
from erp_connectors.outbox.delivery_errors import worded
from erp_connectors.outbox.models import Channel, Subscription
from orderflow.tenancy.permissions import signed_in
from orderflow.tenancy.roles import Capability

SECRET_PAGE = "admin/notify/subscription/secret.html"  # noqa: S105  # a template
_SHOWN = {
    subscription_status.State.WORKS: ("ok", gettext_lazy("works")),
    subscription_status.State.UNUSED: ("idle", gettext_lazy("nothing sent yet")),
    subscription_status.State.FAILING: ("warning", gettext_lazy("delivery failed")),
    subscription_status.State.GIVEN_UP: ("stopped", gettext_lazy("stopped")),
    subscription_status.State.OFF: ("idle", gettext_lazy("switched off")),
}


@admin.register(Subscription)
class SubscriptionAdmin(ListPage, OrgColumn):
    view = Capability.CONNECT
    change = Capability.CONNECT
    may_add = True
    audited = True
    list_display = ("__str__", "channel", "about", "state", "last_time")
    list_select_related = ("org", "connection__org")
    sortable_by = ()
    ordering = ("-created_at",)
    nothing_yet = gettext_lazy(
        "There are no notifications yet. Add one to be notified if an order fails, is refused or overdue, "
        "or if a connection is held."
    )

    class Media:
        css: ClassVar[dict[str, list[str]]] = {"all": ["erp_connectors/notify.css"]}
        js: ClassVar[list[str]] = ["erp_connectors/connection_form.js", "erp_connectors/copy.js"]

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<uuid:pk>/test/", wrap(self.test_page), name="notify_test"),
            path("<uuid:pk>/secret/", wrap(self.secret_page), name="notify_secret"),
            *super().get_urls(),
        ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return type("OfOrg", (SubscriptionForm,), {"org": signed_in(request).org})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [(None, {"fields": list(SubscriptionForm.Meta.fields)})]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        return {"connection": request.GET["connection"]} if "connection" in request.GET else {}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        # Delete the addresses of former recipients (privacy); the audit log keeps what matters.
        return self.has_change_permission(request)

    def get_actions(self, request: HttpRequest) -> Any:
        return {}

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        return [str(row) for row in objs], {}, set(), []

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        return None

    def delete_model(self, request: HttpRequest, obj: Subscription) -> None:
        subscriptions.remove(obj, actor=signed_in(request))

    @admin.display(description=gettext_lazy("connection"))
    def about(self, row: Subscription) -> str:
        return named(connection_ref(row.connection)) if row.connection else _("All connections")

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Subscription) -> SafeString:
        tone, label = _SHOWN[subscription_status.state_of(row)]
        return format_html(
            '<span class="badge badge-{}"><span aria-hidden="true">{}</span> {}</span>',
            tone,
            SHAPES[tone],
            label,
        )

    @admin.display(description=gettext_lazy("last success"))
    def last_time(self, row: Subscription) -> SafeString | str:
        return short_time(row.last_success_at)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["show_save_and_add_another"] = False
        row = kwargs.get("obj")
        if row is not None:
            tone, label = _SHOWN[subscription_status.state_of(row)]
            context |= {"status": subscription_status.status_of(row), "tone": tone, "state_label": label}
        return super().render_change_form(request, context, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Subscription, form: Any, change: bool) -> None:
        save = subscriptions.change if change else subscriptions.create
        try:
            form.secret = save(obj, actor=signed_in(request))
        except subscriptions.SubscriptionRefused as refused:
            form.secret, form.refused = "", True
            messages.error(request, f"{_('Nothing was saved.')} {_why(refused)}")
        # The page that comes next is chosen without the form.
        obj.made = form  # type: ignore[attr-defined]

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        if getattr(obj.made, "refused", False):
            return redirect("admin:notify_subscription_add")
        if obj.made.secret:
            return self._secret(request, obj, obj.made.secret)
        messages.success(request, _("Saved. Send a test to check that it is delivered."))
        return redirect("admin:notify_subscription_change", obj.pk)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        if getattr(obj.made, "refused", False):
            return redirect("admin:notify_subscription_change", obj.pk)
        if obj.made.secret:
            return self._secret(request, obj, obj.made.secret)
        return super().response_change(request, obj)

    def test_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """POST sends one, and says what became of it."""
        row = self._wanted(request, pk)
        if request.method == "POST":
            tried = subscriptions.send_test(row.pk, actor=signed_in(request))
            if tried.problem:
                messages.error(request, " ".join(worded(tried.problem.as_row())))
            else:
                messages.success(request, _got_through(row, tried))
        return redirect("admin:notify_subscription_change", row.pk)

    def secret_page(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """GET asks, POST replaces the secret and shows the new one: this once."""
        row = self._wanted(request, pk)
        if row.channel != Channel.WEBHOOK:
            raise Http404
        if request.method == "POST":
            return self._secret(request, row, subscriptions.replace_secret(row.pk, actor=signed_in(request)))
        return self._secret(request, row, "")

    def _secret(self, request: HttpRequest, row: Subscription, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": row,
            "title": _("Signing secret"),
            "subtitle": str(row),
            "media": self.media,
            "secret": secret,
        }
        return TemplateResponse(request, SECRET_PAGE, context, headers={"Cache-Control": "no-store"})

    def _wanted(self, request: HttpRequest, pk: UUID) -> Subscription:
        """Raises `PermissionDenied`, `Http404`."""
        if not self.has_change_permission(request):
            raise PermissionDenied
        row: Subscription | None = self.get_queryset(request).filter(pk=pk).first()
        if row is None:
            raise Http404
        return row


def _why(refused: subscriptions.SubscriptionRefused) -> str:
    if isinstance(refused, subscriptions.TooMany):
        return _("An organisation can have %(most)s notifications.") % {
            "most": subscriptions.MAX_SUBSCRIPTIONS
        }
    return _("This URL is told of this connection already.")


def _got_through(row: Subscription, tried: subscriptions.SubscriptionTestResult) -> str:
    said = (
        _("The test was delivered. The receiver answered with status %(status)s.")
        % {"status": tried.answered}
        if row.channel == Channel.WEBHOOK
        else _("The mail server accepted the test for: %(addresses)s.")
        % {"addresses": ", ".join(row.recipients)}
    )
    resumed = _("Sending resumes now. Changes that happened meanwhile are not reported.")
    return f"{said} {resumed}" if tried.resumed else said
