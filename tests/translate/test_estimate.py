from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from addon.translate.estimate import estimate_tokens
from addon.wire.chat import ChatRequest
from addon.wire.json import Json, dumps
from tests.translate.histories import IMAGE


def saying(content: Json) -> ChatRequest:
    return {"model": "m", "messages": [{"role": "user", "content": content}]}


IMAGE_PART: Json = {"type": "image_url", "image_url": {"url": IMAGE * 1000}}
TOOL: Json = {"type": "function", "function": {"name": "run", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("body", "tokens"),
    [
        pytest.param({}, 0, id="nothing"),
        pytest.param(saying(""), 5, id="a message"),
        pytest.param(saying("four" * 25), 5 + 25, id="English"),
        pytest.param(saying("слов" * 25), 5 + 50, id="Russian"),
        pytest.param(saying("四个字符" * 25), 5 + 100, id="Chinese"),
        pytest.param(saying("かな한글" * 25), 5 + 100, id="Japanese and Korean"),
        pytest.param(saying("\ud83d"), 5 + 1, id="half a surrogate pair"),
        pytest.param(saying([{"type": "text", "text": "four" * 25}]), 5 + 26, id="a text part"),
        pytest.param(saying([IMAGE_PART, IMAGE_PART]), 5 + 2000, id="images"),
        pytest.param(
            saying([{"type": "file", "file": {"file_data": "x" * 100_000, "filename": "a.pdf"}}]), 5 + 3000, id="file"
        ),
        pytest.param(
            {"messages": [], "tools": [TOOL], "response_format": {"type": "json_object"}},
            -(-(len(dumps([TOOL])) + len(dumps({"type": "json_object"}))) // 4),
            id="tools and format",
        ),
        pytest.param({"messages": [], "tools": None, "temperature": 1, "user": "x" * 100}, 0, id="other parameters"),
        pytest.param({"messages": [{"role": "tool", "content": None, "n": 1.5}]}, 5, id="no text"),
    ],
)
def test_the_estimate(body: ChatRequest, tokens: int) -> None:
    assert estimate_tokens(body) == tokens


@given(text=st.text(), more=st.text())
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    assert estimate_tokens(saying(text)) <= estimate_tokens(saying(text + more))


@given(text=st.text(), more=st.text())
def test_two_texts_are_as_many_tokens_as_one_made_of_both(text: str, more: str) -> None:
    apart = estimate_tokens(saying(text)) + estimate_tokens(saying(more)) - estimate_tokens(saying(""))
    assert apart - 1 <= estimate_tokens(saying(text + more)) <= apart


@given(texts=st.lists(st.text(), max_size=5), more=st.text())
def test_a_further_message_is_more_tokens(texts: list[str], more: str) -> None:
    messages: list[Json] = [{"role": "user", "content": text} for text in texts]
    longer: list[Json] = [*messages, {"role": "assistant", "content": more}]
    assert estimate_tokens({"messages": messages}) < estimate_tokens({"messages": longer})
