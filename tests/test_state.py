"""What the bridge remembers: chains of responses, conversations, references, each for its caller alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.exchange import Exchange
from addon.store.errors import StoreError, StoreUnavailable
from addon.store.interface import ResponseStore
from addon.store.records import Limits, StoredResponse
from tests.state.talk import ALICE, BOB, Talk, Told, called, said, talk
from tests.store.builders import message, running
from tests.test_service import CONFIG, call, service

TOOLS = [{"type": "function", "name": "ls", "parameters": {"type": "object", "properties": {}}}]
THINKING = CONFIG.replace("}\n", ", overrides: {replay: always, replay_field: reasoning_content}}\n", 1)
USER = {"role": "user", "content": "Hi"}


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


def owner_of(store: ResponseStore, response_id: str) -> str:
    (found,) = store.inspection.find(response_id)
    return found.owner


# --- previous_response_id


def test_a_response_goes_on_where_the_one_before_it_ended(client: Talk) -> None:
    first = client.respond(input="One?", instructions="Be brief.")
    second = client.respond(input="Two?", previous_response_id=first.id)
    third = client.respond(input="Three?", previous_response_id=second.id, instructions="Be long.")

    def turn(text: str) -> list[dict[str, str]]:
        return [{"role": "user", "content": text}, {"role": "assistant", "content": "Hello."}]

    assert second.messages == [*turn("One?"), {"role": "user", "content": "Two?"}]
    assert second.body["previous_response_id"] == first.id
    assert third.messages == [
        {"role": "system", "content": "Be long."},
        *turn("One?"),
        *turn("Two?"),
        {"role": "user", "content": "Three?"},
    ]


def test_branches_of_one_response_know_nothing_of_each_other(client: Talk) -> None:
    root = client.respond(input="Root")
    left = client.respond(input="Left", previous_response_id=root.id)
    right = client.respond(input="Right", previous_response_id=root.id)

    def texts(told: Told) -> list[str]:
        return [each["content"] for each in told.messages if each["role"] == "user"]

    assert texts(client.respond(previous_response_id=left.id)) == ["Root", "Left", "Hi"]
    assert texts(client.respond(previous_response_id=right.id)) == ["Root", "Right", "Hi"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_tool_loop_sends_only_what_is_new(client: Talk, stream: bool) -> None:
    first = client.respond(
        {"input": "How many files?", "tools": TOOLS},
        called(("call_1", "ls", "{}"), ("call_2", "ls", '{"dir":"b"}')),
    )
    outputs = [{"type": "function_call_output", "call_id": f"call_{n}", "output": f"{n}"} for n in (1, 2)]
    body = {"input": outputs, "tools": TOOLS, "previous_response_id": first.id}
    second = client.respond(body, said("Three."))

    assert [each["role"] for each in second.messages] == ["user", "assistant", "tool", "tool"]
    assert [each["id"] for each in second.messages[1]["tool_calls"]] == ["call_1", "call_2"]
    assert [each["content"] for each in second.messages[2:]] == ["1", "2"]


def test_a_chain_may_go_on_without_a_word(client: Talk) -> None:
    first = client.respond(input="One?")
    second = client.respond(input="", previous_response_id=first.id)
    assert [each["role"] for each in second.messages] == ["user", "assistant"]
    assert client.ask("GET", f"/responses/{second.id}/input_items").body["data"] == []


@pytest.mark.parametrize(
    "asked",
    [
        {"previous_response_id": "resp_unknown"},
        {"previous_response_id": ""},
        {"previous_response_id": None},
    ],
    ids=["unknown", "empty", "null"],
)
def test_what_is_not_there_cannot_be_continued(client: Talk, asked: dict[str, object]) -> None:
    told = client.respond(asked)
    if not asked["previous_response_id"]:
        assert told.status == 200
        return
    assert told.status == 400
    assert told.error == {
        "message": "Previous response with id 'resp_unknown' not found.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }


def test_what_another_caller_owns_is_not_there(client: Talk) -> None:
    mine = client.respond(who=ALICE)
    assert client.respond(who=BOB, previous_response_id=mine.id).error["code"] == "previous_response_not_found"
    assert client.ask("GET", f"/responses/{mine.id}", who=BOB).status == 404
    assert client.ask("DELETE", f"/responses/{mine.id}", who=BOB).status == 404
    assert client.ask("GET", f"/responses/{mine.id}/input_items", who=BOB).status == 404
    assert client.ask("GET", f"/responses/{mine.id}").status == 200


def test_an_organization_or_project_of_the_same_key_is_another_caller(client: Talk) -> None:
    mine = client.respond()
    plan = client.bridge.plan(call("GET", f"/v1/responses/{mine.id}", authorization=ALICE, openai_project="proj_other"))
    assert not isinstance(plan, Exchange)
    assert plan.status == 404  # type: ignore[union-attr]


def test_what_is_deleted_cannot_be_continued_but_what_continued_it_can(client: Talk) -> None:
    first = client.respond(input="One?")
    second = client.respond(input="Two?", previous_response_id=first.id)
    client.ask("DELETE", f"/responses/{first.id}")
    assert client.respond(previous_response_id=first.id).error["code"] == "previous_response_not_found"
    third = client.respond(previous_response_id=second.id)
    assert [each["content"] for each in third.messages] == ["One?", "Hello.", "Two?", "Hello.", "Hi"]


def test_what_is_not_to_be_stored_cannot_be_continued_and_may_continue(client: Talk, store: ResponseStore) -> None:
    first = client.respond(input="One?")
    second = client.respond(input="Two?", previous_response_id=first.id, store=False)
    assert second.body["store"] is False
    assert second.messages[0] == {"role": "user", "content": "One?"}
    assert client.respond(previous_response_id=second.id).status == 400
    assert store.inspection.stats().responses == 1


def test_an_incomplete_response_can_be_continued(client: Talk) -> None:
    choice = {"message": {"role": "assistant", "content": "Once upon"}, "finish_reason": "length"}
    first = client.respond(answer=json.dumps({"choices": [choice]}).encode())
    assert first.body["status"] == "incomplete"
    second = client.respond(input="Go on", previous_response_id=first.id)
    assert [each["content"] for each in second.messages] == ["Hi", "Once upon", "Go on"]


def test_a_response_that_broke_off_in_its_stream_is_kept_as_failed(client: Talk) -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "Half"}}]}
    broken = f"data: {json.dumps(chunk)}\n\ndata: {json.dumps({'error': {'message': 'gone'}})}\n\n".encode()
    first = client.respond(answer=broken, stream=True)
    assert first.body["status"] == "failed"
    kept = client.ask("GET", f"/responses/{first.id}").body
    assert kept == first.body
    again = client.respond(input="Again", previous_response_id=first.id)
    assert [each["content"] for each in again.messages] == ["Hi", "Half", "Again"]


def test_an_error_that_a_client_got_instead_of_a_response_is_not_kept(client: Talk, store: ResponseStore) -> None:
    exchange = client.bridge.plan(call(body={"model": "gpt-5", "input": "Hi"}))
    assert isinstance(exchange, Exchange)
    exchange.begin()
    exchange.upstream_head(400, {})
    exchange.upstream_data(b'{"error": {"message": "no"}}')
    exchange.upstream_end()
    assert store.inspection.stats().responses == 0


def test_what_nobody_waits_for_any_more_is_not_kept(client: Talk, store: ResponseStore) -> None:
    exchange = client.bridge.plan(call(body={"model": "gpt-5", "input": "Hi", "stream": True}))
    assert isinstance(exchange, Exchange)
    exchange.begin()
    exchange.upstream_head(200, {})
    exchange.upstream_data(b'data: {"choices": [{"index": 0, "delta": {"content": "Half"}}]}\n\n')
    exchange.client_gone()
    assert store.inspection.stats().responses == 0


def test_what_is_still_running_cannot_be_continued(client: Talk, store: ResponseStore) -> None:
    mine = client.respond()
    store.responses.add(owner_of(store, mine.id), running("resp_running"))
    told = client.respond(previous_response_id="resp_running")
    assert (told.status, told.error["code"]) == (400, "previous_response_not_finished")


def test_a_summary_stands_for_what_came_before_it(client: Talk) -> None:
    first = client.respond(input="One?")
    trigger = [{"type": "compaction_trigger"}]
    compacted = client.respond({"input": trigger, "previous_response_id": first.id}, said("We greeted each other."))
    assert [item["type"] for item in compacted.body["output"]] == ["compaction"]
    after = client.respond(input="Two?", previous_response_id=compacted.id)
    assert after.body["status"] == "completed", "the trigger is done with"
    texts = [each["content"] for each in after.messages]
    assert texts[-1] == "Two?"
    assert "We greeted each other." in texts[-2]
    assert "Hello." not in texts


def test_a_summary_of_the_whole_chain_is_written_by_compact(client: Talk) -> None:
    first = client.respond(input="One?")
    body = {"model": "gpt-5", "previous_response_id": first.id, "input": []}
    exchange = client.bridge.plan(call(path="/v1/responses/compact", body=body, authorization=ALICE))
    assert isinstance(exchange, Exchange)
    (attempt,) = exchange.begin()
    assert "One?" in attempt.body.decode()  # type: ignore[union-attr]


# --- reasoning


@pytest.mark.parametrize("include", [[], ["reasoning.encrypted_content"]], ids=["not asked for", "asked for"])
def test_reasoning_goes_on_with_the_chain_whatever_the_client_keeps(tmp_path: Path, include: list[str]) -> None:
    with talk(tmp_path, THINKING) as (client, _):
        answer = called(("call_1", "ls", "{}"), reasoning_content="Let me look.")
        first = client.respond({"tools": TOOLS, "include": include}, answer)
        sealed = [item.get("encrypted_content") for item in first.body["output"] if item["type"] == "reasoning"]
        assert [bool(each) for each in sealed] == [bool(include)]

        # Another bridge: all that it knows is in the store.
        with_only_the_store = Talk(service(tmp_path, THINKING, open_store=lambda *_: _store(client)))
        output = [{"type": "function_call_output", "call_id": "call_1", "output": "a.txt"}]
        second = with_only_the_store.respond({"input": output, "tools": TOOLS, "previous_response_id": first.id})
        assert second.messages[1]["reasoning_content"] == "Let me look."

        plain = client.ask("GET", f"/responses/{first.id}").body
        assert [item["encrypted_content"] for item in plain["output"] if item["type"] == "reasoning"] == [None]
        full = client.ask("GET", f"/responses/{first.id}?include[]=reasoning.encrypted_content").body
        assert all(item["encrypted_content"] for item in full["output"] if item["type"] == "reasoning")


def _store(client: Talk) -> ResponseStore:
    return client.bridge._state.storage.require()


def test_what_belongs_to_a_call_goes_on_with_the_chain(tmp_path: Path) -> None:
    """A thought signature, of which the client is told nothing unless it asks for it."""
    config = CONFIG.replace("}\n", ", overrides: {call_extra: [extra_content]}}\n", 1)
    with talk(tmp_path, config) as (client, _):
        function = {"name": "ls", "arguments": "{}"}
        extra = {"extra_content": {"google": {"thought_signature": "abc"}}}
        calls = [{"id": "call_1", "type": "function", "function": function, **extra}]
        first = client.respond({"tools": TOOLS}, said("", tool_calls=calls))
        assert [item["type"] for item in first.body["output"]] == ["function_call"]
        assert client.ask("GET", f"/responses/{first.id}").body == first.body

        other = Talk(service(tmp_path, config, open_store=lambda *_: _store(client)))
        output = [{"type": "function_call_output", "call_id": "call_1", "output": "a.txt"}]
        second = other.respond({"input": output, "tools": TOOLS, "previous_response_id": first.id})
        assert second.messages[1]["tool_calls"][0]["extra_content"] == extra["extra_content"]


# --- the same history, to the last byte

TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
PARTS = st.one_of(
    TEXTS,
    st.lists(st.builds(lambda text: {"type": "input_text", "text": text}, TEXTS), min_size=1, max_size=2),
)
USER_TURNS = st.one_of(
    TEXTS,
    st.lists(
        st.builds(
            lambda role, content, kind: {"role": role, "content": content, **kind},
            st.sampled_from(["user", "developer"]),
            TEXTS,
            st.sampled_from([{}, {"type": "message"}]),
        ),
        min_size=1,
        max_size=2,
    ),
    st.builds(lambda content: [{"role": "user", "content": content}], PARTS),
)
ANSWERS = st.one_of(
    st.builds(said, TEXTS),
    st.builds(lambda text, thought: said(text, reasoning_content=thought), TEXTS, TEXTS),
    st.builds(lambda count: called(*((f"call_{n}", "ls", "{}") for n in range(count))), st.integers(1, 2)),
)


@given(turns=st.lists(st.tuples(USER_TURNS, ANSWERS), min_size=2, max_size=5))
def test_the_history_of_a_turn_begins_with_that_of_the_one_before(
    turns: Sequence[tuple[Any, bytes]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What the provider has in its cache stays as it was."""
    with talk(tmp_path_factory.mktemp("chain"), THINKING) as (client, _):
        before: Told | None = None
        for number, (asked, answer) in enumerate(turns):
            results = _results_of(before, number)
            asked = [*results, *([{"role": "user", "content": asked}] if isinstance(asked, str) else asked)]
            more = {} if before is None else {"previous_response_id": before.id}
            told = client.respond({"input": asked, "tools": TOOLS, **more}, answer)
            if before is not None:
                assert told.messages[: len(before.messages)] == before.messages
            before = told


