"""The one table of languages: the code that XTREME uses, ISO 639-3, FLORES-200, script, family.

The ISO column is the code in Tatoeba's file names (``cmn`` for Chinese, ``pes`` for Persian): the
individual language where XTREME's two letters name a macrolanguage of which one variety was taken.
Families follow Glottolog's top level; the branch is given where XTREME's paper splits a family.
"""

from __future__ import annotations

from typing import NamedTuple

from sweeper.errors import StudyError, suggest


class Language(NamedTuple):
    """One row of the table. ``flores`` is empty where FLORES-200 has no such language."""

    code: str
    name: str
    iso: str
    flores: str
    script: str
    family: str
    branch: str


_TABLE = """
af Afrikaans afr afr_Latn Latin Indo-European Germanic
ar Arabic ara arb_Arab Arabic Afro-Asiatic Semitic
az Azerbaijani aze azj_Latn Latin Turkic Oghuz
bg Bulgarian bul bul_Cyrl Cyrillic Indo-European Slavic
bn Bengali ben ben_Beng Bengali Indo-European Indo-Aryan
de German deu deu_Latn Latin Indo-European Germanic
el Greek ell ell_Grek Greek Indo-European Greek
en English eng eng_Latn Latin Indo-European Germanic
es Spanish spa spa_Latn Latin Indo-European Romance
et Estonian est est_Latn Latin Uralic Finnic
eu Basque eus eus_Latn Latin Basque -
fa Persian pes pes_Arab Arabic Indo-European Iranian
fi Finnish fin fin_Latn Latin Uralic Finnic
fr French fra fra_Latn Latin Indo-European Romance
gu Gujarati guj guj_Gujr Gujarati Indo-European Indo-Aryan
he Hebrew heb heb_Hebr Hebrew Afro-Asiatic Semitic
hi Hindi hin hin_Deva Devanagari Indo-European Indo-Aryan
ht Haitian hat hat_Latn Latin Indo-European Romance
hu Hungarian hun hun_Latn Latin Uralic Ugric
id Indonesian ind ind_Latn Latin Austronesian Malayo-Polynesian
it Italian ita ita_Latn Latin Indo-European Romance
ja Japanese jpn jpn_Jpan Japanese Japonic -
jv Javanese jav jav_Latn Latin Austronesian Malayo-Polynesian
ka Georgian kat kat_Geor Georgian Kartvelian -
kk Kazakh kaz kaz_Cyrl Cyrillic Turkic Kipchak
ko Korean kor kor_Hang Hangul Koreanic -
lt Lithuanian lit lit_Latn Latin Indo-European Baltic
ml Malayalam mal mal_Mlym Malayalam Dravidian -
mr Marathi mar mar_Deva Devanagari Indo-European Indo-Aryan
ms Malay msa zsm_Latn Latin Austronesian Malayo-Polynesian
my Burmese mya mya_Mymr Burmese Sino-Tibetan Lolo-Burmese
nl Dutch nld nld_Latn Latin Indo-European Germanic
pa Punjabi pan pan_Guru Gurmukhi Indo-European Indo-Aryan
pl Polish pol pol_Latn Latin Indo-European Slavic
pt Portuguese por por_Latn Latin Indo-European Romance
qu Quechua que quy_Latn Latin Quechuan -
ro Romanian ron ron_Latn Latin Indo-European Romance
ru Russian rus rus_Cyrl Cyrillic Indo-European Slavic
sw Swahili swh swh_Latn Latin Atlantic-Congo Bantu
ta Tamil tam tam_Taml Tamil Dravidian -
te Telugu tel tel_Telu Telugu Dravidian -
th Thai tha tha_Thai Thai Tai-Kadai -
tl Tagalog tgl tgl_Latn Latin Austronesian Malayo-Polynesian
tr Turkish tur tur_Latn Latin Turkic Oghuz
uk Ukrainian ukr ukr_Cyrl Cyrillic Indo-European Slavic
ur Urdu urd urd_Arab Arabic Indo-European Indo-Aryan
vi Vietnamese vie vie_Latn Latin Austroasiatic Vietic
wo Wolof wol wol_Latn Latin Atlantic-Congo Senegambian
yo Yoruba yor yor_Latn Latin Atlantic-Congo Yoruboid
zh Chinese cmn zho_Hans Chinese Sino-Tibetan Sinitic
qaa Source qaa - Latin Synthetic -
qab Near qab - Latin Synthetic -
qac Middling qac - Latin Synthetic -
qad Far qad - Latin Synthetic -
qae Farthest qae - Latin Synthetic -
"""
# qaa..qae: ISO 639's private-use range, for the demo's synthetic family, by distance from qaa.


def _read() -> dict[str, Language]:
    cells = (line.split() for line in _TABLE.split("\n") if line)
    return {row[0]: Language(*("" if cell == "-" else cell for cell in row)) for row in cells}


LANGUAGES: dict[str, Language] = _read()


def language(code: str) -> Language:
    """The table's row for an XTREME code. An unmapped code raises `StudyError`."""
    if code not in LANGUAGES:
        raise StudyError(
            f"Every language must be in the language table; {code!r} is not."
            f"{suggest(code, LANGUAGES)} Add a row to sweeper/languages.py for a new one."
        )
    return LANGUAGES[code]
