"""What becomes of calls when the server is away, full, strange or restarted."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from addon.store.errors import PredecessorGone, StoreError, StoreUnavailable
from addon.store.records import Conversation, Limits
from addon.store.redis import RedisStore
from tests.store.builders import OWNER, events, ids, message, running, stored
from tests.store.conftest import Clock
from tests.store.redis_server import redis_server


def opened(url: str, clock: Clock | None = None, timeout: float = 5.0, ttl: float = 3600) -> RedisStore:
    return RedisStore(url, limits=Limits(ttl=ttl), monotonic=clock or Clock(), timeout=timeout, pause=5.0)


@contextmanager
def deaf_server() -> Iterator[tuple[str, socket.socket]]:
    """It takes connections and says nothing."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.setblocking(False)
        yield f"redis://:secret@127.0.0.1:{listener.getsockname()[1]}/3", listener


def connections(listener: socket.socket) -> int:
    """How many clients have come since it was last asked."""
    count = 0
    while True:
        try:
            listener.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def test_a_server_that_is_away_is_not_asked_again_at_once(tmp_path: Path) -> None:
    clock = Clock()
    with closing(opened(f"unix://{tmp_path}/redis.sock", clock)) as store:
        with pytest.raises(StoreUnavailable, match=r"redis\.sock database 0: the server cannot be used now .* runs"):
            store.responses.get(OWNER, "a")
        with redis_server("--unixsocket", f"{tmp_path}/redis.sock"):
            with pytest.raises(StoreUnavailable, match=r"left alone for another 5\.0 s"):
                store.responses.add(OWNER, stored("a"))
            clock.advance(5)
            store.responses.add(OWNER, stored("a"))
            assert store.responses.get(OWNER, "a") == stored("a")


def test_a_server_that_does_not_answer_is_waited_for_once() -> None:
    clock = Clock()
    with deaf_server() as (url, listener), closing(opened(url, clock, timeout=0.05)) as store:
        with pytest.raises(StoreUnavailable, match=r"redis 127\.0\.0\.1:\d+ database 3: .*imeout") as failure:
            store.responses.get(OWNER, "a")
        assert "secret" not in str(failure.value)
        assert connections(listener) == 1
        for call in (lambda: store.values.get("a", "b"), lambda: store.leases.hold("p", 1)):
            with pytest.raises(StoreUnavailable, match="left alone"):
                call()
        with pytest.raises(StoreUnavailable, match="left alone"):
            store.inspection.stats()
        assert connections(listener) == 0
        clock.advance(5)
        with pytest.raises(StoreUnavailable, match="cannot be used now"):
            store.responses.get(OWNER, "a")
        assert connections(listener) == 1


def test_connections_that_were_cut_are_made_anew(redis_url: str) -> None:
    with closing(opened(redis_url)) as store, Redis.from_url(redis_url) as operator:
        store.responses.add(OWNER, stored("cut"))
        operator.client_kill_filter(_type="normal", skipme=True)
        assert store.responses.get(OWNER, "cut") == stored("cut")


def test_scripts_that_the_server_has_forgotten_are_sent_again(redis_url: str) -> None:
    with closing(opened(redis_url)) as store, Redis.from_url(redis_url) as operator:
        store.responses.add(OWNER, stored("forgotten"))
        operator.script_flush()
        assert store.responses.get(OWNER, "forgotten") == stored("forgotten")


def test_another_schema_is_refused_and_left_alone() -> None:
    with redis_server() as url, Redis.from_url(url) as operator:
        operator.set("rb:schema", 2)
        with closing(opened(url)) as store, pytest.raises(StoreError, match=r"\(schema 2; this one knows 1\).* number"):
            store.responses.add(OWNER, stored("a"))
        assert operator.keys() == [b"rb:schema"]


def test_wrong_credentials() -> None:
    with redis_server("--requirepass", "right") as url:
        for wrong in (url, url.replace("unix://", "unix://:wrong@")):
            with closing(opened(wrong)) as store, pytest.raises(StoreError, match="credentials") as failure:
                store.responses.get(OWNER, "a")
            assert "wrong@" not in str(failure.value)
        with closing(opened(url.replace("unix://", "unix://:right@"))) as store:
            assert store.responses.get(OWNER, "a") is None