def _results_of(before: Told | None, number: int) -> list[dict[str, object]]:
    calls = [item for item in before.body["output"] if item["type"] == "function_call"] if before else []
    return [{"type": "function_call_output", "call_id": each["call_id"], "output": f"{number}"} for each in calls]


def test_a_chain_is_told_like_the_same_conversation_in_one_request(client: Talk) -> None:
    shell = [{"type": "local_shell"}]
    action = {"type": "exec", "command": ["ls"], "env": {}}
    past = [
        {"role": "user", "content": "List."},
        {"type": "local_shell_call", "id": "lsh_1", "call_id": "call_1", "action": action, "status": "completed"},
    ]
    result = [{"type": "local_shell_call_output", "id": "lsh_1", "output": "a.txt"}, USER]
    first = client.respond({"input": [*past, result[0]], "tools": shell})
    chained = client.respond({"input": [USER], "tools": shell, "previous_response_id": first.id})
    whole = client.respond({"input": [*past, result[0], *first.body["output"], USER], "tools": shell})
    assert chained.messages == whole.messages


def test_each_turn_of_a_chain_takes_up_the_same_space(client: Talk, store: ResponseStore) -> None:
    """It is kept once, not again with every turn that continues it."""
    before: dict[str, object] = {}
    for number in range(100, 160):
        before = {"previous_response_id": client.respond({"input": f"{number} " * 50, **before}).id}
    sizes = [each.size for each in store.inspection.summaries()]
    assert max(sizes) <= 1.1 * min(sizes)


