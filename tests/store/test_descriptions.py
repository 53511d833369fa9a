"""Descriptions of images are kept by image and model, within bounds."""

from __future__ import annotations

from addon.store.descriptions import Descriptions


def test_a_description_is_kept_by_image_and_model() -> None:
    kept = Descriptions()
    kept.add("seer", "cat.png", "A cat.")
    assert kept.get("seer", "cat.png") == "A cat."
    assert kept.get("seer", "dog.png") is None
    assert kept.get("other", "cat.png") is None


def test_the_first_description_stays() -> None:
    kept = Descriptions()
    kept.add("seer", "cat.png", "A cat.")
    kept.add("seer", "cat.png", "A tabby cat.")
    assert kept.get("seer", "cat.png") == "A cat."


def test_the_least_recently_used_goes_first() -> None:
    kept = Descriptions(max_texts=2)
    kept.add("seer", "1", "one")
    kept.add("seer", "2", "two")
    kept.get("seer", "1")
    kept.add("seer", "3", "three")
    assert [kept.get("seer", image) for image in "123"] == ["one", None, "three"]


def test_long_texts_displace_others() -> None:
    kept = Descriptions(max_chars=10)
    kept.add("seer", "1", "x" * 6)
    kept.add("seer", "2", "y" * 6)
    assert kept.get("seer", "1") is None
    assert kept.get("seer", "2") == "y" * 6
