"""What the contract tests need on the workers and in the interchange."""

from __future__ import annotations

import os
import pickle

from parsl.executors.high_throughput.manager_selector import RandomManagerSelector
from parsl.serialize import unpack_apply_message


def tell(buffer, *arguments, **named):
    """Runs in place of Parsl's own function: where it is, what it was given, and the app's answer."""
    function, args, kwargs = unpack_apply_message(buffer)
    environ = {name: value for name, value in os.environ.items() if name.startswith("PARSL_WORKER_")}
    return {
        "arguments": arguments,
        "named": named,
        "answer": function(*args, **kwargs),
        "environ": environ,
        "manager_pid": os.getppid(),
    }


def double(number):
    return 2 * number


def divide():
    return 1 / 0


class SpySelector(RandomManagerSelector):
    """Writes down in which process it was asked, and with what."""

    def __init__(self, path):
        self.path = path

    def sort_managers(self, ready_managers, manager_list):
        if not os.path.exists(self.path):
            record = next(iter(ready_managers.values()))
            with open(self.path, "w", encoding="utf-8") as file:
                file.write(f"{os.getpid()} {type(next(iter(manager_list))).__name__} {sorted(record)}")
        return super().sort_managers(ready_managers, manager_list)


class RecordSelector(RandomManagerSelector):
    """Writes down the interchange's records of managers when it is first asked."""

    def __init__(self, path):
        self.path = path

    def sort_managers(self, ready_managers, manager_list):
        if not os.path.exists(self.path):
            with open(f"{self.path}.new", "wb") as file:
                pickle.dump(list(ready_managers.values()), file)
            os.replace(f"{self.path}.new", self.path)
        return super().sort_managers(ready_managers, manager_list)


def read_records(path):
    """What it has written."""
    with open(path, "rb") as file:
        return pickle.load(file)
