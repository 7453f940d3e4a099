"""Times in other languages than English: which language a query is in, and the times that its words name.

Owns the grammar, which is one for all languages: a query becomes a string with one letter for the class of each word,
and patterns over that string are read. Knows no words: they are in `tables`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, partial

from engram.text.dates.composing import bounded
from engram.text.dates.moments import (
    PARTS_OF_DAY,
    UNITS,
    UNSURE,
    Time,
    around,
    calendar_unit,
    chosen,
    day,
    day_of_month,
    easter,
    in_year,
    months,
    moved,
    part_of,
    span,
    weekday_near,
)
from engram.text.dates.narrowing import EDGES, edge, nth_of
from engram.text.dates.period import DAY, midnight
from engram.text.dates.tables import TABLES
from engram.text.dates.words import Reading, compiled

Value = object
"""What a word means in its class: a number, a unit, or several of these."""

CLASSES = {
    "days": "d",  # from the day before yesterday to the day after tomorrow
    "compounds": "C",  # a part of a near day in one word: days from today, part
    "calendar": "c",  # a calendar unit in one word: unit, steps from the current one
    "weekdays": "w",  # Monday to Sunday, weekend
    "months": "m",
    "short": "M",  # months abbreviated
    "seasons": "z",
    "holidays": "h",
    "vague": "v",
    "morning": "q",  # the morning, or tomorrow
    "parts": "p",  # morning, afternoon, evening, night
    "units": "u",  # day, week, month, year
    "pairs": "D",  # two of each unit
    "steps": "s",  # the one before the last, last, this, next
    "ago": "a",  # before a length of time
    "ago_after": "k",  # after a length of time
    "days_ago": "K",  # after a number: so many days ago, in one word
    "date": "j",  # before the day of a month
    "date_after": "J",  # after the day of a month
    "ordinals": "f",  # the first to the fourth
    "numbers": "n",
    "edges": "e",  # early, mid, late
    "since": "S",
    "until": "U",
    "before": "B",
    "after": "A",
    "between": "b",
    "to": "t",
    "and": "&",
    "small": "o",
    "light": "l",
}
"""The letter of each table's words, the first of several for a word that is in several tables."""
TELL_TIME = frozenset("dCcwmzhvq")
"""Classes whose words make a query worth reading in their language."""
SAY_NOTHING = frozenset("osakKjJeSUBAbt&l,")
"""Classes whose words say nothing beside a time."""
LETTERS = {"m": "M", "w": "W", "z": "Z", "h": "H"}
"""Classes of words with "~", which mean a time only beside others that do."""

SCRIPTS = {
    "ja": "[\u3041-\u30ff\u4e00-\u9fff]",
    "zh": "[\u4e00-\u9fff]",
    "ko": "[\uac00-\ud7a3]",
    "th": "[\u0e01-\u0e5b]",
    "ru": "[\u0400-\u04ff]",
    "ar": "[\u0600-\u06ff]",
}
"""Scripts of the languages that are not in Latin script."""
UNSPACED = frozenset(("ja", "zh", "ko", "th"))
"""Languages whose words are found without the spaces between them."""
LONGEST = 1_024
"""Characters of a query that are read; what is longer is a pasted text."""
MOST_READ = 8
"""Number of times that are read in a query; further ones are ignored."""
COUNTED = frozenset("%€$£¥°")
"""Signs after a number that is no time."""
WORD = r"\d+|[^\W\d_]+|[^\w\s]"
HAN_DIGITS = "一二三四五六七八九"


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a phrase of a query, or what was read of several."""

    letter: str
    """Its class, or "x" for an unknown word, "," for a sign, "y" for a year, "r" for times."""
    value: Value
    begin: int
    stop: int
    words: int = 0
    """How many words of the language's tables it is."""


