"""Settings of all tests."""

from __future__ import annotations

from hypothesis import settings

# A slow or busy machine is no fault of the code.
settings.register_profile("default", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=2500)
settings.load_profile("default")
