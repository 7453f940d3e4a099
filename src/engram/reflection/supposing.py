"""Supposing: sentences that say what would be, and not what is ("if I lived in Rome, I'd never cook"), in 16 languages.

Owns the words and forms of such a sentence. The vector of a sentence loses them: what somebody supposes looks like what
they tell. A plain condition ("if I ask for a price, always add tax") supposes nothing. Pure functions in time
proportional to the length.
"""

from __future__ import annotations

import re

from engram.reflection.quotes import outside_quotes
from engram.text.caseless import caseless, without_case

READ = 2_048
"""Characters of a sentence that are read."""

_S, _M = r"[^.!?\n]{0,40}?", r"[^.!?\n]{0,100}?"
_ENGLISH_IF = (
    r"\bif (?:i|we) (?:ever |just |only |suddenly )?(?:were|was|had|could|won|knew|got|went|quit|became|\w+ed)\b"
)
_ENGLISH_WOULD = r"\b(?:i|we) ?(?:['’]?d|would|could|might)\b"
_SI = r"\bsi (?:j['’]|je |on |nous )"
_FORMS = (
    # English.
    rf"{_ENGLISH_IF}{_M}{_ENGLISH_WOULD}|{_ENGLISH_WOULD}{_M}{_ENGLISH_IF}|\bwhat if (?:i|we)\b|\bimagine (?:if|i|we)\b"
    r"|^\W*(?:and |so |ok |okay |now |just )?(?:suppose|supposing|assume|assuming|let['’]?s (?:say|pretend|suppose))\b"
    r"|\bhypothetically\b|\bwere (?:i|we) to\b|\bif only (?:i|we)\b|\bi wish (?:i|we)\b|\bpretend (?:i|we|that i)\b"
    # German.
    rf"|\b(?:wenn|falls) (?:ich|wir)\b{_M}\b(?:wäre|hätte|würde|könnte|müsste)n?\b"
    rf"|^\W*(?:hätten?|wären?|würden?|könnten?) (?:ich|wir)\b{_M}\b(?:würde|hätte|wäre|könnte)n?\b"
    r"|\bangenommen,|\bgesetzt den fall"
    r"|\bstell(?:en sie)? (?:dir|sich)? ?vor,|\bwas wäre,? wenn\b|\bich wünschte,? ich\b"
    # French.
    rf"|{_SI}{_S}\w+(?:ais|ait|ions)\b{_M}\b\w+r(?:ais|ait|ions)\b"
    rf"|\b(?:je |j['’]|on |nous )\w+r(?:ais|ait|ions)\b{_M}{_SI}"
    r"|\b(?:imagine|imaginons|imaginez|supposons|admettons) que\b|\bet si (?:je |j['’])\w+ais\b|\bsi seulement\b"
    # Spanish, Italian, Portuguese.
    r"|\bsi (?:yo )?(?:\w+ )?(?:\w+(?:iera|iese|iéramos)|fuera|fuese|pudiera|tuviera|hubiera)\b"
    rf"|\bsi (?:yo )?(?:\w+ )?\w+(?:ara|áramos)\b{_M}\b\w+r(?:ía|íamos)\b"
    r"|\b(?:imagina(?:te)? que|supongamos que|pongamos que|ojalá)\b"
    r"|\bse (?:io |noi )?(?:\w+ )?\w+ss(?:i|imo)\b|\b(?:immagina (?:se|che)|supponiamo (?:che|di)|mettiamo che)\b"
    r"|\bse (?:eu |nós )?(?:\w+ )?\w{2,}(?:asse|esse|isse|ássemos|êssemos)\b|\bse (?:eu )?fosse\b"
    r"|\b(?:imagin[ae] (?:se|que)|suponhamos que|vamos supor|quem me dera)\b"
    # Dutch, Polish, Russian, Turkish.
    rf"|\bals (?:ik|we|wij)\b{_M}\b(?:zou|zouden)\b|\b(?:ik|we|wij)? ?(?:zou|zouden)\b{_M}\bals (?:ik|we|wij)\b"
    r"|\bstel (?:dat|je voor)\b|\bveronderstel\b"
    r"|\bgdyby(?:m|śmy)\b|\bwyobraź sobie\b|\bzałóżmy\b|\bprzypuśćmy\b"
    r"|\bесли бы\b|\bпредставь(?:те)?,? (?:что|если)\b|\bдопустим\b|\bпредположим\b|\bвот бы\b"
    r"|\b\w+(?:saydım|seydim|saydık|seydik)\b|\bkeşke\b|\bdiyelim ki\b|\bvarsayalım\b|\bfarz ed\w+"
)
_FORMS_UNPARTED = (
    "(?<![\u0621-\u064a])لو (?:كنت|كان|كنا|عشت|سكنت|أن|أنني)|(?<![\u0621-\u064a])ليتني"
    "|(?:لنفترض|افترض) (?:أن|أنني)|تخيل (?:أن|لو)"
    "|(?:如果|假如|要是|倘若|若是)我(?:住|是|有|中了|能|会|會|变|變|当|當|赢|贏|生活|出生)|假设我|假設我|想象一下|想像一下|要是.{0,12}就好了"
    "|もしも|仮に|もし.{0,30}(?:[てで]いたら|だったら|であれば|当たったら)|たらなあ|としたら"
    "|만약에?.{0,40}(?:다면|라면)|(?:산다면|살았다면|였다면|했다면|된다면)|가정하"
    "|(?:ถ้า|หาก)(?:ฉัน|ผม|เรา)(?:ได้)?(?:อยู่|อาศัย|เป็น|มี|รวย)|สมมติ|สมมุติ"
)
_SUPPOSES = re.compile(caseless(f"{_FORMS}|{_FORMS_UNPARTED}"))


def supposes(sentence: str) -> bool:
    """Return whether a sentence says, outside its quotes, what would be and not what is."""
    return _SUPPOSES.search(without_case(outside_quotes(sentence[:READ]))) is not None
