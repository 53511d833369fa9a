"""Conversations with tools, turn by turn: what a provider is sent of its earlier reasoning, whatever its client keeps.

In each, the model thinks and calls twice, answers, and is asked something else. The expectations are what the
provider's documentation demands, not what its profile says.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from addon.providers.platforms import profile_for
from addon.providers.profile import Profile
from addon.store.thoughts import Thoughts
from addon.translate.memory import SignedMemory, call_key
from addon.translate.notes import Notes
from addon.translate.output import ResponseBuilder
from addon.translate.reasoning import sealer
from addon.translate.request import to_chat
from addon.translate.stream import StreamConverter
from addon.wire.json import dumps
from addon.wire.responses import FunctionCall, read_request
from tests.translate.answers import DONE, chunk, completion, judged, payloads
from tests.translate.histories import KEY
from tests.translate.valid_history import assert_valid_history

Value = dict[str, Any]

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "integer"}}}}
ANSWER = "It is at the very end of the list, behind all of the others."
IDS = ("callno001", "callno002")
"""Of a form that every provider accepts."""


# --- the bridge and a client of it ------------------------------------------------------------------------------------


class Bridge:
    """One process of the bridge, as far as it matters here; the signing key outlives it."""

    def __init__(self) -> None:
        self.thoughts = Thoughts(now=lambda: 0.0)

    def call(self, body: Value, profile: Profile, origin: str, answer: bytes) -> tuple[Value, list[Value], Notes]:
        """What the provider is sent for this request, and the items of its answer."""
        request, notes = read_request(dumps(body).encode()), Notes()
        memory = SignedMemory(key=lambda: KEY, find=lambda key: self.thoughts.get("alice", key))
        chat = to_chat(request, profile, model="m", origin=origin, lookup=lambda _: None, notes=notes, memory=memory)
        ids = itertools.count(1)
        builder = ResponseBuilder(
            request, ids=lambda prefix: f"{prefix}_{next(ids)}", now=lambda: 0.0, seal=sealer(origin, KEY)
        )
        converter = StreamConverter(builder, profile, chat.tools, provider="acme", notes=notes)
        events = judged(payloads([*converter.feed(answer), *converter.end()]))
        kept = builder.kept()
        if kept is not None:
            self.thoughts.add("alice", kept.keys, kept.record(origin))
        return json.loads(dumps(chat.body)), events[-1]["response"]["output"], notes


Keeps = Literal["all", "open", "no reasoning"]
"""What a client keeps of its answers: all, with the encrypted content; what it can read; all but the reasoning."""


def kept_by(client: Keeps, output: Sequence[Value]) -> list[Value]:
    return [item for item in output if client != "no reasoning" or item["type"] != "reasoning"]


def converse(case: Case, client: Keeps, *, restarts: bool) -> list[list[Value]]:
    """What the model's messages are like in the second, third and fourth request."""
    profile = profile_for(case.platform, model=case.model, overrides=case.overrides)
    bridge, sent = Bridge(), []
    items: list[Value] = [{"role": "user", "content": "Where is it?"}]
    include = [] if client == "open" else ["reasoning.encrypted_content"]
    for number in range(4):
        body = {"model": "m", "input": items, "tools": [TOOL], "include": include, "stream": True}
        bridge = Bridge() if restarts else bridge
        chat, output, _ = bridge.call(body, profile, "acme/m", case.answer(number))
        assert_valid_history(chat["messages"], profile)
        sent.append([message for message in chat["messages"] if message["role"] == "assistant"])
        items += kept_by(client, output)
        if number < 2:
            items.append({"type": "function_call_output", "call_id": IDS[number], "output": "no"})
        else:
            items.append({"role": "user", "content": "And why?"})
    assert sent[0] == []
    return sent[1:]


# --- how providers tell reasoning and want it back --------------------------------------------------------------------


@dataclass(frozen=True)
class Dialect:
    says: Callable[[str], Sequence[Value]]
    """The deltas in which a thought comes."""
    wants: Callable[[str], Value]
    """What a message has in it when the thought has come back, besides the calls."""
    extra: Callable[[int], Value] = lambda number: {}
    """What a call has besides the usual."""


