"""`engram recall` and `engram why`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import typer

from engram.cli.options import (
    After,
    Before,
    EncoderName,
    Json,
    Kinds,
    MemoryPath,
    Namespace,
    OnlySession,
    Timezone,
    Trust,
    given_time,
    open_memory,
)
from engram.cli.output import escape, escape_line, print_engram, print_json, print_note, print_table
from engram.engram import DEFAULT_NAMESPACE
from engram.formats.results import explanation_record, hit_record
from engram.notes.zones import MACHINE, recall_in_zone

QueryArgument = Annotated[str, typer.Argument(help="The question, in any words.", show_default=False)]


def recall(
    query: QueryArgument,
    namespace: Namespace = DEFAULT_NAMESPACE,
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="Maximum number of hits.")] = 10,
    session: OnlySession = None,
    before: Before = None,
    after: After = None,
    kind: Kinds = None,
    trust: Trust = None,
    floor: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help="Print nothing if the best score is lower; 0 prints what is under the usual floor, too.",
            show_default=False,
        ),
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            "--context",
            min=1,
            metavar="TOKENS",
            help="Print notes for a prompt instead, within this many tokens.",
            show_default=False,
        ),
    ] = None,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    encoder: EncoderName = None,
    as_json: Json = False,
) -> None:
    """Find the memories that answer a question, best first.

    If nothing fits, nothing is printed on stdout, a remark is printed on stderr, and the exit code
    is 0.

    Example:
      engram recall "What is my dog called?" --limit 3
      engram recall "Where did Ana go in May?" --context 512
    """
    with open_memory(path) as memory:
        hits = memory.recall(
            query,
            namespace=namespace,
            limit=limit,
            session=session,
            before=given_time(before, timezone),
            after=given_time(after, timezone),
            kinds=kind,
            trust=trust,
            now=datetime.now(timezone),
            floor=floor,
        )
    shown = recall_in_zone(hits, timezone)
    if as_json:
        value: dict[str, object] = {
            "query": query,
            "namespace": namespace,
            "hits": [hit_record(hit) for hit in hits],
            "unsearched": hits.unsearched,
        }
        print_json(value if context is None else value | {"context": shown.context(context)})
        return
    if hits.unsearched:
        print_note(f"{hits.unsearched} older memories were not searched yet: the index is being built")
    if not hits:
        print_note(f"nothing in the namespace {namespace} fits")
    elif context is not None:
        typer.echo(escape(shown.context(context)))
    else:
        for number, hit in enumerate(hits, start=1):
            print_engram(hit.engram, prefix=f"{number}.  {hit.score:.2f}  ", zone=timezone)


def why(
    query: QueryArgument,
    id: Annotated[str, typer.Argument(help="The id of a memory.", show_default=False)],
    namespace: Annotated[
        str | None,
        typer.Option(
            "--namespace", "-n", metavar="NAME", help="Fail unless the memory is in this namespace.", show_default=False
        ),
    ] = None,
    timezone: Timezone = MACHINE,
    path: MemoryPath = None,
    encoder: EncoderName = None,
    as_json: Json = False,
) -> None:
    """Explain the rank of a memory for a question, and what lowered it.

    Example:
      engram why "What is my dog called?" 019c2f7e-5c1a-7d70-8a3b-0f5d7e9a1c22
    """
    with open_memory(path) as memory:
        explanation = memory.explain(query, id, namespace=namespace, now=datetime.now(timezone))
    if as_json:
        print_json(explanation_record(explanation))
        return
    rank = "not among the candidates" if explanation.place is None else f"{explanation.place} of {explanation.scored}"
    print_engram(explanation.engram, namespace=True, zone=timezone)
    print_table({"rank": rank, "score": f"{explanation.score:.2f}", "reason": explanation.reason})
    best: Mapping[str, float] = {} if explanation.winner is None else explanation.winner.why
    if explanation.why or best:
        typer.echo(typer.style(f"\n{'part of the rank':<24}{'this':>9}{'the best':>10}", bold=True))
        for name in dict.fromkeys((*explanation.why, *best)):
            typer.echo(f"{escape_line(name):<24}{explanation.why.get(name, 0.0):>9.3f}{best.get(name, 0.0):>10.3f}")
    if explanation.words:
        typer.echo(typer.style(f"\n{'word of the question':<24}{'weight':>9}{'match':>10}", bold=True))
        for word, (weight, match) in explanation.words.items():
            typer.echo(f"{escape_line(word):<24}{weight:>9.3f}{match:>10.3f}")
