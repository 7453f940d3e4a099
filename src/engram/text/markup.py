"""Text for a prompt: break chat-template markup, fold to one line, normalise for comparison, detect questions.

Owns the patterns. Pure functions over strings; does not know notes or models.
"""

from __future__ import annotations

import re
import unicodedata

_BROKEN = str.maketrans("<>[]", "‹›()")

_SEPARATING = ("Cc", "Zl", "Zp")

_SENTENCE = re.compile(r"[^.!?。！？؟]*[.!?。！？؟]+|[^.!?。！？؟]+")

_AUXILIARY = r"(?:is|are|was|were|am|do|does|did|can|could|will|would|should|has|have|had)"

_ASKING = re.compile(
    # "What car do I drive", but not "When I was young": no pronoun may precede the verb.
    r"(?:who|whom|whose|what|which|where|when|why|how)"
    rf"(?:['’]s\b|(?:\s+(?!(?:i|you|he|she|it|we|they|my|your|our|the)\b)\w+){{0,2}}?\s+{_AUXILIARY}\b)"
    rf"|{_AUXILIARY}\s+(?:i|you|he|she|it|we|they|my|your|our|the)\b",
    re.IGNORECASE,
)

_MARKUP = re.compile(
    r"<\|.*?\|>"  # ChatML, Llama 3, Phi: <|im_start|>, <|eot_id|>
    r"|</?\s?(?:s|bos|eos|pad|unk|start_of_turn|end_of_turn)>"  # Llama 2, Mistral, Gemma
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]"
    r"|<</?SYS>>",
    re.IGNORECASE | re.DOTALL,
)


def neutral(text: str) -> str:
    """Return `text` with the markup of chat templates broken; it reads as before."""
    # Repeat until nothing matches: the text on both sides of a broken tag must not form another tag.
    while (broken := _MARKUP.sub(lambda match: match[0].translate(_BROKEN), text)) != text:
        text = broken
    return text


def one_line(text: str) -> str:
    """Return `text` on one line, without control characters and line separators."""
    return " ".join("".join(" " if unicodedata.category(c) in _SEPARATING else c for c in text).split())


def comparable(text: str) -> str:
    """Return `text` in the form in which texts are compared: case and the amount of white space are ignored."""
    return " ".join(text.casefold().split())


def is_question(text: str) -> bool:
    """Whether `text` is only a question: every sentence ends in a question mark, or it is one English question."""
    sentences = [s.strip() for s in _SENTENCE.findall(text) if s.strip()]
    if not sentences:
        return False
    if all(s.endswith(("?", "？", "؟")) for s in sentences):
        return True
    return len(sentences) == 1 and _ASKING.match(sentences[0]) is not None
