"""What was acknowledged against what was read: a history of a fabric under fire, and its judge.

    records.py  what writers and readers note, and the files that hold it
    writer.py   a writer that notes what it is about to say and what was called safe
    reader.py   a reader that notes what it got and what it committed
    checker.py  the verdict over all notes

Writers and readers may be killed at any moment: a note is one ``write`` into a file of its own, so the dead
leave what they noted, and at most the last note is cut off, which weakens the check and never makes it wrong.
"""

from parsl_diaspora.testing.history.checker import Verdict, check, judge
from parsl_diaspora.testing.history.reader import HistoryReader
from parsl_diaspora.testing.history.records import Notes, read_notes
from parsl_diaspora.testing.history.writer import HistoryWriter, sealed_event, sealed_number

__all__ = [
    "HistoryReader",
    "HistoryWriter",
    "Notes",
    "Verdict",
    "check",
    "judge",
    "read_notes",
    "sealed_event",
    "sealed_number",
]
