from __future__ import annotations

from rest_framework.routers import SimpleRouter

from blog.views import PostViewSet

router = SimpleRouter()
router.register("posts", PostViewSet)

urlpatterns = router.urls
