"""Wishes: words by which a sentence says that it holds for every time, or what somebody likes, in 16 languages.

Owns these words. The vector of a sentence tells its matter and its tone, and loses such small words; so a standing
order or a preference must have one of them, whatever its labels say. Pure functions in time proportional to the length.
"""

from __future__ import annotations

import re

from engram.reflection.quotes import outside_quotes
from engram.text.caseless import caseless, without_case

READ = 2_048
"""Characters of a sentence that are read."""

_ALWAYS = (
    # English, German, French.
    "always|never|ever|forever|for good|henceforth|as a rule|make it a (?:rule|habit)|(?:now|today|here|this day) on"
    "|starting now|going forward|(?:in|for) (?:the )?future|all (?:future|my|our)|throughout|whenever|any ?time"
    "|(?:every|each) time|in every|(?:when|if) i (?:ever )?(?:ask|say|mention|write|send)|by default|call me"
    "|stop (?:calling|using|saying|asking|telling|writing|giving)"
    "|immer|nie|niemals|ab (?:jetzt|sofort|heute)|künftig|in zukunft|grundsätzlich|jedes ?mal|wann immer"
    "|wenn ich dich|nenn(?:en sie|e)? mich|duze?|sieze?"
    "|toujours|jamais|désormais|dorénavant|à l['’]avenir|à partir de maintenant|chaque fois|appel(?:le|ez)[- ]moi"
    # Spanish, Italian, Portuguese.
    "|siempre|nunca|jamás|a partir de ahora|(?:de ahora )?en adelante|cada vez|ll[aá]m[ae]me"
    "|sempre|mai|d['’]ora in (?:poi|avanti)|in futuro|ogni volta|chiamami"
    "|a partir de agora|de agora em diante|daqui em diante|toda vez|me cham[ae]|cham[ae]-me"
    # Dutch, Polish, Russian, Turkish.
    "|altijd|nooit|voortaan|vanaf nu|in het vervolg|telkens|(?:elke|iedere) keer|noem me"
    "|zawsze|nigdy|od teraz|odtąd|w przyszłości|za każdym razem|ilekroć|mów mi|mów do mnie|zwracaj się"
    "|всегда|никогда|отныне|впредь|с этого момента|каждый раз|(?:называй(?:те)?|зови(?:те)?) меня|больше не"
    "|her zaman|ne zaman|daima|asla|artık|bundan (?:sonra|böyle)|her seferinde|hiçbir zaman"
)
_LIKES = (
    "prefer|preferred|preference|rather|(?<!would )(?<!'d )(?<!’d )like|love|loves|hate|dislike"
    "|(?:can'?t|can’t|cannot) stand|fav(?:ou)?rite|enjoy|not (?:a|much of a|my) (?:big )?(?:fan|thing)"
    "|lieber|bevorzuge|mag|liebe|hasse|am liebsten|gern|gerne|nicht leiden|ausstehen"
    "|préfère|aime|adore|déteste|plutôt|prefiero|me (?:gustan?|encantan?)|odio|detesto"
    "|preferisco|mi piac(?:e|ciono)|adoro|prefiro|gosto|detesto|odeio"
    "|liever|verkies|hou van|haat|het liefst|wolę|lubię|uwielbiam|nie znoszę|nienawidzę"
    "|предпочитаю|люблю|обожаю|ненавижу|терпеть не могу|нравится|нравятся|tercih|severim|sevmem|seviyorum|sevmiyorum"
    "|nefret|bayılırım"
)
_ALWAYS_UNPARTED = (
    "دائم|أبدا|ابدا|من الآن|بعد اليوم|في كل مرة|كلما|نادني"
    "|今後|これから|いつも|常に|必ず|決して|毎回|二度と|呼んで|항상|언제나|절대|앞으로|매번|늘 |불러"
    "|以后|以後|之后|之後|只要|今后|今後|从现在起|從現在起|总是|總是|永远|永遠|每次|一律|始终|始終|叫我|别再|別再|不要再|เสมอ|ทุกครั้ง|ต่อไปนี้|จากนี้ไป|ห้าม|เรียก"
)
_LIKES_UNPARTED = (
    "أفضل|أفضّل|أحب|أكره|好き|嫌い|好む|苦手|方がいい|ほうがいい|좋아|싫어|선호|더 좋"
    "|喜欢|喜歡|讨厌|討厭|偏好|宁愿|寧願|宁可|寧可|不爱|不愛|更爱|更愛|ชอบ|เกลียด|มากกว่า"
)
_USER = (
    r"\b(?:the users?|(?:der|den|dem|des) nutzers?|l['’]utilisateur|(?:el|al|del) usuario|l['’]utente|[oa] usuári[oa]"
    r"|de gebruiker|użytkownik\w*|пользовател\w*|kullanıcı\w*)\b|المستخدم|ユーザー|사용자|用户|用戶|使用者|ผู้ใช้"
)
USER = re.compile(caseless(_USER))
"""Who is meant by a text that is written for a model."""
ALWAYS = re.compile(caseless(rf"\b(?:{_ALWAYS})\b|{_ALWAYS_UNPARTED}"))
LIKES = re.compile(caseless(rf"\b(?:{_LIKES})\b|{_LIKES_UNPARTED}"))


def mentions_always(text: str) -> bool:
    """Return whether a text has a word by which something holds for every time, be it in a quote."""
    return ALWAYS.search(without_case(text[:READ])) is not None


def stands(sentence: str) -> bool:
    """Return whether a sentence has a word, outside its quotes, by which it holds for every time."""
    return ALWAYS.search(_said(sentence)) is not None


def is_wish(sentence: str, *, preference: bool) -> bool:
    """Return whether a sentence has a word by which it is an order for every time, or says what somebody likes.

    preference: whether its labels say that it is a preference; else it must hold for every time.
    """
    return likes(sentence) if preference else stands(sentence)


def speaks_of_user(sentence: str) -> bool:
    """Return whether a sentence speaks of "the user", which a user does not."""
    return USER.search(without_case(sentence[:READ])) is not None


def likes(sentence: str) -> bool:
    """Return whether a sentence says, outside its quotes, what somebody likes, or that it holds for every time."""
    return LIKES.search(_said(sentence)) is not None or stands(sentence)


def _said(sentence: str) -> str:
    """Return what a sentence says outside its quotes, without case."""
    return without_case(outside_quotes(sentence[:READ]))