@dataclass(frozen=True, slots=True)
class Language:
    """The words of one language."""

    code: str
    phrases: dict[str, list[tuple[tuple[str, ...], str, Value]]]
    """By first word: the words of each phrase, longest first, its class and its value."""
    vocabulary: frozenset[str]
    """Every word of a phrase."""
    longest: int
    """Characters of the longest phrase."""
    bare_ago: bool
    """Whether a unit without a number is one before "ago"."""
    ago_is_last: bool
    """Whether "ago" after a unit without a number means the last one."""

    @property
    def unspaced(self) -> bool:
        """Whether its words are found without the spaces between them."""
        return self.code in UNSPACED


class _Folding(dict[int, int]):
    """Letters without their accents; the length of a text stays."""

    def __missing__(self, letter: int) -> int:
        folded = letter
        if 0xC0 <= letter < 0x700:
            folded = ord(unicodedata.normalize("NFD", chr(letter))[0])
        self[letter] = folded
        return folded


FOLDED = _Folding({ord("ł"): ord("l"), ord("ı"): ord("i"), ord("đ"): ord("d"), ord("ø"): ord("o")})


@cache
def languages() -> dict[str, Language]:
    """Return every language by its code, read when a query first needs them."""
    return {code: _language(code, table) for code, table in TABLES.items()}


def _language(code: str, table: dict[str, str]) -> Language:
    """Return the language of a table."""
    phrases: dict[str, list[tuple[tuple[str, ...], str, Value]]] = {}
    known: set[tuple[str, ...]] = set()
    for name, letter in CLASSES.items():
        for phrase, value in _entries(code, name, table.get(name, "")):
            everyday = phrase.endswith("~")
            for words in _forms(code, phrase.removesuffix("~")):
                if words not in known:
                    known.add(words)
                    entry = (words, LETTERS[letter] if everyday else letter, value)
                    phrases.setdefault(words[0], []).append(entry)
    for entries in phrases.values():
        entries.sort(key=lambda entry: -len(entry[0]))
    longest = max(len(first) for first in phrases)
    vocabulary = frozenset(word for words in known for word in words)
    return Language(code, phrases, vocabulary, longest, "bare_ago" in table, "ago_is_last" in table)


def _forms(code: str, phrase: str) -> list[tuple[str, ...]]:
    """Return a phrase of a table as words; in an unspaced language as one, with and without spaces."""
    folded = phrase.translate(FOLDED).lower()
    if code in UNSPACED:
        return [(folded.replace("_", " "),), (folded.replace("_", ""),)]
    return [tuple(re.findall(r"[^\W\d_]+", folded))]


def _entries(code: str, name: str, text: str) -> Iterator[tuple[str, Value]]:
    """Yield each phrase of a table with its value."""
    groups = [group.split() for group in text.split("|")]
    if name in ("compounds", "calendar"):
        for group in filter(None, groups):
            first, second, phrase = group[0].split(":")
            value: Value = (first, int(second)) if name == "calendar" else (int(first), second)
            yield from ((each, value) for each in (phrase, *group[1:]) if each)
        return
    values = _values(name, len(groups))
    for group, value in zip(groups, values, strict=True):
        for phrase in group:
            text, _, meaning = phrase.partition("=")
            yield text, meaning or value
    if name == "numbers" and code in ("zh", "ja"):
        for number in range(13, 32):
            tens, ones = divmod(number, 10)
            han = ("" if tens == 1 else HAN_DIGITS[tens - 1]) + "十" + (HAN_DIGITS[ones - 1] if ones else "")
            yield han, number


def _values(name: str, count: int) -> Sequence[Value]:
    """Return the values of a table's groups."""
    if name == "weekdays":
        return [*((weekday, 1) for weekday in range(7)), (5, 2)][:count]
    ordered: dict[str, Sequence[Value]] = {
        "days": range(-2, 3),
        "months": range(1, 13),
        "short": range(1, 13),
        "numbers": range(1, 13),
        "ordinals": range(1, 5),
        "seasons": (3, 6, 9, 12),
        "steps": (-2, -1, 0, 1),
        "units": UNITS,
        "pairs": UNITS,
        "parts": PARTS_OF_DAY,
        "edges": ("early", "mid", "late"),
    }
    return list(ordered.get(name, ("",) * count))[:count]


