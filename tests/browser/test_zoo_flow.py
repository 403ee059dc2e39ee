"""The zoo as people use it: open, sort, open a model, compare, paste a faulty config and a good one."""

import re

from playwright.sync_api import expect

from browser.conftest import Visit

GOOD = """{
  "model_type": "mixtral", "vocab_size": 1000, "hidden_size": 64, "intermediate_size": 128,
  "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2, "num_local_experts": 8,
  "num_experts_per_tok": 2, "max_position_embeddings": 4096
}"""
FAULTY = GOOD.replace('"num_key_value_heads": 2', '"num_key_value_heads": 3').replace(
    '"vocab_size": 1000,', ""
)


def test_from_the_book_to_a_model_and_its_neighbour(visit: Visit) -> None:
    page = visit.go("/references")
    page.get_by_role("navigation", name="More").get_by_role("link", name="Zoo").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Architecture zoo")
    page.get_by_role("navigation", name="Columns").get_by_role("link", name="Memory").click()
    first = page.locator("tbody th a").first
    page.get_by_role("link", name="Cache a token").click()
    expect(first).to_have_text("Gemma 2B")
    page.get_by_role("link", name="Cache a token").click()
    expect(first).to_have_text("Llama 2 7B")
    expect(page.get_by_role("columnheader", name="Cache a token")).to_have_attribute(
        "aria-sort", "descending"
    )
    first.click()
    expect(page).to_have_url(re.compile("/zoo/llama-2-7b"))
    expect(page.locator("#sums")).to_contain_text("Cache of a token: 512")
    page.get_by_label("Beside").select_option("deepseek-v3")
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Llama 2 7B, DeepSeek-V3")


def test_compare_by_keyboard(visit: Visit) -> None:
    page = visit.go("/zoo")
    for name in ("Mistral 7B v0.1", "Mixtral 8x7B"):
        page.get_by_label(f"Compare {name}").focus()
        page.keyboard.press("Space")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Mistral 7B v0.1, Mixtral 8x7B")


def test_a_faulty_config_then_a_good_one(visit: Visit) -> None:
    page = visit.go("/zoo")
    page.get_by_label("The text of a config.json").fill(FAULTY)
    page.get_by_role("button", name="Size it").click()
    fault = page.get_by_role("alert")
    expect(fault.get_by_role("listitem")).to_have_count(2)
    expect(fault).to_contain_text("heads (8) is not a multiple of kv_heads (3)")
    expect(fault).to_contain_text("vocab_size")
    box = page.get_by_label("The text of a config.json")
    assert '"num_key_value_heads": 3' in box.input_value()
    box.fill(GOOD)
    page.get_by_role("button", name="Size it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your config.json")
    expect(page.locator("#sums")).to_contain_text("Active weights")
    visit.complaints = [each for each in visit.complaints if "422" not in each]


def test_the_models_name_stays_while_its_numbers_scroll(visit: Visit) -> None:
    visit.page.set_viewport_size({"width": 390, "height": 844})
    page = visit.go("/zoo?view=memory")
    name, region = page.locator("tbody th").first, page.get_by_role("region", name="Models: memory")
    before = name.bounding_box()["x"]
    region.evaluate("element => element.scrollTo(400, 0)")
    assert region.evaluate("element => element.scrollLeft") > 100
    assert abs(name.bounding_box()["x"] - before) < 1


def test_it_works_without_scripts(visit: Visit) -> None:
    browser = visit.page.context.browser
    assert browser
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(visit.address + "/zoo?sort=-decode&view=work")
    expect(page.locator("tbody th a").first).to_have_text("Llama 3.1 405B")
    page.locator("#own-config").fill(GOOD)
    page.get_by_role("button", name="Size it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Your config.json")
    context.close()
