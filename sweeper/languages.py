"""The one table of languages: the code that XTREME uses, ISO 639-3, FLORES-200, script, family.

It has the languages of XTREME and XTREME-R, and all others that XLM-R was trained on.
The ISO column is the code in Tatoeba's file names (``cmn`` for Chinese, ``pes`` for Persian): the
individual language where two letters name a macrolanguage of which one variety was taken, as
FLORES does of those that XTREME lacks (``lvs`` for Latvian, ``khk`` for Mongolian).
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
am Amharic amh amh_Ethi Ethiopic Afro-Asiatic Semitic
ar Arabic ara arb_Arab Arabic Afro-Asiatic Semitic
as Assamese asm asm_Beng Bengali Indo-European Indo-Aryan
az Azerbaijani aze azj_Latn Latin Turkic Oghuz
be Belarusian bel bel_Cyrl Cyrillic Indo-European Slavic
bg Bulgarian bul bul_Cyrl Cyrillic Indo-European Slavic
bn Bengali ben ben_Beng Bengali Indo-European Indo-Aryan
br Breton bre - Latin Indo-European Celtic
bs Bosnian bos bos_Latn Latin Indo-European Slavic
ca Catalan cat cat_Latn Latin Indo-European Romance
cs Czech ces ces_Latn Latin Indo-European Slavic
cy Welsh cym cym_Latn Latin Indo-European Celtic
da Danish dan dan_Latn Latin Indo-European Germanic
de German deu deu_Latn Latin Indo-European Germanic
el Greek ell ell_Grek Greek Indo-European Greek
en English eng eng_Latn Latin Indo-European Germanic
eo Esperanto epo epo_Latn Latin Artificial -
es Spanish spa spa_Latn Latin Indo-European Romance
et Estonian est est_Latn Latin Uralic Finnic
eu Basque eus eus_Latn Latin Basque -
fa Persian pes pes_Arab Arabic Indo-European Iranian
fi Finnish fin fin_Latn Latin Uralic Finnic
fr French fra fra_Latn Latin Indo-European Romance
fy Frisian fry - Latin Indo-European Germanic
ga Irish gle gle_Latn Latin Indo-European Celtic
gd Scottish_Gaelic gla gla_Latn Latin Indo-European Celtic
gl Galician glg glg_Latn Latin Indo-European Romance
gu Gujarati guj guj_Gujr Gujarati Indo-European Indo-Aryan
ha Hausa hau hau_Latn Latin Afro-Asiatic Chadic
he Hebrew heb heb_Hebr Hebrew Afro-Asiatic Semitic
hi Hindi hin hin_Deva Devanagari Indo-European Indo-Aryan
hr Croatian hrv hrv_Latn Latin Indo-European Slavic
ht Haitian hat hat_Latn Latin Indo-European Romance
hu Hungarian hun hun_Latn Latin Uralic Ugric
hy Armenian hye hye_Armn Armenian Indo-European Armenian
id Indonesian ind ind_Latn Latin Austronesian Malayo-Polynesian
is Icelandic isl isl_Latn Latin Indo-European Germanic
it Italian ita ita_Latn Latin Indo-European Romance
ja Japanese jpn jpn_Jpan Japanese Japonic -
jv Javanese jav jav_Latn Latin Austronesian Malayo-Polynesian
ka Georgian kat kat_Geor Georgian Kartvelian -
kk Kazakh kaz kaz_Cyrl Cyrillic Turkic Kipchak
km Khmer khm khm_Khmr Khmer Austroasiatic Khmeric
kn Kannada kan kan_Knda Kannada Dravidian -
ko Korean kor kor_Hang Hangul Koreanic -
ku Kurdish kmr kmr_Latn Latin Indo-European Iranian
ky Kyrgyz kir kir_Cyrl Cyrillic Turkic Kipchak
la Latin lat - Latin Indo-European Italic
lo Lao lao lao_Laoo Lao Tai-Kadai -
lt Lithuanian lit lit_Latn Latin Indo-European Baltic
lv Latvian lvs lvs_Latn Latin Indo-European Baltic
mg Malagasy plt plt_Latn Latin Austronesian Malayo-Polynesian
mk Macedonian mkd mkd_Cyrl Cyrillic Indo-European Slavic
ml Malayalam mal mal_Mlym Malayalam Dravidian -
mn Mongolian khk khk_Cyrl Cyrillic Mongolic-Khitan Mongolic
mr Marathi mar mar_Deva Devanagari Indo-European Indo-Aryan
ms Malay msa zsm_Latn Latin Austronesian Malayo-Polynesian
my Burmese mya mya_Mymr Burmese Sino-Tibetan Lolo-Burmese
ne Nepali npi npi_Deva Devanagari Indo-European Indo-Aryan
nl Dutch nld nld_Latn Latin Indo-European Germanic
no Norwegian nob nob_Latn Latin Indo-European Germanic
om Oromo gaz gaz_Latn Latin Afro-Asiatic Cushitic
or Odia ory ory_Orya Odia Indo-European Indo-Aryan
pa Punjabi pan pan_Guru Gurmukhi Indo-European Indo-Aryan
pl Polish pol pol_Latn Latin Indo-European Slavic
ps Pashto pbt pbt_Arab Arabic Indo-European Iranian
pt Portuguese por por_Latn Latin Indo-European Romance
qu Quechua que quy_Latn Latin Quechuan -
ro Romanian ron ron_Latn Latin Indo-European Romance
ru Russian rus rus_Cyrl Cyrillic Indo-European Slavic
sa Sanskrit san san_Deva Devanagari Indo-European Indo-Aryan
sd Sindhi snd snd_Arab Arabic Indo-European Indo-Aryan
si Sinhala sin sin_Sinh Sinhala Indo-European Indo-Aryan
sk Slovak slk slk_Latn Latin Indo-European Slavic
sl Slovenian slv slv_Latn Latin Indo-European Slavic
so Somali som som_Latn Latin Afro-Asiatic Cushitic
sq Albanian als als_Latn Latin Indo-European Albanian
sr Serbian srp srp_Cyrl Cyrillic Indo-European Slavic
su Sundanese sun sun_Latn Latin Austronesian Malayo-Polynesian
sv Swedish swe swe_Latn Latin Indo-European Germanic
sw Swahili swh swh_Latn Latin Atlantic-Congo Bantu
ta Tamil tam tam_Taml Tamil Dravidian -
te Telugu tel tel_Telu Telugu Dravidian -
th Thai tha tha_Thai Thai Tai-Kadai -
tl Tagalog tgl tgl_Latn Latin Austronesian Malayo-Polynesian
tr Turkish tur tur_Latn Latin Turkic Oghuz
ug Uyghur uig uig_Arab Arabic Turkic Karluk
uk Ukrainian ukr ukr_Cyrl Cyrillic Indo-European Slavic
ur Urdu urd urd_Arab Arabic Indo-European Indo-Aryan
uz Uzbek uzn uzn_Latn Latin Turkic Karluk
vi Vietnamese vie vie_Latn Latin Austroasiatic Vietic
wo Wolof wol wol_Latn Latin Atlantic-Congo Senegambian
xh Xhosa xho xho_Latn Latin Atlantic-Congo Bantu
yi Yiddish ydd ydd_Hebr Hebrew Indo-European Germanic
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
