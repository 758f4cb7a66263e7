"""What is answered where no view answers."""

from __future__ import annotations

import pytest
from django.test import Client

from app import health
from tests.app.problems import problem_of
from tests.factories import signed_delivery


def test_a_delivery_without_the_final_slash_is_told_the_address() -> None:
    response = Client().post("/webhooks/posts", **signed_delivery().request)
    assert "/webhooks/posts/" in problem_of(response, 404)["detail"]


@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_an_unknown_address_gets_a_problem(method: str) -> None:
    problem_of(getattr(Client(enforce_csrf_checks=True), method)("/nowhere/"), 404)


def test_a_host_that_is_not_ours_gets_a_problem() -> None:
    detail = problem_of(Client().get("/livez", headers={"host": "elsewhere"}), 400)["detail"]
    assert "Host" in detail


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize("method", ["post", "put", "delete", "options"])
def test_the_probes_take_no_other_method(path: str, method: str) -> None:
    response = getattr(Client(enforce_csrf_checks=True), method)(path)
    problem_of(response, 405)
    assert response["Allow"] == "GET, HEAD"


def test_a_probe_may_ask_for_the_head_alone() -> None:
    assert Client().head("/livez").status_code == 200


def test_an_error_of_ours_gets_a_problem_that_does_not_tell_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def broken() -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(health.readiness, "checks", broken)
    response = Client(raise_request_exception=False).get("/readyz")
    assert "secret" not in problem_of(response, 500)["detail"]


@pytest.mark.django_db
def test_the_admin_answers_people() -> None:
    client = Client(enforce_csrf_checks=True)
    refused = client.post("/admin/login/")
    assert refused.status_code == 403
    assert refused["Content-Type"].startswith("text/html")
    strange = client.get("/admin/", headers={"host": "elsewhere"})
    assert strange.status_code == 400
    assert strange["Content-Type"].startswith("text/html")
    redirect = client.get("/admin")
    assert (redirect.status_code, redirect["Location"]) == (302, "/admin/")
