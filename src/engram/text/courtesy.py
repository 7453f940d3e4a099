"""Courtesy: messages such as "thanks!" and "hello", which ask for nothing that a memory could hold.

Owns the closed class of such words and phrases in some languages. A message counts only if it has no other word.
"""

from __future__ import annotations

import re
from unicodedata import normalize

_WORD = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]+)?")
LONGEST = 80
"""Characters above which a message is not only a courtesy."""

GREETINGS = frozenset(
    """
    hello hi hey hiya howdy greetings thanks thank thx ty cheers bye goodbye cya welcome sorry
    hallo servus danke dankeschön tschüss tschüs ciao moin entschuldigung
    bonjour bonsoir salut merci pardon adieu
    hola gracias adiós adios perdón perdona
    olá oi obrigado obrigada tchau
    grazie buongiorno buonasera arrivederci scusa
    hoi bedankt dag doei
    hej hei tack takk kiitos moikka
    cześć dzień dziękuję dzięki ahoj díky děkuji
    привет здравствуй здравствуйте спасибо пока
    merhaba selam teşekkürler sağol
    你好 您好 谢谢 谢谢你 多谢 再见 拜拜 謝謝 再見 こんにちは ありがとう ありがとうございます さようなら
    wassup sup 你好吗 你好嗎 你怎么样 你最近怎么样 お元気ですか 元気ですか
    안녕 안녕하세요 감사합니다 고마워 مرحبا شكرا नमस्ते धन्यवाद
    """.split()
)
"""Words that greet, thank, part or excuse."""

ASSENTS = frozenset(
    """
    ok okay okey k yes yeah yep yup no nope sure right alright fine good great nice cool perfect awesome excellent
    wonderful lovely super please continue proceed go really wow haha lol hm hmm oh ah aha
    ja nein doch gut genau klar weiter bitte oui non si sí vale claro perfecto bueno sim não nao certo bom va bene
    nee goed graag dobrze tak nie да нет хорошо ладно tamam evet hayır 好 好的 嗯 是 是的 对 不 不是
    はい いいえ 네 예 아니요
    """.split()
)
"""Words that agree, refuse, praise or ask to go on: what they mean stands in the message before."""

FILLERS = frozenset(
    """
    you so very much a lot many all again there then to that it is was the for your help and well on
    morning afternoon evening night day everyone guys
    vielen dank schön guten morgen tag abend nacht dir ihnen sehr ich mach beaucoup bien bonne nuit journée
    muchas buenos buenas días tardes noches muito obrigada bom boa dia tarde noite mille
    """.split()
)
"""Words that accompany them."""


PHRASES = (
    r"how are you(?: doing| feeling)?(?: today)?",
    r"how(?:'s| is|s) (?:it going|everything|life)",
    r"how (?:are things|do you do|have you been)",
    r"what(?:'s| is|s) up",
    r"(?:nice|good|great|pleased) to (?:meet|see) you",
    r"see you(?: later| soon| tomorrow)?",
    r"have a (?:nice|good|great) (?:day|evening|night|weekend)",
    r"take care",
    r"(?:na )?wie geht(?:'s| es|s)(?: dir| ihnen| euch)?(?: heute| denn| so)?",
    r"(?:comment )?[çc]a va(?: bien)?",
    r"comment (?:vas tu|allez vous|tu vas|vous allez)",
    r"c[óo]mo (?:est[áa]s|est[áa] usted|te va|va todo)",
    r"qu[ée] tal(?: est[áa]s)?",
    r"como (?:est[áa]s?|vai|voc[êe] est[áa])",
    r"tudo bem(?: com voc[êe])?",
    r"come (?:stai|sta|va)",
    r"hoe gaat het(?: met (?:je|jou|u))?",
    r"hur m[åa]r du",
    r"jak si[ęe] masz",
    r"как (?:дела|ты|вы|поживаешь|поживаете)",
    r"nas[ıi]ls[ıi]n(?:[ıi]z)?",
    r"잘 지내(?:요|세요|니)?",
    r"كيف حالك",
)
"""Phrases that greet or part: each as a regular expression over words in lower case, with one space between them."""

_PHRASE = re.compile(rf"(?<!\S)(?:{'|'.join(PHRASES)})(?!\S)")


def is_courtesy(text: str) -> bool:
    """Return whether `text` only greets, thanks, parts or excuses."""
    said = _words(text, _PHRASE)
    return bool(said & GREETINGS) and said <= GREETINGS | ASSENTS | FILLERS


def is_assent(text: str) -> bool:
    """Return whether `text` only agrees, refuses, praises or asks to go on."""
    said = _words(text)
    return bool(said & ASSENTS) and said <= ASSENTS | FILLERS


def _words(text: str, phrase: re.Pattern[str] | None = None) -> set[str]:
    """Return the words of a short text without digits, with "hello" in the place of each `phrase`."""
    if len(text) > LONGEST or re.search(r"\d", text):
        return set()
    words = " ".join(_WORD.findall(normalize("NFC", text).casefold())).replace("\u2019", "'")
    return set((words if phrase is None else phrase.sub("hello", words)).split())
