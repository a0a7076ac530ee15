"""v1 of the sandbox with a live key: the order of its checks, and which requests count as changes."""

from typing import Any

import pytest

from monitor.sandbox.greenhouse.endpoints import Endpoint, cells, endpoints
from monitor.sandbox.greenhouse.request_log import AnswerReason
from tests.cases import for_each
from tests.sandbox_asking import asker, content, zeroed

ALL = list(endpoints().values())
WRITES = [endpoint for endpoint in ALL if endpoint.writes]
WITH_ID = [endpoint for endpoint in ALL if endpoint.refers]
DENIED, NOT_FOUND = 403, 404
ORDERS = ["permission_first", "lookup_first", "permission_last"]


def named(part: Endpoint | str) -> str:
    return part.name if isinstance(part, Endpoint) else part


@for_each(ALL, ids=named)
def test_permission_first_refuses_before_anything_else(endpoint: Endpoint) -> None:
    """With the permission checked first, a key without it gets that refusal whatever else is wrong."""
    ask = asker("none", order="permission_first")
    assert ask.ask(zeroed(endpoint)).status == DENIED
    assert ask.last().reason is AnswerReason.NO_PERMISSION


@for_each(WITH_ID, ["lookup_first", "permission_last"], ids=named)
def test_another_order_hides_a_missing_permission(endpoint: Endpoint, order: str) -> None:
    """With the lookup first, a key without the permission gets 404 if there is no such record."""
    ask = asker("none", order=order)
    assert ask.ask(zeroed(endpoint)).status == NOT_FOUND
    assert content(ask.ask(zeroed(endpoint))) == {"message": "Resource not found"}


@for_each(ALL, ORDERS, ids=named)
def test_no_order_serves_a_key_without_the_permission(endpoint: Endpoint, order: str) -> None:
    """A request that is otherwise complete is refused for the missing permission, in every order."""
    ask = asker("none", order=order)
    line, body = ask.complete(endpoint)
    reply = ask.write(line, body) if endpoint.writes else ask.ask(line)
    assert reply.status == DENIED
    assert ask.changes() == []


@for_each(cells())
def test_the_order_can_be_set_for_one_cell(cell: str) -> None:
    """An exception for a cell applies to it and to no other."""
    ask = asker("none", orders={cell: "lookup_first"})
    for endpoint in WITH_ID:
        wanted = NOT_FOUND if endpoint.cell == cell else DENIED
        assert ask.ask(zeroed(endpoint)).status == wanted, endpoint.name


def test_an_endpoint_can_have_an_order_of_its_own() -> None:
    """An exception for an endpoint wins over that for its cell, so that a cell can disagree with itself."""
    ask = asker("none", orders={"by-id/rest": "lookup_first", "GET /v1/users/{id}": "permission_first"})
    assert ask.ask("GET /v1/users/0").status == DENIED
    assert ask.ask("GET /v1/jobs/0").status == NOT_FOUND


@pytest.mark.parametrize("name", ["POST /v1/candidates", "POST /v1/prospects", "PUT /v1/candidates/merge"])
def test_a_write_without_id_in_each_order(name: str) -> None:
    """Without a record to look up, On-Behalf-Of may come before the permission, and in the last order the fields."""
    statuses = {
        (order, needed): asker("none", order=order, on_behalf_of=needed).ask(name, {}).status
        for order in ORDERS
        for needed in ("every_write", "off")
    }
    assert statuses == {
        ("permission_first", "every_write"): DENIED,
        ("permission_first", "off"): DENIED,
        ("lookup_first", "every_write"): NOT_FOUND,
        ("lookup_first", "off"): DENIED,
        ("permission_last", "every_write"): NOT_FOUND,
        ("permission_last", "off"): 422,
    }


@for_each(WRITES, ids=named)
def test_a_complete_write_is_a_change(endpoint: Endpoint) -> None:
    """Every write that passes all guards is logged as a change, even those that nobody should send."""
    ask = asker()
    line, body = ask.complete(endpoint)
    assert ask.write(line, body).status in (200, 201)
    (change,) = ask.sandbox.request_log.changes()
    assert (change.account, change.method, change.request) == ("acme", endpoint.method, 1)
    assert change.text.startswith("would have ")
    assert ask.last().reason is AnswerReason.CHANGED


@for_each([each for each in WRITES if each.refers], ids=named)
def test_a_write_to_id_0_is_no_change(endpoint: Endpoint) -> None:
    """No record has the id 0: such a write changes nothing, even if it is otherwise complete."""
    for needed in ("every_write", "off"):
        ask = asker(on_behalf_of=needed)
        _, body = ask.complete(endpoint)
        assert ask.write(zeroed(endpoint), body).status == NOT_FOUND
        assert ask.ask(zeroed(endpoint), body).status == NOT_FOUND
        assert ask.changes() == []


