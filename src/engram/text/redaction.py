"""Takes secrets and personal data out of a text before it is stored.

Owns the patterns: keys and tokens by the prefixes that their issuers document, personal data by check digits where
there are some. Every pattern takes time in proportion to the text. What has no form of its own (a name, a street, a
password in a sentence) is not found. What was taken out is kept nowhere.
"""

from __future__ import annotations

import re
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
        "AWS key": r"(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}",
        "GitHub token": r"gh[pousr]_[A-Za-z0-9]{36,255}+|github_pat_[A-Za-z0-9_]{22,255}+",
        "GitLab token": r"gl(?:pat|dt|rt|cbt|ptt|ft|soat)-[\w-]{20,255}+",
        "Anthropic key": r"sk-ant-[\w-]{20,255}+",
        "OpenRouter key": r"sk-or-v1-[0-9a-f]{64}",
        "OpenAI key": r"sk-(?:proj-|svcacct-|admin-)?[A-Za-z0-9_-]{20,255}+",
        "Google key": r"AIza[\w-]{35}|GOCSPX-[\w-]{28}|ya29\.[\w-]{20,512}+",
        "Stripe key": r"[rs]k_(?:live|test)_[A-Za-z0-9]{16,255}+|whsec_[A-Za-z0-9+/=]{24,255}+",
        "Slack token": r"xox[abceoprs]-[A-Za-z0-9-]{10,255}+|xapp-\d-[A-Za-z0-9-]{10,255}+",
        "Slack webhook": r"https://hooks\.slack\.com/(?:services|workflows)/[\w/]{20,255}+",
        "SendGrid key": r"SG\.[\w-]{22}\.[\w-]{43}",
        "Twilio key": r"SK[0-9a-f]{32}",
        "Mailgun key": r"key-[0-9a-f]{32}",
        "npm token": r"npm_[A-Za-z0-9]{36}",
        "PyPI token": r"pypi-AgE[\w-]{50,512}+",
        "Hugging Face token": r"hf_[A-Za-z0-9]{30,64}+",
        "Telegram token": r"\d{8,10}:AA[\w-]{33}",
        "Discord token": r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,45}+",
        "DigitalOcean token": r"do[opr]_v1_[0-9a-f]{64}",
        "Shopify token": r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",
        "Databricks token": r"dapi[0-9a-f]{32}",
        "Notion token": r"(?:secret|ntn)_[A-Za-z0-9]{40,64}+",
        "Linear key": r"lin_api_[A-Za-z0-9]{32,64}+",
        "Grafana token": r"gl(?:sa|c)_[\w=-]{32,255}+",
        "Vault token": r"hv[bs]\.[\w-]{24,255}+",
        "Azure key": r"(?<=AccountKey=)[A-Za-z0-9+/]{86}==",
        "age key": r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
        "JSON web token": r"eyJ[\w-]{10,4096}+\.eyJ[\w-]{5,8192}+\.[\w-]{10,2048}+",
    }.items()
}
"""For each kind of secret its documented form, where no letter or digit stands before and behind it."""

SHORTEST_IBAN = 15
"""Characters of the shortest account number."""

_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_ASSIGNED = re.compile(
    r"(?<![a-z])(?:pass(?:word|wd|phrase)|pwd|(?:client[_-]?)?secret(?:[_-]?(?:access[_-]?)?key)?"
    r"|(?:api|access|auth|private)[_-]?key|(?:(?:api|access|auth|refresh|bearer)[_-]?)?token"
    r"|passwort|kennwort|mot de passe|contraseña|пароль)"
    r"[\"']?\s{0,3}(?:is\s|ist\s|est\s|es\s|[:=]{1,2})\s{0,3}[\"']?(?P<value>[^\s\"'`<>\[\](){},;]{8,512}+)"
    r"|(?<![a-z])(?:bearer|basic)\s{1,3}(?P<header>[a-z0-9+/._~=-]{20,4096}+)",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"(?<=://)([^\s:/@]{1,128}):[^\s:/@]{1,256}(?=@)")
_EMAIL = re.compile(
    r"(?<![\w.+-])[\w+-]{1,64}+(?:\.[\w+-]{1,64}+){0,8}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
_CARD = re.compile(r"(?<![\w.,-])(?:\d[ -]?(?=\d)){12,18}+\d(?![\w-])")
_SSN = re.compile(r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])")
_PHONE = re.compile(r"(?<![\w+])(?:\+|00)[1-9][\d ()./-]{6,24}+")
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
    return _ASSIGNED.sub(partial(_assigned, removed), text), counts


def _marked(removed: Removed, name: str, match: re.Match[str]) -> str:
    return removed(name)


def _assigned(removed: Removed, match: re.Match[str]) -> str:
    """Return the match of `_ASSIGNED` without its value, if the value is no word."""
    group = "value" if match["value"] else "header"
    value = match[group]
    if not (any(c.isdigit() for c in value) and any(c.isalpha() for c in value)):
        return match[0]
    return match[0][: match.start(group) - match.start()] + removed("password or token")


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
        found, rest = match[0], ""
        while len(found) >= SHORTEST_IBAN:
            if self._iban.is_valid(found):
                return removed("IBAN") + rest
            found, space, word = found.rpartition(" ")
            rest = space + word + rest
        return match[0]

    def _card(self, removed: Removed, match: re.Match[str]) -> str:
        digits = re.sub(r"\D", "", match[0])
        is_card = _ISSUER.match(digits) and len(set(digits)) > 1 and self._luhn.is_valid(digits)
        return removed("card number") if is_card else match[0]

    def _security(self, removed: Removed, match: re.Match[str]) -> str:
        return removed("social security number") if self._ssn.is_valid(match[0]) else match[0]

    def _phone(self, removed: Removed, match: re.Match[str]) -> str:
        found = "+" + match[0].removeprefix("00").removeprefix("+")
        numbers = list(self._phones.PhoneNumberMatcher(found, None))
        if not numbers:
            return match[0]
        return removed("phone number") + found[numbers[0].end :]