@pytest.mark.parametrize("url", ["redis://host:port", "redis://host/?socket_timeout=soon", "redis://host/?no_such=1"])
def test_an_address_that_cannot_be_read(url: str) -> None:
    with pytest.raises(StoreError, match="address of the Redis server"):
        opened(url)


def test_a_replica_is_not_written_to() -> None:
    with redis_server() as url, Redis.from_url(url) as operator:
        operator.replicaof("127.0.0.1", "1")
        with closing(opened(url)) as store, pytest.raises(StoreUnavailable, match="is the primary"):
            store.responses.add(OWNER, stored("a"))


# --- memory -----------------------------------------------------------------------------------------------------------


def test_a_full_server_says_so_and_keeps_what_it_has() -> None:
    with redis_server("--maxmemory", "3mb", "--maxmemory-policy", "noeviction") as url, closing(opened(url)) as store:
        written = fill(store, turns=40)
        assert written
        with pytest.raises(StoreUnavailable, match=r"memory is full\. Raise its `maxmemory`"):
            fill(store, turns=40, name="more")
        for name in written:
            assert store.responses.history(OWNER, name) is not None
        assert not store.responses.delete(OWNER, "none")


def fill(store: RedisStore, turns: int, name: str = "first") -> list[str]:
    """Responses of 30 kB, in a chain; how many there was room for."""
    written: list[str] = []
    for number in range(turns):
        sent = [message("in", os.urandom(30_000).hex())]
        parent = written[-1] if written else None
        store.responses.add(OWNER, stored(f"{name}{number}", parent=parent, sent=sent))
        written.append(f"{name}{number}")
    return written


def test_a_server_that_evicts_leaves_whole_histories() -> None:
    options = ["--maxmemory", "3mb", "--maxmemory-policy", "volatile-lru", "--maxmemory-samples", "10"]
    with redis_server(*options) as url, closing(opened(url)) as store:
        lengths: dict[str, int] = {}
        for chain in range(30):
            parent = None
            for turn in range(4):
                name = f"{chain}.{turn}"
                try:
                    store.responses.add(
                        OWNER, stored(name, parent=parent, sent=[message("in", os.urandom(15_000).hex())])
                    )
                except PredecessorGone:
                    break
                lengths[name] = turn + 1
                parent = name
        histories = {name: store.responses.history(OWNER, name) for name in lengths}
        assert None in histories.values(), "something has been evicted"
        left = {name: history for name, history in histories.items() if history is not None}
        assert left
        for name, history in left.items():
            assert len(history) == 2 * lengths[name]


@pytest.mark.parametrize("lost", ["rb:c:*", "rb:o:*"])
def test_half_a_conversation_is_none(redis_url: str, lost: str) -> None:
    with closing(opened(redis_url)) as store, Redis.from_url(redis_url) as operator:
        operator.flushall()
        store.conversations.create(OWNER, Conversation("conv_1", 1, {}), [message("one")])
        operator.delete(*operator.keys(lost))
        assert store.conversations.get(OWNER, "conv_1") is None
        assert store.conversations.items(OWNER, "conv_1") is None
        store.conversations.create(OWNER, Conversation("conv_1", 1, {}), [message("two")])
        assert ids(store.conversations.items(OWNER, "conv_1")) == ["two"]


def test_everything_has_an_end(redis_url: str) -> None:
    """Or the server would fill up; but for two small things."""
    with closing(opened(redis_url, ttl=60)) as store, Redis.from_url(redis_url) as operator:
        operator.flushall()
        store.conversations.create(OWNER, Conversation("conv_1", 1, {}), [message("one")])
        store.responses.add(OWNER, stored("a", conversation="conv_1"))
        store.responses.add(OWNER, running("b", parent="a"))
        store.responses.append_events(OWNER, "b", events(0, "{}"))
        store.values.put("quirk", "key", b"1", 60)
        store.leases.hold("process-1", 60)
        store.conversations.set_metadata(OWNER, "conv_1", {})
        endless = {key for key in operator.scan_iter() if operator.ttl(key) < 0}
        assert endless == {b"rb:schema", b"rb:running"}
        operator.delete(*operator.keys("rb:[rt]:*"))
        store.leases.release("process-1")
        assert store.leases.abandoned("process-2") == []
        assert not operator.exists("rb:running"), "what is no longer kept is not running"