# From a text to tokens.


def scanned(language: Language, text: str, read: Sequence[Reading] = ()) -> list[Token]:
    """Return the tokens of a folded text. read: what is read already, as tokens of the class "r"."""
    tokens, position = list[Token](), 0
    for reading in sorted(read, key=lambda reading: reading.begin):
        tokens += _scan(language, text, position, reading.begin)
        tokens.append(Token("r", reading.times, reading.begin, reading.stop))
        position = reading.stop
    return tokens + list(_scan(language, text, position, len(text)))


def _scan(language: Language, text: str, begin: int, end: int) -> Iterator[Token]:
    if language.unspaced:
        return _scan_characters(language, text, begin, end)
    return _scan_words(language, text, begin, end)


def _scan_words(language: Language, text: str, begin: int, end: int) -> Iterator[Token]:
    found = [match for match in compiled(WORD).finditer(text, begin, end) if match[0] not in "-'"]
    index = 0
    while index < len(found):
        word, start = found[index][0], found[index].start()
        for words, letter, value in language.phrases.get(word, ()):
            if (
                all(found[index + i][0] == w for i, w in enumerate(words))
                if index + len(words) <= len(found)
                else False
            ):
                index += len(words)
                yield Token(letter, value, start, found[index - 1].end(), len(words))
                break
        else:
            index += 1
            after_number = word == "." and index > 1 and found[index - 2][0].isdecimal()
            yield Token("o", word, start, start + 1) if after_number else _other(language, word, start)


def _scan_characters(language: Language, text: str, begin: int, end: int) -> Iterator[Token]:
    position = begin
    while position < end:
        number = compiled(r"\d+|[a-z]+").match(text, position, end)
        if number:
            yield _other(language, number[0], position)
            position = number.end()
            continue
        for length in range(min(language.longest, end - position), 0, -1):
            entry = language.phrases.get(text[position : position + length])
            if entry:
                yield Token(entry[0][1], entry[0][2], position, position + length, length)
                position += length
                break
        else:
            if not text[position].isspace():
                yield _other(language, text[position], position)
            position += 1


def _other(language: Language, word: str, begin: int) -> Token:
    """Return the token of a number, a sign or an unknown word."""
    if word.isdecimal():
        number = int(word)
        if language.code == "th" and 2443 <= number <= 2642:
            number -= 543  # the Buddhist era
        letter = "y" if 1900 <= number <= 2099 else "n" if len(word) <= 3 else "x"
        return Token(letter, number, begin, begin + len(word))
    letter = "x" if word.isalnum() or word in COUNTED else ","
    return Token(letter, word, begin, begin + len(word))


# Which language.


def candidates(text: str) -> list[Language]:
    """Return the languages, other than English, in which a folded text may name a time or say nothing."""
    others = [languages()[code] for code, script in SCRIPTS.items() if compiled(script).search(text)]
    if others or text.isspace():
        return others
    return [language for code, language in languages().items() if code not in SCRIPTS]


def understood(tokens: Sequence[Token]) -> int:
    """Return how many words of a text a language's tables hold; in an unspaced language, how many characters."""
    return sum(token.words for token in tokens)


def only_light(text: str) -> bool:
    """Return whether a text, in one of the languages, says nothing beside a time."""
    folded = text.lower().translate(FOLDED)
    return any(
        all(token.letter in SAY_NOTHING for token in scanned(language, folded)) for language in candidates(folded)
    )


def may_name_a_time(text: str) -> bool:
    """Return whether a text in lower case holds a digit, or a word of one of the languages that names a time. Quick."""
    if compiled(r"\d|" + "|".join(SCRIPTS.values())).search(text):
        return True
    return not _triggers().isdisjoint(compiled(r"[^\W\d_]+").findall(text.translate(FOLDED)))


