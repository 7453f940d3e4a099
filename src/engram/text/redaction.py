"""Takes secrets and personal data out of a text before it is stored.

Owns the patterns: keys and tokens by the prefixes that their issuers document, personal data by check digits where
there are some. Every pattern takes time in proportion to the text. What has no form of its own (a name, a street, a
password without a word for it) is not found. What was taken out is kept nowhere.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from engram.engram import Engram, check_text, checked_metadata
from engram.errors import MissingExtra

Removed = Callable[[str], str]
"""Counts a kind of what was taken out, and returns what stands in its place."""

SECRETS, PII = "secrets", "pii"
REDACTIONS = (SECRETS, PII)
"""What can be taken out."""

NOTED = "redacted"
"""The name in an engram's metadata under which the counts stand."""

Redactor = Callable[[str], tuple[str, Counter[str]]]
"""Returns a text without what it takes out, and how often each kind was taken out."""

_TOKENS = {
    name: re.compile(rf"(?<![A-Za-z0-9])(?:{form})(?![A-Za-z0-9])")
    for name, form in {
        "AWS key": r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16}",
        "GitHub token": r"gh[pousr]_[A-Za-z0-9]{36,}+|github_pat_[A-Za-z0-9_]{22,}+",
        "GitLab token": r"gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,}+",
        "Anthropic key": r"sk-ant-[\w-]{20,}+",
        "OpenRouter key": r"sk-or-v1-[0-9a-f]{64}",
        "OpenAI key": r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,}+",
        "Google key": r"AIza[\w-]{35,}+|GOCSPX-[\w-]{28}|ya29\.[\w-]{20,}+",
        "Stripe key": r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,}+|whsec_[A-Za-z0-9+/=]{24,}+",
        "Slack token": r"xox[abceoprs]-[A-Za-z0-9-]{10,}+|xapp-\d-[A-Za-z0-9-]{10,}+",
        "Slack webhook": r"https://hooks\.slack\.com/(?:services|workflows)/[\w/]{20,}+",
        "SendGrid key": r"SG\.[\w-]{22}\.[\w-]{43}",
        "Twilio key": r"SK[0-9a-f]{32}",
        "Mailgun key": r"key-[0-9a-f]{32}",
        "npm token": r"npm_[A-Za-z0-9]{36}",
        "PyPI token": r"pypi-AgE[\w-]{50,}+",
        "Hugging Face token": r"hf_[A-Za-z0-9]{30,}+",
        "Telegram token": r"(?:bot)?\d{8,10}:AA[\w-]{33,}+",
        "Discord token": r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}+",
        "DigitalOcean token": r"do[opr]_v1_[0-9a-f]{64}",
        "Shopify token": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
        "Databricks token": r"dapi[0-9a-f]{32}",
        "Notion token": r"(?:secret|ntn)_[A-Za-z0-9]{40,}+",
        "Linear key": r"lin_api_[A-Za-z0-9]{32,}+",
        "Grafana token": r"gl(?:sa|c)_[\w=-]{32,}+",
        "Vault token": r"hv[bs]\.[\w-]{24,}+",
        "Azure key": r"(?<=AccountKey=)[A-Za-z0-9+/]{86}==",
        "age key": r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
        "Groq key": r"gsk_[A-Za-z0-9]{20,}+",
        "xAI key": r"xai-[A-Za-z0-9]{20,}+",
        "Perplexity key": r"pplx-[A-Za-z0-9]{20,}+",
        "Replicate token": r"r8_[A-Za-z0-9]{30,}+",
        "Atlassian token": r"ATATT3[\w=-]{20,}+",
        "Azure signature": r"(?<=sig=)[\w%+/=-]{40,}+",
        # It begins where a run of its signs begins, perhaps with a name: each run is then read a few times at most.
        "JSON web token": r"(?<![\w-])(?:[A-Za-z0-9]{0,32}+[_-]){0,4}eyJ[\w-]{10,}+\.eyJ[\w-]{5,}+\.[\w-]{10,}+",
    }.items()
}
"""For each kind of secret its documented form, where no letter or digit stands before and behind it."""

