"""The palette leads to the labs, too."""

from fastapi.testclient import TestClient


def found(client: TestClient, text: str) -> list[tuple[str, str]]:
    results = client.get("/search.json", params={"q": text}).json()["results"]
    return [(each["kind"], each["url"]) for each in results]


def test_labs_are_found_by_that_word_and_by_their_chapter(client: TestClient) -> None:
    lab = ("lab", "/book/basics/bread/lab")
    for text in ("lab", "Bread lab", "lab bre", "bread"):
        assert lab in found(client, text), text
    assert lab not in found(client, "tea lab")
    assert not [url for kind, url in found(client, "tea") if kind == "lab"]  # it has none
