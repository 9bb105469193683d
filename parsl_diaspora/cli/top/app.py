"""The live view in the terminal. What it shows is made in `model` and `tables`; here it is only put there."""

from __future__ import annotations

from typing import ClassVar, Protocol

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.coordinate import Coordinate
from textual.widgets import DataTable, Footer, Input, Static, TabbedContent, TabPane

from parsl_diaspora.cli.top.frame import Frame
from parsl_diaspora.cli.top.tables import TableView, headline, resources, sparkline, tables_of

MOST_ROWS = 500


class Frames(Protocol):
    """Where frames come from."""

    trouble: str

    def frame(self) -> Frame:
        """The view now."""
        ...


class Grid(DataTable[Text]):
    """One table, whose cells change in place: the cursor and what is in sight stay where they are.

    Args:
        view: what it shows at first.
    """

    def __init__(self, view: TableView) -> None:
        super().__init__(id=f"grid-{view.name}", cursor_type="row", zebra_stripes=True)
        self._view = view
        self._shown: list[list[Text]] = []

    def on_mount(self) -> None:
        """Make the columns."""
        for title in self._view.columns:
            self.add_column(title, key=title)

    def show(self, view: TableView) -> None:
        """Show these rows."""
        rows = [_cells(view, number) for number in range(min(len(view.rows), MOST_ROWS))]
        while len(self._shown) > len(rows):
            self.remove_row(str(len(self._shown) - 1))
            self._shown.pop()
        for number, cells in enumerate(rows):
            if number == len(self._shown):
                self.add_row(*cells, key=str(number))
                self._shown.append(cells)
            else:
                self._change(number, cells)

    def _change(self, number: int, cells: list[Text]) -> None:
        for column, (old, new) in enumerate(zip(self._shown[number], cells, strict=True)):
            if old != new or old.style != new.style:
                self.update_cell_at(Coordinate(number, column), new, update_width=True)
        self._shown[number] = cells


class Top(App[None]):
    """The view of one run.

    Args:
        frames: where frames come from.
        every: seconds between two of them.
    """

    TITLE = "parsl-diaspora top"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head { height: auto; padding: 0 1; }
    #filter { display: none; height: 3; }
    #filter.open { display: block; }
    Grid { height: 1fr; }
    TabPane { padding: 0; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "quit"),
        Binding("p", "pause", "pause"),
        Binding("slash", "filter", "filter"),
        Binding("escape", "clear", "clear filter", show=False),
        Binding("tab,right", "turn(1)", "next table", priority=True),
        Binding("shift+tab,left", "turn(-1)", "previous", priority=True),
    ]

    def __init__(self, frames: Frames, every: float = 0.5) -> None:
        super().__init__()
        self._frames = frames
        self._every = every
        self._frame = frames.frame()
        self._paused = False
        self._filter = ""
        self._shown_head: Text | None = None

    def compose(self) -> ComposeResult:
        """The widgets, from top to bottom."""
        yield Static(id="head", markup=False)
        yield Input(placeholder="words that a row must hold; Esc shows all", id="filter")
        with TabbedContent(id="tabs"):
            for view in tables_of(self._frame):
                with TabPane(view.name.capitalize(), id=view.name):
                    yield Grid(view)
        yield Footer()

    def on_mount(self) -> None:
        """Begin to look."""
        self._show()
        self._focus()
        self.set_interval(self._every, self._look)

    # --- keys ---

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """While a filter is typed, the keys are the filter's."""
        del parameters
        return not (action == "turn" and isinstance(self.focused, Input))

    def action_pause(self) -> None:
        """Hold what is shown, or go on."""
        self._paused = not self._paused
        self._look()
        self._show()

    def action_turn(self, by: int) -> None:
        """Go to another table."""
        tabs = self.query_one("#tabs", TabbedContent)
        names = [view.name for view in tables_of(self._frame)]
        tabs.active = names[(names.index(tabs.active) + by) % len(names)]

    def action_filter(self) -> None:
        """Type words that rows must hold."""
        field = self.query_one("#filter", Input)
        field.add_class("open")
        field.focus()

    def action_clear(self) -> None:
        """Show all rows again."""
        field = self.query_one("#filter", Input)
        field.value = ""
        field.remove_class("open")
        self._focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """The filter has other words."""
        self._filter = event.value
        self._show()

    def on_input_submitted(self) -> None:
        """The filter is as it should be."""
        self._focus()

    def on_tabbed_content_tab_activated(self) -> None:
        """Another table is in sight."""
        self._show()
        if not isinstance(self.focused, Input):
            self._focus()

    # --- showing ---

    def _look(self) -> None:
        if not self._paused:
            self._frame = self._frames.frame()
            self._show()

    def _show(self) -> None:
        if not self.query("#head"):  # the view is being taken down, while a timer is still running
            return
        views = {view.name: view for view in tables_of(self._frame)}
        active = self.query_one("#tabs", TabbedContent).active or next(iter(views))
        if (head := self._head()) != self._shown_head:  # each update lays the whole screen out anew
            self._shown_head = head
            self.query_one("#head", Static).update(head)
        view = views[active].filtered(self._filter)
        self.query_one(f"#grid-{active}", Grid).show(view)
        for name, each in views.items():
            tab, label = self.query_one("#tabs", TabbedContent).get_tab(name), _label(each)
            if tab.label_text != label:
                tab.label = label

    def _head(self) -> Text:
        frame = self._frame
        lines = [*headline(frame), resources(frame)]
        text = Text("\n".join(lines))
        if any(frame.history):
            text.append(f"\n{sparkline(frame.history)}", style="cyan")
        for note in (
            "paused" if self._paused else "",
            f"filter: {self._filter}" if self._filter else "",
            f"cannot read the log: {self._frames.trouble}" if self._frames.trouble else "",
        ):
            if note:
                text.append(f"  [{note}]", style="yellow")
        return text

    def _focus(self) -> None:
        active = self.query_one("#tabs", TabbedContent).active
        if active:
            self.query_one(f"#grid-{active}", Grid).focus()


def _label(view: TableView) -> str:
    return f"{view.name.capitalize()} {len(view.rows)}" if view.rows else view.name.capitalize()


def _cells(view: TableView, number: int) -> list[Text]:
    style = view.styles[number] if view.styles else ""
    return [
        Text(cell, style=style, justify="right" if title in view.numbers else "left")
        for title, cell in zip(view.columns, view.rows[number], strict=True)
    ]