def told_in(name: str) -> Callable[[str], Sequence[Value]]:
    return lambda thought: [{name: thought[:1]}, {name: thought[1:]}]


def wanted_in(name: str) -> Callable[[str], Value]:
    return lambda thought: {name: thought}


def details_of_claude(thought: str) -> Sequence[Value]:
    text = {"type": "reasoning.text", "format": "anthropic-claude-v1", "index": 0}
    locked = {"type": "reasoning.encrypted", "format": "anthropic-claude-v1", "index": 1, "id": "rs_enc"}
    return [
        {"reasoning": thought[:1], "reasoning_details": [{**text, "text": thought[:1]}]},
        {"reasoning": thought[1:], "reasoning_details": [{**text, "text": thought[1:]}]},
        {"reasoning_details": [{**locked, "data": "EqQB"}]},
        {"reasoning_details": [{**text, "text": "", "signature": f"sig={thought}/+"}]},
        {"reasoning_details": [{**locked, "data": f"{thought}=="}]},
    ]


def details_for_claude(thought: str) -> Value:
    known = {"format": "anthropic-claude-v1"}
    text = {"type": "reasoning.text", **known, "index": 0, "text": thought, "signature": f"sig={thought}/+"}
    locked = {"type": "reasoning.encrypted", **known, "index": 1, "id": "rs_enc", "data": f"EqQB{thought}=="}
    return {"reasoning_details": [text, locked]}


def details_of_minimax(thought: str) -> Sequence[Value]:
    """Each piece says all again."""
    detail = {"type": "reasoning.text", "id": "reasoning-text-1", "format": "MiniMax-response-v1", "index": 0}
    pieces = (thought[:1], thought)
    return [{"reasoning_content": piece, "reasoning_details": [{**detail, "text": piece}]} for piece in pieces]


def details_for_minimax(thought: str) -> Value:
    detail = {"type": "reasoning.text", "id": "reasoning-text-1", "format": "MiniMax-response-v1", "index": 0}
    return {"reasoning_details": [{**detail, "text": thought}]}


CONTENT = Dialect(told_in("reasoning_content"), wanted_in("reasoning_content"))
REASONING = Dialect(told_in("reasoning"), wanted_in("reasoning"))
DETAILS = Dialect(details_of_claude, details_for_claude)
MINIMAX = Dialect(details_of_minimax, details_for_minimax)
TAGS = Dialect(
    lambda thought: [{"content": "<thi"}, {"content": f"nk>\n{thought}\n</think>\n\n"}],
    lambda thought: {"content": f"<think>\n{thought}\n</think>"},
)
PARTS = Dialect(
    lambda thought: [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}]}],
    lambda thought: {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": thought}]}]},
)
SIGNED = Dialect(
    lambda thought: [],
    lambda thought: {},
    lambda number: {"extra_content": {"google": {"thought_signature": f"CiQB{number}+/==", "more": [1.0, None, "é"]}}},
)
SPLIT_GLM = Dialect(told_in("reasoning"), TAGS.wants)


# --- the table --------------------------------------------------------------------------------------------------------

Thoughts3 = Sequence[Sequence[str | None]]
"""The reasoning on each message of the model in the second, third and fourth request; None: nothing is sent."""

NEVER: Thoughts3 = ((None,), (None, None), (None, None, None))
TOOL_LOOP: Thoughts3 = (("T1",), ("T1", "T2"), (None, None, None))
TOOL_TURNS: Thoughts3 = (("T1",), ("T1", "T2"), ("T1", "T2", None))
ALL: Thoughts3 = (("T1",), ("T1", "T2"), ("T1", "T2", "T3"))
SPACES: Thoughts3 = ((" ",), (" ", " "), (" ", " ", " "))
NOT_KEPT = "(reasoning not kept)"
PLACEHOLDERS: Thoughts3 = ((NOT_KEPT,), (NOT_KEPT, NOT_KEPT), (NOT_KEPT, NOT_KEPT, None))


