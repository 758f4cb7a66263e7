"""The API. Each change and the webhook that tells of it are stored in one transaction."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.decorators import method_decorator
from rest_framework.permissions import SAFE_METHODS
from rest_framework.viewsets import ModelViewSet

from blog.events import announce
from blog.models import Post
from blog.serializers import PostSerializer


@method_decorator(transaction.atomic, "create")
@method_decorator(transaction.atomic, "update")  # partial_update goes through it
@method_decorator(transaction.atomic, "destroy")
class PostViewSet(ModelViewSet):
    """Answers of changes name their webhook: `Webhook-Id` is what the receiver gets too."""

    queryset = Post.objects.all()
    serializer_class = PostSerializer

    def get_queryset(self) -> QuerySet[Post]:
        posts = super().get_queryset()
        if self.request.method in SAFE_METHODS:
            return posts.prefetch_related("categories", "tags")
        # Locked as it is read: of two changes at once the second sees the first, so that neither
        # undoes the other and their versions follow each other.
        return posts.select_for_update()

    def perform_create(self, serializer: Any) -> None:
        self._tell("post.created", serializer.save())

    def perform_update(self, serializer: Any) -> None:
        version = serializer.instance.next_version()
        self._tell("post.updated", serializer.save(changed_at=version))

    def perform_destroy(self, instance: Post) -> None:
        instance.changed_at = instance.next_version()
        self._tell("post.deleted", instance)
        instance.delete()

    def _tell(self, event_type: str, post: Post) -> None:
        self.headers["Webhook-Id"] = str(announce(event_type, post).id)
