"""Reads a ledger by a client that is not ours, and prints what it saw as JSON.

client.py READER APPENDER STREAM POSITION

READER and APPENDER are connection strings, of anyone and of whoever may append;
STREAM has events, and POSITION is that of one of them. Once the subscriptions
have caught up it prints a line and waits for one; what was recorded meanwhile
it prints too.
"""

import json
import sys

from kurrentdbclient import KurrentDBClient, NewEvent, StreamState
from kurrentdbclient.exceptions import KurrentDBClientError

reader, appender, stream, position = sys.argv[1:5]
position = int(position)
LAST = "last-1"  # the stream of the last event, which every subscription waits for


def told(e):
    return {
        "stream": e.stream_name,
        "revision": e.stream_position,
        "position": e.commit_position,
        "id": str(e.id),
        "type": e.type,
        "data": e.data.decode(),
        "meta": e.metadata.decode(),
    }


def refusal(call):
    try:
        call()
    except KurrentDBClientError as e:
        return f"{type(e).__name__}: {e}"
    return "none"


def event():
    return NewEvent(type="new.v1", data=b"{}")


client = KurrentDBClient(reader)
seen = {}


def read(name, events):
    seen[name] = [told(e) for e in events]


read("stream", client.get_stream(stream))
read("stream from 2", client.get_stream(stream, stream_position=2))
read("stream backwards", client.get_stream(stream, backwards=True))
read("stream backwards, 3", client.get_stream(stream, backwards=True, limit=3))
read("all", client.read_all())
read("all, 10", client.read_all(limit=10))
read("all from", client.read_all(commit_position=position))
read("all backwards", client.read_all(backwards=True))
read("all backwards from", client.read_all(backwards=True, commit_position=position))
read("by stream", client.read_all(filter_include=["unit-"], filter_by_stream_name=True, filter_by_prefix=True))
read("by streams", client.read_all(filter_include=[r"unit-\d+", r"voucher-\d+"], filter_by_stream_name=True))
read("by type", client.read_all(filter_include=[r"\w+\.v1"]))
read("without type", client.read_all(filter_exclude=[r"\w+\.v1"]))

answers = {
    "a missing stream": refusal(lambda: client.get_stream("missing-1")),
    "append": refusal(lambda: client.append_to_stream("new-1", current_version=StreamState.NO_STREAM, events=event())),
    "append several": refusal(lambda: client.append_to_stream("new-1", current_version=StreamState.NO_STREAM, events=[event(), event()])),
    "delete": refusal(lambda: client.delete_stream(stream, current_version=StreamState.ANY)),
    "tombstone": refusal(lambda: client.tombstone_stream(stream, current_version=StreamState.ANY)),
    "the last position": client.get_commit_position(),
    "the last revision": client.get_current_version(stream),
}

subscriptions = {
    "subscribed to the stream": client.subscribe_to_stream(stream, include_caught_up=True),
    "subscribed after 2": client.subscribe_to_stream(stream, stream_position=2, include_caught_up=True),
    "subscribed to all": client.subscribe_to_all(include_caught_up=True),
    "subscribed from": client.subscribe_to_all(commit_position=position, include_caught_up=True),
    "subscribed by stream": client.subscribe_to_all(
        filter_include=["unit-", "last-"], filter_by_stream_name=True, filter_by_prefix=True, include_caught_up=True),
    "subscribed by type": client.subscribe_to_all(filter_include=[r"\w+\.v1"], include_caught_up=True),
    "subscribed at the end": client.subscribe_to_all(from_end=True, include_caught_up=True),
}


def until(subscription, name, done):
    for e in subscription:
        if done(e):
            return e
        if not e.is_checkpoint and not e.is_caught_up:
            seen[name].append(told(e))


for name, subscription in subscriptions.items():
    seen[name] = []
    until(subscription, name, lambda e: e.is_caught_up)

# Nothing matches, and yet the checkpoint says that all has been seen; from there only what is new comes.
idle = client.subscribe_to_all(
    filter_include=["last-"], filter_by_stream_name=True, filter_by_prefix=True, include_checkpoints=True)
checkpoint = next(e for e in idle if e.is_checkpoint)
idle.stop()
answers["the checkpoint"] = checkpoint.commit_position

print("caught up", flush=True)
sys.stdin.readline()

subscriptions["resumed"] = client.subscribe_to_all(commit_position=checkpoint.commit_position)
seen["resumed"] = []
for name, subscription in subscriptions.items():
    ends = stream if name in ("subscribed to the stream", "subscribed after 2") else LAST
    last = until(subscription, name, lambda e: e.stream_name == ends and e.type == "last.v1")
    seen[name].append(told(last))
    subscription.stop()

with KurrentDBClient(appender) as ledger:
    answers["append by the ledger"] = refusal(
        lambda: ledger.append_to_stream("by-python-1", current_version=StreamState.NO_STREAM, events=event()))
    answers["append at a wrong revision"] = refusal(
        lambda: ledger.append_to_stream("by-python-1", current_version=StreamState.NO_STREAM, events=event()))
client.close()
print(json.dumps({"seen": seen, "answers": answers}))
