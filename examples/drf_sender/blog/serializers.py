"""Posts as the API takes and gives them."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework import serializers

from blog.models import Category, Post, Tag

# What the receiver takes, as far as it depends on an author: a webhook that it refuses is refused
# for good, so it must not come into being. A character is six bytes of JSON at most, and an event
# of 150,000 of them, with the longest names, is below the receiver's 1 MiB.
LONGEST_BODY = 150_000
LONGEST_NAME = 100
MOST_NAMES = 100


class NamesField(serializers.ListField):
    """The names of categories or tags, as a list of texts."""

    child = serializers.CharField(max_length=LONGEST_NAME)

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=MOST_NAMES, **options)

    def to_representation(self, related: Any) -> list[str]:
        return sorted(each.name for each in related.all())


class PostSerializer(serializers.ModelSerializer):
    categories = NamesField(default=list)
    tags = NamesField(default=list)

    class Meta:
        model = Post
        fields: ClassVar = ["id", "title", "body", "categories", "tags", "changed_at"]
        extra_kwargs: ClassVar = {
            "title": {"trim_whitespace": False},
            "body": {"trim_whitespace": False, "max_length": LONGEST_BODY},
        }

    def create(self, validated_data: dict[str, Any]) -> Post:
        return super().create(_with_rows(validated_data))

    def update(self, instance: Post, validated_data: dict[str, Any]) -> Post:
        return super().update(instance, _with_rows(validated_data))


def _with_rows(data: dict[str, Any]) -> dict[str, Any]:
    """The same with rows in place of names."""
    kinds = {"categories": Category, "tags": Tag}
    return data | {field: kind.of(data[field]) for field, kind in kinds.items() if field in data}
