"""Histories as clients send them, in order or not, for property tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st
from pydantic import TypeAdapter

from addon.providers.platforms import profile_for
from addon.providers.profile import Profile, ToolIdRule
from addon.translate.memory import SignedMemory
from addon.translate.reasoning import Sealed, seal
from addon.wire.responses import Item

ORIGIN = "here/model-1"
KEY = bytes(range(32))
MEMORY = SignedMemory(key=lambda: KEY, find=lambda _: None)
"""Reads what clients have kept, and knows nothing else."""
IMAGE = "data:image/png;base64,iVBORw0KGgo="

_ITEMS: TypeAdapter[list[Item]] = TypeAdapter(list[Item])

PROFILES = {
    "default": Profile(),
    "generic": profile_for("generic", model="m"),
    "openai": profile_for("openai", model="gpt-5.2"),
    "mistral": profile_for("mistral", model="mistral-large-latest"),
    "magistral": profile_for("mistral", model="magistral-medium-latest"),
    "deepseek": profile_for("deepseek", model="deepseek-v4"),
    "moonshot": profile_for("moonshot", model="kimi-k2.6"),
    "zhipu": profile_for("zhipu", model="glm-5.2"),
    "dashscope": profile_for("dashscope", model="qwen3-max"),
    "qwq": profile_for("dashscope", model="qwq-plus"),
    "openrouter": profile_for("openrouter", model="anthropic/claude"),
    "ollama": profile_for("ollama", model="qwen3"),
    "alternating": Profile(
        strict_alternation=True,
        assistant_between_tool_and_user=True,
        require_user_message=True,
        trailing_assistant="user_stub",
        system_policy="leading",
        tool_result_media="drop",
        assistant_tool_content="omit",
        replay="always",
        replay_field="tags",
        replay_scope="all_turns",
        replay_missing="empty",
        image_url="base64",
    ),
    "in-words": Profile(tools=False, strict_alternation=True, replay="always", replay_field="tags"),
    "arrays": Profile(
        system_policy="any",
        instruction_role="developer",
        content_shape="auto",
        tool_result_media="array",
        audio_part="openai",
        file_part="data_uri",
        tool_id=ToolIdRule(max_len=12, charset="[a-z]"),
        replay="tool_loop",
        replay_field="reasoning_details",
        replay_scope="all_turns",
    ),
}


class PlainNames:
    """Stands in for the tool registry: namespace and name, joined."""

    def chat_name(self, kind: str, name: str, namespace: str | None) -> str:
        joined = f"{namespace}__{name}" if namespace else name
        return "".join(char if char.isascii() and (char.isalnum() or char in "_-") else "_" for char in joined)


def items_of(values: Sequence[dict[str, Any]]) -> list[Item]:
    return _ITEMS.validate_python(list(values))


def _fixed(**fields: object) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({k: v if isinstance(v, st.SearchStrategy) else st.just(v) for k, v in fields.items()})


texts = st.sampled_from(["", " ", "Hi", "Grüß dich 😀", "a\0b", "cut \ud83d here", "line\nline"])
call_ids = st.sampled_from(["call_a", "call_b", "call_c", "functions.run:0", "x" * 60, ""])
arguments = st.sampled_from(
    ["{}", "", "null", '{"cmd":"ls"}', '{"cmd":"ec', '{"a":[1,{"b":', "[1]", '"text"', "rm -rf", '{"a":NaN}', "{} {}"]
)
text_parts = _fixed(type=st.sampled_from(["input_text", "output_text"]), text=texts)
images = _fixed(
    type="input_image", image_url=IMAGE, detail=st.sampled_from([None, "low", "auto", "original", "strange"])
)
other_parts = st.sampled_from(
    [
        {"type": "refusal", "refusal": "I won't."},
        {"type": "hologram", "depth": 3},
        {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,aGVsbG8="},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        {"type": "encrypted_content", "encrypted_content": "Do the task."},
    ]
)
contents = texts | st.lists(text_parts | images | other_parts, max_size=3)
messages = _fixed(
    type="message", role=st.sampled_from(["user", "assistant", "system", "developer", "critic"]), content=contents
)
reasonings = st.sampled_from(
    [
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "in short"}]},
        {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "at length"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAfromelsewhere"},
        {"type": "reasoning", "summary": [], "encrypted_content": seal(Sealed("mine", ({"type": "x"},), ORIGIN), KEY)},
        {"type": "reasoning", "summary": [], "encrypted_content": seal(Sealed("not mine", (), "there/model-2"), KEY)},
    ]
)
calls = st.one_of(
    _fixed(
        type="function_call",
        call_id=call_ids,
        name=st.sampled_from(["run", "read file", ""]),
        arguments=arguments,
        namespace=st.sampled_from([None, "mcp__demo"]),
    ),
    _fixed(type="custom_tool_call", call_id=call_ids, name="apply_patch", input=texts),
    _fixed(type="tool_search_call", call_id=call_ids, arguments=st.just({"query": "add"}), execution="client"),
    _fixed(type="shell_call", call_id=call_ids, action=_fixed(commands=st.lists(texts, max_size=2), timeout_ms=9)),
    _fixed(
        type="local_shell_call",
        id=st.sampled_from([None, "lsh_1"]),
        call_id=call_ids,
        action=_fixed(type="exec", command=st.lists(texts, max_size=2), env=st.just({"A": "a\0"})),
    ),
    _fixed(
        type="apply_patch_call",
        call_id=call_ids,
        operation=_fixed(
            type=st.sampled_from(["create_file", "delete_file", ""]), path="a.txt", diff=st.none() | texts
        ),
    ),
)
shell_results = _fixed(
    stdout=texts,
    stderr=texts,
    outcome=st.sampled_from([None, {"type": "timeout"}, {"type": "exit", "exit_code": 1}, {"type": "exit"}]),
)
outputs = st.one_of(
    _fixed(
        type=st.sampled_from(["function_call_output", "custom_tool_call_output"]), call_id=call_ids, output=contents
    ),
    _fixed(
        type="tool_search_output",
        call_id=call_ids,
        tools=st.just([{"type": "namespace", "name": "mcp", "tools": [{"type": "function", "name": "add"}]}]),
    ),
    _fixed(type="shell_call_output", call_id=call_ids, output=texts | st.lists(shell_results, max_size=2)),
    _fixed(type="local_shell_call_output", id=call_ids | st.just("lsh_1"), output=texts),
    _fixed(
        type="apply_patch_call_output",
        call_id=call_ids,
        status=st.sampled_from(["completed", "failed"]),
        output=st.none() | texts,
    ),
)
others = st.sampled_from(
    [
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "mcp_approval_request", "id": "mcpr_1", "name": "f", "arguments": "{}", "server_label": "s"},
        {"type": "computer_call_output", "call_id": "call_a", "output": {"type": "computer_screenshot"}},
        {"type": "item_reference", "id": "rs_9"},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "agent_message", "author": "/a", "recipient": "/b", "content": [{"type": "input_text", "text": "Hi"}]},
    ]
)
any_items = st.lists(messages | reasonings | calls | outputs | others, max_size=14).map(items_of)


@st.composite
def conversations(draw: st.DrawFn, *, prefix: str = "t", turns: int = 3) -> list[dict[str, Any]]:
    """A conversation without a fault, as a list of raw items; it ends where it is the model's turn."""
    items = [
        {"role": role, "content": "Be brief."} for role in draw(st.lists(st.sampled_from(["system", "developer"])))
    ]
    for number in range(draw(st.integers(1, turns))):
        items.append({"role": "user", "content": draw(st.sampled_from(["Go on", "Now this"]))})
        items += draw(rounds(prefix=f"{prefix}{number}"))
    return items if draw(st.booleans()) else [*items, {"role": "user", "content": "And?"}]


