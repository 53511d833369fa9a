"""What is done in the server, in Lua: each script is one round trip, and nothing comes between its commands.

Keys, all with the time to live of what they hold:

    rb:r:<owner>:<response>       the id of its thread
    rb:t:<owner>:<thread>         hash: a tree of responses that continue each other, named after the first. For each
                                  p:<id> parent, c:<id> number of children, s:<id> status, b:<id> body, m:<id> its
                                  description, i:<id> input, o:<id> output, e:<id> bytes of events; a deleted one that
                                  is still continued has no b:<id>
    rb:e:<owner>:<response>       sorted set: its events, some at a time, by the number of the last
    rb:c:<owner>:<conversation>   hash: b body, n a counter, i:<item> its items
    rb:o:<owner>:<conversation>   sorted set: the order of the items
    rb:i:<owner>:<item>           where an item is: r:<response> or c:<conversation>
    rb:v:<kind>:<key>             a value
    rb:l:<process>                a lease
    rb:running                    hash: <owner>:<response> to the process that works on it
    rb:schema                     the version of all this

A whole thread is one key, so that a server that evicts keys (`maxmemory-policy`) never leaves half a history.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1
from typing import Final

SCHEMA_VERSION: Final = 1

_COMMON: Final = """
local function key(kind, owner, id) return 'rb:' .. kind .. ':' .. owner .. ':' .. id end

-- The hash of the response's thread; nil if the response is unknown or deleted.
local function thread_of(owner, id)
  local root = redis.call('GET', key('r', owner, id))
  if not root then return nil end
  local thread = key('t', owner, root)
  if redis.call('HEXISTS', thread, 'b:' .. id) == 0 then return nil end
  return thread, root
end

local function is_running(status) return status == 'queued' or status == 'in_progress' end

-- Both keys of a conversation; nil if it is unknown, or one of them has been evicted.
local function conversation_at(owner, id)
  local hash, order = key('c', owner, id), key('o', owner, id)
  local fields = redis.call('HLEN', hash)
  if fields == 0 or fields - 2 ~= redis.call('ZCARD', order) then return nil end
  return hash, order
end

-- Append items, given as ARGV from `first`: id and body by turns. Ids that are there keep their place.
local function append(hash, order, owner, id, first, ttl)
  for n = first, #ARGV, 2 do
    if redis.call('HSET', hash, 'i:' .. ARGV[n], ARGV[n + 1]) == 1 then
      redis.call('ZADD', order, redis.call('HINCRBY', hash, 'n', 1), ARGV[n])
    end
    redis.call('SET', key('i', owner, ARGV[n]), 'c:' .. id, 'PX', ttl)
  end
  redis.call('PEXPIRE', hash, ttl)
  redis.call('PEXPIRE', order, ttl)
end

