#!/usr/bin/env python3
"""Runs a stream by the control API of examples/service.conf.

    client.py create NAME [QUALITY...]    prints where to publish and to play
    client.py pull NAME URL [QUALITY...]  prints where to play it
    client.py monitor NAME                prints its state until it ends
    client.py list
    client.py stop NAME

LIVE_API is the address of the API, http://127.0.0.1:8083 by default.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

API = os.environ.get("LIVE_API", "http://127.0.0.1:8083")


def call(method, path, body=None):
    """The answer to a request; what the API has against it ends the program."""
    request = urllib.request.Request(API + path, method=method)

    if body is not None:
        request.data = json.dumps(body).encode()
        request.add_header("Content-Type", "application/json")

    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            text = response.read()
    except urllib.error.HTTPError as error:
        sys.exit(f"{method} {path}: {error.code} {error.read().decode()}")
    except OSError as error:
        sys.exit(f"{API}: {error}")

    return json.loads(text) if text else None


def path_of(name):
    return "/streams/" + urllib.parse.quote(name, safe="")


def create(name, *qualities, **fields):
    fields["stream_id"] = name

    if qualities:
        fields["qualities"] = list(qualities)

    stream = call("POST", "/streams", fields)

    if "publish" in stream:
        print("publish", stream["publish"]["rtmp"])

    for kind, url in stream["playback"].items():
        print("play", kind, url)


def pull(name, url, *qualities):
    create(name, *qualities, source_url=url)


def monitor(name):
    state = None

    while state != "ended":
        stream = call("GET", path_of(name))
        state = stream["state"]

        print(state, f"{stream['duration']:.0f} s",
              f"{stream['bitrate'] // 1000} kbit/s",
              f"{stream.get('viewers', 0)} viewers",
              stream.get("source", {}).get("error", ""), flush=True)
        time.sleep(1)


def list_streams():
    offset = 0

    while True:
        page = call("GET", f"/streams?offset={offset}")

        for stream in page["streams"]:
            print(stream["stream_id"], stream["state"])

        offset += len(page["streams"])

        if not page["streams"] or offset >= page["total"]:
            break


def stop(name):
    call("DELETE", path_of(name))


COMMANDS = {"create": (create, 1, 17), "pull": (pull, 2, 18),
            "monitor": (monitor, 1, 1), "list": (list_streams, 0, 0),
            "stop": (stop, 1, 1)}


def main():
    command, least, most = COMMANDS.get((sys.argv + [""])[1], (None, 0, 0))

    if command is None or not least <= len(sys.argv) - 2 <= most:
        sys.exit(__doc__)

    command(*sys.argv[2:])


if __name__ == "__main__":
    main()
