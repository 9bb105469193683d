"""The ``parsl-diaspora`` command: what a log tells, for people and for programs.

    main.py     the command line, and how errors are told
    find.py     which logs are read, and which run is meant
    reading.py  all events of a log, each once
    summary.py  one run in one line; runs.py prints the table
    tally.py    what a report counts; report.py makes it, report_text.py tells it
    story.py    one task, try by try; explain.py makes it, story_text.py tells it
    events.py   the events themselves: tail, export, verify, schema
    output.py   standard output: JSON, or text for people; words.py puts numbers into words

Each command is a module with ``add_arguments(parser)`` and ``run(args) -> int``. It is imported when it is
called, so ``parsl-diaspora --version`` waits for nothing.
"""
