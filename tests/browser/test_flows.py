"""What a person does: reads, follows a citation, opens a claim, searches, asks, chats."""

import re

from playwright.sync_api import expect

from browser.conftest import Visit, beside

BREAD = "/book/basics/bread"


def test_reading_and_following_a_citation(own_visit: Visit) -> None:
    page = own_visit.go("/")
    page.get_by_role("link", name="Read the first chapter").click()
    expect(page).to_have_url(re.compile(f"{BREAD}$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Bread")
    note = page.locator("#note-cite-hamelman2004")
    expect(note).to_be_visible()
    beside(note, page.locator("a.cite").first)
    note.get_by_role("link", name="In the list of sources").click()
    expect(page.locator("li#hamelman2004")).to_be_in_viewport()


def test_a_later_citation_brings_the_note_to_its_line(visit: Visit) -> None:
    page = visit.go(BREAD)
    later = page.locator("#steam a.cite")
    later.click()
    beside(page.locator("#note-cite-hamelman2004"), later)
    expect(page).to_have_url(re.compile(f"{BREAD}$"))


def test_mathematics_is_set(visit: Visit) -> None:
    page = visit.go(BREAD)
    expect(page.locator(".math[data-set] .katex").first).to_be_visible()
    expect(page.locator(".math:not([data-set])")).to_have_count(0)
    assert page.locator(".math.block math").count() == 1


def test_a_claim_opens_by_keyboard_and_closes_with_escape(visit: Visit) -> None:
    page = visit.go(BREAD)
    claim = page.locator("a.claim[data-claim=kneading-time]")
    note = page.locator("#note-claim-kneading-time")
    expect(note).to_be_hidden()
    page.locator("a.cite").first.focus()
    page.keyboard.press("Tab")
    expect(claim).to_be_focused()
    expect(note).to_be_visible()
    expect(note).to_contain_text("A baker in Paris")
    expect(note).to_contain_text("handbook verify basics/bread")
    expect(note).not_to_contain_text("--write")  # that is for who writes the book
    page.keyboard.press("Enter")
    expect(claim).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(note).to_be_hidden()
    claim.hover()
    expect(note).to_be_visible()


def test_a_claim_is_measured_here_in_place(visit: Visit) -> None:
    page = visit.go(BREAD)
    page.locator("a.claim[data-claim=kneading-time]").click()
    note = page.locator("#note-claim-kneading-time")
    note.get_by_role("button", name="Measure here").click()
    expect(note).to_contain_text("8 minutes")
    expect(note).to_contain_text("the bound holds")


def test_a_section_that_was_read_is_marked_and_can_be_undone(own_visit: Visit) -> None:
    own_visit.page.set_viewport_size({"width": 1280, "height": 300})
    page = own_visit.go(BREAD)
    page.locator("#baking > :not(aside)").last.scroll_into_view_if_needed()
    said = page.locator("#read-said")
    expect(said).to_have_text("Read: Baking. Undo")
    link = page.locator(".contents a[data-title=Baking]")
    expect(link).to_have_class(re.compile("is-read"))
    said.get_by_role("button", name="Undo").click()
    expect(link).not_to_have_class(re.compile("is-read"))
    expect(said).to_be_empty()


def test_sections_read_on_one_screen_are_said_and_undone_together(own_visit: Visit) -> None:
    own_visit.page.set_viewport_size({"width": 1280, "height": 3000})
    page = own_visit.go(BREAD)
    said = page.locator("#read-said")
    expect(said).to_have_text("Read: Kneading, Resting, Baking. Undo")
    expect(page.locator(".contents a.is-read")).to_have_count(3)
    said.get_by_role("button", name="Undo").click()
    expect(page.locator(".contents a.is-read")).to_have_count(0)
    page.reload()
    expect(page.locator("#reading-marks")).to_contain_text("0 of 3 sections read")


def test_the_contents_mark_where_the_reader_is_far_from_a_heading_too(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 1280, "height": 300})
    page = visit.go(BREAD)
    here = page.locator(".contents [aria-current=location]")
    for place, title in (
        ("#baking table", "Baking"),
        ("#kneading > .math.block", "Kneading"),
        ("#rest", "Resting"),
    ):
        page.locator(place).first.evaluate("element => element.scrollIntoView()")
        expect(here).to_have_text(re.compile(f"^{title}"))


