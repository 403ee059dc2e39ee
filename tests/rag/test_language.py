import pytest

from handbook.rag.language import language_of

SENTENCES = {
    "en": "This is a short note about how to write tests for parsers.",
    "de": "Die Datei wird von dem Programm gelesen, aber nicht verändert.",
    "fr": "Le fichier est lu par le programme, mais il ne change pas.",
    "es": "El archivo se lee con el programa, pero no cambia para nada.",
    "it": "Il file viene letto dal programma, ma non cambia; questo è tutto.",
    "pt": "O arquivo é lido pelo programa, mas não muda; isso é tudo o que há.",
    "nl": "Het bestand wordt door het programma gelezen, maar niet veranderd.",
    "sv": "Filen läses av programmet, men den ändras inte och det är allt.",
    "da": "Filen bliver læst af programmet, men den ændres ikke, og det er alt.",
    "no": "Filen blir lest av programmet, men den endres ikke, og dette er alt.",
    "fi": "Tiedosto luetaan ohjelmalla, mutta se ei muutu, ja tämä on kaikki.",
    "pl": "Plik jest czytany przez program, ale nie jest zmieniany, i to jest wszystko.",
    "cs": "Soubor je čten programem, ale není změněn, a to je vše, co jsem chtěl.",
    "hu": "A fájlt a program olvassa, de nem változtatja meg, és ez minden, hogy tudd.",
    "tr": "Dosya program tarafından okunur ama değiştirilmez ve bu kadar, daha çok bir şey değil.",  # noqa: RUF001
    "ru": "Файл читается программой, но он не меняется, и это всё.",
    "uk": "Файл читається програмою, але він не змінюється, і це все, що є.",  # noqa: RUF001
    "el": "Το αρχείο διαβάζεται από το πρόγραμμα.",  # noqa: RUF001
    "hi": "फ़ाइल को प्रोग्राम से पढ़ा जाता है और यह नहीं बदलती है।",
    "ar": "يتم قراءة الملف من البرنامج ولكن لا يتغير في هذا المكان من كل شيء",
    "ja": "ファイルはプログラムで読まれますが、変更されません。",
    "zh": "文件由程序读取，但不会被更改。",  # noqa: RUF001
    "ko": "파일은 프로그램에서 읽지만 변경되지 않습니다.",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_says_its_language(language: str) -> None:
    assert language_of(SENTENCES[language]) == language


@pytest.mark.parametrize(
    "text", ["", "x = 3; y = f(x)\nreturn 17", "Lorem ipsum dolor sit amet", "12 34 56", "de la"]
)
def test_what_can_not_be_told_is_not_guessed(text: str) -> None:
    assert language_of(text) == ""


def test_a_quotation_does_not_decide() -> None:
    assert language_of(SENTENCES["en"] * 4 + SENTENCES["de"] + SENTENCES["ru"]) == "en"