@cache
def _triggers() -> frozenset[str]:
    """Return the first words of the phrases in Latin script that name a time."""
    return frozenset(
        word
        for code, language in languages().items()
        if code not in SCRIPTS
        for word, entries in language.phrases.items()
        if any(letter in TELL_TIME or letter in "uzMWZHp" for _, letter, _ in entries)
    )


def readings_in(text: str, english: int, read: Sequence[Reading], clock: datetime) -> tuple[list[Reading], bool]:
    """Return what a text means in the other language that holds most of its words, and if that is surely not English.

    text: in lower case. english: how many of its words are English. read: dates in digits that are read already.
    Returns none if a language holds more of the words in which they name no time.
    """
    best, most = list[Reading](), english
    if not may_name_a_time(text):
        return best, False
    folded = text[:LONGEST].translate(FOLDED)
    words = compiled(r"[^\W\d_]+").findall(folded)
    read = [reading for reading in read if reading.stop <= len(folded)]
    for language in candidates(folded):
        if not language.unspaced and sum(word in language.vocabulary for word in words) < max(most, 1):
            continue
        tokens = scanned(language, folded, read)
        held = understood(tokens)
        # The words of several languages can be the same. Of these the first in which they name a time counts.
        same = 0 < held == most and not best and not any(token.letter == "x" for token in tokens)
        if held > most or same:
            best, most = times_of(language, tokens, clock), held
    return best, most > english


# The grammar.


@dataclass(frozen=True, slots=True)
class Match:
    """What a rule matched."""

    tokens: Sequence[Token]
    letters: str
    lead: str
    """Class of the token before it; "" for none."""
    language: Language
    clock: datetime

    def value(self, letters: str, index: int = 0) -> Value:
        """Return the value of a token of one of these classes; None if there are not so many."""
        found = [token.value for token in self.tokens if token.letter in letters]
        return found[index] if index < len(found) else None

    def number(self, letters: str, index: int = 0) -> int:
        """Return the value as a number. Raises ValueError if there is none."""
        value = self.value(letters, index)
        return int(str(value))

    def text(self, letters: str) -> str:
        """Return the value as a text; "" if there is none."""
        value = self.value(letters)
        return value if isinstance(value, str) else ""

    def step(self) -> int | None:
        """Return the value of a word such as "last"; None without one."""
        return self.number("s") if "s" in self.letters else None

    def sure(self) -> bool:
        """Return whether the words before it say that it is a time."""
        return (
            self.language.unspaced
            or self.language.code == "tr"
            or self.lead in set("ojtSUBAbaek")
            or "s" in self.letters
        )

    def year(self) -> int | None:
        """Return the year that it names, in digits or as "last year"; None without one. Raises ValueError."""
        if "y" in self.letters:
            return self.number("y")
        value = self.value("c")
        if isinstance(value, tuple):
            if value[0] != "year":
                raise ValueError("it is no year")
            return self.clock.year + int(value[1])
        if "u" in self.letters and "s" in self.letters:
            if self.value("u") != "year":
                raise ValueError("it is no year")
            return self.clock.year + self.number("s")
        return None


Rule = Callable[[Match], list[Time]]
O = "[ojt]{0,4}"  # noqa: E741 - small words between the others
NO_TO = "[oj]{0,4}"
OF_YEAR = f"(?:{O}(?:y(?:{O}u)?|s{O}u|u{O}s|c))"
RULES: list[tuple[str, Rule]] = []


def rule(pattern: str) -> Callable[[Rule], Rule]:
    """Register a reader of a pattern over the classes of tokens."""

    def enter(reader: Rule) -> Rule:
        RULES.append((pattern, reader))
        return reader

    return enter


@rule(f"(?:[Sb]{O})?n{O}[tU&]{O}n{O}[mM]{OF_YEAR}?|n{O}[mM]{OF_YEAR}?|(?:[yc]{O})?m{O}n{O}J")
def _named_day(match: Match) -> list[Time]:
    """Read "3. Mai 2023", "del 3 al 5 de mayo", "五月三日"."""
    first = match.number("n")
    last = match.number("n", 1) if match.letters.count("n") == 2 else first
    if last < first:
        return []
    make = partial(day, month=match.number("mM"), date=first, count=last - first + 1)
    make(match.year() or 2000)
    return [chosen(make, match.clock, match.year())]


