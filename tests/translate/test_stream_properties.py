"""What holds for every answer, however strange and wherever it is cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from addon.translate.errors import ApiError
from addon.translate.output import CalledTool
from tests.sdk_models import accumulate
from tests.translate.answers import DONE, answer_to, chunk, completion, data, request, text
from tests.wire.test_json import JSON_VALUES

TOOLS = {
    "patch": CalledTool("custom", "apply_patch"),
    "find": CalledTool("tool_search", "tool_search"),
    "srv__f": CalledTool("function", "f", "srv"),
    "shell": CalledTool("shell", "shell"),
    "edit": CalledTool("apply_patch", "apply_patch"),
}
RESET = ApiError.upstream("acme closed the connection.")


def cut_up(whole: str, cuts: Sequence[int]) -> list[str]:
    ends = sorted(cut % (len(whole) + 1) for cut in cuts)
    return [whole[start:end] for start, end in zip([0, *ends], [*ends, len(whole)], strict=True)]


def portions(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    return [part.encode("latin-1") for part in cut_up(body.decode("latin-1"), cuts)]


CUTS = st.lists(st.integers(0, 10_000), max_size=4)

# --- the stream and the whole answer ------------------------------------------------------------------------------

ARGUMENTS = st.dictionaries(st.text(max_size=4), JSON_VALUES, max_size=2).map(json.dumps)
CALL = st.tuples(
    st.sampled_from(["f", "g", *TOOLS]),
    ARGUMENTS | st.sampled_from(["", '{"input":"x"}', '{"commands":["ls"]}', '{"type":"delete_file","path":"a"}']),
)
FINISHES = st.sampled_from(["stop", "tool_calls", "length", "content_filter", "error", "odd"])
USAGES = st.fixed_dictionaries({"prompt_tokens": st.integers(0, 9), "completion_tokens": st.integers(0, 9)})


@dataclass(frozen=True)
class Speech:
    """What a model says, apart from how it is sent."""

    thought: str
    said: str
    refused: str
    calls: Sequence[tuple[str, str]]
    finish: str
    usage: dict[str, int]

    def message(self) -> dict[str, object]:
        calls = [
            {"id": f"id{number}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for number, (name, arguments) in enumerate(self.calls)
        ]
        return {
            "role": "assistant",
            "reasoning_content": self.thought or None,
            "content": self.said,
            "refusal": self.refused or None,
            "tool_calls": calls or None,
        }

    def streamed(self, cuts: Sequence[int]) -> bytes:
        body = chunk({"role": "assistant", "content": ""})
        body += b"".join(chunk({"reasoning_content": piece}) for piece in cut_up(self.thought, cuts))
        body += b"".join(text(piece) for piece in cut_up(self.said, cuts))
        body += b"".join(chunk({"refusal": piece}) for piece in cut_up(self.refused, cuts))
        for number, (name, arguments) in enumerate(self.calls):
            body += self.piece(number, id=f"id{number}", function={"name": name})
            for piece in cut_up(arguments, cuts):
                body += self.piece(number, function={"arguments": piece})
        return body + chunk({}, self.finish) + data({"choices": [], "usage": self.usage}) + DONE

    @staticmethod
    def piece(index: int, **piece: object) -> bytes:
        return chunk({"tool_calls": [{"index": index, **piece}]})


SPEECHES = st.builds(
    Speech, st.text(max_size=9), st.text(max_size=9), st.text(max_size=5), st.lists(CALL, max_size=3), FINISHES, USAGES
)


@given(SPEECHES, CUTS, st.booleans())
def test_the_stream_ends_with_the_whole_answer(speech: Speech, cuts: list[int], summary: bool) -> None:
    asked = request(reasoning={"summary": "auto" if summary else None}, include=["reasoning.encrypted_content"])

    streamed = answer_to([speech.streamed(cuts)], asked=asked, tools=TOOLS)
    whole = answer_to([completion(speech.message(), speech.finish, speech.usage)], asked=asked, tools=TOOLS)

    assert streamed.response == whole.response
    assert streamed.notes == whole.notes


@given(SPEECHES, CUTS)
def test_any_split_of_the_bytes_gives_the_same_events(speech: Speech, cuts: list[int]) -> None:
    body = speech.streamed([3])

    assert answer_to(portions(body, cuts), tools=TOOLS).events == answer_to([body], tools=TOOLS).events


@given(SPEECHES, st.integers(0, 10_000), st.booleans())
def test_a_cut_stream_is_never_completed(speech: Speech, cut: int, reset: bool) -> None:
    body = speech.streamed([2, 5])
    before_the_finish = body[: body.index(b'"finish_reason": "')]
    broken_by = RESET if reset else None

    answer = answer_to([before_the_finish[: cut % (len(before_the_finish) + 1)]], tools=TOOLS, broken_by=broken_by)

    assert answer.response["status"] in (("failed",) if reset else ("failed", "incomplete"))


# --- answers of no known shape ------------------------------------------------------------------------------------

NOTHING = st.sampled_from([None, "", 0, [], {}, False])
INDEX = st.sampled_from([0, 1, 2, -1, None, "0", True])
ODD_CALL = st.fixed_dictionaries(
    {},
    optional={
        "index": INDEX,
        "id": st.sampled_from(["a", "b", "", None, 5]),
        "type": st.just("function"),
        "function": st.fixed_dictionaries(
            {},
            optional={
                "name": st.sampled_from(["f", "g", *TOOLS, "", None]),
                "arguments": st.sampled_from(
                    [
                        '{"a"',
                        ":1}",
                        "{}",
                        '{"input":"x"}',
                        '{"commands":["ls"]}',
                        "",
                        " ",
                        "oops",
                        None,
                        {"a": 1},
                        [],
                        5,
                    ]
                ),
            },
        )
        | NOTHING,
    },
)
TEXTS = st.sampled_from(["", "Hi", "\n\n", "<think>", "</think>", "<th", "ink>", "é😀", "\0", "\ud83d", None, 5])
PARTS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "thinking", "reasoning", "image", None])},
        optional={"text": TEXTS, "thinking": TEXTS | st.lists(st.fixed_dictionaries({"text": TEXTS}), max_size=2)},
    )
    | TEXTS,
    max_size=3,
)
DETAILS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["reasoning.text", "reasoning.encrypted"])},
        optional={"index": st.sampled_from([0, 1, None]), "text": TEXTS, "data": TEXTS, "signature": TEXTS},
    )
    | NOTHING,
    max_size=2,
)
ANNOTATIONS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "url": TEXTS, "title": TEXTS, "start_index": INDEX,
            "url_citation": st.fixed_dictionaries({}, optional={"url": TEXTS, "end_index": INDEX}) | NOTHING,
        },
    )
    | NOTHING,
    max_size=2,
)  # fmt: skip
LOGPROBS = st.lists(
    st.fixed_dictionaries(
        {}, optional={"token": TEXTS, "logprob": INDEX, "bytes": st.lists(INDEX, max_size=2), "top_logprobs": NOTHING}
    ),
    max_size=2,
)
DELTA = st.fixed_dictionaries(
    {},
    optional={
        "role": TEXTS, "content": TEXTS | PARTS, "reasoning_content": TEXTS, "reasoning": TEXTS, "refusal": TEXTS,
        "tool_calls": st.lists(ODD_CALL, max_size=3) | NOTHING, "function_call": NOTHING,
        "reasoning_details": DETAILS | NOTHING, "annotations": ANNOTATIONS | NOTHING,
    },
)  # fmt: skip
CHOICE = st.fixed_dictionaries(
    {"delta": DELTA | NOTHING},
    optional={
        "index": st.sampled_from([0, 0, 0, 1, None]),
        "message": DELTA | NOTHING,
        "logprobs": st.fixed_dictionaries({"content": LOGPROBS}) | NOTHING,
        "error": NOTHING,
        "usage": JSON_VALUES,
    },
)
CHUNK = st.fixed_dictionaries(
    {"choices": st.lists(CHOICE, max_size=2) | NOTHING},
    optional={"usage": JSON_VALUES | USAGES, "service_tier": TEXTS, "error": NOTHING, "id": NOTHING},
).map(data)
FINISH = st.sampled_from([chunk({}, "stop"), chunk(None, "tool_calls"), chunk({}, "length"), chunk({}, "odd"), DONE])
FAULT = st.sampled_from(
    [data({"error": {"message": "No", "code": 429}}), b"event: error\ndata: No\n\n", chunk({}, "error")]
)
NOISE = st.sampled_from(
    [
        b"data: oops\n\n",
        b": ping\n\n",
        b"oops\n\n",
        b"data: 5\n\n",
        b"data: []\n\n",
        b"\r\n",
        b"data: null\n\n",
        b"\xff",
    ]
)
ODD_STREAM = st.lists(CHUNK | CHUNK | CHUNK | NOISE, max_size=6)


@settings(max_examples=300)
@given(ODD_STREAM, st.lists(FINISH | FAULT | CHUNK, max_size=3), CUTS, st.booleans())
def test_any_chunks_make_one_good_stream(
    chunks: list[bytes], rest: list[bytes], cuts: list[int], summary: bool
) -> None:
    asked = request(reasoning={"summary": "auto" if summary else None}, include=["reasoning.encrypted_content"])
    body = b": odd\n\n" + b"".join([*chunks, *rest])

    answer = answer_to(portions(body, cuts), asked=asked, tools=TOOLS, logprobs=True)

    assert answer.events == answer_to([body], asked=asked, tools=TOOLS, logprobs=True).events


@given(ODD_STREAM, st.integers(0, 10_000), st.booleans())
def test_without_an_end_nothing_is_completed(chunks: list[bytes], cut: int, reset: bool) -> None:
    body = b": odd\n\n" + b"".join(chunks)
    answer = answer_to([body[: cut % (len(body) + 1)]], tools=TOOLS, broken_by=RESET if reset else None)

    assert answer.response["status"] != "completed"


@given(JSON_VALUES.map(json.dumps).map(str.encode) | st.binary(max_size=60), CUTS)
def test_any_bytes_are_borne(body: bytes, cuts: list[int]) -> None:
    assert answer_to(portions(body, cuts)).response["status"] in ("failed", "incomplete")


@settings(max_examples=40)
@given(ODD_STREAM, FINISH)
def test_the_sdk_accumulates_any_stream(chunks: list[bytes], end: bytes) -> None:
    answer = answer_to([b": odd\n\n", *chunks, end], tools=TOOLS)
    assume(answer.response["status"] != "failed")  # of these it raises the error

    final = accumulate(answer.sse())[-1]

    assert final.response.id == answer.response["id"]
    assert [item.type for item in final.response.output] == [item["type"] for item in answer.response["output"]]
