"""The command `store`: a table, a portrait, deletion, and the same as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from addon.cli import main
from addon.store.interface import ResponseStore
from addon.store.records import Conversation, Limits
from addon.store.sqlite import SqliteStore
from tests.store.builders import OTHER, OWNER, message, said, stored


@pytest.fixture
def kept(nothing_configured: Path) -> Iterator[ResponseStore]:
    directory = nothing_configured / "state"
    directory.mkdir()
    with closing(SqliteStore(directory / "store.sqlite3", limits=Limits(), now=lambda: 2_000_000_000.0)) as store:
        yield store


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("addon.state.storage.time", lambda: 2_000_000_000.0)
    monkeypatch.setenv("TZ", "UTC")


def told(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["store", *arguments]) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def test_an_empty_store(kept: ResponseStore, capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "ls")
    assert out.startswith("0 responses and 0 conversations in ")
    assert "store.sqlite3" in out


def test_ls_lists_the_latest_first(kept: ResponseStore, capsys: pytest.CaptureFixture[str]) -> None:
    kept.conversations.create(OWNER, Conversation("conv_1", 0, {}))
    for number in range(60):
        one = stored(f"resp_{number}", conversation="conv_1" if number == 59 else None)
        one.response["created_at"] = 1_700_000_000 + number
        kept.responses.add(OWNER if number % 2 else OTHER, one)
    header, first, second, *rest = told(capsys, "ls").splitlines()
    assert header.split() == ["ID", "CREATED", "STATUS", "MODEL", "SIZE", "OWNER", "CONVERSATION"]
    assert first.split()[0] == "resp_59"
    assert first.split()[-2:] == [OWNER[:8], "conv_1"]
    assert second.split()[0] == "resp_58"
    assert rest[-2:][0] == "The latest 50; --all shows all."
    assert rest[-1].startswith("60 responses and 1 conversation in ")
    assert len(told(capsys, "ls", "--all").splitlines()) == 60 + 3
    listed = json.loads(told(capsys, "ls", "--json"))
    assert (listed["responses"], len(listed["listed"])) == (60, 50)
    assert listed["listed"][0]["id"] == "resp_59"


def test_show_tells_what_was_asked_and_said(kept: ResponseStore, capsys: pytest.CaptureFixture[str]) -> None:
    call = {"type": "function_call", "id": "fc_1", "name": "ls", "arguments": '{"a":1}', "call_id": "c"}
    kept.responses.add(OWNER, stored("resp_1"))
    kept.responses.add(
        OWNER,
        stored("resp_2", parent="resp_1", sent=[message("msg_1", "One\n" * 50)], output=[call, said("msg_2", "Two.")]),
    )
    out = told(capsys, "show", "resp_2")
    assert ["continues", "resp_1"] in [line.split() for line in out.splitlines()]
    assert "user  One One One" in out
    assert 'function_call  ls {"a":1}' in out
    assert "assistant      Two." in out
    (document,) = json.loads(told(capsys, "show", "--json", "resp_2"))
    assert (document["owner"], document["parent"]) == (OWNER, "resp_1")
    assert document["response"]["output"][1]["id"] == "msg_2"


def test_rm_forgets(kept: ResponseStore, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("resp_1", "resp_2"):
        kept.responses.add(OWNER, stored(name))
    assert "there is no response resp_3" in told(capsys, "rm", "resp_1", "resp_3", status=1)
    assert kept.responses.get(OWNER, "resp_1") is not None, "all of them or none"
    assert told(capsys, "rm", "resp_1") == "deleted resp_1\n"
    assert kept.responses.get(OWNER, "resp_1") is None
    assert json.loads(told(capsys, "rm", "--json", "resp_2")) == {"deleted": ["resp_2"]}


def test_vacuum_gives_space_back(kept: ResponseStore, capsys: pytest.CaptureFixture[str]) -> None:
    kept.responses.add(OWNER, stored("resp_1", output=[said("msg_1", "x" * 100_000)]))
    kept.responses.delete(OWNER, "resp_1")
    assert told(capsys, "vacuum").startswith("0 expired, ")
    sizes = json.loads(told(capsys, "vacuum", "--json"))
    assert sizes["before"]["responses"] == sizes["after"]["responses"] == 0


def test_what_is_not_there_cannot_be_shown(kept: ResponseStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no response resp_none; `responses-bridge store ls`" in told(capsys, "show", "resp_none", status=1)


@pytest.mark.parametrize("where", ["off", "memory"])
def test_there_may_be_nothing_to_look_at(
    nothing_configured: Path, capsys: pytest.CaptureFixture[str], where: str
) -> None:
    config = nothing_configured / "other.yaml"
    config.write_text(f"store: {where}\n")
    assert f"`store` is `{where}`" in told(capsys, "ls", "--config", str(config), status=1)


def test_a_store_that_cannot_be_opened(nothing_configured: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = nothing_configured / "no-store"
    path.write_text("This is no database, but a text that is longer than the header of one. " * 20)
    config = nothing_configured / "bridge.yaml"
    config.write_text(f"store: 'sqlite://{path}'\n")
    assert str(path) in told(capsys, "ls", status=1)
