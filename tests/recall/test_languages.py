"""Recall in eight languages: a question finds the text that answers it, in the same language."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from engram.memory import Memory

# Language: six texts, then questions, each with the index of the text that answers it.
TEXTS: dict[str, tuple[list[str], list[tuple[str, int]]]] = {
    "Chinese": (
        [
            "我的狗叫饼干。",
            "我住在里斯本,是一名护士。",
            "我对花生过敏。",
            "我姐姐会拉大提琴。",
            "昨天的天气很糟糕。",
            "周五要交报告。",
        ],
        [("我的狗叫什么名字?", 0), ("谁会拉大提琴?", 3), ("我对什么过敏?", 2), ("什么时候交报告?", 5)],
    ),
    "Japanese": (
        [
            "私の犬の名前はビスケットです。",
            "リスボンに住んでいて、看護師をしています。",
            "ピーナッツアレルギーがあります。",
            "姉はチェロを弾きます。",
            "昨日の天気はひどかった。",
            "金曜日に報告書を出します。",
        ],
        [("犬の名前は何ですか?", 0), ("チェロを弾くのは誰?", 3), ("アレルギーは何?", 2), ("報告書はいつ出す?", 5)],
    ),
    "Korean": (
        [
            "제 강아지 이름은 비스킷이에요.",
            "저는 리스본에 살고 간호사예요.",
            "저는 땅콩 알레르기가 있어요.",
            "언니는 첼로를 연주해요.",
            "어제 날씨가 끔찍했어요.",
            "금요일까지 보고서를 내야 해요.",
        ],
        [("강아지 이름이 뭐예요?", 0), ("누가 첼로를 연주하나요?", 3), ("알레르기가 뭐가 있나요?", 2)],
    ),
    "Arabic": (
        [
            "كلبي اسمه بسكويت.",
            "أعيش في لشبونة وأعمل ممرضة.",
            "عندي حساسية من الفول السوداني.",
            "أختي تعزف على التشيلو.",
            "كان الطقس سيئا أمس.",
            "يجب تسليم التقرير يوم الجمعة.",
        ],
        [("ما اسم كلبي؟", 0), ("من يعزف على التشيلو؟", 3), ("متى تسليم التقرير؟", 5)],
    ),
    "Hindi": (
        [
            "मेरे कुत्ते का नाम बिस्कुट है।",
            "मैं लिस्बन में रहती हूँ और नर्स हूँ।",
            "मुझे मूंगफली से एलर्जी है।",
            "मेरी बहन चेलो बजाती है।",
            "कल मौसम खराब था।",
            "शुक्रवार को रिपोर्ट देनी है।",
        ],
        [("मेरे कुत्ते का नाम क्या है?", 0), ("चेलो कौन बजाता है?", 3), ("मुझे किससे एलर्जी है?", 2)],
    ),
    "Russian": (
        [
            "Мою собаку зовут Печенька.",
            "Я живу в Лиссабоне и работаю медсестрой.",
            "У меня аллергия на арахис.",
            "Моя сестра играет на виолончели.",
            "Вчера погода была ужасной.",
            "В пятницу надо сдать отчёт.",
        ],
        [
            ("Как зовут собаку?", 0),
            ("Кто играет на виолончели?", 3),
            ("На что аллергия?", 2),
            ("Когда сдавать отчет?", 5),
        ],
    ),
    "German": (
        [
            "Mein Hund heißt Keks.",
            "Ich wohne in Lissabon und bin Krankenschwester.",
            "Ich bin allergisch gegen Erdnüsse.",
            "Meine Schwester spielt Cello.",
            "Gestern war das Wetter schrecklich.",
            "Am Freitag muss der Bericht fertig sein.",
        ],
        [("Wie heisst mein Hund?", 0), ("Wer spielt Cello?", 3), ("Wogegen bin ich allergisch?", 2)],
    ),
    "Thai": (
        [
            "สุนัขของฉันชื่อบิสกิต",
            "ฉันอยู่ที่ลิสบอนและเป็นพยาบาล",
            "ฉันแพ้ถั่วลิสง",
            "พี่สาวของฉันเล่นเชลโล",
            "เมื่อวานอากาศแย่มาก",
            "ต้องส่งรายงานวันศุกร์",
        ],
        [("สุนัขของฉันชื่ออะไร", 0), ("ใครเล่นเชลโล", 3), ("ฉันแพ้อะไร", 2)],
    ),
}


@pytest.fixture(params=list(TEXTS))
def remembered(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Memory, str]]:
    with Memory(tmp_path / "memory.db") as memory:
        for day, text in enumerate(TEXTS[request.param][0]):
            memory.remember(text, session=f"day {day}")
        yield memory, request.param


@pytest.mark.parametrize("indexed", [False, True], ids=["tail", "index"])
def test_question_finds_its_answer_in_the_same_language(remembered: tuple[Memory, str], indexed: bool) -> None:
    memory, language = remembered
    texts, questions = TEXTS[language]
    if indexed:
        memory.flush()
    for question, answer in questions:
        hits = memory.recall(question)
        assert hits, question
        assert hits[0].engram.text == texts[answer], question
