"""The admin is behind its login, every address of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.test import Client
from django.urls import URLPattern, URLResolver, reverse
from django.urls.resolvers import RoutePattern

from tests.factories import PostFactory

pytestmark = pytest.mark.django_db

# What takes the place of a parameter, by its converter.
SAMPLES = {"PathConverter": "1", "IntConverter": "1", "StringConverter": "x"}


def addresses(patterns: Any = None, prefix: str = "/admin/") -> Iterator[str]:
    """An address for each route of the admin."""
    for pattern in admin.site.get_urls() if patterns is None else patterns:
        route = _filled(pattern)
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, prefix + route)
        else:
            assert isinstance(pattern, URLPattern)
            yield prefix + route


def _filled(pattern: URLPattern | URLResolver) -> str:
    if not isinstance(pattern.pattern, RoutePattern):
        # The admin has two regular expressions: a list of the labels of apps, and all that is left.
        return {"app_list": "app/", None: "nowhere/at/all"}[pattern.name]  # type: ignore[union-attr]
    route = str(pattern.pattern)
    for name, converter in pattern.pattern.converters.items():
        route = re.sub(rf"<(\w+:)?{name}>", SAMPLES[type(converter).__name__], route)
    return route


ADDRESSES = sorted(set(addresses()) - {"/admin/login/"})


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_a_stranger_is_sent_to_the_login(address: str, method: str) -> None:
    PostFactory()
    response = getattr(Client(), method)(address)
    if address == "/admin/logout/":  # there is nothing to log out from
        assert (response.status_code, response["Location"]) == (302, "/admin/")
    else:
        assert response.status_code == 302
        assert response["Location"] == f"/admin/login/?next={quote(address)}"


def test_the_addresses_are_those_of_every_model_and_of_the_site() -> None:
    for model in admin.site._registry:
        for action in ("changelist", "add"):
            name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{action}"
            assert reverse(name) in ADDRESSES
    assert {"/admin/", "/admin/password_change/", "/admin/autocomplete/"} <= set(ADDRESSES)


def test_who_has_an_account_and_is_no_staff_is_a_stranger() -> None:
    client = Client()
    client.force_login(User.objects.create_user("reader"))
    for address in ADDRESSES:
        response = client.get(address)
        assert (response.status_code, response["Location"].split("?")[0]) in {
            (302, "/admin/login/"),
            (302, "/admin/"),
        }, address
