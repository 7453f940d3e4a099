"""Exact things are found in whatever way their parts are joined or parted, among a hundred other turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engram.memory import Memory

PAIRS = [
    # Codes of orders, parts and errors.
    ("The spare filter is ordered under QF-220K-7718.", "Which filter is QF220K7718?"),
    ("Ticket HDX4471 is about the printer.", "What is ticket HDX-4471 about?"),
    ("Return label WZ 99231 went to the potter.", "Where did WZ99231 go?"),
    ("Compiler says E_LINK_FAIL_0xC0FFEE12 since the update.", "What about c0ffee12?"),
    ("It crashed with 0x8007045D while copying.", "When did 8007045D happen?"),
    ("The valve has the part number 88-1204-B.", "Which valve is 881204B?"),
    ("Booking reference K7PLQ2 is for the cabin.", "What is booking k7plq2?"),
    ("The seed packet says lot B-0917/4.", "Which packet is lot B0917?"),
    ("My locker code is 51 77 03.", "What opens with 517703?"),
    ("The alarm is switched off with 904418.", "Does 904 418 switch something off?"),
    ("The parcel has the number 1Z 44F 09 8812.", "Where is parcel 1Z44F098812?"),
    # Flights, plates, vehicles.
    ("Mother lands with KL1327 in the evening.", "Who comes with KL 1327?"),
    ("We take SQ 318 to Singapore.", "When do we take SQ318?"),
    ("The rental van is DO-KT 5512.", "Which van is DOKT5512?"),
    ("The neighbour's trailer has the plate 7XK93L.", "Whose plate is 7 XK 93L?"),
    ("The tractor's number is VF3LCBHZ6HS123987.", "Which tractor is VF3 LCB HZ6 HS123987?"),
    # Versions.
    ("We froze the tool at v4.11.2 for the release.", "Why did we freeze 4.11.2?"),
    ("Since 7.0.18 the export is broken.", "What broke in v7.0.18?"),
    ("The plugin needs ruby3.2 at least.", "What needs Ruby 3.2?"),
    # Numbers of phones, accounts, books.
    ("The plumber answers at +44 (0)20 7946-0811.", "Whose number is 02079460811?"),
    ("The vet's line is 0721 / 883 4410.", "Who has +497218834410?"),
    ("My uncle's mobile is 0176 44120953.", "Whose mobile is +49 176 44120953?"),
    ("The meter has the number 000883-KW.", "Which meter is 883-KW?"),
    ("The badge says 0044721.", "What is 44721?"),
    ("Call the nanny: 503-555-0188.", "Whose number is (503) 555 0188?"),
    ("The rent goes to NL02 ABNA 0123 4567 89.", "What goes to NL02ABNA0123456789?"),
    ("The club's account is FR7630006000011234567890189.", "Which account is FR76 3000 6000 0112 3456 7890 189?"),
    ("The card ends, no, it is 5500 0000 0000 0004.", "Which card is 5500000000000004?"),
    ("The cookbook has ISBN 978-0-306-40615-7.", "Which book is 9780306406157?"),
    # Hashes and identifiers.
    ("The bad commit is 4be91c07d2.", "What was wrong with 4be91c0?"),
    ("The fix landed as a77d03e.", "What landed as a77d03e41b?"),
    ("The device is f81d4fae-7dec-11d0-a765-00a0c91e6bf6.", "Which device is f81d4fae?"),
    ("The record 3f2504e04f8941d39a0c0305e82c3301 is locked.", "Why is 3F2504E0-4F89-41D3-9A0C-0305E82C3301 locked?"),
    ("The camera's address is 5C:F3:70:8B:12:9D.", "What is 5cf3708b129d?"),
    ("The kettle reports from b827eb4f00aa.", "What reports from B8-27-EB-4F-00-AA?"),
    ("The bridge answers at 10.44.0.250.", "What answers at 10.44.0.250?"),
    # Names of programs, files, people and places on the net.
    ("It hangs in loadPendingInvoices every night.", "Where is the function that loads pending invoices stuck?"),
    ("We renamed it to merge_tag_index.", "What became of mergeTagIndex?"),
    ("The flag is called --skip-cold-cache.", "What is skipColdCache?"),
    ("The constant MAX_RETRY_DELAY is wrong.", "What is wrong with maxRetryDelay?"),
    ("The chart comes from plot_tide_levels.py.", "Which chart is from plotTideLevels?"),
    ("The minutes are in /home/share/Minutes_2031-final.odt.", "Where is minutes 2031 final?"),
    ("The landlady reads jo.vandermeer@postbus.example.", "Who reads jovandermeer?"),
    ("The form is at https://forms.allotment.example/waiting-list.", "Where is the waitinglist?"),
    ("The parser class is XMLFeedReader.", "What is the xml feed reader?"),
    ("We moved the page to Next.js.", "What did we move to nextjs?"),
    ("The new handset is a Fairphone6Plus.", "Which handset is a Fairphone 6 Plus?"),
    ("My laptop is a ZenBook 14X.", "Is it a ZenBook14X?"),
    ("The build runs on node22.", "What runs on Node 22?"),
    # Amounts, measures, dates, ordinals.
    ("The boat trailer cost 3,450.00 euros.", "What cost 3450?"),
    ("The deposit was 2.875,50 in the end.", "What was 2,875.50?"),
    ("The kiln was 6480 with delivery.", "What was 6,480?"),
    ("The piano weighs 412kg.", "What weighs 412 kg?"),
    ("The tank holds 95 l of rain.", "What holds 95l?"),
    ("The deed is dated 23.11.1987.", "Which paper is of 1987-11-23?"),
    ("The warranty began on 2029-06-04.", "Whose warranty is from 4.6.2029?"),
    ("The archive folder is 20180930.", "Which folder is 2018-09-30?"),
    ("The amplifier is a TQ-4100RD7.", "Which amplifier is the TQ 4100 RD7?"),
    ("The choir rehearses at 18:55.", "Who rehearses at 18.55?"),
    ("The dentist is on the 8th floor.", "Who is on the eighth floor?"),
    ("The archive room is on the second storey.", "What is on the 2nd storey?"),
    # Words with and without hyphens, points, marks and letters.
    ("The check-in desk opened late.", "When did checkin open?"),
    ("We bought a lawnmower, a battery one.", "What about the lawn-mower?"),
    ("Covid-22 kept us at home.", "What was with covid22?"),
    ("He sits on the committee of the U.N.E.P. in spring.", "Who sits on the UNEP committee?"),
    ("Ljubiša Đokić repaired the accordion.", "What did Ljubisa Dokic repair?"),
    ("Søren Kjærgård plays the oboe.", "Who is Soren Kjaergard?"),
    ("我的飞机是MU5137。", "MU 5137是什么？"),
    ("私の会員番号は4471-2098です。", "会員番号44712098は誰？"),
    ("Мой рейс АФ2045 отменили.", "Что с рейсом АФ 2045?"),
    ("رقم الطلب ٨٨٤ ٢١٧ جاهز.", "هل الطلب 884217 جاهز؟"),
]

CODE = "TR-90B-5526K"

PLACES = "harbour market library garden station bakery cinema museum school stadium".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday".split()
OTHERS = [
    f"On {day} I was at the {place} with {name}, number {7 * index + 100}, and it cost {index}.{index}0."
    for index, (place, day, name) in enumerate(
        (place, day, name) for place in PLACES for day in DAYS for name in ("Rosa", "Emil")
    )
]
"""Turns that hold numbers, too."""


@pytest.fixture(scope="module", params=["tail", "index"])
def memory(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Memory]:
    path: Path = tmp_path_factory.mktemp("exact") / "memory.db"
    with Memory(path) as opened:
        for index, text in enumerate([*OTHERS, *(stored for stored, _ in PAIRS)]):
            opened.remember(text, session=f"s{index}")
        if request.param == "index":
            assert opened.flush()
        yield opened


@pytest.mark.parametrize(("stored", "asked"), PAIRS, ids=[asked for _, asked in PAIRS])
def test_an_exact_thing_is_found_first_however_it_is_written(memory: Memory, stored: str, asked: str) -> None:
    hits = memory.recall(asked)
    assert hits, "nothing was found"
    assert hits[0].engram.text == stored


def test_a_code_is_surer_than_one_that_shares_a_part_with_it(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember(f"The gasket is {CODE}.", session="a")
        memory.remember("The pump is TR-90B-1180M.", session="b")
        first, second = memory.recall("What is TR90B5526K?")
        assert CODE in first.engram.text
        assert first.score > 1.5 * second.score


def test_a_question_with_a_code_is_known_as_asked_before(tmp_path: Path) -> None:
    with Memory(tmp_path / "memory.db") as memory:
        memory.remember("When is my check-in?", session="a")
        memory.remember("My check-in is at noon, at the desk in the hall.", session="b")
        assert memory.recall("When is my check-in?")[0].engram.session == "b"