@rule(f"(?:[jtoSU]){{1,2}}f{O}[mM]{OF_YEAR}?(?!{O}[uwW])")
def _first_day(match: Match) -> list[Time]:
    """Read "am ersten April", "el primero de mayo"."""
    make = partial(day, month=match.number("mM"), date=match.number("f"))
    return [chosen(make, match.clock, match.year())]


@rule(f"c{O}r|r{O}c")
def _in_that_year(match: Match) -> list[Time]:
    """Read "去年5月": what digits name, in a year that a word names."""
    year = match.year()
    times = match.value("r")
    return [in_year(t, year) for t in times if t.yearly] if year and isinstance(times, tuple) else []


@rule(f"(?:u{O})?[mM]{OF_YEAR}|(?:u{O})?(?:s{O}m|m{O}s|m)|c{O}m")
def _month(match: Match) -> list[Time]:
    """Read "im Mai", "mayo del año pasado", "去年五月"."""
    if match.letters[0] == "u" and match.value("u") != "month":
        return []
    step = match.step() if match.letters.count("u") == 0 else None
    make = partial(months, month=match.number("mM"))
    year = match.year() if step is None else None
    sure = match.sure() or year or match.letters[0] == "u"
    return [replace(chosen(make, match.clock, year, step), weight=1.0 if sure else UNSURE)]


@rule(f"[zZ]{OF_YEAR}|s{O}[zZ]|[zZ]{O}s|c{O}[zZ]|z|(?<=[ojtS])Z")
def _season(match: Match) -> list[Time]:
    """Read "letzten Sommer", "l'été 2021"."""
    step = match.step() if "u" not in match.letters else None
    make = partial(months, month=match.number("zZ"), count=3)
    year = match.year() if step is None else None
    return [replace(chosen(make, match.clock, year, step), weight=1.0 if match.sure() or year else UNSURE)]


@rule(f"[hH]{OF_YEAR}|s{O}[hH]|[hH]{O}s|c{O}h|h|(?<=[ojtS])H")
def _holiday(match: Match) -> list[Time]:
    """Read "letzte Weihnachten", "Noël 2024", "去年圣诞节"."""
    first, _, count = match.text("hH").partition("+")
    days = int(count or 1)
    if first.startswith("E"):
        make = partial(easter, offset=int(first[1:]), count=days)
    else:
        make = partial(day, month=int(first[:2]), date=int(first[2:]), count=days)
    step = match.step() if "u" not in match.letters else None
    return [chosen(make, match.clock, match.year() if step is None else None, step)]


@rule(f"(?:(?:c|s{O}u|u{O}s){O}w|w{O}(?:s{O}u|u{O}s|c))(?:{O}[pq])?")
def _weekday_of_week(match: Match) -> list[Time]:
    """Read "mardi de la semaine dernière", "先週の火曜日"."""
    value = match.value("c")
    unit, step = value if isinstance(value, tuple) else (match.value("u"), match.step())
    if unit != "week":
        return []
    return [_weekday_in(match, int(step or 0))]


@rule(f"(?:s{O}[wW]|[wW]{O}s|[wW]k|w|(?<=[oj])W)(?:{O}[pq])?")
def _weekday(match: Match) -> list[Time]:
    """Read "letzten Dienstag", "am Freitag Abend", "上周二"."""
    value = match.value("wW")
    if not isinstance(value, tuple) or ("k" in match.letters and not match.language.ago_is_last):
        return []
    step = -1 if "k" in match.letters else match.step()
    if match.language.code == "zh" and step is not None:
        return [_weekday_in(match, step)]
    time = replace(weekday_near(match.clock, value[0], value[1], step), weight=1.0 if match.sure() or step else UNSURE)
    return [part_of(time, _part(match))]