SHORTEST_IBAN = 15
"""Characters of the shortest account number."""

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d{1,2}:")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----|Private-MAC: ?[0-9A-Fa-f]{1,128}+")
_ASSIGNED = re.compile(
    # What is named: a password or key, or what is often something else, such as a token.
    r"(?:(?P<clear>pass(?:words?|wd|phrase|code|wort)|kennwort|wachtwoord|mot de passe|contrase[ñn]a|парол[ья]"
    r"|密码|密碼|パスワード|비밀번호|(?<![^\W_])(?:pass|pw|pwd|senha)"
    r"|(?:api|access|private|secret)[\s_-]?(?:access[\s_-]?)?key|client[\s_-]?secret)|secret|auth[_-]?key|token)\d{0,4}+"
    r"\\{0,3}+[\"'*_`]{0,3}+\s{0,3}+"
    r"(?:(?P<sign>(?:(?:is|ist|est|es|é)\s{0,3})?[:=：]{1,2}>?)|(?:is|ist|est|es|é)(?=\s))(?P<gap>\*{0,2}\s{0,3})"
    r"(?:(?P<mark>\\{0,3}[\"'`])(?P<quoted>(?:(?!(?P=mark))(?:\\.|[^\n]))++)|(?P<bare>[^\s\"'`<>;\\]++))",
    re.IGNORECASE,
)
"""A value behind the word that names it. The value ends at its closing quote, or at white space, a quote or `;`."""
_HEADER = re.compile(
    r"(?<![a-z])(?:authorization\\{0,3}[\"']?\s{0,3}[:=]\s{0,3}\\{0,3}[\"']?"
    r"(?:token|bearer|basic|apikey|digest)\s{1,3}(?P<given>[^\s\"'`<>\\,;]{4,}+)"
    r"|(?:bearer|basic)\s{1,3}(?P<value>[a-z0-9+/._~=-]{20,}+))",
    re.IGNORECASE,
)
LONGEST_WORD = 15
"""Letters of a value that may be a word of a sentence."""
READ_AGAIN = 2
"""How often what is no value is read again."""
_NO_VALUE = re.compile(
    # A variable, a mark of ours, a structure, signs only, the name of a variable, a type or a state.
    r"\$\{?\w+\}?|[\[{<].*|[\W_]*|[a-z_.]*(?:password|passwd|secret|token|_key)|[a-z_]+(?:\.[a-z_]+)+"
    r"|none|null|nil|true|false|undefined|string|text|bytes|number|integer|boolean|required|optional|missing|wrong"
    r"|incorrect|invalid|expired|unknown|empty|hidden|forgotten",
    re.IGNORECASE | re.DOTALL,
)
_CALL = re.compile(r"([a-z_][\w.]*+)[(\[]", re.IGNORECASE)
_NO_SENTENCE = re.compile(r"[^\S\n]{0,3}(?:$|[\n\r,;.)\]}\"'`|]|[\w-]{1,40}+\s?[:=：])")
"""What follows a value that is a word: if other words follow, the words are a sentence."""
_URL_PASSWORD = re.compile(
    # The number of a port is no password. The password ends at the last @ in front of the host.
    r"(?<=://)((?!\[)[^\s:/@]{0,128}+):(?!\d{1,5}(?![^\s/?#]))[^\s@\"<>]{1,256}+(?:@[^\s@/?#\"<>]{1,256}+(?=@))*+(?=@)"
)
_GAP = r"[ \u00a0\u2007\u2009\u202f-]"
"""Between groups of digits."""
_EMAIL = re.compile(
    r"(?<![\w.+-])[\w+-]{1,64}+(?:\.[\w+-]{1,64}+){0,8}"
    r"@(?:[\w-]{1,63}\.){1,8}(?:xn--[A-Za-z0-9-]{2,59}|[^\W\d_]{2,24})(?![\w-])"
)
_IBAN = re.compile(rf"(?<!\w)[A-Za-z]{{2}}\d{{2}}(?:{_GAP}?[A-Za-z\d]{{4}}){{2,7}}(?:{_GAP}?[A-Za-z\d]{{1,3}})?(?!\w)")
_CARD = re.compile(rf"(?<![\w.,-])(?:\d{_GAP}?(?=\d)){{12,18}}+\d(?![\w-])")
_SSN = re.compile(rf"(?<![\w-])\d{{3}}({_GAP})\d{{2}}\1\d{{4}}(?![\w-])")
_PHONE = re.compile(r"(?<![\w+＋])(?:[+＋]|00|００)[1-9１-９][\d ()./\u00a0\u2007\u2009\u202f（）－-]{6,24}+")
_ISSUER = re.compile(r"4|5[1-5]|2[2-7]|3[47]|3[0689]|35|6(?:011|4|5)|62")
"""How the numbers of payment cards begin."""


