"""v1 of the sandbox with a live key: the order of its checks, and which requests count as changes."""

from itertools import permutations
from typing import Any

import pytest

from monitor.sandbox.greenhouse.endpoints import Endpoint, cells, endpoints
from monitor.sandbox.greenhouse.request_log import AnswerReason
from monitor.sandbox.greenhouse.settings import NAMED_ORDERS, CheckStep
from tests.cases import for_each
from tests.sandbox_session import content, sandbox_session, zeroed

ALL = list(endpoints().values())
WRITES = [endpoint for endpoint in ALL if endpoint.writes]
WITH_ID = [endpoint for endpoint in ALL if endpoint.refers]
DENIED, NOT_FOUND = 403, 404
ORDERS = list(NAMED_ORDERS)
EVERY_ORDER = [",".join(steps) for steps in permutations(CheckStep)]
MOVE = "POST /v1/applications/0/move"  # fails every step for a key without the permission
REFUSED_BY = {
    AnswerReason.NO_PERMISSION: CheckStep.PERMISSION,
    AnswerReason.NO_ON_BEHALF_OF: CheckStep.ON_BEHALF_OF,
    AnswerReason.NO_RECORD: CheckStep.RECORD,
    AnswerReason.INVALID: CheckStep.FIELDS,
}


def named(part: Endpoint | str) -> str:
    return part.name if isinstance(part, Endpoint) else part


@for_each(ALL, ids=named)
def test_permission_first_refuses_before_anything_else(endpoint: Endpoint) -> None:
    """With the permission checked first, a key without it gets that refusal whatever else is wrong."""
    session = sandbox_session("none", order="permission_first")
    assert session.send(zeroed(endpoint)).status == DENIED
    assert session.last().reason is AnswerReason.NO_PERMISSION


@for_each(WITH_ID, ["lookup_first", "permission_last"], ids=named)
def test_another_order_hides_a_missing_permission(endpoint: Endpoint, order: str) -> None:
    """With the lookup first, a key without the permission gets 404 if there is no such record."""
    session = sandbox_session("none", order=order)
    assert session.send(zeroed(endpoint)).status == NOT_FOUND
    assert content(session.send(zeroed(endpoint))) == {"message": "Resource not found"}


@for_each(ALL, ORDERS, ids=named)
def test_no_order_serves_a_key_without_the_permission(endpoint: Endpoint, order: str) -> None:
    """A request that is otherwise complete is refused for the missing permission, in every order."""
    session = sandbox_session("none", order=order)
    line, body = session.complete(endpoint)
    reply = session.write(line, body) if endpoint.writes else session.send(line)
    assert reply.status == DENIED
    assert session.changes() == []


def refused_by(line: str, grants: str | list[str] = "none", **settings: Any) -> CheckStep:
    """The check that refuses this request with an empty body, without On-Behalf-Of."""
    session = sandbox_session(grants, **settings)
    session.send(line, {} if line[:3] != "GET" else None)
    return REFUSED_BY[session.last().reason]


@for_each(EVERY_ORDER)
def test_the_first_check_of_an_order_that_is_not_passed_answers(order: str) -> None:
    """In each of the 24 orders: of the checks that a request fails, the first refuses it, on reads as on writes."""
    first, *rest = order.split(",")
    assert refused_by(MOVE, order=order) == first
    with_permission = [step for step in (first, *rest) if step != "permission"]
    assert refused_by(MOVE, "all", order=order) == with_permission[0]
    with_header = [step for step in (first, *rest) if step != "on_behalf_of"]
    assert refused_by(MOVE, order=order, on_behalf_of="off") == with_header[0]
    of_a_read = [step for step in (first, *rest) if step in ("permission", "record")]
    assert refused_by("GET /v1/jobs/0/stages", order=order) == of_a_read[0]


@for_each(WRITES, EVERY_ORDER[::5], ids=named)
def test_no_order_fails_on_a_request_that_lacks_everything(endpoint: Endpoint, order: str) -> None:
    """Fields are checked before the record is known, or its body, and nothing is changed."""
    session = sandbox_session(order=order, on_behalf_of="off")
    for body in ({}, "[", None):
        assert session.send(zeroed(endpoint), body).status in ((400, 404, 422) if endpoint.refers else (400, 422))
    assert session.changes() == []


@for_each(EVERY_ORDER[::5])
def test_what_only_the_record_can_tell_comes_last(order: str) -> None:
    """An active application cannot be unrejected; a key without the permission does not learn that it is active."""
    line = "POST /v1/applications/{}/unreject"
    for grants, status in (("all", 422), ("none", DENIED)):
        session = sandbox_session(grants, order=order)
        assert session.write(line.format(session.account.records.ids("applications")[0])).status == status