# --- conversations


def created(client: Talk, **body: object) -> str:
    return client.ask("POST", "/conversations", body).id


def test_a_conversation_knows_its_history(client: Talk) -> None:
    conversation = created(client, items=[{"role": "user", "content": "My name is Ada."}])
    first = client.respond(input="One?", conversation=conversation)
    second = client.respond(input="Two?", conversation={"id": conversation})
    assert first.body["conversation"] == {"id": conversation}
    assert first.body["previous_response_id"] is None
    texts = [each["content"] for each in second.messages]
    assert texts == ["My name is Ada.", "One?", "Hello.", "Two?"]
    items = client.ask("GET", f"/conversations/{conversation}/items?order=asc").body["data"]
    assert [item["content"][0]["text"] for item in items] == [*texts, "Hello."]


def test_what_is_not_stored_still_belongs_to_its_conversation(client: Talk, store: ResponseStore) -> None:
    conversation = created(client)
    client.respond(input="One?", conversation=conversation, store=False)
    second = client.respond(input="Two?", conversation=conversation, store=False)
    assert [each["content"] for each in second.messages] == ["One?", "Hello.", "Two?"]
    assert store.inspection.stats().responses == 0


def test_a_failed_response_adds_nothing_to_its_conversation(client: Talk) -> None:
    conversation = created(client)
    chunk = {"choices": [{"index": 0, "delta": {"content": "Half"}}]}
    broken = f"data: {json.dumps(chunk)}\n\ndata: {json.dumps({'error': {'message': 'gone'}})}\n\n".encode()
    client.respond({"conversation": conversation, "stream": True}, broken)
    assert client.ask("GET", f"/conversations/{conversation}/items").body["data"] == []


