"""What this site publishes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar, Self

from django.db import models
from django.utils import timezone


class Name(models.Model):
    """Base of what a post is filed under."""

    name = models.CharField(max_length=100, unique=True)

    class Meta:
        abstract = True
        ordering: ClassVar = ["name"]

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, names: Iterable[str]) -> list[Self]:
        """The rows of these names; those that are missing are made."""
        # Sorted: two transactions that make the same names in opposite orders would deadlock.
        wanted = sorted(set(names))
        rows = [cls(name=name) for name in wanted]
        cls._default_manager.bulk_create(rows, ignore_conflicts=True)
        return list(cls._default_manager.filter(name__in=wanted))


class Category(Name):
    class Meta(Name.Meta):
        verbose_name_plural = "categories"


class Tag(Name):
    pass


class Post(models.Model):
    """`changed_at` is the version: receivers order the events of a post by it."""

    # Random: the id of a deleted post never comes back, not even after a restored backup.
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    title = models.CharField(max_length=500, blank=True)
    body = models.TextField(blank=True)
    categories = models.ManyToManyField(Category, blank=True)
    tags = models.ManyToManyField(Tag, blank=True)
    changed_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["-changed_at", "id"]

    def __str__(self) -> str:
        return self.title or str(self.pk)

    def next_version(self) -> datetime:
        """The time of a change that is made now, later than that of the one before in any case.

        Call it with the row locked. Two changes may fall into one microsecond, and a clock may go
        back, or differ from that of the machine which made the change before.
        """
        return max(timezone.now(), self.changed_at + timedelta(microseconds=1))