@dataclass(frozen=True)
class Case:
    id: str
    platform: str
    model: str
    dialect: Dialect
    expected: Thoughts3
    lost: Thoughts3 = NEVER
    """When neither client nor bridge has the reasoning any more."""
    lost_extra: Value = field(default_factory=dict)
    """What a call has then in the place of what came with it."""
    empty: str | None = None
    """`content` beside calls without a text."""
    overrides: Value = field(default_factory=dict)

    def answer(self, number: int) -> bytes:
        """The provider's answer to the request of this number."""
        said = b"".join(map(chunk, self.dialect.says(f"T{number + 1}")))
        if number >= len(IDS):
            return said + chunk({"content": ANSWER}, "stop") + DONE
        return said + chunk({"tool_calls": [{"index": 0, **self.call(number)}]}, "tool_calls") + DONE

    def call(self, number: int) -> Value:
        function = {"name": "look", "arguments": f'{{"at":{number}}}'}
        return {"id": IDS[number], "type": "function", "function": function, **self.dialect.extra(number)}

    def messages(self, thoughts: Thoughts3, *, with_extras: bool = True) -> list[list[Value]]:
        return [
            [self._message(number, thought, with_extras) for number, thought in enumerate(turn)] for turn in thoughts
        ]

    def _message(self, number: int, thought: str | None, with_extras: bool) -> Value:
        message: Value = {"role": "assistant", "content": self.empty}
        call = self.call(number) if number < len(IDS) else {}
        if call and not with_extras:
            usual = {name: value for name, value in call.items() if name in ("id", "type", "function")}
            call = {**usual, **self.lost_extra}
        message |= {"tool_calls": [call]} if call else {"content": ANSWER}
        if thought is None:
            return message
        wanted = self.dialect.wants(thought)
        return message | (wanted if call or "content" not in wanted else {"content": _followed(wanted["content"])})


def _followed(content: Any) -> Any:
    """The thought in the content, and behind it what was said."""
    return f"{content}\n\n{ANSWER}" if isinstance(content, str) else [*content, {"type": "text", "text": ANSWER}]


UNSIGNED: Value = {"extra_content": {"google": {"thought_signature": "skip_thought_signature_validator"}}}

CASES = [
    Case("deepseek-v4", "deepseek", "deepseek-v4-pro", CONTENT, ALL, SPACES, empty=""),
    Case("deepseek-v3.2", "deepseek", "deepseek-v3.2", CONTENT, TOOL_LOOP, ((" ",), (" ", " "), NEVER[2]), empty=""),
    Case("deepseek-r1", "deepseek", "deepseek-r1", CONTENT, NEVER, empty=""),
    Case("kimi-k2.5", "moonshot", "kimi-k2.5", CONTENT, TOOL_TURNS, PLACEHOLDERS, empty=""),
    Case("kimi-k2.6", "moonshot", "kimi-k2.6", CONTENT, TOOL_TURNS, PLACEHOLDERS, empty=""),
    Case("kimi-k2.7-code", "moonshot", "kimi-k2.7-code", CONTENT, TOOL_TURNS, PLACEHOLDERS, empty=""),
    Case("kimi-k3", "moonshot", "kimi-k3", CONTENT, TOOL_TURNS, PLACEHOLDERS, empty=""),
    Case("glm-4.5", "zai", "glm-4.5", CONTENT, TOOL_LOOP),
    Case("glm-5.2", "zai", "glm-5.2", CONTENT, ALL),
    Case("glm-5.3-zhipu", "zhipu", "glm-5.3", CONTENT, ALL),
    Case("minimax-split", "minimax", "minimax-m2.5", MINIMAX, ALL, empty=""),
    Case(
        "minimax-tags",
        "minimax",
        "minimax-m2.5",
        TAGS,
        ALL,
        empty="",
        overrides={"thinking_style": "none", "replay_field": "tags", "reasoning_cumulative": False},
    ),
    Case("ark", "ark", "doubao-seed-2.0", CONTENT, TOOL_LOOP, empty=""),
    Case("openrouter-claude", "openrouter", "anthropic/claude-opus-5", DETAILS, TOOL_LOOP),
    Case("openrouter-deepseek-v4", "openrouter", "deepseek/deepseek-v4", REASONING, ALL, SPACES),
    Case("groq", "groq", "openai/gpt-oss-120b", REASONING, TOOL_LOOP),
    Case("magistral", "mistral", "magistral-medium-latest", PARTS, TOOL_LOOP),
    Case("gemini", "gemini", "gemini-3-pro-preview", SIGNED, NEVER, lost_extra=UNSIGNED),
    Case("gemini-2.5", "gemini", "gemini-2.5-flash", SIGNED, NEVER),
    Case("cerebras-gpt-oss", "cerebras", "gpt-oss-120b", REASONING, TOOL_LOOP),
    Case("cerebras-glm", "cerebras", "zai-glm-4.7", SPLIT_GLM, ALL),
    Case("ollama", "ollama", "gpt-oss:20b", REASONING, TOOL_LOOP),
    Case("vllm", "vllm", "Qwen/Qwen3-32B", REASONING, TOOL_LOOP),
    Case("vllm-older", "vllm", "Qwen/Qwen3-32B", Dialect(CONTENT.says, REASONING.wants), TOOL_LOOP),
    Case("llamacpp", "llamacpp", "qwen3", CONTENT, ALL),
    Case("openai", "openai", "gpt-5.2", CONTENT, NEVER),
    Case("dashscope", "dashscope", "qwen3-max", CONTENT, NEVER),
    Case("xai", "xai", "grok-4.5", CONTENT, NEVER),
]

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)


