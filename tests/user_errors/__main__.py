"""Write `docs/errors.md` anew."""

from __future__ import annotations

from pathlib import Path

from tests.user_errors.page import page

(Path(__file__).parents[2] / "docs" / "errors.md").write_text(page(), encoding="utf-8")
