"""Form of a notification: receivers, events, and connection."""

from typing import Any, ClassVar
from urllib.parse import urlsplit

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from erp_connectors.models import ERPConnection
from erp_connectors.notifications.email_text import named
from erp_connectors.notifications.notification_content import connection_ref
from erp_connectors.outbox.events import Event
from erp_connectors.outbox.models import Channel, Subscription
from erp_connectors.states import ConnectionStatus
from orderflow.tenancy.models import Org
from orderflow.typing_patches import ModelForm

MAX_ADDRESSES = 10


class SubscriptionForm(ModelForm):
    """``org``: whose connections there are to choose from."""

    org: ClassVar[Org | None] = None

    connection = forms.ModelChoiceField(
        label=gettext_lazy("Connection"),
        queryset=ERPConnection.objects.none(),
        required=False,
        empty_label=gettext_lazy("All connections"),
    )
    channel = forms.ChoiceField(
        label=gettext_lazy("How"),
        choices=Channel.choices,
        widget=forms.Select(attrs={"data-chooses-modes": ""}),
    )
    addresses = forms.CharField(
        label=gettext_lazy("E-mail addresses"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 3, "data-modes": Channel.EMAIL.value, "spellcheck": "false"}),
        help_text=gettext_lazy("One per line, ten at most. Each address gets a separate e-mail."),
    )
    url = forms.CharField(
        label=gettext_lazy("URL"),
        required=False,
        max_length=500,
        widget=forms.TextInput(
            attrs={"class": "vTextField", "data-modes": Channel.WEBHOOK.value, "spellcheck": "false"}
        ),
        help_text=gettext_lazy(
            "The URL that receives the webhooks. They are signed with a secret that is shown after saving."
        ),
    )
    events = forms.MultipleChoiceField(
        label=gettext_lazy("Notify about"),
        choices=Event.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=list(Event.values),
        help_text=gettext_lazy(
            "Each change is reported once. Changes that happen together are reported together."
        ),
    )
    language = forms.ChoiceField(label=gettext_lazy("Language of the mails"), choices=settings.LANGUAGES)
    active = forms.BooleanField(
        label=gettext_lazy("Switched on"),
        required=False,
        initial=True,
        help_text=gettext_lazy("Changes that happen while it is switched off are not reported later."),
    )

    class Meta:
        model = Subscription
        fields = ("connection", "channel", "addresses", "url", "events", "language", "active")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance._state.adding and self.org is not None:
            self.instance.org = self.org
        chosen = self.fields["connection"]
        assert isinstance(chosen, forms.ModelChoiceField)  # noqa: S101  # declared above
        chosen.queryset = self._connections()
        chosen.label_from_instance = lambda row: named(connection_ref(row))  # type: ignore[method-assign, assignment]
        self.fields["language"].initial = get_language()
        self.fields["language"].widget.attrs["data-modes"] = Channel.EMAIL.value
        # The history of one channel does not apply to the other.
        self.fields["channel"].disabled = not self.instance._state.adding

    def _connections(self) -> Any:
        mine = ERPConnection.objects.filter(org=self.instance.org_id).select_related("org")
        active = mine.filter(status=ConnectionStatus.ACTIVE)
        return active | mine.filter(pk=self.instance.connection_id)

    def clean_addresses(self) -> str:
        found = list(dict.fromkeys(str(self.cleaned_data["addresses"]).replace(",", " ").split()))
        if len(found) > MAX_ADDRESSES:
            raise ValidationError(_("At most ten addresses. For more, add a second notification."))
        for address in found:
            try:
                validate_email(address)
            except ValidationError:
                raise ValidationError(
                    _("%(address)s is not an e-mail address."), params={"address": address}
                ) from None
        return "\n".join(found)

    def clean_url(self) -> str:
        url = str(self.cleaned_data["url"]).strip()
        if url and (wrong := _wrong_with(url)):
            raise ValidationError(wrong)
        return url

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        by_mail = cleaned.get("channel") == Channel.EMAIL
        wanted, other = ("addresses", "url") if by_mail else ("url", "addresses")
        if not cleaned.get(wanted) and wanted not in self.errors:
            self.add_error(wanted, _("This field is required."))
        cleaned[other] = ""
        return cleaned


def _wrong_with(url: str) -> str:
    try:
        parts = urlsplit(url)
        known = parts.scheme in ("https", "http") and parts.hostname and (parts.port or 1)
    except ValueError:
        known = None
    if not known or not url.isascii() or any(sign <= " " for sign in url):
        return _("Enter a whole URL, such as https://hooks.example.com/orderflow.")
    if parts.scheme == "http" and not settings.WEBHOOK_ALLOW_HTTP:
        return _("Use https: the content must be encrypted.")
    if parts.username or parts.password:
        return _("Remove the user name and password from the URL. The signature authenticates us.")
    return ""
