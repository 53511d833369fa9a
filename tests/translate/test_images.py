"""Images for a model that takes none: which are found, what stands in their place, how a vision model is asked."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from addon.translate.images import description_of, description_request, images_in, with_descriptions
from addon.wire.responses import ImagePart, Item, read_request

CAT, DOG = "data:image/png;base64,Y2F0", "https://pictures.test/dog.jpg"


def image(url: str | None = CAT, **more: object) -> dict[str, object]:
    return {"type": "input_image", "image_url": url, **more}


def text(words: str) -> dict[str, object]:
    return {"type": "input_text", "text": words}


def items(*values: dict[str, object]) -> list[Item]:
    return read_request(json.dumps({"model": "m", "input": list(values)}).encode()).items()


def user(*parts: dict[str, object], role: str = "user") -> dict[str, object]:
    return {"type": "message", "role": role, "content": list(parts)}


@dataclass(frozen=True)
class Case:
    """An item that holds two images, and whether they are such as a model would be sent."""

    id: str
    item: dict[str, object]
    field: str = "content"
    sent: bool = True


PARTS = [text("Look:"), image(CAT), image(DOG)]
CASES = [
    Case("user", user(*PARTS)),
    Case("role sent as the user's", user(*PARTS, role="critic")),
    Case("agent", {"type": "agent_message", "author": "a", "recipient": "b", "content": PARTS}),
    Case("function", {"type": "function_call_output", "call_id": "c", "output": PARTS}, "output"),
    Case("custom tool", {"type": "custom_tool_call_output", "call_id": "c", "output": PARTS}, "output"),
    Case("local shell", {"type": "local_shell_call_output", "id": "c", "output": PARTS}, "output"),
    Case("assistant", user(*PARTS, role="assistant"), sent=False),
    Case("developer", user(*PARTS, role="developer"), sent=False),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_images_are_found_and_described_in_place(case: Case) -> None:
    before = items(case.item)
    assert [found.image_url for found in images_in(before)] == ([CAT, DOG] if case.sent else [])
    (after,) = with_descriptions(before, {CAT: "A cat."}, "seer")
    told = text("[image, described by seer: A cat.]") if case.sent else image(CAT)
    shown = after.model_dump(exclude_none=True, exclude_unset=True)
    assert shown == {**case.item, case.field: [text("Look:"), told, image(DOG)]}


def test_an_image_is_found_once_and_one_without_url_is_not() -> None:
    found = images_in(items(user(image(DOG), image(None, file_id="f"), image(CAT)), user(image(DOG, detail="low"))))
    assert [part.image_url for part in found] == [DOG, CAT]


def test_what_holds_no_image_stays_the_same_object() -> None:
    before = items(user(text("Hi")), {"role": "user", "content": "Hi"}, {"type": "function_call", "name": "f"})
    assert all(a is b for a, b in zip(before, with_descriptions(before, {CAT: "A cat."}, "seer"), strict=True))


def test_the_items_given_are_not_changed() -> None:
    before = items(user(image()))
    copy = [item.model_copy(deep=True) for item in before]
    with_descriptions(before, {CAT: "A cat."}, "seer")
    assert before == copy


def test_the_vision_model_is_shown_the_image_and_nothing_else() -> None:
    part = ImagePart(type="input_image", image_url=CAT, detail="high")
    request = description_request(part, "my-vision")
    assert request.model == "my-vision"
    assert "cannot see" in (request.instructions or "")
    assert images_in(request.items()) == [part]
    assert len(request.items()) == 1


@pytest.mark.parametrize(
    ("answer", "description"),
    [
        pytest.param(" A cat.\n", "A cat.", id="stripped"),
        pytest.param(" \n", None, id="nothing"),
        pytest.param("A \ud800 cat.", "A \ufffd cat.", id="half a character"),
    ],
)
def test_the_description_in_an_answer(answer: str, description: str | None) -> None:
    assert description_of(answer) == description


def test_a_description_without_end_is_cut() -> None:
    description = description_of("cat " * 100_000)
    assert description is not None
    assert len(description) <= 40_000
    assert description.endswith("[the description was cut off here]")
