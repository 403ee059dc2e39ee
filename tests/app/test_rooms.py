"""Each room: what it shows and the one thing that it does."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from fastapi.testclient import TestClient

from handbook.app.web import create_app
from handbook.app.web.pages import counted, marked
from handbook.book import symbols
from handbook.settings import Settings

Token = Callable[[], str]
BREAD = "/book/basics/bread"


def main_text(html: str) -> str:
    found = re.search(r"<main.*?</main>", html, re.DOTALL)
    assert found
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", found[0]))


def test_today_begins_with_the_first_chapter_then_goes_on_where_reading_stopped(
    client: TestClient, token: Token
) -> None:
    first = client.get("/").text
    assert f'class="main-action" href="{BREAD}"' in first
    client.post("/reading", data={"chapter": "basics/bread", "section": "kneading", "token": token()})
    then = client.get("/").text
    assert f'class="main-action" href="{BREAD}#resting"' in then
    assert "1 of 3 sections" in then
    assert '/exercise/adding"' in main_html(then)


def main_html(html: str) -> str:
    return html[html.index("<main") : html.index("</main>")]


def test_contents_lists_every_chapter_with_its_state_and_both_kinds_of_way(client: TestClient) -> None:
    text = main_text(client.get("/book").text)
    assert "Bread not begun" in text
    assert "Tea not written yet" in text
    assert "Breakfast" in text
    assert client.get("/book/basics").headers["location"] == "/book#basics"


def test_a_chapter_that_is_not_written_says_so_and_shows_its_outline(client: TestClient) -> None:
    text = main_text(client.get("/book/basics/tea").text)
    assert "Not written yet. What follows is its outline." in text
    assert "Green tea at seventy degrees." in text


def test_a_chapter_shows_text_notes_mathematics_and_ways_on(client: TestClient) -> None:
    html = client.get(BREAD).text
    assert '<p id="gluten">' in html
    assert 'id="note-claim-kneading-time"' in html
    assert 'id="note-cite-hamelman2004"' in html
    assert 'data-tex="n^2"' in html
    assert "/static/vendor/math-" in html
    assert 'href="/book/basics/tea"' in main_html(html)
    assert "math-" not in client.get("/book/basics/tea").text


def test_a_chapter_follows_its_file(client: TestClient, settings: Settings) -> None:
    assert settings.book
    assert "Rye needs" not in client.get(BREAD).text
    file = settings.book / "basics" / "bread.md"
    file.write_text(file.read_text(encoding="utf-8") + "\nRye needs no kneading.\n", encoding="utf-8")
    client.app.state.shelf._looked = 0.0  # type: ignore[attr-defined]
    assert "Rye needs" in client.get(BREAD).text


def test_reading_marks_are_made_and_undone_without_scripts(client: TestClient, token: Token) -> None:
    answer = client.post("/reading", data={"chapter": "basics/bread", "read": "1", "token": token()})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"{BREAD}#reading-marks"
    html = client.get(BREAD).text
    assert "3 of 3 sections read" in html
    assert html.count('class="is-read"') == 3
    client.post("/reading", data={"chapter": "basics/bread", "read": "0", "token": token()})
    assert "0 of 3 sections read" in client.get(BREAD).text


def test_marks_of_unknown_sections_are_refused(client: TestClient, token: Token) -> None:
    bread = {"chapter": "basics/bread"}
    for form in ({"chapter": "nope"}, {**bread, "section": "nope"}, {**bread, "section": "kneading nope"}):
        assert client.post("/reading", data={**form, "token": token()}).status_code == 404
    assert "0 of 3 sections read" in client.get(BREAD).text


def test_several_sections_are_marked_and_unmarked_at_once(client: TestClient, token: Token) -> None:
    for read, count in (("1", 2), ("0", 0)):
        form = {"chapter": "basics/bread", "section": "kneading baking", "read": read, "token": token()}
        assert client.post("/reading", data=form).status_code in (200, 303)
        html = client.get(BREAD).text
        assert f"{count} of 3 sections read" in html
        assert html.count('class="is-read"') == count


def test_questions_stay_closed_and_filter_by_level(client: TestClient) -> None:
    html = client.get(f"{BREAD}/questions").text
    assert html.index("Why is dough kneaded?") < html.index("<details>") < html.index("must have, weight 2")
    assert html.count('class="question"') == 2
    lead = client.get(f"{BREAD}/questions?level=lead").text
    assert lead.count('class="question"') == 1
    assert "Design an oven" in lead
    assert f'href="{BREAD}#gluten"' in html


def test_code_has_an_address_per_symbol_and_links_back(client: TestClient) -> None:
    html = client.get("/code/handbook.records").text
    assert 'id="Usage"' in html
    assert f'href="{BREAD}' in main_html(html)
    line = symbols.source("handbook.records:Usage").line
    assert re.search(rf'id="Usage"><span class="number"[^>]*>{line}<', html)
    listed = client.get("/code").text
    assert 'href="/code/handbook.records"' in listed


def test_docstrings_show_code_as_code(client: TestClient) -> None:
    html = client.get("/code/handbook.book.bounds").text
    above = html[html.index("<article") : html.index("<h2>Source")]
    assert "joined by <code>and</code>." in above
    assert "`" not in above
    assert "<h1><code>handbook.<wbr>book.<wbr>bounds</code></h1>" in above
    assert "`" not in main_html(client.get("/code").text)


def test_marks_in_plain_text() -> None:
    shown = marked("Of $n^2$ and `a < b`, ``c``, `$d$`, $5 and $6; <b> `e")
    assert shown == (
        'Of <span class="math" data-tex="n^2">n^2</span> and <code>a &lt; b</code>, <code>c</code>, '
        "<code>$d$</code>, $5 and $6; &lt;b&gt; `e"
    )


def test_code_shows_our_package_only(client: TestClient) -> None:
    for module in ("os", "handbook.nope", "handbook...settings", "handbook.app.web.rooms.__init__.py"):
        assert client.get(f"/code/{module}").status_code == 404, module


def test_references_have_an_address_and_say_who_cites_them(client: TestClient) -> None:
    html = client.get("/references").text
    assert '<li id="hamelman2004">' in html
    assert f'href="{BREAD}#gluten"' in html


def test_authors_and_titles_end_with_one_stop(client: TestClient, settings: Settings) -> None:
    assert settings.book
    file = settings.book / "references.bib"
    text = file.read_text(encoding="utf-8").replace("{Hamelman, Jeffrey}", "{Hamelman, Jeffrey and others}")
    file.write_text(text.replace("{Bread}", "{Bread?}"), encoding="utf-8")
    client.app.state.shelf._looked = 0.0  # type: ignore[attr-defined]
    source = "<cite>Bread?</cite> Wiley, 2004."
    assert f"Jeffrey Hamelman, et al. {source}" in client.get("/references").text
    assert f"Jeffrey Hamelman et al. {source}" in client.get(BREAD).text


def test_faults_are_counted_in_words(client: TestClient) -> None:
    assert [counted(number, "fault") for number in (1, 2, 0)] == ["1 fault", "2 faults", "0 faults"]
    shelf = client.app.state.shelf  # type: ignore[attr-defined]
    assert f", {len(shelf.book.faults)} faults (" in client.get("/about").text


def test_search_finds_text_questions_code_titles_and_commands(client: TestClient) -> None:
    def kinds(text: str) -> dict[str, str]:
        found = client.get("/search.json", params={"q": text}).json()["results"]
        return {each["kind"]: each["url"] for each in reversed(found)}

    assert kinds("gluten netw")["paragraph"].startswith(BREAD)
    assert kinds("dough kneaded")["question"] == f"{BREAD}/questions#why-knead"
    assert kinds("tea")["chapter"] == "/book/basics/tea"
    assert kinds("adding")["exercise"] == "/exercise/adding"
    assert kinds("doctor")["command"] == "/about#doctor"
    assert kinds("")["page"] == "/"
    assert "code" in kinds("tokens seconds reply")
    page = client.get("/search", params={"q": "gluten network"}).text
    assert f'href="{BREAD}#gluten"' in page


def test_what_is_searched_for_is_text_not_markup(client: TestClient) -> None:
    html = client.get("/search", params={"q": "<script>alert(1)</script>"}).text
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


def test_export_delete_and_import_bring_everything_back(client: TestClient, token: Token) -> None:
    client.post("/reading", data={"chapter": "basics/bread", "token": token()})
    export = client.get("/about/export")
    assert "attachment" in export.headers["content-disposition"]
    refused = client.post("/about/delete", data={"confirm": "yes", "token": token()})
    assert refused.status_code == 400
    assert "Nothing was deleted" in refused.text
    assert "3 of 3" in client.get(BREAD).text
    client.post("/about/delete", data={"confirm": "delete everything", "token": token()})
    assert "0 of 3" in client.get(BREAD).text
    answer = client.post(
        "/about/import", data={"token": token()}, files={"file": ("state.json", export.content)}
    )
    assert "3 sections read" in client.get(answer.headers["location"]).text
    assert "3 of 3" in client.get(BREAD).text


def test_an_import_of_something_else_is_refused_with_the_reason(client: TestClient, token: Token) -> None:
    for content in (b"not json", json.dumps({"format": "other"}).encode()):
        answer = client.post("/about/import", data={"token": token()}, files={"file": ("a", content)})
        assert answer.status_code in (400, 503)
        assert "Expected" in answer.text


def test_about_says_what_is_in_use(client: TestClient, settings: Settings) -> None:
    text = main_text(client.get("/about?doctor=1").text)
    for piece in (str(settings.data), settings.model, settings.embedder, "handbook.db", "torch"):
        assert piece in text, piece


def test_the_theme_is_in_the_page_before_any_script(client: TestClient) -> None:
    assert "data-theme" not in client.get("/").text
    client.cookies.set("handbook_theme", "dark")
    assert 'data-theme="dark"' in client.get("/").text
    client.cookies.set("handbook_theme", '"><script>')
    assert "data-theme" not in client.get("/").text


def test_a_page_that_is_not_there_says_where_to_look(client: TestClient) -> None:
    for url in ("/nope", "/book/basics/nope", "/book/nope", "/exercise/nope", "/book/basics/tea/lab"):
        answer = client.get(url)
        assert answer.status_code == 404, url
        assert 'href="/book"' in answer.text
    assert client.get("/nope", headers={"accept": "application/json"}).json()["remedy"]


def test_assets_are_kept_for_good_and_pages_are_not(client: TestClient) -> None:
    html = client.get("/").text
    urls = re.findall(r'"(/static/[^"]+)"', html)
    assert len(urls) > 5
    for url in urls:
        answer = client.get(url)
        assert answer.status_code == 200, url
        assert "immutable" in answer.headers["cache-control"], url
    assert client.get("/").headers["cache-control"] == "private, no-cache"


def test_an_unexpected_error_is_a_page_with_the_headers(settings: Settings) -> None:
    app = create_app(settings, background=False)

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("a secret path")

    with TestClient(app, base_url="http://127.0.0.1:8017", raise_server_exceptions=False) as client:
        answer = client.get("/broken")
    assert answer.status_code == 500
    assert "That is a bug" in answer.text
    assert "a secret path" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_a_database_of_a_newer_version_stops_marks_but_not_reading(
    settings: Settings, tmp_path: Path
) -> None:
    import sqlite3

    settings.data.mkdir(parents=True)
    with sqlite3.connect(settings.data / "handbook.db") as connection:
        connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()
    app = create_app(settings, background=False)
    with TestClient(app, base_url="http://127.0.0.1:8017") as client:
        client.get(BREAD)
        html = client.get(BREAD).text
        assert "Kneading builds gluten" in html
        assert "is not kept for now" in html
        assert "9999" in html
        token = client.get("/token").text
        refused = client.post("/reading", data={"chapter": "bread", "token": token})
    assert refused.status_code == 503
    assert "upgrade" in refused.text.lower()