@every_case
def test_a_client_that_keeps_our_items(case: Case) -> None:
    assert converse(case, "all", restarts=False) == case.messages(case.expected)


@every_case
def test_a_client_that_keeps_our_items_while_the_bridge_restarts(case: Case) -> None:
    assert converse(case, "all", restarts=True) == case.messages(case.expected)


@every_case
def test_a_client_that_drops_reasoning(case: Case) -> None:
    assert converse(case, "no reasoning", restarts=False) == case.messages(case.expected)


@every_case
def test_a_client_that_keeps_what_it_can_read(case: Case) -> None:
    assert converse(case, "open", restarts=False) == case.messages(case.expected)


@every_case
def test_a_client_that_drops_reasoning_while_the_bridge_restarts(case: Case) -> None:
    assert converse(case, "no reasoning", restarts=True) == case.messages(case.lost, with_extras=False)


# --- whose it is, and where it belongs --------------------------------------------------------------------------------

KIMI = profile_for("moonshot", model="kimi-k3")
GEMINI = profile_for("gemini", model="gemini-3-pro-preview")
CLAUDE = profile_for("openrouter", model="anthropic/claude-opus-5")
USER: Value = {"role": "user", "content": "Where is it?"}


def ask(items: Sequence[Value], *, include: Sequence[str] = ("reasoning.encrypted_content",)) -> Value:
    return {"model": "m", "input": list(items), "tools": [TOOL], "include": list(include)}


def result(call_id: str) -> Value:
    return {"type": "function_call_output", "call_id": call_id, "output": "no"}


def called(call_id: str, at: int = 0, index: int = 0, **more: object) -> Value:
    function = {"name": "look", "arguments": f'{{"at":{at}}}'}
    return {"index": index, "id": call_id, "type": "function", "function": function, **more}


def signature(text: str) -> Value:
    return {"google": {"thought_signature": text}}


def thinking_call(call_id: str, at: int = 0, thought: str = "T1") -> bytes:
    return chunk({"reasoning_content": thought}) + chunk({"tool_calls": [called(call_id, at)]}, "tool_calls") + DONE


def sent_back(body: Value, name: str) -> list[Any]:
    return [message.get(name) for message in body["messages"] if message["role"] == "assistant"]


@pytest.mark.parametrize("client", ["all", "open", "no reasoning"])
def test_the_reasoning_of_another_model_is_never_sent(client: Keeps) -> None:
    bridge = Bridge()
    include = () if client == "open" else ("reasoning.encrypted_content",)
    _, output, _ = bridge.call(ask([USER], include=include), KIMI, "moonshot/kimi-k3", thinking_call("call_1"))
    items = [USER, *kept_by(client, output), result("call_1")]
    body, _, notes = bridge.call(ask(items), KIMI, "moonshot/kimi-k2.6", thinking_call("call_2"))
    assert sent_back(body, "reasoning_content") == [NOT_KEPT]
    assert "T1" not in json.dumps(body)
    assert [note.what for note in notes] == ([] if client == "no reasoning" else ["input: reasoning"])


