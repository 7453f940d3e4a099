"""`engram recall` and `engram why`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import typer

from engram.cli.options import After, Before, Json, Kinds, MemoryPath, Namespace, OnlySession, opened
from engram.cli.output import answer, note, one_line, safe, show, table
from engram.formats.results import explanation_record, hit_record

Query = Annotated[str, typer.Argument(help="What is asked, in any words.", show_default=False)]


def recall(
    query: Query,
    namespace: Namespace = "default",
    limit: Annotated[int, typer.Option("--limit", "-l", min=1, help="How many at most.")] = 10,
    session: OnlySession = None,
    before: Before = None,
    after: After = None,
    kind: Kinds = None,
    context: Annotated[
        int | None,
        typer.Option(
            "--context",
            min=1,
            metavar="TOKENS",
            help="Print notes for a prompt instead, within so many tokens.",
            show_default=False,
        ),
    ] = None,
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Find what answers a question, best first.

    Where nothing fits, nothing is printed, stderr says so, and the exit code is 0.

    Example:
      engram recall "What is my dog called?" --limit 3
      engram recall "Where did Ana go in May?" --context 512
    """
    with opened(memory) as kept:
        found = kept.recall(
            query, namespace=namespace, limit=limit, session=session, before=before, after=after, kinds=kind
        )
    if as_json:
        value: dict[str, object] = {
            "query": query,
            "namespace": namespace,
            "hits": [hit_record(hit) for hit in found],
            "unsearched": found.unsearched,
        }
        answer(value if context is None else value | {"context": found.context(context)})
        return
    if found.unsearched:
        note(f"{found.unsearched} older memories were not searched yet: the index is being made")
    if not found:
        note(f"nothing in the namespace {namespace} fits")
    elif context is not None:
        typer.echo(safe(found.context(context)))
    else:
        for place, hit in enumerate(found, start=1):
            show(hit.engram, head=f"{place}.  {hit.score:.2f}  ")


def why(
    query: Query,
    id: Annotated[str, typer.Argument(help="The id of a memory.", show_default=False)],
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", metavar="NAME", help="Fail unless the memory is in it.", show_default=False),
    ] = None,
    memory: MemoryPath = None,
    as_json: Json = False,
) -> None:
    """Explain at which place a memory comes for a question, and what kept it down.

    Example:
      engram why "What is my dog called?" 019c2f7e-5c1a-7d70-8a3b-0f5d7e9a1c22
    """
    with opened(memory) as kept:
        found = kept.explain(query, id, namespace=namespace)
    if as_json:
        answer(explanation_record(found))
        return
    place = "not among the candidates" if found.place is None else f"{found.place} of {found.scored}"
    show(found.engram, namespace=True)
    table({"place": place, "score": f"{found.score:.2f}", "reason": found.reason})
    best: Mapping[str, float] = {} if found.winner is None else found.winner.why
    if found.why or best:
        typer.echo(typer.style(f"\n{'part of the rank':<24}{'this':>9}{'the best':>10}", bold=True))
        for name in dict.fromkeys((*found.why, *best)):
            typer.echo(f"{one_line(name):<24}{found.why.get(name, 0.0):>9.3f}{best.get(name, 0.0):>10.3f}")
    if found.words:
        typer.echo(typer.style(f"\n{'word of the question':<24}{'counts':>9}{'matches':>10}", bold=True))
        for word, (weight, match) in found.words.items():
            typer.echo(f"{one_line(word):<24}{weight:>9.3f}{match:>10.3f}")
