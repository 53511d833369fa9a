"""The calls and answers of the benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterator

WORD = " benchmark"


def small_call() -> bytes:
    """One question."""
    return _call("How are you today?")


def long_call(size: int) -> bytes:
    """A conversation of an agent with about `size` bytes of history: questions, calls of tools, their results, text."""
    items: list[object] = []
    length = 0
    for turn in _turns():
        items += turn
        length += len(json.dumps(turn))
        if length >= size:
            break
    return _call([*items, _message("user", "input_text", "Go on.")])


def _call(content: object) -> bytes:
    tool = {
        "type": "function",
        "name": "shell",
        "description": "Runs a command and returns what it prints.",
        "parameters": {
            "type": "object",
            "properties": {"command": {"type": "array", "items": {"type": "string"}}},
            "required": ["command"],
            "additionalProperties": False,
        },
        "strict": False,
    }
    body = {
        "model": "gpt-5",
        "instructions": "You are a careful assistant. " * 20,
        "input": content,
        "tools": [tool],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "store": False,
        "stream": True,
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def _turns() -> Iterator[list[object]]:
    number = 0
    while True:
        number += 1
        lines = "\n".join(f"src/module_{line}.py:{number}:    return value_{line} + {number}" for line in range(50))
        yield [
            _message("user", "input_text", f"Where is value_{number} used? " * 4),
            {
                "type": "function_call",
                "call_id": f"call_{number}",
                "name": "shell",
                "arguments": json.dumps({"command": ["grep", "-rn", f"value_{number}", "src"]}),
            },
            {"type": "function_call_output", "call_id": f"call_{number}", "output": lines},
            _message("assistant", "output_text", f"It is used in module {number}, “as one would expect”. " * 10),
        ]


def _message(role: str, kind: str, text: str) -> object:
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def chat_answer(deltas: int) -> list[bytes]:
    """A streamed chat completion in `deltas` portions of text; the last brings the end, the usage and [DONE], too."""
    portions = [_chunk({"choices": [_choice({"content": WORD})]}) for _ in range(deltas)]
    usage = {"prompt_tokens": 10, "completion_tokens": deltas, "total_tokens": 10 + deltas}
    end = [
        _chunk({"choices": [{**_choice({}), "finish_reason": "stop"}]}),
        _chunk({"choices": [], "usage": usage}),
        b"data: [DONE]\n\n",
    ]
    return [*portions[:-1], b"".join([portions[-1], *end])]


def _choice(delta: dict[str, str]) -> dict[str, object]:
    return {"index": 0, "delta": delta, "finish_reason": None}


def _chunk(content: dict[str, object]) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "bench"}
    return f"data: {json.dumps({**head, **content}, separators=(',', ':'))}\n\n".encode()
