"""Text for a prompt: break chat-template markup, fold to one line, normalise for comparison, detect questions.

Owns the patterns. Pure functions over strings; does not know notes or models. Every function takes time in proportion
to the length of its text.
"""

from __future__ import annotations

import html
import re
import unicodedata
import zlib
from collections.abc import Iterable

from engram.text.tokenizer import compatible, stream_safe

LONGEST_COMPARED = 4096
"""Characters of a text up to which it is compared word by word, and up to which it can be a question."""

NESTED_ENTITIES = 3
"""Times that HTML entities are decoded before a text is searched for markup."""

_BROKEN = str.maketrans("<>[]#", "‹›()♯")

_SEPARATING = ("Cc", "Zl", "Zp")

_SENTENCE = re.compile(r"[^.!?。！？؟]*+[.!?。！？؟]++|[^.!?。！？؟]++")

_AUXILIARY = r"(?:is|are|was|were|am|do|does|did|can|could|will|would|should|has|have|had)"

_ASKING = re.compile(
    # "What car do I drive", but not "When I was young": no pronoun may precede the verb.
    r"(?:who|whom|whose|what|which|where|when|why|how)"
    rf"(?:['’]s\b|(?:\s++(?!(?:i|you|he|she|it|we|they|my|your|our|the)\b)\w++){{0,2}}?\s++{_AUXILIARY}\b)"
    rf"|{_AUXILIARY}\s++(?:i|you|he|she|it|we|they|my|your|our|the)\b",
    re.IGNORECASE,
)

# Characters that a reader does not see: controls, format characters, fillers, tags, and variation selectors. Joiners
# and the selector of emoji stay between characters that need them.
HIDDEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
    "|(?<![^\x00-\x7f\u200c\u200d])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f\u200c\u200d])"
    "|(?<![^\x00-\x7f\ufe0e\ufe0f])[\ufe0e\ufe0f]"
)

_ENTITY = re.compile(
    r"&(?:amp;?)*+(?:#0*+([1-9][0-9]{0,6}+);?|#x0*+([1-9a-f][0-9a-f]{0,5}+);?|([a-z]{2,12}+);?)", re.IGNORECASE
)
_ENTITIES = {"lt", "gt", "vert", "verbar", "lbrack", "lsqb", "rbrack", "rsqb", "sol", "lowbar", "hyphen", "dash"}

# Punctuation that a tokenizer of some model, or a hasty reader, takes for the sign in ASCII.
_PUNCTUATION = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58"), "-") | {
    ord("\u2581"): "_",
    ord("\u2223"): "|",
    ord("\u01c0"): "|",
    ord("\u2044"): "/",
    ord("\u2215"): "/",
}
_LOOKALIKES = _PUNCTUATION | str.maketrans("аеіјорсухѕԁһмнткαεικορτυνѡɡ", "aeijopcyxsdhmhtkaeikoptyvwg")

_NAMES = """
    engram_notes engram_profile engram_statements system developer user human assistant model tool function ipython
    observation environment tools tool_call tool_calls tool_response tool_responses tool_result tool_results tool_output
    tool_use available_tools function_call function_calls function_response function_result function_results
    functions invoke parameter parameters think thinking thought thoughts analysis reasoning scratchpad reflection
    start_of_turn end_of_turn start_of_image end_of_image start_of_role end_of_role begin_of_text end_of_text
    begin_of_sentence end_of_sentence im_start im_end endoftext system_prompt system_reminder system_message
    system_instruction instructions turn channel message start_header_id end_header_id eot_id eom_id python_tag
""".split()


def _one_of(names: Iterable[str]) -> str:
    """Return a pattern for some names, which share their beginnings; an underscore stands for any short separator."""
    endings: dict[str, list[str]] = {}
    for name in names:
        endings.setdefault(name[:1], []).append(name[1:])
    pieces = [
        first and (first if first != "_" else r"[\s_.-]{0,3}+") + _one_of(rest) for first, rest in endings.items()
    ]
    return pieces[0] if len(pieces) == 1 else f"(?:{'|'.join(sorted(pieces, key=len, reverse=True))})"


