"""The ``parsl-diaspora`` command: what a log tells, for people and for programs.

    main.py       the command line, and how errors are told
    find.py       which logs are read, and which run is meant
    runs.py       the table of runs; summary.py is one run in one line
    report.py     how one run went: tally.py counts, report_model.py is what is said, report_text.py says it
    explain.py    one task, try by try: storyteller.py makes the story of story.py, story_text.py tells it;
                  nearby.py knows what else happened there
    top/          one run, live: model.py knows, frame.py tells, app.py shows
    cancel.py     stop a task from outside
    events.py     the events themselves: export and schema here, tail.py, check.py for verify;
                  event_words.py is one event in one line
    output.py     standard output: JSON, or text for people; words.py puts numbers into words
    demo/         the demonstration

Each command is a module with ``add_arguments(parser)`` and ``run(args) -> int``. It is imported when it is
called, so ``parsl-diaspora --version`` waits for nothing.
"""
