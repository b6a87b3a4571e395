"""The table of languages."""

from __future__ import annotations

import pytest

from sweeper.errors import StudyError
from sweeper.languages import LANGUAGES, language
from sweeper.tasks.card import shipped_cards

XTREME = """
af ar bg bn de el en es et eu fa fi fr he hi hu id it ja jv ka kk ko ml mr ms my nl pt ru sw ta te
th tl tr ur vi yo zh
""".split()  # noqa: SIM905  (a list of forty strings is no easier to read)


XLM_R = """
af am ar as az be bg bn br bs ca cs cy da de el en eo es et eu fa fi fr fy ga gd gl gu ha he hi hr
hu hy id is it ja jv ka kk km kn ko ku ky la lo lt lv mg mk ml mn mr ms my ne nl no om or pa pl ps
pt ro ru sa sd si sk sl so sq sr su sv sw ta te th tl tr ug uk ur uz vi xh yi zh
""".split()  # noqa: SIM905


def test_all_languages_of_xlm_r_are_there() -> None:
    assert len(XLM_R) == 93, "its hundred, less the second scripts of some"
    assert set(XLM_R) <= set(LANGUAGES)


def test_all_40_languages_of_xtreme_are_there() -> None:
    assert len(XTREME) == 40
    assert set(XTREME) <= set(LANGUAGES)


def test_every_code_is_its_own() -> None:
    for field in ("code", "name", "iso"):
        assert len({getattr(row, field) for row in LANGUAGES.values()}) == len(LANGUAGES)
    codes = [row.flores for row in LANGUAGES.values() if row.flores]
    assert len(set(codes)) == len(codes)


def test_every_row_is_whole() -> None:
    for row in LANGUAGES.values():
        assert len(row.iso) == 3
        assert row.script and row.family
        assert not row.flores or row.flores.split("_")[0].islower()


@pytest.mark.parametrize(
    ("code", "iso", "flores", "family"),
    [
        ("de", "deu", "deu_Latn", "Indo-European"),
        # Tatoeba's file names have the individual languages of these macrolanguages.
        ("zh", "cmn", "zho_Hans", "Sino-Tibetan"),
        ("fa", "pes", "pes_Arab", "Indo-European"),
        ("ar", "ara", "arb_Arab", "Afro-Asiatic"),
        ("eu", "eus", "eus_Latn", "Basque"),
        ("ka", "kat", "kat_Geor", "Kartvelian"),
        ("ko", "kor", "kor_Hang", "Koreanic"),
        ("sv", "swe", "swe_Latn", "Indo-European"),
        ("no", "nob", "nob_Latn", "Indo-European"),
        ("sq", "als", "als_Latn", "Indo-European"),
        ("mn", "khk", "khk_Cyrl", "Mongolic-Khitan"),
        ("qab", "qab", "", "Synthetic"),
    ],
)
def test_known_rows(code: str, iso: str, flores: str, family: str) -> None:
    row = language(code)
    assert (row.iso, row.flores, row.family) == (iso, flores, family)


def test_a_language_without_a_branch_has_an_empty_one() -> None:
    assert language("eu").branch == ""
    assert language("de").branch == "Germanic"


@pytest.mark.parametrize("code", ["xx", "EN", "eng", ""])
def test_an_unknown_code_is_said(code: str) -> None:
    with pytest.raises(StudyError, match=f"'{code}' is not.*Add a row"):
        language(code)


def test_the_shipped_cards_speak_languages_of_the_table() -> None:
    for card in shipped_cards().values():
        for split in card.splits.values():
            assert all(language(code).code == code for code in split.languages)