# Each branch begins with the sign that it breaks, so that a search skips all other characters.
MARKUP = re.compile(
    r"<(?=[\s/]*+(?=[\w|][^<])(?:"
    # ChatML, Llama 3, Phi, Harmony, DeepSeek: <|im_start|>, <|eot_id|>, <|User|>.
    r"\||\w{1,40}+\|>"
    r"|(?:s|bos|eos|pad|unk|mask|sop|eop|eoh|eoa|role|unused\d{1,4}+)[\s/]*+>"  # Llama 2, Mistral, Gemma, InternLM
    # Any name of several parts: <seed:bos>, <extra_id_0>, <BOS_TOKEN>, <fim_prefix>, <start_function_call>.
    r"|[a-z0-9]{1,40}+[_:][\w:.-]{0,60}+[^<>\n]{0,80}+>"
    rf"|(?:[a-z]{{1,20}}+:)?{_one_of(_NAMES)}(?![a-z0-9@])"  # tools, thoughts, roles, and the marks of notes
    r"))|<(?=<[\s/]*+sys\b)|<(?<=<<)(?=[\s/]*+sys\b)"
    r"|\|(?<=\w\|)\s?>"
    r"|\](?=~!?\w{1,2}[\[\]])|\[(?<=[\w!][\w~]\[)(?:(?<=~!\w\[)|(?<=\w~\[))"  # MiniMax: ]~!b[ ]~b]user [e~[
    r"|#(?=##\s{0,3}+(?:instructions?|response|human|assistant|user|system|input)\s{0,3}+:)"  # Alpaca, Vicuna
    r"|\[(?=[\s/|]|\w[\w~])(?:(?=\s*+\|)|(?=\w~\[)"  # EXAONE: [|user|]
    r"|(?=(?-i:/?[A-Z]{2,20}+(?:_[A-Z]{2,20}+){1,4}+)\])"  # Mistral: [MODEL_SETTINGS]
    r"|(?=[\s/]*+(?:inst|system[\s_-]?prompt|available[\s_-]?tools|tool[\s_-]?(?:calls?|results?|content)|args|call_id"
    r"|think|prefix|suffix|middle|img|img_break|img_end|gmask|bos|eos|unk|pad)[\s/]*+\]))",
    re.IGNORECASE,
)


def neutral(text: str) -> str:
    """Return `text` with the markup of chat templates broken and without hidden characters; it reads as before.

    Markup is found in every spelling: with other widths, dashes and bars, with HTML entities, with hidden characters
    inside. A text that spells markup in such a way is returned in its plain spelling, broken.
    """
    text = HIDDEN.sub("", stream_safe(text))
    spelled = plain(text)
    broken = MARKUP.sub(lambda match: match[0].translate(_BROKEN), spelled)
    if broken != spelled:
        text = broken
    # Accents and letters of other alphabets inside a name are ignored for the comparison.
    compared = skeleton(text)
    if compared == broken == spelled:
        # Searched above, and nothing was found.
        return text
    return text.translate(_BROKEN) if MARKUP.search(compared) else text


def plain(text: str) -> str:
    """Return `text` in the spelling in which markup is searched: NFKC, without entities and hidden characters."""
    if "&" in text:
        for _ in range(NESTED_ENTITIES):
            text = _ENTITY.sub(_decoded, text)
        text = HIDDEN.sub("", stream_safe(text))
    if text.isascii():
        return text
    return HIDDEN.sub("", compatible(text.translate(_PUNCTUATION)).translate(_PUNCTUATION))


def skeleton(text: str) -> str:
    """Return `text` in its plain spelling, without marks and with letters that look like ASCII as ASCII."""
    text = plain(text)
    if text.isascii():
        return text
    text = unicodedata.normalize("NFD", text).casefold().translate(_LOOKALIKES)
    return "".join(character for character in text if not unicodedata.combining(character))


def _decoded(match: re.Match[str]) -> str:
    decimal, hexadecimal, name = match.groups()
    if name is not None:
        return html.unescape(f"&{name.lower()};") if name.lower() in _ENTITIES else match[0]
    character = html.unescape(f"&#{decimal};" if decimal else f"&#x{hexadecimal};")
    return " " if character in "\r\n" else character


def one_line(text: str) -> str:
    """Return `text` on one line, without control characters and line separators."""
    return " ".join("".join(" " if unicodedata.category(c) in _SEPARATING else c for c in text).split())


def comparable(text: str) -> str:
    """Return `text` in the form in which texts are compared: case and the amount of white space are ignored.

    Of a text over `LONGEST_COMPARED` characters, the beginning and a checksum of the whole.
    """
    if len(text) > LONGEST_COMPARED:
        checksum = zlib.crc32(text.encode(errors="replace"))
        return f"{comparable(text[:LONGEST_COMPARED])} {len(text)} {checksum:08x}"
    return " ".join(text.casefold().split())


def is_question(text: str) -> bool:
    """Whether `text` is only a question: every sentence ends in a question mark, or it is one English question.

    A text over `LONGEST_COMPARED` characters is none.
    """
    if len(text) > LONGEST_COMPARED:
        return False
    sentences = [s.strip() for s in _SENTENCE.findall(text) if s.strip()]
    if not sentences:
        return False
    if all(s.endswith(("?", "？", "؟")) for s in sentences):
        return True
    return len(sentences) == 1 and _ASKING.match(sentences[0]) is not None