@pytest.mark.parametrize(
    ("asked", "status", "code", "param"),
    [
        pytest.param({"conversation": "conv_none"}, 404, "conversation_not_found", None, id="unknown"),
        pytest.param({"conversation": 7}, 400, "invalid_value", "conversation", id="a number"),
        pytest.param({"conversation": {"name": "x"}}, 400, "invalid_value", "conversation", id="an object without id"),
        pytest.param(
            {"conversation": "conv_1", "previous_response_id": "resp_1"},
            400,
            "mutually_exclusive_parameters",
            "previous_response_id",
            id="both",
        ),
    ],
)
def test_a_conversation_that_cannot_be_gone_on_with(
    client: Talk, asked: dict[str, object], status: int, code: str, param: str | None
) -> None:
    told = client.respond(asked)
    assert (told.status, told.error["code"], told.error["param"]) == (status, code, param)
    assert told.error["type"] == "invalid_request_error"


def test_the_conversation_of_another_caller_is_not_there(client: Talk) -> None:
    conversation = created(client)
    assert client.respond(who=BOB, conversation=conversation).status == 404
    assert client.ask("GET", f"/conversations/{conversation}", who=BOB).status == 404


# --- references


def test_a_reference_means_the_item_of_an_earlier_answer_with_its_reasoning(tmp_path: Path) -> None:
    """As the AI SDK goes on: the message as it was, the reasoning by its id."""
    with talk(tmp_path, THINKING) as (client, _):
        answer = called(("call_1", "ls", "{}"), reasoning_content="Let me look.")
        first = client.respond({"tools": TOOLS}, answer)
        reasoning, function_call = first.body["output"]
        history = [
            USER,
            {"type": "item_reference", "id": reasoning["id"]},
            {key: function_call[key] for key in ("type", "call_id", "name", "arguments")},
            {"type": "function_call_output", "call_id": "call_1", "output": "a.txt"},
        ]
        here = client.respond({"input": history, "tools": TOOLS})
        other = Talk(service(tmp_path, THINKING, open_store=lambda *_: _store(client)))
        elsewhere = other.respond({"input": history, "tools": TOOLS})
        assert here.messages[1]["reasoning_content"] == "Let me look."
        assert elsewhere.messages == here.messages
        foreign = other.respond({"input": history, "tools": TOOLS}, who=BOB)
        assert "item_reference" in foreign.headers["x-bridge-notes"]


