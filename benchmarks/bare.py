"""The service, and beside its webhook views that do less: what `benchmarks.front_door` asks.

``gunicorn -c settings/gunicorn.py benchmarks.bare``
"""

from __future__ import annotations

import time
from uuid import UUID

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from app import door
from app.payload import parse
from app.proof import Signed, prove
from settings.wsgi import application

__all__ = ["application"]

settings.ROOT_URLCONF = __name__

STATUS_URL = f"/messages/{UUID(int=0)}/"


@csrf_exempt
def accept_nothing(_request: HttpRequest) -> HttpResponse:
    """Answer as the webhook does, byte for byte as much, and look at nothing."""
    acceptance = {"message_id": str(UUID(int=0)), "state": "pending", "status_url": STATUS_URL}
    return JsonResponse(acceptance, status=202, headers={"Location": STATUS_URL})


@csrf_exempt
def check_alone(request: HttpRequest) -> HttpResponse:
    """Do what the webhook does ahead of the database: admission, body, signature and parse."""
    signed = prove(request, settings.WEBHOOK_SECRETS)
    if not isinstance(signed, Signed):
        return signed
    parse(signed.body)
    with door.storing():
        door.stored()
    return accept_nothing(request)


def processor_seconds(_request: HttpRequest) -> HttpResponse:
    """Tell how much of a processor this process has used, all its threads together."""
    return JsonResponse({"seconds": time.process_time()})


urlpatterns = [
    path("bare/", accept_nothing),
    path("checks/", check_alone),
    path("processor/", processor_seconds),
    path("", include("settings.urls")),
]