@for_each(cells())
def test_the_order_can_be_set_for_one_cell(cell: str) -> None:
    """An exception for a cell applies to it and to no other."""
    session = sandbox_session("none", orders={cell: "lookup_first"})
    for endpoint in WITH_ID:
        wanted = NOT_FOUND if endpoint.cell == cell else DENIED
        assert session.send(zeroed(endpoint)).status == wanted, endpoint.name


def test_an_endpoint_can_have_an_order_of_its_own() -> None:
    """An exception for an endpoint wins over that for its cell, so that a cell can disagree with itself."""
    session = sandbox_session("none", orders={"by-id/rest": "lookup_first", "GET /v1/users/{id}": "permission_first"})
    assert session.send("GET /v1/users/0").status == DENIED
    assert session.send("GET /v1/jobs/0").status == NOT_FOUND


def test_needs_of_one_kind_can_come_before_the_permission_and_others_after_it() -> None:
    """By endpoint: single nested records but not nested lists; of one write the body, of another the header."""
    records = [e.name for e in ALL if e.request_class == "nested" and e.gives_object]
    orders = dict.fromkeys(records, "record,permission,on_behalf_of,fields")
    assert refused_by("GET /v1/jobs/0/hiring_team", orders=orders) is CheckStep.RECORD
    assert refused_by("GET /v1/jobs/0/stages", orders=orders) is CheckStep.PERMISSION
    orders = {
        "PATCH/rest": "fields,permission,on_behalf_of,record",
        "PATCH /v1/offices/{id}": "on_behalf_of,permission,record,fields",
    }
    assert refused_by("PATCH /v1/departments/0", orders=orders) is CheckStep.FIELDS
    assert refused_by("PATCH /v1/candidates/0", orders=orders) is CheckStep.PERMISSION  # it demands no field
    assert refused_by("PATCH /v1/offices/0", orders=orders) is CheckStep.ON_BEHALF_OF


def test_each_need_can_be_lifted_for_an_endpoint_or_a_cell() -> None:
    """The header by cell and by endpoint, a field by endpoint."""
    headers = {"POST/applications": "off", "POST /v1/applications/{id}/advance": "every_write"}
    assert refused_by("POST /v1/applications/0/move", "all", headers=headers) is CheckStep.RECORD
    assert refused_by("POST /v1/applications/0/advance", "all", headers=headers) is CheckStep.ON_BEHALF_OF
    assert refused_by("POST /v1/candidates/0/employments", "all", headers=headers) is CheckStep.ON_BEHALF_OF
    name, fields = "PATCH /v1/departments/{id}", "fields,permission,on_behalf_of,record"
    assert refused_by("PATCH /v1/departments/0", order=fields, not_needed={name: ["name"]}) is CheckStep.PERMISSION
    assert refused_by("PATCH /v1/offices/0", order=fields, not_needed={name: ["name"]}) is CheckStep.FIELDS
    line, _ = sandbox_session().complete(endpoints()["POST /v1/candidates"])
    reply = sandbox_session(not_needed={"POST /v1/candidates": ["first_name"]}).write(line, {})
    assert [error["field"] for error in content(reply)["errors"]] == ["last_name", "applications"]


@pytest.mark.parametrize("name", ["POST /v1/candidates", "POST /v1/prospects", "PUT /v1/candidates/merge"])
def test_a_write_without_id_in_each_order(name: str) -> None:
    """Without a record to look up, On-Behalf-Of may come before the permission, and in the last order the fields."""
    statuses = {
        (order, needed): sandbox_session("none", order=order, on_behalf_of=needed).send(name, {}).status
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
    session = sandbox_session()
    line, body = session.complete(endpoint)
    assert session.write(line, body).status in (200, 201)
    (change,) = session.sandbox.request_log.changes()
    assert (change.account, change.method, change.request) == ("acme", endpoint.method, 1)
    assert change.text.startswith("would have ")
    assert session.last().reason is AnswerReason.CHANGED


@for_each([each for each in WRITES if each.refers], ids=named)
def test_a_write_to_id_0_is_no_change(endpoint: Endpoint) -> None:
    """No record has the id 0: such a write changes nothing, even if it is otherwise complete."""
    for needed in ("every_write", "off"):
        session = sandbox_session(on_behalf_of=needed)
        _, body = session.complete(endpoint)
        assert session.write(zeroed(endpoint), body).status == NOT_FOUND
        assert session.send(zeroed(endpoint), body).status == NOT_FOUND
        assert session.changes() == []


@for_each(WRITES, ids=named)
def test_a_write_without_on_behalf_of_is_no_change(endpoint: Endpoint) -> None:
    """A write without On-Behalf-Of answers 404; with the guard off it would act, and is logged."""
    guarded, open_ = sandbox_session(), sandbox_session(on_behalf_of="off")
    assert guarded.send(*guarded.complete(endpoint)).status == NOT_FOUND
    assert guarded.changes() == []
    assert open_.send(*open_.complete(endpoint)).status in (200, 201)
    assert len(open_.changes()) == 1


@for_each([each for each in WRITES if each.needs], ids=named)
def test_a_write_without_its_fields_is_no_change(endpoint: Endpoint) -> None:
    """An empty object gets 422 with every missing field, in the documented order."""
    session = sandbox_session()
    line, _ = session.complete(endpoint)
    reply = session.write(line, {})
    assert reply.status == 422
    assert [error["field"] for error in content(reply)["errors"]] == list(endpoint.needs)
    assert session.changes() == []


def test_only_documented_headers_can_be_required() -> None:
    """With `documented`, On-Behalf-Of is only required where a table of headers has it."""
    session = sandbox_session(on_behalf_of="documented")
    assert session.send("POST /v1/tags/candidate", {"name": "x"}).status == 201
    assert session.send("POST /v1/departments", {"name": "x"}).status == NOT_FOUND


def test_an_empty_rejection_rejects() -> None:
    """POST reject on a real application is complete without a body: the log names the application."""
    session = sandbox_session()
    application = session.account.records.ids("applications")[0]
    assert session.write(f"POST /v1/applications/{application}/reject").status == 201
    assert session.changes() == [f"would have rejected application {application}"]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"prospect": "true"}, 201), ({"prospect": True}, 201), ({"prospect": "false"}, 422), ({}, 422)],
)
def test_a_prospect_needs_no_job(body: dict[str, Any], status: int) -> None:
    """Adding an application needs a job unless it is a prospect's."""
    session = sandbox_session()
    candidate = session.account.records.ids("candidates")[0]
    assert session.write(f"POST /v1/candidates/{candidate}/applications", body).status == status


