"""Every error that a user can provoke, provoked: `docs/errors.md` is written from what was said.

`python -m tests.user_errors` (or `make errors`) writes the page; `test_page.py` compares it.
"""