def _weekday_in(match: Match, step: int) -> Time:
    """Return the weekday of a match in the week that is `step` weeks after the current one."""
    value = match.value("wW")
    assert isinstance(value, tuple)
    start = calendar_unit(match.clock, "week", step).start + value[0] * DAY
    return part_of(Time(start, start + value[1] * DAY), _part(match))


def _part(match: Match) -> str:
    """Return the part of a day that a match names; "" for none."""
    return "morning" if "q" in match.letters else match.text("p")


@rule(f"[sv]{O}n{O}[uJj]|n{O}s{O}[uJj]|n{O}[uJj]{O}s")
def _rolling(match: Match) -> list[Time]:
    """Read "in den letzten 3 Tagen", "les 3 derniers jours"."""
    if (match.step() or -("v" in match.letters)) >= 0:
        return []
    return [Time(midnight(moved(match.clock, -match.number("n"), match.text("u") or "day")), match.clock)]


@rule(f"n{O}[uj]{O}[BAUa]{O}r|r{O}n{O}[uJj]{O}[kA]")
def _away(match: Match) -> list[Time]:
    """Read "drei Tage vor dem 4. Mai", "5月4日の三日前"."""
    later = "A" in match.letters
    if not (later or set("BU") & set(match.letters)) and match.text("ak") != "before" and match.letters[-1] != "k":
        return []
    count, unit = match.number("n"), match.text("u") or "day"
    times = [
        (time, around(time.end - DAY, count, unit) if later else around(time.start, -count, unit))
        for time in _times(match)
    ]
    return [replace(time, start=away.start, end=away.end) for time, away in times]


@rule(f"a{O}n{O}[uj]|n{O}[uJj]{O}k|n{O}[uj]{O}a(?!{O}[nr])|a{O}D|a{O}u|uk|n{O}K")
def _ago(match: Match) -> list[Time]:
    """Read "vor drei Tagen", "hace un mes", "三天前", "tydzień temu"."""
    if "D" in match.letters:
        return [around(match.clock, -2, str(match.value("D")))]
    unit = match.text("u") or "day"
    if "n" in match.letters:
        return [around(match.clock, -match.number("n"), unit)]
    if match.language.ago_is_last and unit != "day":
        return [calendar_unit(match.clock, unit, -1)]
    return [around(match.clock, -1, unit)] if match.language.bare_ago else []


@rule(f"d(?:{O}[pq])?|p{O}d|C|s{O}[pq]|p{O}s|(?<![oj])q")
def _near_day(match: Match) -> list[Time]:
    """Read "gestern Abend", "昨晚", "esta mañana", and "mañana" alone, which is tomorrow."""
    value, part = match.value("d"), _part(match)
    if match.letters == "q":
        value, part = 1, ""
    elif match.letters == "C":
        compound = match.value("C")
        assert isinstance(compound, tuple)
        value, part = compound
    elif value is None:
        value = match.step()
    if not isinstance(value, int):
        return []
    start = midnight(match.clock) + value * DAY
    return [part_of(Time(start, start + DAY), part)]


@rule(f"f{O}u{O}r|s{O}u[ojt]{{1,4}}r|r{O}f{O}u|u{O}f{O}r")
def _part_of_time(match: Match) -> list[Time]:
    """Read "die erste Woche im Mai", "la última semana de mayo", "五月的第一周"."""
    position = match.number("f") if "f" in match.letters else match.step()
    times = [time for time in _times(match) if time.end - time.start > 27 * DAY]
    if position in (None, 0) or (position == 1 and "s" in match.letters):
        return []
    return [nth_of(time, int(position or 0), 1, match.text("u")) for time in times]


@rule(f"c|s{O}u|u{O}s")
def _unit(match: Match) -> list[Time]:
    """Read "letzte Woche", "el mes pasado", "去年"."""
    value = match.value("c")
    unit, step = value if isinstance(value, tuple) else (match.text("u"), match.number("s"))
    return [] if unit == "day" else [calendar_unit(match.clock, unit, step)]


