"""Looks into the store of responses and conversations that the configuration names, and tidies it up."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from addon.commands import CommandError
from addon.commands.configuration import MitmproxyOptions, loaded
from addon.commands.layout import aligned
from addon.state import limits_of, stores_in
from addon.store.errors import StoreError
from addon.store.interface import ResponseStore
from addon.store.records import OwnedResponse, Stats, Summary
from addon.store.secret import state_dir
from addon.wire.json import JsonObject

MOST_ROWS = 50

_OWNER_CHARS = 8
"""Of an owner, which is a long hash: enough to tell them apart."""
_TEXT_CHARS = 72


def add_options(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ls|show|rm|vacuum", required=True)
    listing = actions.add_parser("ls", help="list responses, the latest first")
    listing.add_argument("--all", action="store_true", help=f"all of them, not only the latest {MOST_ROWS}")
    for name, what in (("show", "show responses with their input and output"), ("rm", "forget responses")):
        actions.add_parser(name, help=what).add_argument("ids", nargs="+", metavar="ID")
    actions.add_parser("vacuum", help="drop what has expired, and give its space back")
    for action in actions.choices.values():
        action.add_argument(
            "--config", metavar="FILE", help="the configuration file (default: the one `run` would find)"
        )
        action.add_argument("--json", action="store_true", help="write JSON, for programs")


def store(options: argparse.Namespace, passed_on: list[str]) -> int:
    try:
        with closing(_opened(options, passed_on)) as opened:
            return _ACTIONS[options.action](opened, options)
    except StoreError as error:
        raise CommandError(str(error)) from error


def _opened(options: argparse.Namespace, passed_on: list[str]) -> ResponseStore:
    settings = dict(MitmproxyOptions.read(passed_on).settings)
    if options.config is not None:
        settings["bridge_config"] = options.config
    config = loaded(settings, os.environ)
    where = config.store.get_secret_value()
    if where in ("off", "memory"):
        raise CommandError(f"there is nothing to look at: `store` is `{where}` in the configuration")
    opened = stores_in(state_dir(os.environ, Path.home()))(where, limits_of(config.store_limits))
    assert opened is not None, "only `off` is no store"
    return opened


# --- ls


def _ls(opened: ResponseStore, options: argparse.Namespace) -> int:
    found = sorted(opened.inspection.summaries(), key=lambda each: each.created_at, reverse=True)
    shown = found if options.all else found[:MOST_ROWS]
    stats = opened.inspection.stats()
    if options.json:
        _print_json({**asdict(stats), "listed": [asdict(each) for each in shown]})
    else:
        print("\n".join(_listing(shown, stats)))
    return 0


def _listing(shown: Sequence[Summary], stats: Stats) -> Iterator[str]:
    if shown:
        header = ("ID", "CREATED", "STATUS", "MODEL", "SIZE", "OWNER", "CONVERSATION")
        yield from aligned([header, *map(_row, shown)], indent="")
        yield ""
    if len(shown) < stats.responses:
        yield f"The latest {len(shown)}; --all shows all."
    conversations = f"{stats.conversations} conversation{'' if stats.conversations == 1 else 's'}"
    responses = f"{stats.responses} response{'' if stats.responses == 1 else 's'}"
    yield f"{responses} and {conversations} in {stats.place}, {_size(stats.size)}."


def _row(each: Summary) -> Sequence[str]:
    return (
        each.id,
        _time(each.created_at),
        each.status,
        each.model,
        _size(each.size),
        each.owner[:_OWNER_CHARS],
        each.conversation or "",
    )


# --- show


def _show(opened: ResponseStore, options: argparse.Namespace) -> int:
    found = [each for response_id in options.ids for each in _found(opened, response_id)]
    if options.json:
        _print_json([_document(each) for each in found])
    else:
        print("\n\n".join("\n".join(_portrait(each)) for each in found))
    return 0


def _found(opened: ResponseStore, response_id: str) -> list[OwnedResponse]:
    found = opened.inspection.find(response_id)
    if not found:
        raise CommandError(f"there is no response {response_id}; `responses-bridge store ls` lists what there is")
    return found


def _document(each: OwnedResponse) -> dict[str, object]:
    stored = each.stored
    return {
        "owner": each.owner,
        "parent": stored.parent,
        "conversation": stored.conversation,
        "input": list(stored.input),
        "response": stored.response,
    }


def _portrait(each: OwnedResponse) -> Iterator[str]:
    stored, response = each.stored, each.stored.response
    facts = [
        ("response", response["id"]),
        ("owner", each.owner),
        ("created", _time(response["created_at"])),
        ("status", response["status"]),
        ("model", response["model"]),
        ("continues", stored.parent or ""),
        ("conversation", stored.conversation or ""),
    ]
    yield from aligned([fact for fact in facts if fact[1]], indent="")
    output = json.loads(json.dumps(response["output"]))
    for title, items in (("Input", stored.input), ("Output", output)):
        yield ""
        yield title
        yield from aligned([_item(item) for item in items])


def _item(item: JsonObject) -> Sequence[str]:
    kind = str(item.get("role") if item["type"] == "message" else item["type"])
    text = " ".join(_text(item).split())
    return kind, text if len(text) <= _TEXT_CHARS else f"{text[:_TEXT_CHARS]}…"


def _text(item: JsonObject) -> str:
    content = item.get("content") or item.get("summary")
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(str(part.get("text", part.get("type"))) for part in content if isinstance(part, dict))
    named = [str(item[key]) for key in ("name", "arguments", "input", "output") if item.get(key)]
    return " ".join(named)


# --- rm, vacuum


def _rm(opened: ResponseStore, options: argparse.Namespace) -> int:
    found = [each for response_id in options.ids for each in _found(opened, response_id)]
    for each in found:
        opened.responses.delete(each.owner, each.stored.response["id"])
    deleted = [each.stored.response["id"] for each in found]
    if options.json:
        _print_json({"deleted": deleted})
    else:
        print("\n".join(f"deleted {response_id}" for response_id in deleted))
    return 0


def _vacuum(opened: ResponseStore, options: argparse.Namespace) -> int:
    before = opened.inspection.stats()
    opened.inspection.vacuum()
    after = opened.inspection.stats()
    if options.json:
        _print_json({"before": asdict(before), "after": asdict(after)})
    else:
        gone = before.responses - after.responses
        print(f"{gone} expired, {_size(max(0, before.size - after.size))} freed; {_size(after.size)} in use.")
    return 0


_ACTIONS = {"ls": _ls, "show": _show, "rm": _rm, "vacuum": _vacuum}


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def _time(seconds: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _size(number: int) -> str:
    size = float(number)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
