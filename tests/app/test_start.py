"""What starting costs: nothing heavy is imported before something needs it."""

import subprocess
import sys
from pathlib import Path

from app.small_book import write

HEAVY = ("torch", "lancedb", "marimo", "transformers", "tokenizers", "pyarrow", "openai")

SCRIPT = """
import sys
from fastapi.testclient import TestClient
from handbook.app.web import create_app
from handbook.settings import Settings
from pathlib import Path
app = create_app(Settings(data=Path(sys.argv[1]), book=Path(sys.argv[2])), background=False)
assert "sqlalchemy" not in sys.modules, "create_app opened the database"
with TestClient(app, base_url="http://127.0.0.1:8017") as client:
    practice = ("/exercises", "/exercise/adding", "/drill", "/drill/why-knead", "/progress")
    for url in ("/", "/book", "/book/basics/bread", *practice, "/zoo"):
        answer = client.get(url)
        assert answer.status_code == 200, (url, answer.text)
print(" ".join(name for name in {heavy!r} if name in sys.modules))
"""


def test_the_first_pages_import_nothing_heavy(tmp_path: Path) -> None:
    book = write(tmp_path / "book")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{heavy!r}", repr(HEAVY)), str(tmp_path / "data"), str(book)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_create_app_makes_no_folder(tmp_path: Path) -> None:
    from handbook.app.web import create_app
    from handbook.settings import Settings

    create_app(Settings(data=tmp_path / "data", book=write(tmp_path / "book")))
    assert not (tmp_path / "data").exists()