@rule(f"(?:u{O})?y(?:{O}u)?")
def _year(match: Match) -> list[Time]:
    """Read "2023 году", "عام 2023"."""
    if "u" in match.letters and match.text("u") != "year":
        return []
    weight = 1.0 if match.sure() or "u" in match.letters else UNSURE
    return [replace(months(match.number("y"), 1, 12), weight=weight)]


@rule("v")
def _vague(match: Match) -> list[Time]:
    """Read "neulich", "最近"."""
    return [Time(midnight(match.clock) - 30 * DAY, match.clock, weight=UNSURE)]


@rule("[jSU][oj]{0,4}n[o,]n(?=[,lo]|$)")
def _numeric_day(match: Match) -> list[Time]:
    """Read "am 24.12.", "le 3/5": day and month in digits."""
    signs = [token.value for token in match.tokens if token.value in (".", "/")]
    if not signs or match.tokens[-2].value not in (".", "/"):
        return []
    return [chosen(partial(day, month=match.number("n", 1), date=match.number("n")), match.clock)]


@rule(f"j{O}n(?=[,loJ]|$)|n{O}J")
def _numbered_day(match: Match) -> list[Time]:
    """Read "am 24.", "le 3", "24号"."""
    return [day_of_month(match.clock, match.number("n"))]


@rule(f"e{O}r|r{O}e")
def _edge(match: Match) -> list[Time]:
    """Read "Anfang Mai", "5月初"."""
    return [edge(time, *EDGES[match.text("e")]) for time in _times(match)]


@rule(f"b{O}r{O}&{O}r|(?:[Sb]{NO_TO})?r{NO_TO}[tU]{O}r|r{NO_TO}S{NO_TO}r{NO_TO}U")
def _span(match: Match) -> list[Time]:
    """Read "zwischen März und Mai", "du lundi au mercredi", "三月から五月まで"."""
    firsts, lasts = match.value("r"), match.value("r", 1)
    assert isinstance(firsts, tuple)
    assert isinstance(lasts, tuple)
    spans = [span(first, last) for first in firsts for last in lasts]
    return [time for time in spans if time.start < time.end]


SIDES = {"S": "since", "U": "until", "B": "before", "A": "after"}
"""What the classes of words do to a time that stands beside them."""


@rule(f"[SUBAa]{O}r|r{O}[SUBAk]")
def _bounded(match: Match) -> list[Time]:
    """Read "seit März", "三月以来", "before" and the like."""
    letter = next(letter for letter in match.letters if letter in "SUBAak")
    if match.letters[0] == "r" and not (match.language.unspaced or match.language.code == "tr"):
        return []
    side = SIDES.get(letter) or match.text(letter)
    return [bounded(side, time) for time in _times(match)] if side else []


def _times(match: Match) -> tuple[Time, ...]:
    """Return the times of what was read already in a match."""
    times = match.value("r")
    assert isinstance(times, tuple)
    return times


def times_of(language: Language, tokens: list[Token], clock: datetime) -> list[Reading]:
    """Return the times that tokens of a language name, in their order."""
    count, letters = 0, "".join(token.letter for token in tokens)
    for pattern, reader in RULES:
        position = 0
        # What is read can be read again with the words around it.
        while count < 2 * MOST_READ and (found := compiled(pattern).search(letters, position)):
            begin, stop = found.span()
            times: list[Time] = []
            # A date that does not exist is not a time.
            with suppress(ValueError, OverflowError, KeyError):
                times = reader(Match(tokens[begin:stop], found[0], letters[begin - 1 : begin], language, clock))
            if times:
                merged = Token("r", tuple(times), tokens[begin].begin, tokens[stop - 1].stop)
                tokens = [*tokens[:begin], merged, *tokens[stop:]]
                letters = letters[:begin] + "r" + letters[stop:]
                count += 1
            position = begin + 1
    read = [Reading(t.begin, t.stop, t.value) for t in tokens if t.letter == "r" and isinstance(t.value, tuple)]
    return read[:MOST_READ]