@pytest.mark.parametrize("client", ["all", "no reasoning"])
def test_signatures_of_another_model_are_never_sent(client: Keeps) -> None:
    bridge = Bridge()
    answer = chunk({"tool_calls": [called("call_1", extra_content=signature("s"))]}, "tool_calls") + DONE
    _, output, _ = bridge.call(ask([USER]), GEMINI, "gemini/gemini-3-pro", answer)
    body, _, _ = bridge.call(ask([USER, *kept_by(client, output), result("call_1")]), GEMINI, "gemini/other", answer)
    (calls,) = sent_back(body, "tool_calls")
    assert [call["extra_content"] for call in calls] == [UNSIGNED["extra_content"]]


@pytest.mark.parametrize("client", ["all", "no reasoning"])
@pytest.mark.parametrize(
    ("deltas", "items"),
    [
        pytest.param(
            [
                {"tool_calls": [called("call_1", 1, extra_content=signature("one"))]},
                {"tool_calls": [called("call_2", 2, 1)]},
                {"tool_calls": [called("call_3", 3, 2, extra_content=signature("three"))]},
            ],
            ["reasoning", "function_call", "function_call", "reasoning", "function_call"],
            id="before each call",
        ),
        pytest.param(
            [
                {"tool_calls": [called("call_1", 1), called("call_2", 2, 1), called("call_3", 3, 2)]},
                {"tool_calls": [{"index": 2, "extra_content": signature("three")}]},
                {"tool_calls": [{"index": 0, "extra_content": signature("one")}]},
            ],
            ["function_call", "function_call", "function_call", "reasoning"],
            id="behind all",
        ),
    ],
)
def test_a_signature_returns_on_its_own_call(client: Keeps, deltas: Sequence[Value], items: Sequence[str]) -> None:
    bridge = Bridge()
    answer = b"".join(map(chunk, deltas)) + chunk({}, "stop") + DONE
    _, output, _ = bridge.call(ask([USER]), GEMINI, "gemini/g", answer)
    assert [item["type"] for item in output] == items
    assert all(item["summary"] == item["content"] == [] for item in output if item["type"] == "reasoning")
    results = [result("call_3"), result("call_1"), result("call_2")]
    body, _, _ = bridge.call(ask([USER, *kept_by(client, output), *results]), GEMINI, "gemini/g", answer)
    (calls,) = sent_back(body, "tool_calls")
    assert [call.get("extra_content") for call in calls] == [signature("one"), None, signature("three")]


@pytest.mark.parametrize(
    ("model", "extras"),
    [
        pytest.param("gemini-3-pro", [UNSIGNED["extra_content"], None], id="demanded"),
        pytest.param("gemini-2.5-pro", [None, None], id="not demanded"),
    ],
)
def test_a_stand_in_for_signatures_that_were_never_given(model: str, extras: Sequence[Value | None]) -> None:
    profile = profile_for("gemini", model=model)
    elsewhere = [{"type": "function_call", "call_id": i, "name": "look", "arguments": "{}"} for i in ("a", "b")]
    items = [USER, *elsewhere, result("a"), result("b")]
    body, _, _ = Bridge().call(ask(items), profile, f"gemini/{model}", thinking_call("call_1"))
    (calls,) = sent_back(body, "tool_calls")
    assert [call.get("extra_content") for call in calls] == extras


def test_no_stand_in_beside_a_signature() -> None:
    bridge = Bridge()
    profile = GEMINI.model_copy(update={"call_extra_missing": UNSIGNED})
    calls = [called("call_1", 1), called("call_2", 2, 1, extra_content=signature("two"))]
    answer = chunk({"tool_calls": calls}, "tool_calls") + DONE
    _, output, _ = bridge.call(ask([USER]), profile, "gemini/g", answer)
    items = [USER, *output, result("call_1"), result("call_2")]
    body, _, _ = bridge.call(ask(items), profile, "gemini/g", answer)
    (sent,) = sent_back(body, "tool_calls")
    assert [call.get("extra_content") for call in sent] == [None, signature("two")]


