"""The table of Chinese characters is made from dictionaries of OpenCC."""

from importlib.resources import files
from pathlib import Path

from tools import han


def write(folder: Path, **dictionaries: str) -> None:
    for name in ("TWVariantsRev", "HKVariantsRev", "JPShinjitaiCharacters", "TSCharacters"):
        (folder / f"{name}.txt").write_text("# a comment\n\n" + dictionaries.get(name, ""), "utf-8")


def test_every_form_of_a_character_becomes_the_simplified_one(tmp_path: Path) -> None:
    write(tmp_path, TWVariantsRev="裏\t裡\n", JPShinjitaiCharacters="竜\t龍\n", TSCharacters="龍\t龙\n裡\t里 裡\n")
    assert han.make_table(tmp_path) == {"裏": "里", "裡": "里", "竜": "龙", "龍": "龙"}


def test_phrases_and_characters_that_stay_are_left_out(tmp_path: Path) -> None:
    write(tmp_path, TSCharacters="乾\t乾 干\n頭髮\t头发\n㑮\t㑮 𫝈\n")
    assert han.make_table(tmp_path) == {}


def test_characters_that_become_each_other_get_one_form(tmp_path: Path) -> None:
    write(tmp_path, JPShinjitaiCharacters="叙\t敍\n", TSCharacters="敍\t叙\n敘\t叙\n")
    table = han.make_table(tmp_path)
    assert len({table.get(c, c) for c in "叙敍敘"}) == 1


def test_shipped_table_has_a_form_for_each_character() -> None:
    sources, forms = (files("engram.text") / "data" / "han.txt").read_text("utf-8").splitlines()
    assert len(sources) == len(forms) == len(set(sources)) > 3_000
    assert not set(sources) & set(forms)
