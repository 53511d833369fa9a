"""The grammar of a Responses stream, read by recursive descent: every event in its place, every id and text consistent.

It knows nothing of the bridge's own code, only of the protocol, and is stricter than any client.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]

RESPONSE_KEYS = frozenset(
    {
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "incomplete_details",
        "model",
        "previous_response_id",
        "instructions",
        "output",
        "error",
        "tools",
        "tool_choice",
        "truncation",
        "parallel_tool_calls",
        "text",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "conversation",
        "service_tier",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
        "user",
        "prompt_cache_retention",
    }
)
"""What every response object carries: the 31 keys of Open Responses, and two that OpenAI adds."""

CHANGING_KEYS = frozenset({"status", "output", "usage", "error", "incomplete_details", "completed_at", "service_tier"})
"""What may differ between the snapshots of one response; all else is said once and stays."""

VERBATIM: Mapping[str, Sequence[str]] = {
    "web_search_call": ("in_progress", "searching", "completed"),
    "file_search_call": ("in_progress", "searching", "completed"),
    "code_interpreter_call": ("in_progress", "interpreting", "completed"),
    "image_generation_call": ("in_progress", "generating", "completed"),
    "mcp_call": ("in_progress", "completed"),
    "mcp_list_tools": ("in_progress", "completed"),
    "mcp_approval_request": (),
    "computer_call": (),
    "tool_search_output": (),
}
"""What providers that serve the Responses API themselves tell of their own tools, and the stages of each."""

WITHOUT_STATUS = ("mcp_list_tools", "mcp_approval_request")

TERMINALS = ("response.completed", "response.incomplete", "response.failed")


CUT = ("response.incomplete", "response.failed")


def check_stream(events: Sequence[Event]) -> None:
    """Raise AssertionError, naming the event and the rule, unless `events` is one whole and correct stream."""
    for position, event in enumerate(events):
        same = json.loads(json.dumps(event, allow_nan=False)) == event
        _demand(same, f"event {position} is not plain JSON: {event}")
    _Stream(events).read()


def _demand(condition: bool, message: str) -> None:
    """An assertion that python -O does not remove."""
    if not condition:
        raise AssertionError(message)


class _Stream:
    """A cursor over the events, and what was seen so far."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._events = events
        self._position = 0
        self._output: list[Any] = []
        self._item_ids: set[str] = set()
        self._call_ids: set[str] = set()
        self._first: Mapping[str, Any] = {}

    # --- the cursor

    def _skip_signs_of_life(self) -> None:
        """A `keepalive` may come at any time after the first two events, and says nothing."""
        while 1 < self._position < len(self._events) and self._events[self._position].get("type") == "keepalive":
            self._read("keepalive")

    def _at(self, *types: str) -> bool:
        self._skip_signs_of_life()
        return self._position < len(self._events) and self._events[self._position].get("type") in types

    def _next(self, event_type: str, *keys: str) -> Event:
        """The next event, which must be of this type and have exactly these keys."""
        self._skip_signs_of_life()
        return self._read(event_type, *keys)

    def _read(self, event_type: str, *keys: str) -> Event:
        where = f"event {self._position}"
        _demand(self._position < len(self._events), f"{where}: the stream ends where {event_type} is due")
        event = self._events[self._position]
        _demand(event.get("type") == event_type, f"{where}: {event.get('type')} where {event_type} is due")
        number = event.get("sequence_number")
        _demand(number == self._position and type(number) is int, f"{where}: sequence_number is {number}")
        expected = {"type", "sequence_number", *keys}
        _demand(set(event) == expected, f"{where} ({event_type}): keys {sorted(event)}, expected {sorted(expected)}")
        self._position += 1
        return event

    def _fail(self, message: str) -> None:
        raise AssertionError(f"before event {self._position}: {message}")

    def _require(self, condition: bool, message: str) -> None:
        if not condition:
            self._fail(message)

    def _same(self, what: str, value: object, expected: object) -> None:
        self._require(value == expected, f"{what} is {value!r}, expected {expected!r}")

    # --- the stream

    def read(self) -> None:
        created = self._next("response.created", "response")["response"]
        self._first = created
        if self._at("response.queued"):
            self._new(created, "queued")
            self._new(self._next("response.queued", "response")["response"], "queued")
        else:
            self._new(created)
        self._new(self._next("response.in_progress", "response")["response"])
        while self._at("response.output_item.added"):
            self._item()
        told = self._error() if self._at("error") else None
        self._terminal(told)
        self._require(self._position == len(self._events), "something follows the terminal event")

    def _new(self, response: Mapping[str, Any], status: str = "in_progress") -> None:
        self._response(response, status)
        self._same("output of a new response", response["output"], [])
        for key in ("usage", "error", "incomplete_details", "completed_at"):
            self._same(f"{key} of a new response", response[key], None)

    def _response(self, response: Mapping[str, Any], status: str) -> None:
        missing = RESPONSE_KEYS - set(response)
        self._require(not missing, f"the response lacks {sorted(missing)}")
        self._same("status of the response", response["status"], status)
        self._same("object", response["object"], "response")
        self._require(type(response["created_at"]) is int, "created_at is not an int")
        for key in (RESPONSE_KEYS | set(response) | set(self._first)) - CHANGING_KEYS:
            self._same(f"{key} of the response", response.get(key), self._first.get(key))

    def _error(self) -> Mapping[str, Any]:
        event = self._next("error", "code", "message", "param", "error")
        nested = event["error"]
        self._same("keys of the nested error", set(nested), {"type", "code", "message", "param"})
        for key in ("code", "message", "param"):
            self._same(f"{key} of the nested error", nested[key], event[key])
        self._require(self._at("response.failed"), "an error event without response.failed right behind it")
        return event

    def _terminal(self, told: Mapping[str, Any] | None) -> None:
        self._require(self._at(*TERMINALS), f"a terminal event is due, found {self._found()}")
        event_type = self._events[self._position]["type"]
        response = self._next(event_type, "response")["response"]
        status = event_type.removeprefix("response.")
        self._response(response, status)
        self._same("output of the terminal event", response["output"], self._output)
        self._same("whether there is a completed_at", response["completed_at"] is not None, status == "completed")
        self._same("whether there is an error", response["error"] is not None, status == "failed")
        self._same("whether there are incomplete_details", bool(response["incomplete_details"]), status == "incomplete")
        if status == "failed":
            self._failed(response["error"], told)
        if status != "failed" or response["usage"] is not None:
            self._usage(response["usage"])
        if status == "completed":
            self._completed(response)
        if status == "incomplete":
            reason = response["incomplete_details"].get("reason")
            self._require(reason in ("max_output_tokens", "content_filter"), f"reason {reason!r} of the incomplete")

    def _found(self) -> str:
        return str(self._events[self._position].get("type")) if self._position < len(self._events) else "the end"

    def _failed(self, error: Mapping[str, Any], told: Mapping[str, Any] | None) -> None:
        self._same("keys of the error", set(error), {"code", "message"})
        for key in ("code", "message"):
            self._require(isinstance(error[key], str) and bool(error[key]), f"{key} of the error is {error[key]!r}")
            if told is not None:
                self._same(f"{key} of the error event", told[key], error[key])

    def _completed(self, response: Mapping[str, Any]) -> None:
        at = response["completed_at"]
        self._require(type(at) is int and at >= response["created_at"], f"completed_at is {at!r}")
        for item in self._output:
            failed = item["type"] in VERBATIM and item.get("status") == "failed"
            status = item.get("status", "completed")
            self._same(f"status of {item['id']} in a completed response", status, "failed" if failed else "completed")

    def _usage(self, usage: Mapping[str, Any]) -> None:
        self._require(isinstance(usage, dict), f"usage is {usage!r}")
        self._same(
            "keys of the usage",
            set(usage),
            {"input_tokens", "input_tokens_details", "output_tokens", "output_tokens_details", "total_tokens"},
        )
        into, out = usage["input_tokens_details"], usage["output_tokens_details"]
        self._same("keys of input_tokens_details", set(into), {"cached_tokens", "cache_write_tokens"})
        self._same("keys of output_tokens_details", set(out), {"reasoning_tokens"})
        counts = [*into.values(), *out.values(), usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]]
        for count in counts:
            self._require(type(count) is int and count >= 0, f"a token count is {count!r}")
        self._same("total_tokens", usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])
        self._require(into["cached_tokens"] <= usage["input_tokens"], "more cached than input tokens")
        self._require(out["reasoning_tokens"] <= usage["output_tokens"], "more reasoning than output tokens")

    # --- items

    def _item(self) -> None:
        added = self._next("response.output_item.added", "output_index", "item")
        index, blank = added["output_index"], added["item"]
        self._same("output_index", index, len(self._output))
        self._require(isinstance(blank.get("id"), str) and bool(blank["id"]), f"the item has no id: {blank}")
        self._require(blank["id"] not in self._item_ids, f"the item id {blank['id']} is used twice")
        self._item_ids.add(blank["id"])
        if blank["type"] == "compaction":
            self._compaction(blank, index)
            return
        status = None if blank["type"] in WITHOUT_STATUS else "in_progress"
        self._same(f"status of {blank['id']} when added", blank.get("status"), status)
        where = {"item_id": blank["id"], "output_index": index}
        built = self._inside(blank, where)
        if built is None:
            self._require(self._at(*CUT, "error"), f"the call {blank['id']} was left open, and the stream went on")
            return
        done = self._next("response.output_item.done", "output_index", "item")
        self._same("output_index of the item's done", done["output_index"], index)
        item = done["item"]
        ends = ("completed", "incomplete", "failed") if item["type"] in VERBATIM else ("completed", "incomplete")
        self._require(item.get("status", "completed") in ends, f"{blank['id']} is done {item.get('status')}")
        self._same(f"{blank['id']} as done", {**item, "status": None}, {**built, "status": None})
        self._output.append(item)

    def _compaction(self, blank: Mapping[str, Any], index: int) -> None:
        """The one item without a status."""
        self._same("the added compaction", blank, {"id": blank["id"], "type": "compaction", "encrypted_content": ""})
        self._located("response.compaction.compacting", {"item_id": blank["id"], "output_index": index})
        item = self._located("response.output_item.done", {"output_index": index}, "item")["item"]
        self._require(bool(item["encrypted_content"]), "an empty compaction")
        self._same("the compaction as done", {**item, "encrypted_content": ""}, blank)
        self._output.append(item)

    def _inside(self, blank: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any] | None:
        """Read what comes between added and done.

        Returns: the item as the events build it; None if it is left open.
        """
        match blank.get("type"):
            case "message":
                return self._message(blank, where)
            case "reasoning":
                return self._reasoning(blank, where)
            case "function_call":
                return self._function_call(blank, where)
            case "custom_tool_call":
                return self._custom_call(blank, where)
            case "tool_search_call":
                return self._tool_search(blank) if blank["execution"] == "client" else self._verbatim(blank, where, ())
            case "web_search_call":
                if blank["action"] == {"type": "search", "query": "", "sources": []}:
                    return self._web_search(blank, where)
                return self._verbatim(blank, where, VERBATIM["web_search_call"])
            case "shell_call":
                return self._told_whole(blank, "action", "environment")
            case "local_shell_call":
                return self._told_whole(blank, "action")
            case "apply_patch_call":
                return self._told_whole(blank, "operation")
            case str(kind) if kind in VERBATIM:
                return self._verbatim(blank, where, VERBATIM[kind])
            case other:
                raise AssertionError(f"an item of the type {other!r}")

    def _keys(self, blank: Mapping[str, Any], *keys: str, optional: frozenset[str] = frozenset()) -> None:
        self._same(f"keys of {blank['id']} when added", set(blank) - optional, {"id", "type", "status", *keys})

    def _located(self, event_type: str, where: Mapping[str, Any], *keys: str) -> Event:
        """The next event, with the ids and indices of `where` and these further keys."""
        event = self._next(event_type, *where, *keys)
        for key, value in where.items():
            self._require(event[key] == value, f"{event_type}: {key} is {event[key]!r}, expected {value!r}")
        return event

    def _joined(self, event_type: str, where: Mapping[str, Any]) -> str:
        deltas = []
        while self._at(event_type):
            deltas.append(self._located(event_type, where, "delta")["delta"])
            self._require(bool(deltas[-1]), f"{event_type} with an empty delta")
        return "".join(deltas)

    # --- message

    def _message(self, blank: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any]:
        self._keys(blank, "role", "content", optional=frozenset({"phase"}))
        self._same("role", blank["role"], "assistant")
        self._same("content of an added message", blank["content"], [])
        parts: list[dict[str, Any]] = []
        while self._at("response.content_part.added"):
            place = {**where, "content_index": len(parts)}
            part = self._located("response.content_part.added", place, "part")["part"]
            kind = part.get("type")
            self._require(kind in ("output_text", "refusal"), f"a message part of the type {kind!r}")
            built = self._text_part(part, place) if kind == "output_text" else self._refusal_part(part, place)
            done = self._located("response.content_part.done", place, "part")["part"]
            self._same("the part as done", done, built)
            parts.append(built)
        self._require(bool(parts), "a message without a part")
        return {**blank, "content": parts}

    def _text_part(self, part: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any]:
        self._same("an added text", part, {"type": "output_text", "text": "", "annotations": [], "logprobs": []})
        text: list[str] = []
        annotations: list[Any] = []
        logprobs: list[Any] = []
        while self._at("response.output_text.delta", "response.output_text.annotation.added"):
            if self._at("response.output_text.delta"):
                event = self._located("response.output_text.delta", where, "delta", "logprobs")
                text.append(event["delta"])
                logprobs += event["logprobs"]
                self._require(bool(event["delta"] or event["logprobs"]), "an empty text delta")
            else:
                event = self._located(
                    "response.output_text.annotation.added",
                    {**where, "annotation_index": len(annotations)},
                    "annotation",
                )
                annotations.append(event["annotation"])
        done = self._located("response.output_text.done", where, "text", "logprobs")
        self._same("the text as done", done["text"], "".join(text))
        self._same("the logprobs as done", done["logprobs"], logprobs)
        return {"type": "output_text", "text": done["text"], "annotations": annotations, "logprobs": logprobs}

    def _refusal_part(self, part: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any]:
        self._same("an added refusal", part, {"type": "refusal", "refusal": ""})
        text = self._joined("response.refusal.delta", where)
        self._same("the refusal", self._located("response.refusal.done", where, "refusal")["refusal"], text)
        return {"type": "refusal", "refusal": text}

    # --- reasoning

    def _reasoning(self, blank: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any]:
        self._keys(blank, "summary", "content", "encrypted_content")
        for key, empty in (("summary", []), ("content", []), ("encrypted_content", None)):
            self._same(f"{key} of an added reasoning", blank[key], empty)
        contents: list[Any] = []
        while self._at("response.content_part.added"):
            contents.append(self._thought("content", where, len(contents)))
        summaries: list[Any] = []
        while self._at("response.reasoning_summary_part.added"):
            summaries.append(self._thought("summary", where, len(summaries)))
        # Nothing announces encrypted_content: it may be whatever it is, but not missing.
        upcoming = self._events[self._position].get("item", {}) if self._at("response.output_item.done") else {}
        sealed = upcoming.get("encrypted_content")
        self._require(sealed is None or isinstance(sealed, str), f"encrypted_content is {sealed!r}")
        self._require(bool(contents or summaries or sealed), "a reasoning item with nothing in it")
        return {**blank, "content": contents, "summary": summaries, "encrypted_content": sealed}

    def _thought(self, form: str, where: Mapping[str, Any], index: int) -> dict[str, Any]:
        part_event, text_event, part_type = {
            "content": ("response.content_part", "response.reasoning_text", "reasoning_text"),
            "summary": ("response.reasoning_summary_part", "response.reasoning_summary_text", "summary_text"),
        }[form]
        place = {**where, f"{form}_index": index}
        added = self._located(f"{part_event}.added", place, "part")["part"]
        self._same("an added thought", added, {"type": part_type, "text": ""})
        text = self._joined(f"{text_event}.delta", place)
        self._same("the thought as done", self._located(f"{text_event}.done", place, "text")["text"], text)
        done = self._located(f"{part_event}.done", place, "part")["part"]
        self._same("the thought's part as done", done, {"type": part_type, "text": text})
        return {"type": part_type, "text": text}

    # --- calls

    def _function_call(self, blank: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any]:
        self._called(blank, "arguments", "")
        text = self._joined("response.function_call_arguments.delta", where)
        done = self._located("response.function_call_arguments.done", where, "name", "arguments")
        self._same("the arguments as done", done["arguments"], text)
        self._same("the name as done", done["name"], blank["name"])
        return {**blank, "arguments": text}

    def _custom_call(self, blank: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any] | None:
        """None for one that was cut off: it has no done, since clients run what is done."""
        self._called(blank, "input", "")
        text = self._joined("response.custom_tool_call_input.delta", where)
        if self._at(*CUT, "error"):
            return None
        done = self._located("response.custom_tool_call_input.done", where, "input")
        self._same("the input as done", done["input"], text)
        return {**blank, "input": text}

    def _called(self, blank: Mapping[str, Any], payload: str, empty: object) -> None:
        self._keys(blank, "call_id", "name", payload, optional=frozenset({"namespace"}))
        self._same(f"{payload} of an added call", blank[payload], empty)
        self._require(isinstance(blank["name"], str) and bool(blank["name"]), "a call without a name")
        self._call_id(blank)

    def _tool_search(self, blank: Mapping[str, Any]) -> dict[str, Any]:
        self._keys(blank, "call_id", "execution", "arguments")
        self._same("arguments of an added tool search", blank["arguments"], {})
        self._call_id(blank)
        upcoming = self._events[self._position].get("item", {}) if self._at("response.output_item.done") else {}
        arguments = upcoming.get("arguments")
        self._require(isinstance(arguments, dict), f"the arguments of a tool search are {arguments!r}")
        return {**blank, "arguments": arguments}

    def _told_whole(self, blank: Mapping[str, Any], *keys: str) -> dict[str, Any]:
        """A call without events of its own: as it is added, so it is done, and never cut off."""
        self._keys(blank, "call_id", *keys)
        self._call_id(blank)
        upcoming = self._events[self._position].get("item", {}) if self._at("response.output_item.done") else {}
        self._same(f"status of {blank['id']} when done", upcoming.get("status"), "completed")
        return dict(blank)

    def _web_search(self, blank: Mapping[str, Any], where: Mapping[str, Any]) -> dict[str, Any]:
        self._keys(blank, "action")
        self._same("the added search", blank["action"], {"type": "search", "query": "", "sources": []})
        for stage in ("in_progress", "searching", "completed"):
            self._located(f"response.web_search_call.{stage}", where)
        upcoming = self._events[self._position].get("item", {}) if self._at("response.output_item.done") else {}
        sources = upcoming.get("action", {}).get("sources")
        self._require(bool(sources), "a search that found nothing")
        return {**blank, "action": {**blank["action"], "sources": sources}}

    def _verbatim(self, blank: Mapping[str, Any], where: Mapping[str, Any], stages: Sequence[str]) -> dict[str, Any]:
        """What a provider's own tool has done: its stages, the last one if it went well; null is what it finds."""
        told = []
        for stage in stages:
            if self._at(f"response.{blank['type']}.{stage}"):
                self._located(f"response.{blank['type']}.{stage}", where)
                told.append(stage)
        upcoming = self._events[self._position].get("item", {}) if self._at("response.output_item.done") else {}
        failed = upcoming.get("status") == "failed"
        self._same("the stages of what a provider did", told, list(stages[:-1] if failed else stages))
        for key, value in blank.items():
            if value is not None and key != "status":
                self._same(f"{key} of {blank['id']} as done", upcoming.get(key), value)
        self._same("the keys as done", set(upcoming), set(blank))
        return dict(upcoming)

    def _call_id(self, blank: Mapping[str, Any]) -> None:
        call_id = blank["call_id"]
        self._require(isinstance(call_id, str) and bool(call_id), "a call without a call_id")
        self._require(call_id not in self._call_ids, f"the call id {call_id} is used twice")
        self._call_ids.add(call_id)