def test_nobody_is_sent_an_item_for_signatures_that_was_not_asked_for() -> None:
    bridge = Bridge()
    answer = chunk({"tool_calls": [called("call_1", extra_content=signature("s"))]}, "tool_calls") + DONE
    _, output, _ = bridge.call(ask([USER], include=()), GEMINI, "gemini/g", answer)
    assert [item["type"] for item in output] == ["function_call"]
    body, _, _ = bridge.call(ask([USER, *output, result("call_1")], include=()), GEMINI, "gemini/g", answer)
    assert sent_back(body, "tool_calls")[0][0]["extra_content"] == signature("s")


def test_results_between_calls_do_not_part_a_signature_from_its_call() -> None:
    bridge = Bridge()
    calls = [called("call_1", 1, extra_content=signature("one")), called("call_2", 2, 1, extra_content=signature("2"))]
    answer = chunk({"tool_calls": calls}, "tool_calls") + DONE
    _, (first, one, second, two), _ = bridge.call(ask([USER]), GEMINI, "gemini/g", answer)
    items = [USER, first, second, one, result("call_1"), two, result("call_2")]
    body, _, _ = bridge.call(ask(items), GEMINI, "gemini/g", answer)
    extras = [[call["extra_content"] for call in calls] for calls in sent_back(body, "tool_calls")]
    assert extras == [[signature("one")], [signature("2")]]


@pytest.mark.parametrize("client", ["all", "no reasoning"])
@pytest.mark.parametrize("stream", [False, True])
def test_details_return_byte_for_byte(client: Keeps, stream: bool) -> None:
    details = [
        {"signature": None, "type": "reasoning.text", "text": "é\u2028", "index": 0, "n": 1.50, "big": 2**63},
        {"type": "reasoning.encrypted", "data": "a+/=", "id": "rs_1", "index": 1},
        {"type": "reasoning.summary", "summary": "s", "index": 2},
    ]
    said = {"role": "assistant", "content": None, "reasoning_details": details, "tool_calls": [called("call_1")]}
    answer = chunk(said, "tool_calls") + DONE if stream else completion(said, "tool_calls")
    bridge = Bridge()
    _, output, _ = bridge.call(ask([USER]), CLAUDE, "openrouter/claude", answer)
    body, _, _ = bridge.call(
        ask([USER, *kept_by(client, output), result("call_1")]), CLAUDE, "openrouter/claude", answer
    )
    assert dumps(sent_back(body, "reasoning_details")[0]) == dumps(details)


def test_conversations_that_number_their_calls_alike_do_not_mix() -> None:
    bridge = Bridge()
    for at in (1, 2):
        bridge.call(ask([USER]), KIMI, "moonshot/k", thinking_call("functions.look:0", at, f"about {at}"))
    for at in (1, 2, 3):
        call = {"type": "function_call", "call_id": "functions.look:0", "name": "look", "arguments": f'{{"at": {at}}}'}
        body, _, _ = bridge.call(
            ask([USER, call, result("functions.look:0")]), KIMI, "moonshot/k", thinking_call("functions.look:1")
        )
        assert sent_back(body, "reasoning_content") == [f"about {at}" if at < 3 else NOT_KEPT]


def test_what_one_caller_was_told_another_does_not_get() -> None:
    bridge = Bridge()
    _, output, _ = bridge.call(ask([USER]), KIMI, "moonshot/k", thinking_call("call_1"))
    key = call_key(FunctionCall.model_validate(kept_by("no reasoning", output)[0]))
    assert bridge.thoughts.get("alice", key) is not None
    assert bridge.thoughts.get("bob", key) is None


def test_the_clients_own_reasoning_counts() -> None:
    bridge = Bridge()
    _, output, _ = bridge.call(ask([USER]), KIMI, "moonshot/k", thinking_call("call_1"))
    mine = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "mine"}]}
    items = [USER, mine, *kept_by("no reasoning", output), result("call_1")]
    body, _, _ = bridge.call(ask(items), KIMI, "moonshot/k", thinking_call("call_2"))
    assert sent_back(body, "reasoning_content") == ["mine"]
