"""The zoo's room: the table by links, one model, several, a pasted config.json. Nothing is stored."""

import json
import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

Token = Callable[[], str]
GOOD = json.dumps(
    {
        "model_type": "llama",
        "vocab_size": 1000,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 8,
        "max_position_embeddings": 4096,
    }
)


def names(html: str) -> list[str]:
    return re.findall(r'name="compare" value="([^"]+)"', html)


def test_the_table_sorts_by_links_and_shows_each_source(client: TestClient) -> None:
    html = client.get("/zoo").text
    assert len(names(html)) >= 14
    assert 'href="?view=overview&amp;sort=cache&amp;context=2048"' in html
    assert html.count('class="external" href="https://github.com/') >= 14
    up = client.get("/zoo?sort=cache").text
    down = client.get("/zoo?sort=-cache").text
    assert names(up)[0] == names(down)[-1] == "gemma-2b"
    assert names(down)[0] == "llama-2-7b"
    assert 'aria-sort="ascending"' in up
    assert 'aria-sort="descending"' in down
    assert 'href="?view=overview&amp;sort=-cache&amp;context=2048"' in up, "a second click turns it round"


@pytest.mark.parametrize("view", ["overview", "shape", "memory", "work", "positions", "making", "nonsense"])
def test_every_choice_of_columns_has_every_model(client: TestClient, view: str) -> None:
    answer = client.get("/zoo", params={"view": view, "sort": "nonsense"})
    assert answer.status_code == 200
    assert len(names(answer.text)) >= 14


def test_a_model_has_its_numbers_sums_and_source(client: TestClient) -> None:
    html = client.get("/zoo/deepseek-v3?context=4096").text
    assert "671\N{NO-BREAK SPACE}B" in html
    assert "61 \N{MULTIPLICATION SIGN} (512 + 64) \N{MULTIPLICATION SIGN} 2 = 70" in html
    assert "Decode after 4,096 tokens" in html
    assert "https://huggingface.co/deepseek-ai/DeepSeek-V3" in html
    assert "num_nextn_predict_layers" in html
    assert client.get("/zoo/gpt-9").status_code == 404


def test_flops_are_counted_at_the_context_that_is_asked_for(client: TestClient) -> None:
    assert client.get("/zoo/phi-2?context=2048").text.count("FLOP</h3>") == 2
    beyond = client.get("/zoo/phi-2?context=2049").text
    assert "the context ends at 2,048" in beyond
    assert client.get("/zoo?context=8,192").status_code == 200
    for wrong in ("0", "-1", "1e9", "99999999999", "x", "²"):
        assert client.get("/zoo", params={"context": wrong}).status_code == 400, wrong


def test_comparing_two_to_four(client: TestClient) -> None:
    html = client.get("/zoo?compare=llama-2-7b,llama-3.1-8b&compare=mixtral-8x7b").text
    assert "Llama 2 7B, Llama 3.1 8B, Mixtral 8x7B</h1>" in html
    different, same = (
        html[html.index(">Different<") : html.index(">The same<")],
        html[html.index(">The same<") :],
    )
    assert ">Cache a token<" in different
    assert ">Norm<" in same
    alone = client.get("/zoo?compare=phi-2&compare=phi-2")
    assert (alone.status_code, alone.headers["location"]) == (303, "/zoo/phi-2")
    assert client.get("/zoo?compare=gpt-9,phi-2").status_code == 404
    five = client.get("/zoo?compare=phi-2,gemma-2b,gemma-7b,olmoe-1b-7b,qwen3-8b")
    assert five.status_code == 400
    assert "4 models fit" in five.text


def test_your_own_config_is_sized_and_not_stored(client: TestClient, token: Token) -> None:
    answer = client.post("/zoo/own", data={"config": GOOD, "context": "1024", "token": token()})
    assert answer.status_code == 200
    assert "Cache of a token: 768" in answer.text
    assert "Decode after 1,024 tokens" in answer.text
    assert "Nothing was stored" in answer.text
    assert "&#34;hidden_size&#34;: 64" in answer.text, "the form keeps what was sent"
    assert '"hidden_size": 64' not in json.dumps(client.get("/about/export").json())
    assert client.get("/zoo/own").headers["location"] == "/zoo#own"


def test_all_faults_of_your_own_config_at_once(client: TestClient, token: Token) -> None:
    bad = '{"model_type": "llama", "hidden_size": "<b>wide</b>", "num_hidden_layers": 2}'
    answer = client.post("/zoo/own", data={"config": bad, "context": "0", "token": token()})
    assert answer.status_code == 422
    fault = answer.text[answer.text.index('class="fault"') :]
    for piece in ("Expected a number of tokens", "hidden_size", "num_attention_heads", "vocab_size"):
        assert piece in fault[: fault.index("</div>")], piece
    assert "<b>wide" not in answer.text
    assert "&lt;b&gt;wide" in answer.text


@pytest.mark.parametrize(
    "text", ["", "[", "[" * 150_000, "x" * 250_000, '{"model_type": "llama", "num_hidden_layers": 9e99}']
)
def test_what_is_no_config_is_refused(client: TestClient, token: Token, text: str) -> None:
    assert client.post("/zoo/own", data={"config": text, "token": token()}).status_code == 422


def test_it_is_found_from_every_page_and_by_the_palette(client: TestClient) -> None:
    for path in ("/", "/book/basics/bread", "/references"):
        assert 'href="/zoo"' in client.get(path).text
    results = client.get("/search.json", params={"q": "zoo"}).json()["results"]
    assert ("page", "/zoo") in [(each["kind"], each["url"]) for each in results]
