"""Why something was not stored is remembered for a while."""

from __future__ import annotations

from addon.store.losses import Losses


def test_the_reason_belongs_to_the_owner() -> None:
    losses = Losses()
    losses.add("ann", "resp_1", "the disk was full")
    assert losses.reason("ann", "resp_1") == "the disk was full"
    assert losses.reason("bob", "resp_1") is None
    assert losses.reason("ann", "resp_2") is None


def test_the_oldest_is_forgotten() -> None:
    losses = Losses(max_entries=2)
    for number in range(3):
        losses.add("ann", f"resp_{number}", "the disk was full")
    assert [losses.reason("ann", f"resp_{number}") is None for number in range(3)] == [True, False, False]