-- Keep some events, given with the number of the last. Once they were too many, none are kept any more.
local function append_events(thread, owner, id, last, batch, most)
  if batch == '' then return end
  local size = math.min(tonumber(redis.call('HGET', thread, 'e:' .. id) or 0) + #batch, most + 1)
  redis.call('HSET', thread, 'e:' .. id, size)
  if size > most then return end
  redis.call('ZADD', key('e', owner, id), last, last .. ':' .. batch)
  redis.call('PEXPIRE', key('e', owner, id), redis.call('PTTL', key('r', owner, id)))
end

-- Remember in which response the items are, and append them to the conversation it was made in, if any.
local function place_items(owner, id, conversation, first, ttl)
  for n = first, #ARGV, 2 do
    redis.call('SET', key('i', owner, ARGV[n]), 'r:' .. id, 'PX', ttl)
  end
  if conversation ~= '' then
    local hash, order = conversation_at(owner, conversation)
    if hash then append(hash, order, owner, conversation, first, ttl) end
  end
end
"""


@dataclass(frozen=True, slots=True)
class Script:
    source: str
    digest: str = field(init=False)
    """What the server calls it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", sha1(self.source.encode(), usedforsecurity=False).hexdigest())


def _script(body: str) -> Script:
    return Script(_COMMON + body)


SCHEMA: Final = _script("""
redis.call('SETNX', 'rb:schema', ARGV[1])
return tonumber(redis.call('GET', 'rb:schema'))
""")

ADD: Final = _script("""
local owner, id, parent, status, body, description, input, output = unpack(ARGV, 1, 8)
local runner, conversation, ttl = unpack(ARGV, 9, 11)
if redis.call('EXISTS', key('r', owner, id)) == 1 then return 1 end
local thread, root = key('t', owner, id), id
if parent ~= '' then
  thread, root = thread_of(owner, parent)
  if not thread then return 0 end
  redis.call('HINCRBY', thread, 'c:' .. parent, 1)
end
redis.call('HSET', thread, 'p:' .. id, parent, 's:' .. id, status, 'b:' .. id, body, 'm:' .. id, description,
  'i:' .. id, input, 'o:' .. id, output)
redis.call('PEXPIRE', thread, ttl)
redis.call('SET', key('r', owner, id), root, 'PX', ttl)
if runner ~= '' then redis.call('HSET', 'rb:running', owner .. ':' .. id, runner) end
place_items(owner, id, conversation, 12, ttl)
return 1
""")

UPDATE: Final = _script("""
local owner, id, status, body, description, output, conversation, ttl = unpack(ARGV, 1, 8)
local last, batch, most = unpack(ARGV, 9, 11)
local thread = thread_of(owner, id)
if not thread or not is_running(redis.call('HGET', thread, 's:' .. id)) then return 0 end
redis.call('HSET', thread, 's:' .. id, status, 'b:' .. id, body, 'm:' .. id, description, 'o:' .. id, output)
redis.call('PEXPIRE', thread, ttl)
append_events(thread, owner, id, last, batch, tonumber(most))
if not is_running(status) then redis.call('HDEL', 'rb:running', owner .. ':' .. id) end
place_items(owner, id, conversation, 12, ttl)
return 1
""")

GET: Final = _script("""
local owner, id = unpack(ARGV)
local thread = thread_of(owner, id)
if not thread then return {} end
local found = redis.call('HMGET', thread, 'b:' .. id, 'i:' .. id, 'o:' .. id, 'm:' .. id, 'p:' .. id)
found[6] = redis.call('HGET', 'rb:running', owner .. ':' .. id)
return found
""")

DELETE: Final = _script("""
local owner, id = unpack(ARGV)
local thread = thread_of(owner, id)
redis.call('DEL', key('r', owner, id), key('e', owner, id))
redis.call('HDEL', 'rb:running', owner .. ':' .. id)
if not thread then return 0 end
redis.call('HDEL', thread, 'b:' .. id, 's:' .. id, 'm:' .. id, 'e:' .. id)
while id ~= '' and redis.call('HEXISTS', thread, 'b:' .. id) == 0
    and tonumber(redis.call('HGET', thread, 'c:' .. id) or 0) == 0 do
  local parent = redis.call('HGET', thread, 'p:' .. id)
  redis.call('HDEL', thread, 'p:' .. id, 'c:' .. id, 'i:' .. id, 'o:' .. id)
  if parent ~= '' then redis.call('HINCRBY', thread, 'c:' .. parent, -1) end
  id = parent
end
return 1
""")

HISTORY: Final = _script("""
local owner, id = unpack(ARGV)
local thread = thread_of(owner, id)
local found = {}
if not thread then return found end
while id ~= '' do
  local fields = redis.call('HMGET', thread, 'o:' .. id, 'i:' .. id, 'p:' .. id)
  found[#found + 1], found[#found + 2], id = fields[1], fields[2], fields[3]
end
return found
""")

FIND_ITEM: Final = _script("""
local owner, id = unpack(ARGV)
local place = redis.call('GET', key('i', owner, id))
if not place then return {} end
local holder = string.sub(place, 3)
if string.sub(place, 1, 2) == 'c:' then
  return { 'item', redis.call('HGET', key('c', owner, holder), 'i:' .. id) }
end
local thread = thread_of(owner, holder)
if not thread then return {} end
return { 'lists', redis.call('HGET', thread, 'o:' .. holder), redis.call('HGET', thread, 'i:' .. holder) }
""")

APPEND_EVENTS: Final = _script("""
local owner, id, last, batch, most = unpack(ARGV)
local thread = thread_of(owner, id)
if not thread or not is_running(redis.call('HGET', thread, 's:' .. id)) then return 0 end
append_events(thread, owner, id, last, batch, tonumber(most))
return 1
""")

EVENTS: Final = _script("""
local owner, id, after = unpack(ARGV)
if not thread_of(owner, id) then return {} end
return redis.call('ZRANGEBYSCORE', key('e', owner, id), '(' .. after, '+inf')
""")

CREATE_CONVERSATION: Final = _script("""
local owner, id, body, ttl = unpack(ARGV, 1, 4)
local hash, order = key('c', owner, id), key('o', owner, id)
if conversation_at(owner, id) then return 0 end
redis.call('DEL', hash, order)
redis.call('HSET', hash, 'b', body, 'n', 0)
append(hash, order, owner, id, 5, ttl)
return 1
""")

CONVERSATION: Final = _script("""
local hash = conversation_at(ARGV[1], ARGV[2])
return hash and redis.call('HGET', hash, 'b')
""")

SET_CONVERSATION: Final = _script("""
local owner, id, body, ttl = unpack(ARGV)
local hash, order = conversation_at(owner, id)
if not hash then return 0 end
redis.call('HSET', hash, 'b', body)
redis.call('PEXPIRE', hash, ttl)
redis.call('PEXPIRE', order, ttl)
return 1
""")

DELETE_CONVERSATION: Final = _script("""
local found = conversation_at(ARGV[1], ARGV[2])
redis.call('UNLINK', key('c', ARGV[1], ARGV[2]), key('o', ARGV[1], ARGV[2]))
return found and 1 or 0
""")

ADD_ITEMS: Final = _script("""
local owner, id, ttl = unpack(ARGV, 1, 3)
local hash, order = conversation_at(owner, id)
if not hash then return 0 end
append(hash, order, owner, id, 4, ttl)
return 1
""")

# Items by rank, with the first line saying whether there is what was asked for.
PAGE: Final = _script("""
local owner, id, after, count, newest_first = unpack(ARGV)
local hash, order = conversation_at(owner, id)
if not hash then return { 'unknown' } end
local reverse = newest_first == '1'
local start = 0
if after ~= '' then
  local rank = redis.call(reverse and 'ZREVRANK' or 'ZRANK', order, after)
  if not rank then return { 'no cursor' } end
  start = rank + 1
end
local stop = count == '' and -1 or start + count - 1
local found = { 'found' }
for _, item in ipairs(redis.call(reverse and 'ZREVRANGE' or 'ZRANGE', order, start, stop)) do
  found[#found + 1] = redis.call('HGET', hash, 'i:' .. item)
end
return found
""")

ITEM: Final = _script("""
local hash = conversation_at(ARGV[1], ARGV[2])
return hash and redis.call('HGET', hash, 'i:' .. ARGV[3])
""")

DELETE_ITEM: Final = _script("""
local owner, id, item = unpack(ARGV)
local hash, order = conversation_at(owner, id)
if not hash then return 0 end
redis.call('ZREM', order, item)
return redis.call('HDEL', hash, 'i:' .. item)
""")

PUT_VALUE: Final = _script("redis.call('SET', 'rb:v:' .. ARGV[1], ARGV[2], 'PX', ARGV[3]) return 1")

VALUE: Final = _script("return redis.call('GET', 'rb:v:' .. ARGV[1])")

SETTLE_VALUE: Final = _script("""
redis.call('SET', 'rb:v:' .. ARGV[1], ARGV[2], 'NX')
return redis.call('GET', 'rb:v:' .. ARGV[1])
""")
"""Without an end, so that `volatile-lru` does not make room by it."""

DELETE_VALUE: Final = _script("return redis.call('DEL', 'rb:v:' .. ARGV[1])")

HOLD: Final = _script("redis.call('SET', 'rb:l:' .. ARGV[1], 1, 'PX', ARGV[2]) return 1")

RELEASE: Final = _script("return redis.call('DEL', 'rb:l:' .. ARGV[1])")

ABANDONED: Final = _script("""
local process = ARGV[1]
local running = redis.call('HGETALL', 'rb:running')
local taken = {}
for n = 1, #running, 2 do
  local place, runner = running[n], running[n + 1]
  if runner ~= process and redis.call('EXISTS', 'rb:l:' .. runner) == 0 then
    if redis.call('EXISTS', 'rb:r:' .. place) == 1 then
      redis.call('HSET', 'rb:running', place, process)
      taken[#taken + 1] = place
    else
      redis.call('HDEL', 'rb:running', place)
    end
  end
end
return taken
""")

SUMMARY: Final = _script("""
local owner, id = unpack(ARGV)
local thread = thread_of(owner, id)
if not thread then return {} end
local size = tonumber(redis.call('HGET', thread, 'e:' .. id) or 0)
for _, field in ipairs({ 'b:', 'i:', 'o:' }) do size = size + redis.call('HSTRLEN', thread, field .. id) end
local found = redis.call('HMGET', thread, 's:' .. id, 'm:' .. id)
found[3] = size
return found
""")
