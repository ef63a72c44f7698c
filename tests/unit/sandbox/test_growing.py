"""Tables that only grow are looked at by what may still change, and by the days in question."""

from datetime import UTC, datetime, timedelta

from sandbox.growing import ByDay, Grouped, Unended

MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def test_what_has_ended_is_not_looked_at_again_and_what_is_new_is() -> None:
    rows = [{"name": "a", "over": False}, {"name": "b", "over": True}]
    looked_at: list[object] = []

    def ended(row: dict[str, object]) -> bool:
        looked_at.append(row["name"])
        return bool(row["over"])

    unended = Unended(rows, ended)
    assert [row["name"] for row in unended.look()] == ["a"]
    rows.append({"name": "c", "over": False})
    looked_at.clear()
    assert [row["name"] for row in unended.look()] == ["a", "c"]
    assert looked_at == ["a", "c"]


def test_a_cleared_table_begins_anew() -> None:
    rows = ["a", "b", "c"]
    unended = Unended(rows, lambda row: False)
    unended.look()
    rows[:] = ["d"]
    assert unended.look() == ["d"]


def test_a_row_is_found_by_its_group_as_it_is_now_and_in_the_order_of_the_table() -> None:
    table = {"one": ("x", 1), "two": ("y", 2), "three": ("x", 3)}
    grouped = Grouped(table, lambda row: row[0])
    assert grouped.of("x") == [("x", 1), ("x", 3)]
    table["one"] = ("x", 10)
    table["four"] = ("x", 4)
    assert grouped.of("y", "x") == [("x", 10), ("y", 2), ("x", 3), ("x", 4)]
    assert grouped.of("z") == []


def test_the_days_around_a_time_are_found_whatever_there_is_on_others() -> None:
    table = {str(day): MONDAY + timedelta(days=day) for day in range(100)}
    by_day = ByDay(table, lambda at: at)
    near = by_day.around(MONDAY + timedelta(days=50), MONDAY + timedelta(days=51))
    assert near == [MONDAY + timedelta(days=day) for day in range(48, 54)]
    assert by_day.around(MONDAY - timedelta(days=900), MONDAY + timedelta(days=900)) == list(table.values())