@st.composite
def rounds(draw: st.DrawFn, *, prefix: str) -> list[dict[str, Any]]:
    """What the model did with one message of the user: rounds of calls and their results, or an answer and thanks."""
    items: list[dict[str, Any]] = []
    for number in range(draw(st.integers(1, 3))):
        items += draw(st.lists(reasonings, max_size=2))
        if draw(st.booleans()):
            items.append({"role": "assistant", "content": "Let me see."})
        ids = [f"{prefix}_{number}_{index}" for index in range(draw(st.integers(1, 3)))]
        exchanges = [draw(_exchanges(call_id)) for call_id in ids]
        items += [call for call, _ in exchanges]
        items += [output for _, output in draw(st.permutations(exchanges))]
    return items


def _exchanges(call_id: str) -> st.SearchStrategy[tuple[dict[str, Any], dict[str, Any]]]:
    """A call of some kind of tool, and its result."""
    known = {"call_id": call_id}
    return st.one_of(
        st.tuples(
            st.just({**known, "type": "function_call", "name": "run", "arguments": '{"n":1}'}),
            contents.map(lambda content: {**known, "type": "function_call_output", "output": content}),
        ),
        st.tuples(
            st.just({**known, "type": "shell_call", "action": {"commands": ["ls"]}}),
            shell_results.map(lambda result: {**known, "type": "shell_call_output", "output": [result]}),
        ),
        st.tuples(
            st.just({**known, "type": "local_shell_call", "action": {"type": "exec", "command": ["ls"]}}),
            texts.map(lambda text: {"type": "local_shell_call_output", "id": call_id, "output": text}),
        ),
        st.tuples(
            st.just({**known, "type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a"}}),
            texts.map(lambda text: {**known, "type": "apply_patch_call_output", "status": "failed", "output": text}),
        ),
    )


@st.composite
def disturbed(draw: st.DrawFn) -> list[Item]:
    """A conversation with items lost, doubled and moved."""
    items = draw(conversations())
    for _ in range(draw(st.integers(0, 4))):
        if not items:
            break
        index = draw(st.integers(0, len(items) - 1))
        match draw(st.sampled_from(["lose", "double", "move"])):
            case "lose":
                del items[index]
            case "double":
                items.insert(draw(st.integers(0, len(items))), items[index])
            case _:
                items.insert(draw(st.integers(0, len(items) - 1)), items.pop(index))
    return items_of(items)
