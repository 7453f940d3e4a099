"""The periods that queries in other languages than English mean, and whether these ask for a time alone."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram.text.dates.alone import asks_time_alone
from engram.text.dates.languages import languages
from engram.text.dates.parse import periods
from engram.text.dates.period import FIRST, LAST
from engram.text.dates.tables import TABLES

NOW = datetime(2024, 6, 12, 15, 30, tzinfo=UTC)  # a Wednesday

# Language, query, start and end; None for none.
STATED: list[tuple[str, str, str | None, str | None]] = [
    ("de", "Was habe ich gestern gemacht?", "2024-06-11", "2024-06-12"),
    ("de", "gestern?", "2024-06-11", "2024-06-12"),
    ("de", "Was war vorgestern Abend los?", "2024-06-10T17:00", "2024-06-11"),
    ("de", "Worüber haben wir letzte Woche gesprochen?", "2024-06-03", "2024-06-10"),
    ("de", "Was haben wir letzten Dienstag gemacht?", "2024-06-11", "2024-06-12"),
    ("de", "Was war vor drei Tagen?", "2024-06-09", "2024-06-10"),
    ("de", "Was haben wir im März 2023 gemacht?", "2023-03-01", "2023-04-01"),
    ("de", "Was geschah am 24.12.2023?", "2023-12-24", "2023-12-25"),
    ("de", "Was war am 24.?", "2024-05-24", "2024-05-25"),
    ("de", "Was haben wir seit Montag besprochen?", "2024-06-10", None),
    ("de", "Was haben wir in den letzten 3 Tagen gemacht?", "2024-06-09", "2024-06-12T15:30"),
    ("de", "Erzähl mir von vorletzter Woche", "2024-05-27", "2024-06-03"),
    ("de", "Was war letztes Wochenende?", "2024-06-08", "2024-06-10"),
    ("de", "im Sommer 2022?", "2022-06-01", "2022-09-01"),
    ("de", "Was habe ich heute Morgen gesagt?", "2024-06-12T05:00", "2024-06-12T12:00"),
    ("de", "letzte Woche Dienstag", "2024-06-04", "2024-06-05"),
    ("de", "bis Ende März 2023", None, "2023-04-01"),
    ("es", "¿Qué hice ayer?", "2024-06-11", "2024-06-12"),
    ("es", "¿Qué hicimos el martes pasado?", "2024-06-11", "2024-06-12"),
    ("es", "¿De qué hablamos la semana pasada?", "2024-06-03", "2024-06-10"),
    ("es", "¿Qué pasó el 3 de mayo de 2023?", "2023-05-03", "2023-05-04"),
    ("es", "¿Qué pasó hace tres días?", "2024-06-09", "2024-06-10"),
    ("es", "¿Qué hicimos en marzo del año pasado?", "2023-03-01", "2023-04-01"),
    ("es", "¿Qué hice anteayer por la tarde?", "2024-06-10T12:00", "2024-06-10T18:00"),
    ("es", "¿Qué hicimos el fin de semana pasado?", "2024-06-08", "2024-06-10"),
    ("es", "¿Qué dije el 24?", "2024-05-24", "2024-05-25"),
    ("es", "¿Qué hicimos desde el lunes?", "2024-06-10", None),
    ("es", "¿Qué pasó el 24/12/2023?", "2023-12-24", "2023-12-25"),
    ("es", "anoche", "2024-06-11T18:00", "2024-06-12T06:00"),
    ("es", "mañana", "2024-06-13", "2024-06-14"),
    ("es", "esta mañana", "2024-06-12T05:00", "2024-06-12T12:00"),
    ("es", "entre marzo y mayo de 2023", "2023-03-01", "2023-06-01"),
    ("es", "la semana pasada el lunes", "2024-06-03", "2024-06-04"),
    ("fr", "Qu'est-ce que j'ai fait hier ?", "2024-06-11", "2024-06-12"),
    ("fr", "hier soir ?", "2024-06-11T17:00", "2024-06-12"),
    ("fr", "Qu'avons-nous fait mardi dernier ?", "2024-06-11", "2024-06-12"),
    ("fr", "De quoi avons-nous parlé la semaine dernière ?", "2024-06-03", "2024-06-10"),
    ("fr", "Que s'est-il passé le 3 mai 2023 ?", "2023-05-03", "2023-05-04"),
    ("fr", "Qu'est-ce qu'on a fait il y a trois jours ?", "2024-06-09", "2024-06-10"),
    ("fr", "avant-hier", "2024-06-10", "2024-06-11"),
    ("fr", "Qu'est-ce que j'ai fait aujourd'hui ?", "2024-06-12", "2024-06-13"),
    ("fr", "Qu'a-t-on fait cet été ?", "2024-06-01", "2024-09-01"),
    ("fr", "Qu'est-ce que j'ai dit le 24 ?", "2024-05-24", "2024-05-25"),
    ("fr", "début mai 2023", "2023-05-01", "2023-05-13"),
    ("fr", "le mois dernier", "2024-05-01", "2024-06-01"),
    ("fr", "depuis le 3 mai 2023", "2023-05-03", None),
    ("fr", "entre mars et mai 2023", "2023-03-01", "2023-06-01"),
    ("fr", "la nuit dernière", "2024-06-11T18:00", "2024-06-12T06:00"),
    ("fr", "avant mai 2023", None, "2023-05-01"),
    ("it", "Cosa ho fatto ieri?", "2024-06-11", "2024-06-12"),
    ("it", "Cosa abbiamo fatto martedì scorso?", "2024-06-11", "2024-06-12"),
    ("it", "Di cosa abbiamo parlato la settimana scorsa?", "2024-06-03", "2024-06-10"),
    ("it", "Cosa è successo il 3 maggio 2023?", "2023-05-03", "2023-05-04"),
    ("it", "Cosa ho fatto tre giorni fa?", "2024-06-09", "2024-06-10"),
    ("it", "l'altro ieri", "2024-06-10", "2024-06-11"),
    ("it", "nel 2022", "2022-01-01", "2023-01-01"),
    ("it", "Cosa ho detto il 24?", "2024-05-24", "2024-05-25"),
    ("it", "stamattina", "2024-06-12T05:00", "2024-06-12T12:00"),
    ("it", "gli ultimi 3 giorni", "2024-06-09", "2024-06-12T15:30"),
    ("it", "da lunedì", "2024-06-10", None),
    ("it", "tra marzo e maggio 2023", "2023-03-01", "2023-06-01"),
    ("it", "ieri sera", "2024-06-11T17:00", "2024-06-12"),
    ("nl", "Wat heb ik gisteren gedaan?", "2024-06-11", "2024-06-12"),
    ("nl", "Wat deden we afgelopen dinsdag?", "2024-06-11", "2024-06-12"),
    ("nl", "Waarover hebben we vorige week gesproken?", "2024-06-03", "2024-06-10"),
    ("nl", "Wat gebeurde er op 3 mei 2023?", "2023-05-03", "2023-05-04"),
    ("nl", "Wat heb ik drie dagen geleden gedaan?", "2024-06-09", "2024-06-10"),
    ("nl", "eergisteren", "2024-06-10", "2024-06-11"),
    ("nl", "gisteravond", "2024-06-11T17:00", "2024-06-12"),
    ("nl", "in maart 2023", "2023-03-01", "2023-04-01"),
    ("nl", "op de 24e", "2024-05-24", "2024-05-25"),
    ("nl", "sinds maandag", "2024-06-10", None),
    ("nl", "vannacht", "2024-06-12T18:00", "2024-06-13T06:00"),
    ("nl", "de afgelopen 3 dagen", "2024-06-09", "2024-06-12T15:30"),
    ("pl", "Co robiłem wczoraj?", "2024-06-11", "2024-06-12"),
    ("pl", "Co robiliśmy w zeszły wtorek?", "2024-06-11", "2024-06-12"),
    ("pl", "O czym rozmawialiśmy w zeszłym tygodniu?", "2024-06-03", "2024-06-10"),
    ("pl", "Co się stało 3 maja 2023?", "2023-05-03", "2023-05-04"),
    ("pl", "Co robiłam trzy dni temu?", "2024-06-09", "2024-06-10"),
    ("pl", "przedwczoraj", "2024-06-10", "2024-06-11"),
    ("pl", "w marcu 2023 roku", "2023-03-01", "2023-04-01"),
    ("pl", "tydzień temu", "2024-06-02", "2024-06-09"),
    ("pl", "w ostatni weekend", "2024-06-08", "2024-06-10"),
    ("pl", "wczoraj wieczorem", "2024-06-11T17:00", "2024-06-12"),
    ("pl", "w zeszłym roku", "2023-01-01", "2024-01-01"),
    ("pl", "od poniedziałku", "2024-06-10", None),
    ("pt", "O que eu fiz ontem?", "2024-06-11", "2024-06-12"),
    ("pt", "O que fizemos na terça-feira passada?", "2024-06-11", "2024-06-12"),
    ("pt", "Sobre o que falamos na semana passada?", "2024-06-03", "2024-06-10"),
    ("pt", "O que aconteceu em 3 de maio de 2023?", "2023-05-03", "2023-05-04"),
    ("pt", "O que fiz há três dias?", "2024-06-09", "2024-06-10"),
    ("pt", "anteontem", "2024-06-10", "2024-06-11"),
    ("pt", "no dia 24", "2024-05-24", "2024-05-25"),
    ("pt", "ontem à noite", "2024-06-11T18:00", "2024-06-12T06:00"),
    ("pt", "3 dias atrás", "2024-06-09", "2024-06-10"),
    ("pt", "no fim de semana passado", "2024-06-08", "2024-06-10"),
    ("pt", "desde segunda-feira", "2024-06-10", None),
    ("pt", "os últimos 3 dias", "2024-06-09", "2024-06-12T15:30"),
    ("pt", "no mês passado", "2024-05-01", "2024-06-01"),
    ("tr", "Dün ne yaptım?", "2024-06-11", "2024-06-12"),
    ("tr", "Geçen salı ne yaptık?", "2024-06-11", "2024-06-12"),
    ("tr", "Geçen hafta ne konuştuk?", "2024-06-03", "2024-06-10"),
    ("tr", "3 Mayıs 2023'te ne oldu?", "2023-05-03", "2023-05-04"),
    ("tr", "Üç gün önce ne yaptım?", "2024-06-09", "2024-06-10"),
    ("tr", "evvelsi gün", "2024-06-10", "2024-06-11"),
    ("tr", "dün akşam", "2024-06-11T17:00", "2024-06-12"),
    ("tr", "bir hafta önce", "2024-06-02", "2024-06-09"),
    ("tr", "2023 yılında", "2023-01-01", "2024-01-01"),
    ("tr", "Mayıs 2023'ten beri", "2023-05-01", None),
    ("tr", "geçen yıl", "2023-01-01", "2024-01-01"),
    ("tr", "son 3 gün", "2024-06-09", "2024-06-12T15:30"),
    ("ru", "Что я делал вчера?", "2024-06-11", "2024-06-12"),
    ("ru", "Что мы делали в прошлый вторник?", "2024-06-11", "2024-06-12"),
    ("ru", "О чём мы говорили на прошлой неделе?", "2024-06-03", "2024-06-10"),
    ("ru", "Что было 3 мая 2023 года?", "2023-05-03", "2023-05-04"),
    ("ru", "Что я делала три дня назад?", "2024-06-09", "2024-06-10"),
    ("ru", "позавчера вечером", "2024-06-10T17:00", "2024-06-11"),
    ("ru", "в марте 2023", "2023-03-01", "2023-04-01"),
    ("ru", "неделю назад", "2024-06-02", "2024-06-09"),
    ("ru", "24-го числа", "2024-05-24", "2024-05-25"),
    ("ru", "в прошлом году", "2023-01-01", "2024-01-01"),
    ("ru", "за последние 3 дня", "2024-06-09", "2024-06-12T15:30"),
    ("ru", "с понедельника", "2024-06-10", None),
    ("ru", "прошлым летом", "2023-06-01", "2023-09-01"),
    ("ru", "в конце мая 2023", "2023-05-20", "2023-06-01"),
    ("ar", "ماذا فعلت أمس؟", "2024-06-11", "2024-06-12"),
    ("ar", "ماذا فعلنا يوم الثلاثاء الماضي؟", "2024-06-11", "2024-06-12"),
    ("ar", "عن ماذا تحدثنا الأسبوع الماضي؟", "2024-06-03", "2024-06-10"),
    ("ar", "ماذا حدث في 3 مايو 2023؟", "2023-05-03", "2023-05-04"),
    ("ar", "ماذا فعلت قبل ثلاثة أيام؟", "2024-06-09", "2024-06-10"),
    ("ar", "أول أمس", "2024-06-10", "2024-06-11"),
    ("ar", "في مارس 2023", "2023-03-01", "2023-04-01"),
    ("ar", "قبل أسبوعين", "2024-05-26", "2024-06-02"),
    ("ar", "العام الماضي", "2023-01-01", "2024-01-01"),
    ("ar", "منذ مايو 2023", "2023-05-01", None),
    ("ar", "مساء أمس", "2024-06-11T17:00", "2024-06-12"),
    ("ar", "آخر الشهر الماضي", "2024-05-20", "2024-06-01"),
    ("th", "เมื่อวานฉันทำอะไร", "2024-06-11", "2024-06-12"),
    ("th", "วันอังคารที่แล้วเราทำอะไร", "2024-06-11", "2024-06-12"),
    ("th", "สัปดาห์ที่แล้วเราคุยเรื่องอะไรกัน", "2024-06-03", "2024-06-10"),
    ("th", "วันที่ 3 พฤษภาคม 2566 เกิดอะไรขึ้น", "2023-05-03", "2023-05-04"),
    ("th", "สามวันก่อนฉันทำอะไร", "2024-06-09", "2024-06-10"),
    ("th", "เมื่อวานซืน", "2024-06-10", "2024-06-11"),
    ("th", "เดือนที่แล้ว", "2024-05-01", "2024-06-01"),
    ("th", "เมื่อคืน", "2024-06-11T18:00", "2024-06-12T06:00"),
    ("th", "ปีที่แล้วเราทำอะไรบ้าง", "2023-01-01", "2024-01-01"),
    ("th", "ตั้งแต่วันจันทร์", "2024-06-10", None),
    ("th", "เดือนพฤษภาคม 2567", "2024-05-01", "2024-06-01"),
    ("th", "3 วันที่ผ่านมา", "2024-06-09", "2024-06-10"),
    ("zh", "昨天我们做了什么？", "2024-06-11", "2024-06-12"),
    ("zh", "上周二我做了什么？", "2024-06-04", "2024-06-05"),
    ("zh", "上个星期我们聊了什么？", "2024-06-03", "2024-06-10"),
    ("zh", "2023年5月3日发生了什么？", "2023-05-03", "2023-05-04"),
    ("zh", "三天前我做了什么？", "2024-06-09", "2024-06-10"),
    ("zh", "前天晚上", "2024-06-10T17:00", "2024-06-11"),
    ("zh", "去年五月", "2023-05-01", "2023-06-01"),
    ("zh", "上个月", "2024-05-01", "2024-06-01"),
    ("zh", "24号我说了什么？", "2024-05-24", "2024-05-25"),
    ("zh", "最近三天", "2024-06-09", "2024-06-12T15:30"),
    ("zh", "两个星期前", "2024-05-26", "2024-06-02"),
    ("zh", "昨晚", "2024-06-11T18:00", "2024-06-12T06:00"),
    ("zh", "三月以来", "2024-03-01", None),
    ("zh", "上周末", "2024-06-08", "2024-06-10"),
    ("zh", "这个星期", "2024-06-10", "2024-06-17"),
    ("zh", "2023年以前", None, "2023-01-01"),
    ("zh", "上个月底", "2024-05-20", "2024-06-01"),
    ("zh-TW", "昨天我們做了什麼？", "2024-06-11", "2024-06-12"),
    ("zh-TW", "上週二我做了什麼？", "2024-06-04", "2024-06-05"),
    ("zh-TW", "上個星期我們聊了什麼？", "2024-06-03", "2024-06-10"),
    ("zh-TW", "三天前發生了什麼事？", "2024-06-09", "2024-06-10"),
    ("zh-TW", "去年夏天", "2023-06-01", "2023-09-01"),
    ("ja", "昨日は何をしましたか？", "2024-06-11", "2024-06-12"),
    ("ja", "先週の火曜日に何をした？", "2024-06-04", "2024-06-05"),
    ("ja", "先週何を話しましたか？", "2024-06-03", "2024-06-10"),
    ("ja", "2023年5月3日に何がありましたか？", "2023-05-03", "2023-05-04"),
    ("ja", "3日前に何をしましたか？", "2024-06-09", "2024-06-10"),
    ("ja", "一昨日", "2024-06-10", "2024-06-11"),
    ("ja", "先月", "2024-05-01", "2024-06-01"),
    ("ja", "24日に何をしましたか", "2024-05-24", "2024-05-25"),
    ("ja", "昨夜", "2024-06-11T18:00", "2024-06-12T06:00"),
    ("ja", "月曜日から", "2024-06-10", None),
    ("ja", "二週間前", "2024-05-26", "2024-06-02"),
    ("ja", "今朝", "2024-06-12T05:00", "2024-06-12T12:00"),
    ("ja", "去年の夏", "2023-06-01", "2023-09-01"),
    ("ja", "おととい", "2024-06-10", "2024-06-11"),
    ("ko", "어제 뭐 했어?", "2024-06-11", "2024-06-12"),
    ("ko", "지난주 화요일에 뭐 했어?", "2024-06-04", "2024-06-05"),
    ("ko", "지난주에 무슨 이야기를 했지?", "2024-06-03", "2024-06-10"),
    ("ko", "2023년 5월 3일에 무슨 일이 있었어?", "2023-05-03", "2023-05-04"),
    ("ko", "3일 전에 뭐 했어?", "2024-06-09", "2024-06-10"),
    ("ko", "그저께", "2024-06-10", "2024-06-11"),
    ("ko", "지난달", "2024-05-01", "2024-06-01"),
    ("ko", "24일에 뭐 했지?", "2024-05-24", "2024-05-25"),
    ("ko", "어젯밤", "2024-06-11T18:00", "2024-06-12T06:00"),
    ("ko", "지난 주말에 뭐 했어?", "2024-06-08", "2024-06-10"),
    ("ko", "월요일부터", "2024-06-10", None),
    ("ko", "작년 여름", "2023-06-01", "2023-09-01"),
    ("ko", "이번 주", "2024-06-10", "2024-06-17"),
    ("ko", "두 달 전", "2024-03-28", "2024-04-28"),
    ("de", "Was haben wir letzte Weihnachten gemacht?", "2023-12-24", "2023-12-27"),
    ("fr", "Qu'est-ce qu'on a fait à Noël 2021 ?", "2021-12-24", "2021-12-26"),
    ("zh", "去年圣诞节我们做了什么？", "2023-12-24", "2023-12-26"),
]

YEARLY: list[tuple[str, str, str | None, str | None]] = [
    ("de", "drei Tage vor dem 4. Mai", "2024-05-01", "2024-05-02"),
    ("nl", "vijf dagen voor 4 mei", "2024-04-29", "2024-04-30"),
    ("fr", "deux jours après le 4 mai", "2024-05-06", "2024-05-07"),
    ("es", "dos días antes del 4 de mayo", "2024-05-02", "2024-05-03"),
    ("ru", "за три дня до 4 мая", "2024-05-01", "2024-05-02"),
    ("zh", "5月4日三天前", "2024-05-01", "2024-05-02"),
    ("ja", "5月4日の三日前", "2024-05-01", "2024-05-02"),
    ("de", "die erste Woche im Mai", "2024-05-01", "2024-05-08"),
    ("es", "la última semana de mayo", "2024-05-25", "2024-06-01"),
    ("fr", "la deuxième semaine de mai", "2024-05-08", "2024-05-15"),
    ("it", "la prima settimana di maggio", "2024-05-01", "2024-05-08"),
    ("nl", "de eerste week van mei", "2024-05-01", "2024-05-08"),
    ("pl", "pierwszy tydzień maja", "2024-05-01", "2024-05-08"),
    ("pt", "a primeira semana de maio", "2024-05-01", "2024-05-08"),
    ("ru", "первая неделя мая", "2024-05-01", "2024-05-08"),
    ("ar", "الأسبوع الأول من مايو", "2024-05-01", "2024-05-08"),
    ("th", "สัปดาห์แรกของเดือนพฤษภาคม", "2024-05-01", "2024-05-08"),
    ("zh", "五月的第一周", "2024-05-01", "2024-05-08"),
    ("ja", "5月の最初の週", "2024-05-01", "2024-05-08"),
    ("ko", "5월 첫째 주", "2024-05-01", "2024-05-08"),
    ("de", "Was ist am 3. Mai passiert?", "2024-05-03", "2024-05-04"),
    ("de", "Was war zwischen dem 3. und 5. Mai?", "2024-05-03", "2024-05-06"),
    ("de", "Was war Anfang Mai?", "2024-05-01", "2024-05-13"),
    ("de", "Was war am 24.12.?", "2023-12-24", "2023-12-25"),
    ("es", "¿Qué hicimos a principios de mayo?", "2024-05-01", "2024-05-13"),
    ("es", "¿Qué hicimos del 3 al 5 de mayo?", "2024-05-03", "2024-05-06"),
    ("fr", "Qu'a-t-on fait en mars ?", "2024-03-01", "2024-04-01"),
    ("fr", "du 3 au 5 mai", "2024-05-03", "2024-05-06"),
    ("fr", "le 24/12", "2023-12-24", "2023-12-25"),
    ("it", "Cosa abbiamo fatto a marzo?", "2024-03-01", "2024-04-01"),
    ("it", "dal 3 al 5 maggio", "2024-05-03", "2024-05-06"),
    ("pl", "od 3 do 5 maja", "2024-05-03", "2024-05-06"),
    ("pt", "em março", "2024-03-01", "2024-04-01"),
    ("tr", "Mart ayında ne yaptık?", "2024-03-01", "2024-04-01"),
    ("ru", "с 3 по 5 мая", "2024-05-03", "2024-05-06"),
    ("ar", "في شهر مايو", "2024-05-01", "2024-06-01"),
    ("zh", "五月三日", "2024-05-03", "2024-05-04"),
    ("zh", "从三月到五月", "2024-03-01", "2024-06-01"),
    ("zh", "5月初", "2024-05-01", "2024-05-13"),
    ("ja", "去年の5月", "2023-05-01", "2023-06-01"),
    ("ja", "5月初め", "2024-05-01", "2024-05-13"),
    ("ja", "三月から五月まで", "2024-03-01", "2024-06-01"),
    ("ko", "작년 5월", "2023-05-01", "2023-06-01"),
    ("ko", "5월 초", "2024-05-01", "2024-05-13"),
    ("de", "Was ist am Valentinstag passiert?", "2024-02-14", "2024-02-15"),
    ("de", "Was war Ostern?", "2024-03-29", "2024-04-02"),
    ("es", "¿Qué hicimos en Nochebuena?", "2023-12-24", "2023-12-25"),
    ("fr", "Qu'est-ce qu'on a fait à Pâques ?", "2024-03-29", "2024-04-02"),
    ("it", "Cosa abbiamo fatto a Ferragosto?", "2023-08-15", "2023-08-16"),
    ("nl", "Wat deed ik met Kerst?", "2023-12-24", "2023-12-27"),
    ("pl", "Co robiliśmy w sylwestra?", "2023-12-31", "2024-01-01"),
    ("pt", "O que fizemos no Natal?", "2023-12-24", "2023-12-26"),
    ("tr", "Cumhuriyet Bayramı'nda ne yaptık?", "2023-10-29", "2023-10-30"),
    ("ru", "Что мы делали на Новый год?", "2023-12-31", "2024-01-02"),
    ("ar", "ماذا فعلنا في رأس السنة؟", "2023-12-31", "2024-01-02"),
    ("th", "สงกรานต์เราทำอะไร", "2024-04-13", "2024-04-16"),
    ("ja", "クリスマスに何をした？", "2023-12-24", "2023-12-26"),
    ("ko", "어린이날에 뭐 했어?", "2024-05-05", "2024-05-06"),
]

NOT_ALONE = [
    "Was sagte der Arzt gestern?",
    "¿Qué compré en la ferretería ayer?",
    "Qui a réparé la chaudière la semaine dernière ?",
    "Con chi ho giocato a tennis ieri?",
    "Wie heeft gisteren de fiets gerepareerd?",
    "Jaki film widziałem wczoraj?",
    "Que livro comprei ontem?",
    "Dün hangi kitabı aldım?",
    "Какую книгу я купил вчера?",
    "ما الكتاب الذي اشتريته أمس؟",
    "เมื่อวานฉันซื้อหนังสืออะไร",
    "昨天我买了什么书？",
    "昨日はどの本を買いましたか？",
    "어제 무슨 책을 샀어?",
]
"""Queries with a time and with other content."""

NOTHING = [
    "Was ist hier passiert?",
    "J'ai été malade",
    "Où est la mer ?",
    "¿Dónde está mi hermana?",
    "Was macht der Arzt so?",
    "Where is the mayo?",
    "I met an old man in an hotel",
    "Does Marta live in Mai?",
    "our son and the sun",
    "日本の会社",
    "我住在上海",
    "한국에 살아요",
    "Я живу в Москве",
]
"""Queries that name no time, with words that name one in another language, or a part of one."""


def moment(text: str | None, open_end: datetime) -> datetime:
    return open_end if text is None else datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(("language", "query", "start", "end"), STATED + YEARLY)
def test_times_are_read_in_every_language(language: str, query: str, start: str | None, end: str | None) -> None:
    [period] = periods(query, NOW)
    assert (period.start, period.end) == (moment(start, FIRST), moment(end, LAST))
    assert period.yearly == ((language, query, start, end) in YEARLY)


@pytest.mark.parametrize("query", [query for _, query, start, end in STATED + YEARLY if moment(start, FIRST) <= NOW])
def test_questions_for_a_time_alone_are_known_in_every_language(query: str) -> None:
    assert asks_time_alone(query, periods(query, NOW), NOW)


@pytest.mark.parametrize("query", ["Was hat Nikolaus gesagt?", "O que disse Natal?", "¿Qué dijo San José?"])
def test_a_name_that_a_holiday_bears_is_no_time(query: str) -> None:
    assert not periods(query, NOW)


@pytest.mark.parametrize("query", NOT_ALONE)
def test_a_time_beside_other_content_is_not_asked_for_alone(query: str) -> None:
    read = periods(query, NOW)
    assert read
    assert not asks_time_alone(query, read, NOW)


@pytest.mark.parametrize("query", NOTHING)
def test_words_of_another_language_mean_no_time(query: str) -> None:
    assert periods(query, NOW) == []


def test_words_without_their_accents_are_read() -> None:
    for query, text in (("Was war im Marz 2023?", "Marz 2023"), ("¿Que hice el sabado pasado?", "sabado pasado")):
        assert [period.text for period in periods(query, NOW)] == [text]


def test_languages_of_the_sentence_encoder_have_tables() -> None:
    assert set(languages()) == set("ar de es fr it ja ko nl pl pt ru th tr zh".split())


@pytest.mark.parametrize("code", sorted(TABLES))
def test_table_names_every_month_weekday_and_unit(code: str) -> None:
    table = TABLES[code]
    groups = {
        name: [group.split() for group in table[name].split("|")] for name in ("months", "weekdays", "days", "units")
    }
    assert [len(groups[name]) for name in ("months", "weekdays", "days", "units")] == [12, 8, 5, 4]
    assert all(group for name in ("months", "weekdays", "units") for group in groups[name])


PIECES = [query for _, query, _, _ in STATED + YEARLY] + NOT_ALONE + [" ", ".", "-", "3", "2023", "\u0301", "ß"]


@given(st.lists(st.sampled_from(PIECES), max_size=8).map("".join), st.datetimes())
def test_any_text_is_parsed(query: str, now: datetime) -> None:
    for period in periods(query, now):
        assert period.start < period.end
        assert period.text in query
