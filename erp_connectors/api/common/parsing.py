"""Parse requests strictly: refuse oversized bodies, text that databases can't store, and times out of range."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import IO, Any
from uuid import UUID

import msgspec
from django import forms
from django.db import models
from django_filters import rest_framework as filters
from django_filters.fields import IsoDateTimeField
from django_filters.widgets import BooleanWidget
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.request import Request

from erp_connectors.api.common.input_fields import (
    CurrencyText,
    DateOnly,
    KeyText,
    NotesText,
    OneLineText,
    WholeNumber,
)
from orderflow.input_rules.fields import CurrencyField, KeyField, NotesField, OneLineField
from orderflow.input_rules.strict_json import DuplicateKey, decode

NO_SUCH_FIELD = "There is no such field."


class TooLarge(APIException):
    status_code = 413


class StrictJSON(JSONParser):
    """REST framework's own reads any amount, and accepts lone surrogates that can't be stored."""

    max_body = 1024 * 1024
    decoder: "msgspec.json.Decoder[Any]" = msgspec.json.Decoder()

    def parse(self, stream: IO[Any], media_type: str | None = None, parser_context: Any = None) -> Any:
        body = stream.read(self.max_body + 1)
        if len(body) > self.max_body:
            raise TooLarge(f"The body is larger than {self.max_body} bytes.")
        try:
            return decode(body, self.decoder)
        except DuplicateKey as error:
            raise ParseError(f"The body is ambiguous: {error}.") from None
        except (msgspec.DecodeError, ValueError) as error:
            cause = str(error).removeprefix("JSON is malformed: ")
            raise ParseError(f"The body is not valid JSON: {cause}") from None
        except RecursionError:
            raise ParseError("The body is nested too deeply.") from None


class ExactJSON(StrictJSON):
    """Quantities and prices with all their decimals; orders of many lines."""

    max_body = 8 * 1024 * 1024
    decoder = msgspec.json.Decoder(float_hook=Decimal)


class KnownFieldsOnly:
    """A serializer that refuses what it does not know, and makes no text of numbers: no mistake is lost in silence.

    The fields of a model follow the rules of `orderflow.input_rules`.
    """

    serializer_field_mapping = {
        **serializers.ModelSerializer.serializer_field_mapping,
        KeyField: KeyText,
        OneLineField: OneLineText,
        NotesField: NotesText,
        CurrencyField: CurrencyText,
        models.DateField: DateOnly,
        models.PositiveBigIntegerField: WholeNumber,
    }

    def to_internal_value(self, data: Any) -> Any:
        wrong = self._mistakes(data) if isinstance(data, dict) else {}
        try:
            valid = super().to_internal_value(data)  # type: ignore[misc]
        except ValidationError as error:
            if wrong and isinstance(error.detail, dict):
                raise ValidationError({**error.detail, **wrong}) from None
            raise
        if wrong:
            raise ValidationError(wrong)
        return valid

    def _mistakes(self, data: dict[str, Any]) -> dict[str, list[str]]:
        fields: dict[str, Any] = self.fields  # type: ignore[attr-defined]
        wrong = {str(name): [NO_SUCH_FIELD] for name in sorted(set(data) - set(fields))}
        for name, field in fields.items():
            if name in data and isinstance(field, serializers.CharField):
                wrong |= {name: why} if (why := _not_a_text(data[name], field)) else {}
        return wrong


class SomethingIn:
    """A serializer that refuses an object without any field, such as the one that an empty body stands for."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and not data:
            raise ValidationError({"body": ["It is empty. Send a JSON object with at least one field."]})
        return super().to_internal_value(data)  # type: ignore[misc]


class IdField(serializers.UUIDField):
    """REST framework's own takes numbers, and `true`, for ids."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str | UUID):
            self.fail("invalid", value=data)
        return super().to_internal_value(data)


def _not_a_text(value: Any, field: Any) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, str):
        return ["Write a text, in quotes."]
    # REST framework measures what is left without blanks at the ends; the description can't say that.
    too_long = field.max_length is not None and len(value) > field.max_length
    return [f"Write at most {field.max_length} characters."] if too_long else []


def instant(text: str) -> datetime:
    """An ISO 8601 time as UTC. Raises `ValueError`, also for one that UTC can't express."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except OverflowError as error:
        raise ValueError(str(error)) from error


class InstantField(IsoDateTimeField):  # type: ignore[misc]  # django-filter has no types
    def clean(self, value: Any) -> datetime | None:
        cleaned: datetime | None = super().clean(value)
        try:
            return cleaned and cleaned.astimezone(UTC)
        except OverflowError:
            raise forms.ValidationError("This time is out of range.") from None


class InstantFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]  # django-filter has no types
    field_class = InstantField


class _BooleanWidget(BooleanWidget):  # type: ignore[misc]  # django-filter has no types
    """django-filter's own makes None, which means no filter, of whatever it does not know."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        known = super().value_from_datadict(data, files, name)
        return data.get(name) if known is None else known


class _BooleanField(forms.NullBooleanField):
    def to_python(self, value: Any) -> bool | None:  # type: ignore[override]  # as NullBooleanField itself
        if value is None or isinstance(value, bool):
            return value
        raise forms.ValidationError("Write true or false.")


class StrictBooleanFilter(filters.BooleanFilter):  # type: ignore[misc]  # django-filter has no types
    field_class = _BooleanField

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"widget": _BooleanWidget, **options})


class StrictFilters(filters.DjangoFilterBackend):  # type: ignore[misc]  # django-filter has no types
    """Refuse a filter without a value, such as ``customer=``: an unfiltered list would hide the mistake."""

    # What a search box sends.
    may_be_empty = ("search",)

    def filter_queryset(self, request: Request, queryset: Any, view: Any) -> Any:
        known = getattr(self.get_filterset_class(view, queryset), "base_filters", {})
        empty = [
            name
            for name in known
            if name not in self.may_be_empty and "" in request.query_params.getlist(name)
        ]
        if empty:
            raise ValidationError({name: ["Give a value, or leave it out."] for name in empty})
        return super().filter_queryset(request, queryset, view)
