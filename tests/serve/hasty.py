"""`engram serve`, with little patience for slow clients: `python hasty.py --memory PATH --port N --upstream URL`."""

from __future__ import annotations

import argparse

from engram.serve.http.logs import set_up
from engram.serve.server import serve
from engram.serve.settings import Settings

PATIENCE = 0.5
"""Seconds."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--memory", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    set_up(with_text=False)
    serve(Settings(**vars(parser.parse_args()), header_seconds=PATIENCE, body_seconds=PATIENCE, send_seconds=PATIENCE))


if __name__ == "__main__":
    main()