def test_the_palette_searches_as_you_type(visit: Visit) -> None:
    page = visit.go("/progress")
    page.keyboard.press("/")
    box = page.get_by_role("combobox")
    expect(box).to_be_focused()
    box.fill("gluten netw")
    first = page.locator("#palette [role=option]", has_text="Bread").first
    expect(first).to_be_visible()
    expect(page.locator("#palette [aria-selected=true]")).to_have_count(1)
    box.fill("")
    box.fill("tea")
    expect(page.locator("#palette [role=option]").first).to_contain_text("Tea")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/book/basics/tea$"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Tea")
    page.locator("html[data-ready]").wait_for(state="attached")  # keys before that are lost
    page.keyboard.press("Control+k")
    expect(page.locator("#palette")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#palette")).to_be_hidden()


def test_a_slow_search_says_so_and_offers_nothing_stale(visit: Visit) -> None:
    page = visit.go("/progress")
    page.keyboard.press("/")
    options = page.locator("#palette [role=option]")
    expect(options.first).to_contain_text("Today")

    page.evaluate(
        """() => {
            const quick = window.fetch;
            const held = new Promise((done) => (window.letGo = done));
            window.fetch = async (...what) => {
                await held;
                return quick(...what);
            };
        }"""
    )
    page.get_by_role("combobox").fill("tea")
    expect(page.get_by_text("Searching…")).to_be_visible()
    expect(options).to_have_count(0)
    page.evaluate("window.letGo()")
    expect(options.first).to_contain_text("Tea")
    expect(page.get_by_text("Searching…")).to_be_hidden()


def test_keys_lead_through_the_rooms(visit: Visit) -> None:
    page = visit.go(BREAD)
    expect(page.locator(".math:not([data-set])")).to_have_count(0)  # what stands below moves until then
    page.keyboard.press("j")
    expect(page.locator("#kneading > h2")).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("#resting > h3")).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("#kneading > h2")).to_be_focused()
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.keyboard.press("a")
    expect(page.locator("#ask-box")).to_be_focused()
    page.keyboard.type("t")
    expect(page.locator("#ask-box")).to_have_value("t")
    page.locator("h1").click()
    page.keyboard.press("t")
    expect(page).to_have_url(re.compile(r":\d+/$"))


def test_asking_from_a_page_and_following_the_citation(visit: Visit) -> None:
    page = visit.go("/book/basics/tea")
    page.fill("#ask-box", "Why does kneading build gluten, a network of proteins that holds gas?")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/ask"))
    cited = page.locator("a.cite-link").first
    cited.click()
    expect(page).to_have_url(re.compile(f"{BREAD}#gluten"))
    expect(page.locator("#gluten")).to_be_in_viewport()


def test_a_generated_answer_streams_with_its_verdicts(visit: Visit) -> None:
    page = visit.go("/ask?q=Why+does+kneading+build+gluten,+a+network+of+proteins+that+holds+gas?")
    page.get_by_role("button", name="Generate with scripted").click()
    expect(page.locator("#generated .state")).to_contain_text("1 of 2 sentences supported")
    expect(page.locator("#generated .sentence")).to_have_count(2)
    wrong = page.locator("#generated .unsupported")
    expect(wrong).to_contain_text("cheeses, not $5 or $6")
    expect(wrong.locator(".math[data-set] .katex")).to_have_count(1)


def test_chat_streams(visit: Visit) -> None:
    page = visit.go("/engine")
    page.fill("#chat-message", "Hello")
    page.keyboard.press("Enter")
    expect(page.locator(".turn-assistant .said")).to_contain_text("The moon is made of")
    expect(page.locator(".turn-assistant .speed")).to_contain_text("tokens at")
    page.fill("#chat-message", "And?")
    page.keyboard.press("Enter")
    expect(page.locator(".turn")).to_have_count(4)


def test_the_lab_is_live_in_the_page(visit: Visit) -> None:
    page = visit.go(f"{BREAD}/lab")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Kneaded for")).to_contain_text("10", timeout=60_000)
    slider = frame.get_by_role("slider")
    slider.focus()
    slider.press("ArrowRight")
    expect(frame.get_by_text("Kneaded for")).to_contain_text("11", timeout=60_000)


def test_the_lab_takes_the_colours_that_were_chosen(visit: Visit) -> None:
    page = visit.go(f"{BREAD}/lab")
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Kneaded for")).to_contain_text("10", timeout=60_000)
    body = frame.locator("body")
    expect(body).to_have_class(re.compile("light"))
    frame.get_by_role("slider").press("ArrowRight")
    expect(frame.get_by_text("Kneaded for")).to_contain_text("11", timeout=60_000)
    page.get_by_role("button", name="Use dark colours").click()
    expect(body).to_have_class(re.compile("dark"))
    expect(frame.get_by_text("Kneaded for")).to_contain_text("11")  # not loaded anew
    page.reload()
    expect(frame.get_by_text("Kneaded for")).to_be_visible(timeout=60_000)
    expect(body).to_have_class(re.compile("dark"))


def test_going_back_to_a_form_that_was_sent_still_works(visit: Visit) -> None:
    page = visit.go("/book/basics/tea")
    tokens, spent = page.locator("input[name=token]"), list[str]()
    for question in ("What is gluten?", "What is steam?"):
        page.fill("#ask-box", question)
        spent += [each.input_value() for each in tokens.all()]
        with page.expect_navigation():
            page.keyboard.press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Ask")
        page.go_back()
        expect(page.get_by_role("heading", level=1)).to_have_text("Tea")
        expect(tokens.first).not_to_have_value(re.compile("|".join(map(re.escape, spent))))