def test_a_reference_is_stored_as_what_it_means(client: Talk) -> None:
    first = client.respond(input="One?")
    (item,) = first.body["output"]
    second = client.respond(input=[{"type": "item_reference", "id": item["id"]}, USER], store=True)
    client.ask("DELETE", f"/responses/{first.id}")
    third = client.respond(previous_response_id=second.id)
    assert [each["content"] for each in third.messages] == ["Hello.", "Hi", "Hello.", "Hi"]


def test_without_a_store_recent_items_can_be_referred_to(tmp_path: Path) -> None:
    client = Talk(service(tmp_path, CONFIG + "store: off\n"))
    first = client.respond()
    assert first.body["store"] is False
    assert "x-bridge-notes" not in first.headers
    again = client.respond(input=[{"type": "item_reference", "id": first.body["output"][0]["id"]}, USER])
    assert again.messages[0] == {"role": "assistant", "content": "Hello."}


# --- trouble with the store


class Broken:
    """A store that answers whatever is asked of it with the same error."""

    def __init__(self, error: StoreError) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        return self

    def __call__(self, *_: object, **__: object) -> Any:
        raise self._error


def test_a_full_disk_spoils_no_answer(tmp_path: Path) -> None:
    broken: Any = Broken(StoreUnavailable("/var/lib/store: the disk is full. Make room."))
    client = Talk(service(tmp_path, open_store=lambda *_: broken))
    told = client.respond()
    assert told.status == 200
    assert told.body["store"] is False
    assert "store: the answer could not be stored: /var/lib/store: the disk is full" in told.headers["x-bridge-notes"]
    told = client.respond(stream=True, judged=False)
    assert [event["response"]["store"] for event in (told.events[0], told.events[-1])] == [True, False]


def test_who_asks_for_what_could_not_be_stored_is_told_why(tmp_path: Path) -> None:
    with talk(tmp_path) as (client, store):
        add = store.responses.add

        def full(owner: str, stored: StoredResponse) -> None:
            raise StoreUnavailable("the disk is full")

        store.responses.add = full  # type: ignore[method-assign]
        lost = client.respond()
        store.responses.add = add  # type: ignore[method-assign]
        for error in (
            client.respond(previous_response_id=lost.id).error,
            client.ask("GET", f"/responses/{lost.id}").error,
        ):
            assert error["message"].endswith("not found. It could not be stored: the disk is full")
        assert "disk" not in client.ask("GET", f"/responses/{lost.id}", who=BOB).error["message"]


