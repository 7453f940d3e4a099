"""`engram serve`: memory for any model, by changing one URL.

Owns the command's options and the sources of their values. Does not know HTTP; that is `engram.serve`.
"""

from __future__ import annotations

from typing import Annotated

import typer

from engram.cli.options import (
    EncoderName,
    LeastTrust,
    MemoryPath,
    ModelPrices,
    MoneyPerDay,
    Redact,
    Timezone,
    TokensPerDay,
)
from engram.opening import default_path
from engram.serve.frontends.strip import patterns_from_environment
from engram.serve.http.logs import set_up
from engram.serve.server import serve as run
from engram.serve.settings import MOST_KEEP_DAYS, ProfileMode, RelayMode, Settings, ToolsMode
from engram.text.redaction import redaction_kinds

DEFAULTS = Settings(memory="")


def serve(
    memory: MemoryPath = None,
    upstream: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            envvar="ENGRAM_UPSTREAM",
            help="The API of the model, such as https://api.openai.com/v1. Default: the embedded small model.",
            show_default=False,
        ),
    ] = None,
    upstream_key_env: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The environment variable with the key for it. Default: each caller's key is forwarded.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = DEFAULTS.host,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0: any free port.")] = DEFAULTS.port,
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NAME", help="The namespace of requests that name none.")
    ] = DEFAULTS.namespace,
    timezone: Timezone = DEFAULTS.timezone,
    budget: Annotated[int, typer.Option(min=0, help="Maximum tokens of notes in a request.")] = DEFAULTS.budget,
    notes: Annotated[int, typer.Option(min=0, help="Maximum number of notes in a request.")] = DEFAULTS.notes,
    least_score: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum score of a memory to become a note.")
    ] = DEFAULTS.least_score,
    least_trust: LeastTrust = DEFAULTS.least_trust,
    redact: Redact = "",
    encoder: EncoderName = None,
    keep_days: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_KEEP_DAYS,
            metavar="DAYS",
            envvar="ENGRAM_KEEP_DAYS",
            help="Forget turns that are older than this, by the time of the turn. Default: keep all.",
            show_default=False,
        ),
    ] = None,
    reflect: Annotated[
        bool,
        typer.Option(
            "--reflect/--no-reflect",
            envvar="ENGRAM_REFLECT",
            help="Read turns for what they state while nothing is being remembered (see docs/facts.md).",
        ),
    ] = DEFAULTS.reflect,
    strength: Annotated[
        bool,
        typer.Option(
            "--strength/--no-strength",
            envvar="ENGRAM_STRENGTH",
            help="Count what is recalled; what is recalled often comes before its equals (see docs/recall.md).",
        ),
    ] = DEFAULTS.strength,
    reflect_model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            envvar="ENGRAM_REFLECT_MODEL",
            help="A model that is asked what replaced what in finished sessions (see docs/facts.md): URL#NAME, or"
            " upstream#NAME with --upstream and its key. Default: none.",
            show_default=False,
        ),
    ] = None,
    reflect_quiet: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="MINUTES",
            envvar="ENGRAM_REFLECT_QUIET",
            help="Minutes without a new turn after which that model is asked about a session.",
        ),
    ] = DEFAULTS.reflect_quiet / 60,
    reflect_tokens: TokensPerDay = DEFAULTS.reflect_tokens,
    reflect_money: MoneyPerDay = None,
    reflect_prices: ModelPrices = None,
    sticky: Annotated[
        bool, typer.Option("--sticky", help="Give earlier messages their notes back (see docs/serve.md).")
    ] = DEFAULTS.sticky,
    profile: Annotated[
        ProfileMode,
        typer.Option(
            envvar="ENGRAM_PROFILE", help="Whether a conversation gets the user's profile in its system prompt."
        ),
    ] = DEFAULTS.profile,
    profile_budget: Annotated[
        int,
        typer.Option(min=1, metavar="TOKENS", envvar="ENGRAM_PROFILE_BUDGET", help="Maximum tokens of the profile."),
    ] = DEFAULTS.profile_budget,
    tools: Annotated[
        ToolsMode,
        typer.Option(
            envvar="ENGRAM_TOOLS",
            help="Whether models get function tools for their memory: never, if a request asks, or always (see"
            " docs/tools.md).",
        ),
    ] = DEFAULTS.tools,
    deadline: Annotated[
        float, typer.Option(min=1, metavar="MS", help="Milliseconds that a request waits for memory.")
    ] = DEFAULTS.deadline * 1000,
    max_body: Annotated[int, typer.Option(min=1, metavar="MIB", help="Maximum size of a request in MiB.")] = (
        DEFAULTS.most_body >> 20
    ),
    allow_host: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name by which clients may call the server; * for any. Repeatable."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(metavar="ORIGIN", help="The origin of web pages that may call the server. Repeatable."),
    ] = None,
    strip: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="A regular expression (RE2) whose matches are left out of users' messages. Repeatable;"
            " ENGRAM_STRIP holds more, one a line.",
        ),
    ] = None,
    relay: Annotated[
        RelayMode, typer.Option(help="How streams are relayed: fast, plain, or fast if its self-test succeeds (auto).")
    ] = DEFAULTS.relay,
    log_text: Annotated[
        bool, typer.Option("--log-text", help="Allow text of messages in the log.")
    ] = DEFAULTS.log_text,
) -> None:
    r"""Serve a memory: put it in front of any model's API by changing one URL.

    Applications call http://127.0.0.1:8100/v1 instead of the model's API, and the model remembers. The memory itself is
    under /memory (documented at /docs) and /mcp. Without --upstream an embedded small model answers.

    Example:
      engram serve --upstream https://api.openai.com/v1
      curl http://127.0.0.1:8100/v1/chat/completions -H 'Content-Type: application/json' \
        -d '{"model": "smollm2", "messages": [{"role": "user", "content": "My dog is called Biscuit."}]}'
    """
    set_up(with_text=log_text)
    run(
        Settings(
            memory=str(default_path() if memory is None else memory),
            host=host,
            port=port,
            upstream=upstream,
            upstream_key_env=upstream_key_env,
            relay=relay,
            namespace=namespace,
            timezone=timezone,
            budget=budget,
            notes=notes,
            least_score=least_score,
            least_trust=least_trust,
            redact=redaction_kinds(redact),
            keep_days=keep_days,
            reflect=reflect,
            strength=strength,
            reflect_model=reflect_model,
            reflect_quiet=reflect_quiet * 60,
            reflect_tokens=reflect_tokens,
            reflect_money=reflect_money,
            reflect_prices=reflect_prices,
            sticky=sticky,
            profile=profile,
            profile_budget=profile_budget,
            tools=tools,
            deadline=deadline / 1000,
            most_body=max_body << 20,
            allowed_hosts=tuple(allow_host or ()),
            cors_origins=tuple(cors_origin or ()),
            strip=(*(strip or ()), *patterns_from_environment()),
            log_text=log_text,
        )
    )