@for_each(WRITES, ids=named)
def test_a_write_without_on_behalf_of_is_no_change(endpoint: Endpoint) -> None:
    """A write without On-Behalf-Of answers 404; with the guard off it would act, and is logged."""
    guarded, open_ = asker(), asker(on_behalf_of="off")
    assert guarded.ask(*guarded.complete(endpoint)).status == NOT_FOUND
    assert guarded.changes() == []
    assert open_.ask(*open_.complete(endpoint)).status in (200, 201)
    assert len(open_.changes()) == 1


@for_each([each for each in WRITES if each.needs], ids=named)
def test_a_write_without_its_fields_is_no_change(endpoint: Endpoint) -> None:
    """An empty object gets 422 with every missing field, in the documented order."""
    ask = asker()
    line, _ = ask.complete(endpoint)
    reply = ask.write(line, {})
    assert reply.status == 422
    assert [error["field"] for error in content(reply)["errors"]] == list(endpoint.needs)
    assert ask.changes() == []


def test_only_documented_headers_can_be_required() -> None:
    """With `documented`, On-Behalf-Of is only required where a table of headers has it."""
    ask = asker(on_behalf_of="documented")
    assert ask.ask("POST /v1/tags/candidate", {"name": "x"}).status == 201
    assert ask.ask("POST /v1/departments", {"name": "x"}).status == NOT_FOUND


def test_an_empty_rejection_rejects() -> None:
    """POST reject on a real application is complete without a body: the log names the application."""
    ask = asker()
    application = ask.account.records.ids("applications")[0]
    assert ask.write(f"POST /v1/applications/{application}/reject").status == 201
    assert ask.changes() == [f"would have rejected application {application}"]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"prospect": "true"}, 201), ({"prospect": True}, 201), ({"prospect": "false"}, 422), ({}, 422)],
)
def test_a_prospect_needs_no_job(body: dict[str, Any], status: int) -> None:
    """Adding an application needs a job unless it is a prospect's."""
    ask = asker()
    candidate = ask.account.records.ids("candidates")[0]
    assert ask.write(f"POST /v1/candidates/{candidate}/applications", body).status == status


@pytest.mark.parametrize("body", ["[]", "null", '"text"', "{", "\xff", "[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: str) -> None:
    """Anything but a JSON object is an invalid payload."""
    ask = asker()
    assert ask.write("POST /v1/departments", body).status == 400
    assert ask.changes() == []


def test_unticking_takes_effect_with_the_next_request() -> None:
    """An unticked permission is refused at once, a ticked one is served at once, and nothing else changes."""
    ask = asker("gem")
    statuses = [ask.ask("GET /v1/candidates").status]
    ask.key.untick("GET /v1/candidates")
    statuses += [ask.ask("GET /v1/candidates").status, ask.ask("GET /v1/jobs").status]
    ask.key.tick("GET /v1/candidates")
    statuses += [ask.ask("GET /v1/candidates").status]
    assert statuses == [200, DENIED, 200, 200]


def test_destroy_openings_v1_brings_v2() -> None:
    """A key with the v1 permission has the v2 one, as documented; not the other way round."""
    line, body = asker().complete(endpoints()["DELETE /v2/jobs/{job_id}/openings"])
    assert asker(["DELETE /v1/jobs/{job_id}/openings"]).write(line, body).status == 200
    assert asker(["DELETE /v2/jobs/{job_id}/openings"]).write(line.replace("v2", "v1"), body).status == DENIED


def test_a_nested_list_may_be_empty_where_there_is_no_parent() -> None:
    """If set so, a nested list under id 0 answers [] to a key with the permission, and never to one without."""
    for order in ORDERS:
        settings = {"nested_without_parent": "empty_list", "order": order}
        assert asker(**settings).ask("GET /v1/jobs/0/stages").body == b"[]"
        assert asker("none", **settings).ask("GET /v1/jobs/0/stages").status == DENIED
        assert asker(**settings).ask("GET /v1/jobs/0/job_post").status == NOT_FOUND


@for_each([each for each in ALL if not each.writes], ids=named)
def test_an_existing_id_is_served(endpoint: Endpoint) -> None:
    """Every GET answers 200 with JSON for existing records: an array for a list, otherwise an object."""
    ask = asker()
    reply = ask.ask(ask.complete(endpoint)[0])
    assert reply.status == 200
    assert isinstance(content(reply), dict if endpoint.gives_object else list)
    assert content(reply)
    assert ask.changes() == []


def test_a_private_record_is_not_listed() -> None:
    """A record that answers 403 by its id is not in the list."""
    ask = asker()
    listed = [record["id"] for record in content(ask.ask("GET /v1/candidates"))]
    assert ask.ask(f"GET /v1/candidates/{listed[-1] + 1}").status == 403
    assert len(listed) == 4
