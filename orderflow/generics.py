"""Django's base classes that are generic only to type checkers."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import BaseUserCreationForm
from django.core import paginator

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Any]
    InlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
    UserCreationForm = BaseUserCreationForm[Any]
    DjangoUserAdmin = UserAdmin[Any]
    Paginator = paginator.Paginator[Any]
    Page = paginator.Page[Any]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline
    ModelForm = forms.ModelForm
    InlineFormSet = forms.BaseInlineFormSet
    UserCreationForm = BaseUserCreationForm
    DjangoUserAdmin = UserAdmin
    Paginator = paginator.Paginator
    Page = paginator.Page
