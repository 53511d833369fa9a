"""The endpoints of what is remembered: their answers and errors, as OpenAI's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from addon.actions import Answer
from addon.store.interface import ResponseStore
from tests.state.talk import BOB, Talk, Told, called, said, talk
from tests.store.builders import said as said_item
from tests.store.builders import stored
from tests.test_service import CONFIG, call, service

TOOLS = [{"type": "function", "name": "ls", "parameters": {"type": "object", "properties": {}}}]


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[Talk, ResponseStore]]:
    with talk(tmp_path) as opened:
        yield opened


@pytest.fixture
def client(both: tuple[Talk, ResponseStore]) -> Talk:
    return both[0]


@pytest.fixture
def store(both: tuple[Talk, ResponseStore]) -> ResponseStore:
    return both[1]


def ids(told: Told) -> list[str]:
    return [item["id"] for item in told.body["data"]]


# --- responses


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_response_is_retrieved_as_it_was_told(client: Talk, stream: bool) -> None:
    told = client.respond({"metadata": {"a": "b"}, "tools": TOOLS, "stream": stream}, called(("call_1", "ls", "{}")))
    assert told.body["store"] is True
    assert client.ask("GET", f"/responses/{told.id}").body == told.body
    assert client.ask("HEAD", f"/responses/{told.id}").status == 200


def test_a_retrieved_stream_tells_of_the_response_by_the_usual_events(client: Talk) -> None:
    first = client.respond({"tools": TOOLS}, called(("call_1", "ls", "{}")))
    replayed = client.ask("GET", f"/responses/{first.id}?stream=true")
    assert replayed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert replayed.body == first.body
    numbers = [event["sequence_number"] for event in replayed.events]
    assert numbers == list(range(len(numbers)))
    later = client.ask("GET", f"/responses/{first.id}?stream=true&starting_after=3")
    assert later.events == replayed.events[4:]
    assert client.ask("GET", f"/responses/{first.id}?stream=true&starting_after=99").events == []


def test_a_deleted_response_is_gone(client: Talk) -> None:
    told = client.respond()
    deleted = client.ask("DELETE", f"/responses/{told.id}")
    assert deleted.body == {"id": told.id, "object": "response.deleted", "deleted": True}
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        gone = client.ask(method, f"/responses/{told.id}{path}")
        assert gone.status == 404
        assert gone.error == {
            "message": f"Response with id '{told.id}' not found.",
            "type": "invalid_request_error",
            "param": None,
            "code": "response_not_found",
        }


def test_only_what_runs_in_the_background_can_be_cancelled(client: Talk) -> None:
    told = client.respond()
    refused = client.ask("POST", f"/responses/{told.id}/cancel")
    assert (refused.status, refused.error["code"]) == (400, "not_cancellable")
    assert refused.error["message"].startswith("Cannot cancel a synchronous response")


def test_input_items_are_listed_as_lists_are(client: Talk) -> None:
    parts = [{"type": "input_text", "text": "Two"}]
    told = client.respond(
        input=[
            {"role": "user", "content": "One"},
            {"type": "message", "id": "msg_own", "role": "user", "content": parts, "status": None},
            {"role": "assistant", "content": "Three"},
        ]
    )
    listed = client.ask("GET", f"/responses/{told.id}/input_items").body
    assert [item["content"][0] for item in listed["data"]] == [
        {"type": "output_text", "text": "Three", "annotations": [], "logprobs": []},
        {"type": "input_text", "text": "Two"},
        {"type": "input_text", "text": "One"},
    ]
    assert all(item["type"] == "message" and item["status"] == "completed" for item in listed["data"])
    assert listed["object"] == "list"
    assert listed["has_more"] is False
    assert (listed["first_id"], listed["last_id"]) == (listed["data"][0]["id"], listed["data"][2]["id"])
    assert listed["data"][1]["id"] == "msg_own"


def test_a_text_as_input_is_listed_as_a_message(client: Talk) -> None:
    (item,) = client.ask("GET", f"/responses/{client.respond(input='One').id}/input_items").body["data"]
    assert (item["role"], item["content"]) == ("user", [{"type": "input_text", "text": "One"}])


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("of", ["response", "conversation"])
def test_pages_make_up_the_whole_list(client: Talk, order: str, of: str) -> None:
    items = [{"role": "user", "content": f"{number}", "id": f"msg_{number}"} for number in range(5)]
    if of == "response":
        path = f"/responses/{client.respond(input=items).id}/input_items"
    else:
        path = f"/conversations/{client.ask('POST', '/conversations', {'items': items}).id}/items"
    seen: list[str] = []
    after = ""
    for expected_more in (True, True, False):
        page = client.ask("GET", f"{path}?limit=2&order={order}{after}")
        assert page.body["has_more"] is expected_more
        seen += ids(page)
        after = f"&after={page.body['last_id']}"
    wanted = [f"msg_{number}" for number in range(5)]
    assert seen == (wanted if order == "asc" else wanted[::-1])


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=many", "limit"),
        ("limit=-1", "limit"),
        ("order=up", "order"),
        ("after=msg_none", "after"),
    ],
)
@pytest.mark.parametrize("of", ["response", "conversation"])
def test_a_wrong_query_is_refused_by_name(client: Talk, query: str, param: str, of: str) -> None:
    if of == "response":
        path = f"/responses/{client.respond().id}/input_items"
    else:
        path = f"/conversations/{client.ask('POST', '/conversations', {}).id}/items"
    refused = client.ask("GET", f"{path}?{query}")
    assert (refused.status, refused.error["param"], refused.error["code"]) == (400, param, "invalid_value")


def test_a_stream_cannot_start_after_a_word(client: Talk) -> None:
    refused = client.ask("GET", f"/responses/{client.respond().id}?stream=true&starting_after=x")
    assert (refused.status, refused.error["param"]) == (400, "starting_after")


def test_a_page_may_show_fewer_items_than_it_has(client: Talk) -> None:
    """Reasoning of which only the seal is kept is not shown, and yet the next page begins behind it."""
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "from elsewhere"}
    told = client.respond(input=[{"role": "user", "content": "Hi", "id": "msg_1"}, reasoning])
    path = f"/responses/{told.id}/input_items?order=asc&limit=2"
    page = client.ask("GET", path)
    assert ids(page) == ["msg_1"]
    assert page.body["last_id"] == "rs_1"
    assert ids(client.ask("GET", f"{path}&include=reasoning.encrypted_content")) == ["msg_1", "rs_1"]


def test_an_id_with_special_characters_is_read_from_the_path(client: Talk, store: ResponseStore) -> None:
    (summary,) = [each for each in [client.respond()] for each in store.inspection.summaries()]
    store.responses.add(summary.owner, stored("resp/ü", output=[said_item("msg_x")]))
    assert client.ask("GET", "/responses/resp%2F%C3%BC").id == "resp/ü"


# --- tokens


def test_input_tokens_are_estimated_with_all_that_the_model_would_read(client: Talk) -> None:
    def count(**body: object) -> int:
        told = client.ask("POST", "/responses/input_tokens", {"model": "gpt-5", "input": "Hi", **body})
        assert told.body["object"] == "response.input_tokens"
        assert "input_tokens: estimated" in told.headers["x-bridge-notes"]
        tokens: int = told.body["input_tokens"]
        return tokens

    alone = count()
    assert 0 < alone < 20
    long = client.respond(input="word " * 400)
    assert count(previous_response_id=long.id) > alone + 400
    conversation = client.ask("POST", "/conversations", {"items": [{"role": "user", "content": "word " * 400}]}).id
    assert count(conversation=conversation) > alone + 400
    assert count(instructions="Be brief. " * 40) > alone + 90
    assert count(tools=TOOLS) > alone


def test_tokens_for_an_unknown_predecessor_are_not_counted(client: Talk) -> None:
    body = {"model": "gpt-5", "input": "Hi", "previous_response_id": "resp_none"}
    assert client.ask("POST", "/responses/input_tokens", body).error["code"] == "previous_response_not_found"


# --- conversations


def created(client: Talk, *texts: str, **body: object) -> Told:
    items = [{"role": "user", "content": text, "id": f"msg_{text}"} for text in texts]
    return client.ask("POST", "/conversations", {"items": items, **body} if items else body)


def test_the_life_of_a_conversation(client: Talk) -> None:
    made = created(client, metadata={"topic": "tests"})
    assert made.id.startswith("conv_")
    assert made.body == {"id": made.id, "object": "conversation", "created_at": 0, "metadata": {"topic": "tests"}}
    path = f"/conversations/{made.id}"
    assert client.ask("GET", path).body == made.body
    changed = client.ask("POST", path, {"metadata": {"topic": "more tests"}})
    assert changed.body == {**made.body, "metadata": {"topic": "more tests"}}
    assert client.ask("GET", path).body == changed.body
    deleted = client.ask("DELETE", path)
    assert deleted.body == {"id": made.id, "object": "conversation.deleted", "deleted": True}
    for method in ("GET", "DELETE", "POST"):
        gone = client.ask(method, path, {"metadata": {}})
        assert (gone.status, gone.error["code"]) == (404, "conversation_not_found")
        assert gone.error["message"] == f"Conversation with id '{made.id}' not found."


def test_items_of_a_conversation(client: Talk) -> None:
    made = created(client, "one")
    path = f"/conversations/{made.id}/items"
    added = client.ask("POST", path, {"items": [{"role": "user", "content": "two"}, {"role": "user", "content": "3"}]})
    assert added.body["object"] == "list"
    assert [item["content"] for item in added.body["data"]] == [
        [{"type": "input_text", "text": "two"}],
        [{"type": "input_text", "text": "3"}],
    ]
    assert ids(client.ask("GET", f"{path}?order=asc")) == ["msg_one", *ids(added)]
    item = client.ask("GET", f"{path}/{ids(added)[0]}")
    assert item.body == added.body["data"][0]
    removed = client.ask("DELETE", f"{path}/{ids(added)[0]}")
    assert removed.body == made.body
    assert ids(client.ask("GET", f"{path}?order=asc")) == ["msg_one", ids(added)[1]]
    for method in ("GET", "DELETE"):
        gone = client.ask(method, f"{path}/{ids(added)[0]}")
        assert (gone.status, gone.error["code"]) == (404, "item_not_found")
    assert client.ask("GET", "/conversations/conv_none/items/msg_1").error["code"] == "conversation_not_found"
    assert client.ask("GET", "/conversations/conv_none/items").error["code"] == "conversation_not_found"
    refused = client.ask("POST", "/conversations/conv_none/items", {"items": []})
    assert refused.error["code"] == "conversation_not_found"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"items": "x"}, "items"),
        ({"items": [{"role": "user", "content": "x"}] * 21}, "items"),
        ({"items": [{"type": "message", "content": "x"}]}, "items[0].role"),
        ({"items": [7]}, "items[0]"),
        ({"metadata": "x"}, "metadata"),
        ({"metadata": {"a": 1}}, "metadata"),
    ],
)
def test_a_wrong_conversation_is_refused_by_the_field(client: Talk, body: dict[str, Any], param: str) -> None:
    refused = client.ask("POST", "/conversations", body)
    assert (refused.status, refused.error["param"], refused.error["code"]) == (400, param, "invalid_value")
    assert f"'{param}'" in refused.error["message"]


def test_an_item_may_be_referred_to_when_it_is_added(client: Talk) -> None:
    told = client.respond(answer=said("Hello."))
    made = created(client, items=[{"type": "item_reference", "id": told.body["output"][0]["id"]}])
    (item,) = client.ask("GET", f"/conversations/{made.id}/items").body["data"]
    assert item == told.body["output"][0]


# --- who is served


PATHS = [
    ("GET", "/v1/responses/resp_1"),
    ("DELETE", "/v1/responses/resp_1"),
    ("POST", "/v1/responses/resp_1/cancel"),
    ("GET", "/v1/responses/resp_1/input_items"),
    ("POST", "/v1/responses/input_tokens"),
    ("POST", "/v1/conversations"),
    ("GET", "/v1/conversations/conv_1"),
    ("GET", "/v1/conversations/conv_1/items"),
]


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_only_known_callers_are_answered(tmp_path: Path, method: str, path: str) -> None:
    bridge = service(tmp_path, CONFIG + "clients: {keys: [sk-ours]}\n")
    plan = bridge.plan(call(method, path, {}, authorization=BOB))
    assert isinstance(plan, Answer)
    assert plan.status == 401
    admitted = bridge.plan(call(method, path, {}, authorization="Bearer sk-ours"))
    assert isinstance(admitted, Answer)
    assert admitted.status != 401


@pytest.mark.parametrize(("method", "path"), [("PUT", "/v1/responses/resp_1"), ("GET", "/v1/conversations")])
def test_what_openai_does_not_have_is_not_there(client: Talk, method: str, path: str) -> None:
    plan = client.bridge.plan(call(method, path))
    assert isinstance(plan, Answer)
    assert json.loads(plan.body)["error"]["code"] == "not_served_by_bridge"


def test_every_answer_names_its_request(client: Talk) -> None:
    for told in (client.respond(), client.ask("GET", "/responses/resp_none"), created(client)):
        assert told.headers["x-request-id"].startswith("req_")
