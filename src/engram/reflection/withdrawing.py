"""Withdrawing: statements by which a user takes an earlier standing order or preference back, in 16 languages.

Owns the words of a withdrawal ("you can stop using", "forget what I said about"), and which order it takes back: an
earlier one of the same speaker that is near to it, and only if that is sure. Nothing is deleted: a withdrawal is a
statement of its own, so that the order stands again if the turn of the withdrawal is forgotten.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from engram.meaning.base import Vectors
from engram.reflection.labels import EFFECTS, KINDS, Labels
from engram.reflection.quotes import outside_quotes
from engram.reflection.wishes import ALWAYS, READ
from engram.text.analyzer import stem_of
from engram.text.base import QUESTION_MARKS
from engram.text.caseless import caseless, without_case
from engram.text.common import share_of
from engram.text.tokenizer import words

WITHDRAWS = len(EFFECTS)
"""The effect of a statement that withdraws: it says nothing of a slot. The labels do not tell it, the words do."""
NEAR = 0.55
"""Cosine from which a withdrawal speaks of an order, whatever words they share."""
NEAR_WITH_WORDS = 0.3
"""Cosine from which it does if they share telling words."""
AS_NEAR = 0.15
"""How much farther than the nearest order another one may be that is withdrawn by the same statement."""
TELLING = 7.5
"""Information of the shared words, in nats, from which they tell what is spoken of: one rare word, or two others."""
COMMON = 1.9e-3
"""Share among the words of its language from which a word tells nothing."""
NO_RARER_THAN = 1e-6
STEM = 5
"""Letters that two words share at their beginning if they are forms of one word."""
ASKED_FOR = 0.5
"""Probability that a clause orders, asks for or prefers something, from which it is an order by itself."""
LONGEST_BETWEEN = 60
"""Characters between the two parts of a withdrawal: "you can ... again"."""

_B = rf"[^.!?\n]{{0,{LONGEST_BETWEEN}}}?"
_WORDS = (
    # English. "Don't forget what I said" and "I forgot" withdraw nothing.
    r"(?:you|u|ya)(?: can| may| could| should) (?:now |just |also )?"
    r"(?:stop|quit|drop|skip|leave (?:off|out|away)|forget)"
    rf"|(?:you|u)(?: can| may) {_B}\b(?:again|after all)|(?:is|are|it'?s|they'?re) (?:fine|ok|okay|allowed) again"
    r"|(?:there(?:'s| is) )?no (?:more )?need (?:to|for)|no longer (?:need|have|want|prefer|wish|like|necessary|needed)"
    r"|(?:you|u) (?:don['’]?t|do not|needn['’]?t) (?:need|have) to|(?:you|u) needn['’]?t|no longer appl(?:y|ies)"
    rf"|(?:i|you|u) (?:don['’]?t|do not) (?:need|want|have to|prefer|like) {_B}\bany ?more|not necessary any ?more"
    r"|(?<!n't )(?<!n’t )(?<!not )(?<!never )(?<!dont )(?<!to )"
    r"(?:forget|ignore|disregard|scrap|scratch|undo|never ?mind)"
    r" (?:about )?(?:what|everything|all|the|my|that|it|those|this)"
    r"|i take (?:that|it|this) back|take back what|changed my mind about|may stay|can stay|stop (?:using|with|doing)"
    # German.
    rf"|(?:kannst|kannste|können sie|darfst|dürfen sie|brauchst|brauchen sie|musst|müssen sie)\b{_B}"
    r"\b(?:lassen|weglassen|aufhören|wieder|nicht mehr|nicht länger|kein\w* \w+ mehr)"
    r"|vergiss(?! nicht)|vergessen sie(?! nicht)|ignorier(?:e|en sie)?|nicht (?:mehr|länger) nötig|hat sich erledigt"
    rf"|(?:brauche?|will|möchte) ich {_B}\b(?:nicht|kein\w*) {_B}\bmehr|ich (?:brauche?|will|möchte) {_B}\bmehr"
    r"|doch wieder|wieder erlaubt|nehme ich zurück|hör (?:bitte )?auf"
    # French.
    rf"|(?:tu peux|vous pouvez)\b{_B}\b(?:arrêter|cesser|laisser tomber|de nouveau|à nouveau|oublier)"
    r"|plus (?:besoin|la peine|nécessaire|obligé)|(?<!n['’])(?:oublie|ignore)z?(?! pas)|laissez? tomber"
    r"|(?:n['’]ai|ne veux) plus (?:besoin|envie)?|arrêtez? (?:de|avec)"
    # Spanish, Italian, Portuguese.
    r"|ya no (?:hace falta|es necesario|necesit\w+|quiero|tienes que|hay que|prefiero|hagas|uses|pongas)"
    rf"|puedes? (?:dejar|parar|olvidar)|puedes? {_B}\b(?:otra vez|de nuevo)"
    r"|(?<!no )(?:olv[ií]da(?:te|lo)?|olvide|ignora)|deja de|no te preocupes más"
    r"|non (?:serve|occorre|è necessario|c['’]è) (?:più|più bisogno)|non (?:ho|hai) più bisogno|non (?:devi|voglio) più"
    rf"|puoi (?:smettere|lasciar perdere|dimenticare)|puoi {_B}\b(?:di nuovo|ancora)"
    r"|(?<!non )(?:dimentica|scorda|ignora)|lascia (?:perdere|stare)|smetti(?:la)? (?:di|con)"
    r"|(?:já )?não (?:precisas?|é preciso|é necessário|quero|preciso) mais"
    r"|já não (?:precisas?|é preciso|é necessário|quero)"
    rf"|podes? (?:parar|deixar|esquecer)|podes? {_B}\b(?:de novo|outra vez|novamente)"
    r"|(?<!não )(?:esque[cç][ea]|ignor[ae])|para de|pare de"
    # Dutch, Polish, Russian, Turkish.
    rf"|(?:je|u) (?:hoeft|kunt|kan|mag|moet)\b{_B}\b(?:niet meer|stoppen|weer|laten|weglaten|vergeten)"
    rf"|(?:hoeft|kun|mag) (?:je|u)? ?{_B}\b(?:niet meer|weer)"
    r"|vergeet(?! niet)|negeer|laat (?:dat|het|die) maar|niet meer nodig"
    r"|nie musi(?:sz|cie) już|już nie (?:musi\w+|trzeba|potrzebuję|chcę)|nie trzeba już|nie potrzebuję już"
    rf"|możesz (?:przestać|już nie)|możesz {_B}\b(?:znowu|znów|ponownie)|(?<!nie )(?:zapomnij|zignoruj)|przestań"
    r"|(?:больше|уже) не (?:нужн\w+|надо|обязательно|требуется|хочу)"
    r"|(?:можешь|можете) (?:больше не|перестать|прекратить)"
    rf"|(?:можешь|можете) {_B}\b(?:снова|опять)|(?<!не )забудь(?:те)?|не обращай\w* внимания|перестань(?:те)?"
    r"|gerek (?:yok|kalmadı)|gerekmiyor|gerekmez|zorunda değilsin|bırakabilirsin|vazgeçtim|unut|unutabilirsin|boş ver"
    rf"|(?:tekrar|yine|yeniden) {_B}(?:bilirsin|abilir|olur)|istemiyorum artık|artık {_B}istemiyorum"
)
_WORDS_UNPARTED = (
    "لا داعي|لا حاجة|لم (?:أعد|يعد|تعد)|ليس (?:من )?الضروري|(?<![\u0621-\u064a])انس(?:ى|َ)?(?![\u0621-\u064a])"
    "|تجاهل|توقف عن"
    "|يمكنك (?:التوقف|أن تتوقف|مرة أخرى)|مرة أخرى"
    "|不用再|不必再|不再需要|无需再|無需再|不需要再|不用了|不需要了|不必了|(?:的事|了吧|就|还是|還是)算了|算了吧|(?<![别別要])忘(?:了|掉|记|記)我"
    "|当我没说|當我沒說|可以不|又可以|不用管我"
    "|なくて(?:も)?(?:いい|よい|大丈夫|結構)|必要(?:は|が)?(?:もう)?(?:ない|ありません|なくな)|(?:こと|話|件)は?忘れて|忘れてください|取り消|撤回"
    "|なしで(?:いい|大丈夫)|やめて(?:いい|も|ください)|(?:また|再び).{1,30}て(?:も)?(?:いい|大丈夫)"
    "|(?:더 ?이상|이제).{0,30}(?:필요 ?없|안 해도|않아도|지 마)"
    "|(?:말|얘기|이야기|것|건)(?:은|는)? ?(?:잊어|무시해|취소)"
    "|그만 .{0,10}도 돼|다시 .{0,30}도 (?:돼|괜찮)"
    "|ไม่ต้อง.{0,60}(?:แล้ว|อีก)|ไม่จำเป็นต้อง|(?<!อย่า)ลืม(?:เรื่อง|ที่)|ยกเลิก|กลับมา.{0,40}ได้"
)
_WITHDRAWS = re.compile(caseless(rf"\b(?:{_WORDS})\b|{_WORDS_UNPARTED}"))
_NAMED = (
    r"(?:(?:^|[,.;:!-])\s*|\b(?:please|pls|just|actually|again|and|so|ok|okay|then|bitte|doch)\s+)"
    r"(?:call me|nenn(?:en sie|e)? mich|appel(?:le|ez)[- ]moi|ll[aá]m[ae]me|chiamami|me cham[ae]|cham[ae]-me|noem me"
    r"|mów (?:mi|do mnie)|(?:называй(?:те)?|зови(?:те)?) меня)\b"
    r"|نادني|(?:と|って)呼んで|(?:라고|로) 불러|请叫我|還是叫我|还是叫我|^叫我|เรียก(?:ฉัน|ผม)ว่า"
)
_NAMES = re.compile(caseless(_NAMED))
"""How a sentence says what somebody wants to be called: the later one takes the place of the earlier one."""
_POLITE = frozenset("pleas bitt alstublieft favor favore gracia prosze lutfen пожалуйст".split())
"""Stems of words that ask politely, whatever is asked for."""
_CLAUSE = re.compile(
    r"[,;،、，；:]|(?<!\w)(?:and|und|et|y|e|и|ve|و)(?!\w)|(?<=[\u4e00-\u9fff])(?:并且|而且|並且|和)", re.IGNORECASE
)
_DUTCH_OR_POLISH = re.compile(
    r"\b(?:altijd|nooit|voortaan|geen|het|een|vanaf|zawsze|nigdy|odtąd|teraz|się|nie|proszę)\b", re.I
)
_AND = re.compile(r"(?<!\w)(?:en|i)(?!\w)", re.IGNORECASE)
"""What "and" is in Dutch and Polish, and something else in other languages."""
_ORDER, _PREFERENCE, _REQUEST = (KINDS.index(name) for name in ("order", "preference", "request"))

LabelsOf = Callable[[Sequence[str]], Labels]
"""Returns what some texts say."""


class Wish(NamedTuple):
    """A standing order or preference, or a withdrawal, with its words."""

    number: int
    speaker: int
    at: int
    """When it was said, in microseconds since 1970 in UTC."""
    vector: Vectors
    """Shape (dimensions,). The product of two is their cosine."""
    text: str


class Withdrawal(NamedTuple):
    """An order that a later statement has withdrawn."""

    order: int
    by: int
    """Their numbers."""
    whole: bool
    """Whether the order says nothing else, so that it stands no more. Otherwise both stand."""


def withdraws(sentence: str) -> bool:
    """Return whether a sentence has the words of a withdrawal, or a name to be called by, and asks nothing."""
    said = _said(sentence)
    if said.rstrip().endswith(tuple(QUESTION_MARKS)):
        return False
    return _WITHDRAWS.search(said) is not None or names(said)


def names(sentence: str) -> bool:
    """Return whether a sentence says what its writer wants to be called."""
    return _NAMES.search(without_case(sentence[:READ])) is not None


def _said(sentence: str) -> str:
    """Return what a sentence says outside its quotes, without case."""
    return without_case(outside_quotes(sentence[:READ]))


def withdrawals(orders: Sequence[Wish], later: Sequence[Wish], labels_of: LabelsOf) -> Iterator[Withdrawal]:
    """Yield which orders are withdrawn, each by the first of `later` that surely speaks of it, or of parts of it.

    orders, later: in the order of their times; `later`: those that `withdraws` is true of.
    """
    taken_back: dict[int, str] = {}
    gone: set[int] = set()
    for each in later:
        before = [o for o in orders if o.at < each.at and o.speaker == each.speaker and o.number not in gone]
        for order in meant(each, before):
            taken_back[order.number] = f"{taken_back.get(order.number, '')} {each.text}"
            whole = says_only(order.text, taken_back[order.number], labels_of)
            if whole:
                gone.add(order.number)
            yield Withdrawal(order.number, each.number, whole)


def meant(withdrawal: Wish, orders: Sequence[Wish]) -> list[Wish]:
    """Return the orders that a withdrawal surely speaks of: the nearest ones."""
    if _WITHDRAWS.search(_said(withdrawal.text)) is None:
        return [order for order in orders if names(order.text) and float(order.vector @ withdrawal.vector) >= NEAR]
    sure = [
        (near, order)
        for order in orders
        if (near := float(order.vector @ withdrawal.vector)) >= NEAR
        or (near >= NEAR_WITH_WORDS and shared(order.text, withdrawal.text))
    ]
    best = max((near for near, _ in sure), default=0.0)
    return [order for near, order in sure if near >= best - AS_NEAR]


def shared(order: str, withdrawal: str) -> bool:
    """Return whether two sentences share words that tell what they speak of."""
    others = telling(withdrawal)
    common = [word for word in telling(order) if any(is_form(word, other) for other in others)]
    return sum(-math.log(max(share_of(word), NO_RARER_THAN)) for word in common) >= TELLING


def telling(sentence: str) -> Collection[str]:
    """Return the stems of a sentence that tell what it speaks of, without those that withdraw or say "always"."""
    rest = ALWAYS.sub(" ", _WITHDRAWS.sub(" ", without_case(sentence[:READ])))
    stems = set(map(stem_of, words(rest))) - _POLITE
    return sorted(stem for stem in stems if len(stem) > 1 and share_of(stem) < COMMON)


def is_form(word: str, other: str) -> bool:
    """Return whether two stems are of one word: they are the same, or differ in their last letters only."""
    return word == other or (word[:STEM] == other[:STEM] and min(len(word), len(other)) > STEM)


def says_only(order: str, withdrawal: str, labels_of: LabelsOf) -> bool:
    """Return whether an order has no clause that asks for something else than what is withdrawn."""
    clauses = clauses_of(order[:READ])
    others = [part for part in clauses if len(words(part)) > 1 and telling(part) and not shared(part, withdrawal)]
    if not others or len(clauses) == 1:
        return True
    kinds = labels_of(others).kinds
    asked = kinds[:, _ORDER] + kinds[:, _PREFERENCE] + kinds[:, _REQUEST]
    return not bool((asked >= ASKED_FOR).any())


def clauses_of(sentence: str) -> list[str]:
    """Return what stands between the commas and the words for "and" of a sentence."""
    if _DUTCH_OR_POLISH.search(sentence):
        sentence = _AND.sub(",", sentence)
    return [part.strip() for part in _CLAUSE.split(sentence)]
