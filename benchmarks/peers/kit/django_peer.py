"""A Django project of one peer's application. Needs Django."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection, transaction

from benchmarks.peers.kit import post
from benchmarks.peers.kit.addresses import Addresses


class DjangoPeer(ABC):
    """The part of `child.Peer` that is alike in all of them."""

    application: str
    """Of `INSTALLED_APPS`."""
    owed: str
    """Where its rows are that are not done: a table, perhaps with WHERE."""

    def __init__(self, addresses: Addresses, **django_settings: Any) -> None:
        """Configure Django and make the peer's tables and ours."""
        settings.configure(
            INSTALLED_APPS=[self.application],
            DATABASES={"default": addresses.django_database},
            DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
            SECRET_KEY="of a benchmark",  # noqa: S106
            USE_TZ=True,
            **django_settings,
        )
        django.setup()
        call_command("migrate", verbosity=0)
        with connection.cursor() as cursor:
            cursor.execute(post.TABLE)

    @abstractmethod
    def send(self, number: int) -> None:
        """Enqueue the message of one Post, within the open transaction."""

    def fill(self, numbers: range) -> None:
        with transaction.atomic():
            for number in numbers:
                self.send(number)

    def enqueue(self, numbers: range) -> None:
        for number in numbers:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(post.INSERT, post.values(number))
                self.send(number)

    def insert(self, numbers: range) -> None:
        for number in numbers:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(post.INSERT, post.values(number))

    def demand_none_left(self) -> None:
        """Raises RuntimeError when rows are not recorded as done."""
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {self.owed}")  # noqa: S608 (our own literals)
            (left,) = cursor.fetchone()
        if left:
            raise RuntimeError(f"{left} rows are not recorded as done")