@pytest.mark.parametrize("body", ["[]", "null", '"text"', "{", "\xff", "[" * 100_000])
def test_a_body_that_is_no_object_is_refused(body: str) -> None:
    """Anything but a JSON object is an invalid payload."""
    session = sandbox_session()
    assert session.write("POST /v1/departments", body).status == 400
    assert session.changes() == []


def test_unticking_takes_effect_with_the_next_request() -> None:
    """An unticked permission is refused at once, a ticked one is served at once, and nothing else changes."""
    session = sandbox_session("gem")
    statuses = [session.send("GET /v1/candidates").status]
    session.key.untick("GET /v1/candidates")
    statuses += [session.send("GET /v1/candidates").status, session.send("GET /v1/jobs").status]
    session.key.tick("GET /v1/candidates")
    statuses += [session.send("GET /v1/candidates").status]
    assert statuses == [200, DENIED, 200, 200]


def test_destroy_openings_v1_brings_v2() -> None:
    """A key with the v1 permission has the v2 one, as documented; not the other way round."""
    line, body = sandbox_session().complete(endpoints()["DELETE /v2/jobs/{job_id}/openings"])
    assert sandbox_session(["DELETE /v1/jobs/{job_id}/openings"]).write(line, body).status == 200
    assert sandbox_session(["DELETE /v2/jobs/{job_id}/openings"]).write(line.replace("v2", "v1"), body).status == DENIED


def test_a_nested_list_may_be_empty_where_there_is_no_parent() -> None:
    """If set so, a nested list under id 0 answers [] to a key with the permission, and never to one without."""
    for order in ORDERS:
        settings = {"nested_without_parent": "empty_list", "order": order}
        assert sandbox_session(**settings).send("GET /v1/jobs/0/stages").body == b"[]"
        assert sandbox_session("none", **settings).send("GET /v1/jobs/0/stages").status == DENIED
        assert sandbox_session(**settings).send("GET /v1/jobs/0/job_post").status == NOT_FOUND


def test_a_parent_can_be_looked_up_for_some_lists_and_not_for_others() -> None:
    """A default, an exception for a cell, and one for an endpoint, which wins."""
    parents = {"nested/rest": "empty_list", "GET /v1/users/{id}/permissions/jobs": "not_found"}
    session = sandbox_session(parents=parents)
    assert session.send("GET /v1/jobs/0/stages").body == b"[]"
    assert session.send("GET /v1/users/0/permissions/jobs").status == NOT_FOUND
    assert session.send("GET /v1/applications/0/offers").status == NOT_FOUND


@for_each([each for each in ALL if not each.writes], ids=named)
def test_an_existing_id_is_served(endpoint: Endpoint) -> None:
    """Every GET answers 200 with JSON for existing records: an array for a list, otherwise an object."""
    session = sandbox_session()
    reply = session.send(session.complete(endpoint)[0])
    assert reply.status == 200
    assert isinstance(content(reply), dict if endpoint.gives_object else list)
    assert content(reply)
    assert session.changes() == []


def test_a_private_record_is_not_listed() -> None:
    """A record that answers 403 by its id is not in the list."""
    session = sandbox_session()
    listed = [record["id"] for record in content(session.send("GET /v1/candidates"))]
    assert session.send(f"GET /v1/candidates/{listed[-1] + 1}").status == 403
    assert len(listed) == 4