def redaction_kinds(text: str) -> tuple[str, ...]:
    """Return the names in the value of an option: "secrets,pii". `open_redactor` checks them."""
    return tuple(name for part in text.split(",") if (name := part.strip()))


def open_redactor(kinds: Iterable[str]) -> Redactor | None:
    """Return what takes out `kinds`, of `REDACTIONS`; None for no kinds.

    Raises `ValueError` for another kind, and `MissingExtra` if a package is missing.
    """
    wanted = set(kinds)
    if unknown := wanted.difference(REDACTIONS):
        raise ValueError(f"{sorted(unknown)[0][:40]!r} cannot be taken out; choose from {', '.join(REDACTIONS)}")
    parts: list[Redactor] = [_without_secrets] if SECRETS in wanted else []
    if PII in wanted:
        parts.append(_PersonalData())
    return _in_turn(parts) if parts else None


def unbroken(text: str, at: int) -> int:
    """Return the last place up to `at` where a cut parts nothing that could be taken out; `at` if there is none."""
    place = at
    patterns = (*_TOKENS.values(), _ASSIGNED, _HEADER, _URL_PASSWORD, _EMAIL, _IBAN, _CARD, _SSN, _PHONE)
    for pattern in patterns:
        for match in pattern.finditer(text):
            if match.start() < place < match.end():
                place = match.start()
    for begin in _PRIVATE_KEY.finditer(text, 0, place):
        end = _KEY_END.search(text, begin.end())
        if end is None or end.end() > place:
            place = begin.start()
            break
    return place or at


def redacted(engram: Engram, redactor: Redactor | None) -> Engram:
    """Return `engram` without what `redactor` takes out of its text and the texts in its metadata.

    Its metadata then say what was taken out: {"redacted": {"AWS key": 1}}. Raises `InvalidEngram` if what stands in
    place of it makes the text or the metadata too long.
    """
    if redactor is None:
        return engram
    text, counts = redactor(engram.text)
    metadata = {name: _clean(value, redactor, counts) for name, value in engram.metadata.items()}
    if not counts:
        return engram
    check_text(text)
    return replace(engram, text=text, metadata=checked_metadata({**metadata, NOTED: dict(sorted(counts.items()))}))


def redacted_value(value: object, redactor: Redactor) -> object:
    """Return a JSON value without what `redactor` takes out of the texts in it. Keys stay as they are."""
    return _clean(value, redactor, Counter())


def _clean(value: object, redactor: Redactor, counts: Counter[str]) -> object:
    if isinstance(value, str):
        value, found = redactor(value)
        counts.update(found)
    elif isinstance(value, dict):
        return {name: _clean(item, redactor, counts) for name, item in value.items()}
    elif isinstance(value, list):
        return [_clean(item, redactor, counts) for item in value]
    return value


def _in_turn(parts: list[Redactor]) -> Redactor:
    def redact(text: str) -> tuple[str, Counter[str]]:
        total: Counter[str] = Counter()
        for part in parts:
            text, counts = part(text)
            total += counts
        return text, total

    return redact


def _without_secrets(text: str) -> tuple[str, Counter[str]]:
    counts: Counter[str] = Counter()

    def removed(name: str) -> str:
        counts[name] += 1
        return f"[secret removed: {name}]"

    text = _without_private_keys(text, removed)
    for name, pattern in _TOKENS.items():
        text = pattern.sub(partial(_marked, removed, name), text)
    text = _URL_PASSWORD.sub(lambda match: f"{match[1]}:{removed('password')}", text)
    text = _HEADER.sub(partial(_header, removed), text)
    return _ASSIGNED.sub(partial(_assigned, removed, READ_AGAIN), text), counts


def _marked(removed: Removed, name: str, match: re.Match[str]) -> str:
    return removed(name)


def _header(removed: Removed, match: re.Match[str]) -> str:
    """Return the match of `_HEADER` without its value; outside a header, only if the value is no word."""
    value = match["given"] or match["value"]
    if _NO_VALUE.fullmatch(value) or (match["given"] is None and not _mixed(value)):
        return match[0]
    return match[0].removesuffix(value) + removed("password or token")


def _assigned(removed: Removed, depth: int, match: re.Match[str]) -> str:
    """Return the match of `_ASSIGNED` without its value, if the value is one.

    What is no value may hold a further name with a value: it is read again, `depth` times.
    """
    bare = match["bare"]
    value = match["quoted"] or bare.rstrip(",." if "(" in bare or "[" in bare else ",.)]}")
    start = match.start("quoted" if bare is None else "bare")
    if _is_value(match, value, start + len(value)):
        rest = match.string[start + len(value) : match.end()]
        return match.string[match.start() : start] + removed("password or token") + rest
    again = match.string[start : match.end()]
    if depth:
        again = _ASSIGNED.sub(partial(_assigned, removed, depth - 1), again)
    return match.string[match.start() : start] + again