def failing_to_open(error: StoreError) -> Callable[[str, Limits], ResponseStore | None]:
    def open_store(where: str, limits: Limits) -> ResponseStore | None:
        raise error

    return open_store


@pytest.mark.parametrize("retry", [True, False])
def test_a_store_that_cannot_be_opened_serves_what_needs_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, retry: bool
) -> None:
    error = StoreUnavailable("the file is locked") if retry else StoreError("the file is no store")
    client = Talk(service(tmp_path, open_store=failing_to_open(error)))
    told = client.respond()
    assert told.status == 200
    assert told.body["store"] is False
    assert f"cannot be retrieved or continued by its id: {error}" in told.headers["x-bridge-notes"]
    assert f"Store: {error} Until then nothing is kept." in caplog.text
    for refused in (
        client.respond(previous_response_id="resp_1"),
        client.respond(conversation="conv_1"),
        client.ask("GET", "/responses/resp_1"),
        client.ask("POST", "/conversations", {}),
    ):
        assert (refused.status, refused.error["code"]) == (503, "store_unavailable")
        assert str(error) in refused.error["message"]
        assert (refused.headers.get("x-should-retry") is None) == retry


def test_a_store_that_could_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    now, opened = [0.0], []
    with talk(tmp_path) as (_, store):

        def open_store(where: str, limits: Limits) -> ResponseStore:
            opened.append(where)
            if len(opened) < 3:
                raise StoreUnavailable("not yet")
            return store

        client = Talk(service(tmp_path, open_store=open_store, clock=lambda: now[0]))
        assert client.respond().body["store"] is False
        assert client.respond().body["store"] is False
        assert opened == ["sqlite"], "not for every call"
        now[0] += 5
        client.respond()
        now[0] += 5
        told = client.respond()
        assert told.body["store"] is True
        assert client.ask("GET", f"/responses/{told.id}").status == 200


def test_without_a_store_what_needs_one_says_so(tmp_path: Path) -> None:
    client = Talk(service(tmp_path, CONFIG + "store: off\n"))
    told = client.respond(store=True)
    assert told.body["store"] is False
    assert "store: it is not kept here" in told.headers["x-bridge-notes"]
    refused = client.respond(previous_response_id=told.id)
    assert refused.status == 400
    assert "`store` is `off`" in refused.error["message"]
    for path in (f"/responses/{told.id}", "/conversations/conv_1"):
        missing = client.ask("GET", path)
        assert (missing.status, missing.error["code"]) == (404, "store_off")


def test_the_store_changes_with_the_configuration(tmp_path: Path) -> None:
    named: list[tuple[str, Limits]] = []
    url = "redis://user:pass-word@redis.test/1"
    text = CONFIG + f"store: '{url}'\nstore_limits: {{days: 1, responses: 5, megabytes: 2}}\n"
    bridge = service(tmp_path, text, open_store=lambda *what: named.append(what))
    bridge.refresh()
    bridge.refresh()
    assert named == [(url, Limits(ttl=86400, max_responses=5, max_bytes=2 * 1024**2))]
    assert bridge.hide(url) == "redis://user:[hidden]@redis.test/1"


# --- the same target


def test_a_chain_and_a_conversation_stay_with_the_target_that_has_begun_them(tmp_path: Path) -> None:
    config = (
        "providers:\n"
        "  one: {base_url: 'https://one.test/v1', api_key: key-one-1}\n"
        "  two: {base_url: 'https://two.test/v1', api_key: key-two-2}\n"
        "models: {'*': {targets: [one/m, two/m], balance: weighted}}\n"
    )
    with talk(tmp_path, config) as (client, _):
        draws = iter([0.9, 0.0, 0.0, 0.9, 0.9, 0.0, 0.0, 0.0, 0.9])
        client.bridge._experience.selection._draw = lambda: next(draws, 0.0)
        first = client.respond()
        assert first.headers["x-bridge-target"] == "two/m"
        second = client.respond(previous_response_id=first.id)
        assert second.headers["x-bridge-target"] == "two/m"
        assert client.respond(previous_response_id=second.id).headers["x-bridge-target"] == "two/m"


def test_items_of_the_input_get_ids_that_stay(client: Talk) -> None:
    told = client.respond(input=[USER, message("msg_own", "And?")])
    first, second = client.ask("GET", f"/responses/{told.id}/input_items?order=asc").body["data"]
    assert first["id"].startswith("msg_")
    assert second["id"] == "msg_own"
