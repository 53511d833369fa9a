"""Decisions, pure and deterministic: a Responses request → a chat request, a chat answer → a Responses answer."""