def _is_value(match: re.Match[str], value: str, end: int) -> bool:
    """Say whether `value`, which ends at `end`, is a password, key or token, and not code or a word of a sentence."""
    bare = match["quoted"] is None
    if len(value) < 4 or _NO_VALUE.fullmatch(value) or (bare and _is_call(value)):
        return False
    if match["clear"] is None:
        return len(value) >= 8 and _mixed(value) and len(value.split()) == 1
    if match["sign"] is None:
        return any(c.isdigit() for c in value)
    is_word = value.isalpha() and len(value) <= LONGEST_WORD and value[1:] == value[1:].lower()
    if not (bare and is_word) or (match["sign"] == "=" and not match["gap"]):
        return True
    return _NO_SENTENCE.match(match.string, end) is not None


def _is_call(value: str) -> bool:
    """Say whether `value` begins as code does: a name and a bracket."""
    call = _CALL.match(value)
    return call is not None and (not any(c.isdigit() for c in call[1]) or "_" in call[1] or "." in call[1])


def _mixed(value: str) -> bool:
    """Say whether a letter and a digit are in `value`."""
    return any(c.isdigit() for c in value) and any(c.isalpha() for c in value)


def _without_private_keys(text: str, removed: Removed) -> str:
    """Return `text` without private keys; one that does not end reaches to the end of the text."""
    parts, position = [], 0
    while begin := _PRIVATE_KEY.search(text, position):
        parts += [text[position : begin.start()], removed("private key")]
        end = _KEY_END.search(text, begin.end())
        position = end.end() if end else len(text)
    return "".join([*parts, text[position:]])


class _PersonalData:
    """Takes out e-mail addresses, and the numbers of phones, accounts, cards and US social security."""

    def __init__(self) -> None:
        """Import the packages that check numbers. Raises `MissingExtra`."""
        try:
            import phonenumbers
            from stdnum import iban, luhn
            from stdnum.us import ssn
        except ImportError as error:
            raise MissingExtra(
                f"--redact {PII} needs the package {error.name}; install it with: pip install 'engram-layer[redact]'"
            ) from None
        self._phones, self._iban, self._luhn, self._ssn = phonenumbers, iban, luhn, ssn

    def __call__(self, text: str) -> tuple[str, Counter[str]]:
        """Return `text` without personal data, and how often each kind was taken out."""
        counts: Counter[str] = Counter()

        def removed(name: str) -> str:
            counts[name] += 1
            return f"[personal data removed: {name}]"

        text = _EMAIL.sub(partial(_marked, removed, "e-mail address"), text)
        text = _IBAN.sub(partial(self._account, removed), text)
        text = _CARD.sub(partial(self._card, removed), text)
        text = _SSN.sub(partial(self._security, removed), text)
        return _PHONE.sub(partial(self._phone, removed), text), counts

    def _account(self, removed: Removed, match: re.Match[str]) -> str:
        # The last groups may be words that follow the number.
        found = _plain(match[0])
        while len(found) >= SHORTEST_IBAN:
            if self._iban.is_valid(found):
                return removed("IBAN") + match[0][len(found) :]
            found = found.rpartition(" ")[0]
        return match[0]

    def _card(self, removed: Removed, match: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", _plain(match[0]))
        is_card = _ISSUER.match(digits) and len(set(digits)) > 1 and self._luhn.is_valid(digits)
        return removed("card number") if is_card else match[0]

    def _security(self, removed: Removed, match: re.Match[str]) -> str:
        return (
            removed("social security number") if self._ssn.is_valid(re.sub(r"\D", "", _plain(match[0]))) else match[0]
        )

    def _phone(self, removed: Removed, match: re.Match[str]) -> str:
        found = "+" + _plain(match[0]).removeprefix("00").removeprefix("+")
        numbers = list(self._phones.PhoneNumberMatcher(found, None))
        if not numbers:
            return match[0]
        left = len(found) - numbers[0].end
        return removed("phone number") + match[0][len(match[0]) - left :]


def _plain(number: str) -> str:
    """Return `number` in ASCII digits, with plain spaces; as many characters."""
    return unicodedata.normalize("NFKC", number)
