"""Django's base classes that are generic only to type checkers."""

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.contrib.auth import forms as auth_forms
from django.core import paginator

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    ModelForm = forms.ModelForm[Any]
    InlineFormSet = forms.BaseInlineFormSet[Any, Any, Any]
    UserCreationForm = auth_forms.BaseUserCreationForm[Any]
    SetPasswordForm = auth_forms.SetPasswordForm[Any]
    PasswordChangeForm = auth_forms.PasswordChangeForm
    Paginator = paginator.Paginator[Any]
    Page = paginator.Page[Any]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline
    ModelForm = forms.ModelForm
    InlineFormSet = forms.BaseInlineFormSet
    UserCreationForm = auth_forms.BaseUserCreationForm
    SetPasswordForm = auth_forms.SetPasswordForm
    PasswordChangeForm = auth_forms.PasswordChangeForm
    Paginator = paginator.Paginator
    Page = paginator.Page
