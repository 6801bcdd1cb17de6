"""URLs of the pages in the admin."""

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from orderflow.second_factor import login, pages


def urls_of(site: AdminSite) -> list[URLPattern]:
    return [
        path("login/code/", login.code_page, name="second_factor_code"),
        path("second-factor/", site.admin_view(pages.own_page), name="second_factor"),
        path("second-factor/codes/", site.admin_view(pages.codes_page), name="second_factor_codes"),
        path("second-factor/off/", site.admin_view(pages.off_page), name="second_factor_off"),
    ]
