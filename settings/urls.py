"""The addresses of the service: the app's own at the root, and Django's admin."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    # What people type: addresses are not completed otherwise.
    path("admin", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("app.urls")),
]

handler400 = "app.errors.bad_request"
handler403 = "app.errors.permission_denied"
handler404 = "app.errors.page_not_found"
handler500 = "app.errors.server_error"
