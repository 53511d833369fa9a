"""Responses that are made in the background, and streams that are followed from any event on."""

from __future__ import annotations

from addon.background.job import Job
from addon.background.jobs import Jobs, Start

__all__ = ["Job", "Jobs", "Start"]
