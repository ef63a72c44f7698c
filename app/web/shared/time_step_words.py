"""What the time step says: the month, the day's times, whom one may choose, and what to say where nothing is free."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta

from app.domain.catalogue import Slot
from app.errors import RateLimited, SchedulerError, SlotTaken, StripeError, TimesNotRead
from app.text import catalogues, formats, zones
from app.web.shared import host_events
from app.web.shared.booking_summary import price
from app.web.shared.calendar_view import Clocks, DayView, MonthView, day_view, month_view
from app.web.shared.page_cache import HOLES, Pairs, hidden_fields
from app.web.shared.time_step import Scene
from app.web.shared.time_words import moment_words, start_value
from app.web.shared.times_screen import (
    NothingFree,
    Paths,
    PersonChoice,
    ServiceLine,
    Taken,
    TimeButton,
    TimesScreen,
    ZoneLine,
)
from app.widgets import Widget


def times_screen(
    scene: Scene,
    widget: Widget,
    language: str,
    *,
    taken: Taken | None = None,
    filling: Mapping[str, Pairs] | None = None,
    paths: Paths | None = None,
    own: Slot | None = None,
) -> TimesScreen:
    """What times.html shows. Without `filling` it has holes, to be kept; `paths` and `own` are for a booking that
    looks for another time than its own."""
    service, wanted, zone = scene.service, scene.wanted, scene.zone
    location = scene.catalogue.location
    slots = scene.times.slots
    clocks = Clocks(zone, location.time_zone, language)
    month = month_view(
        slots,
        clocks,
        month=scene.month,
        today=scene.today,
        chosen=scene.day,
        last_day=scene.last_day,
        own=own,
        following=scene.following.slots if scene.following else None,
    )
    day = None
    if scene.day:
        day = day_view(slots, clocks, day=scene.day, today=scene.today, own=own)
    several = len(scene.catalogue.services) > 1
    whole = formats.all_whole(one.price for one in scene.catalogue.services)
    state = {
        "service": service.id if several else "",
        "resource": scene.resource,
        "tz": wanted.zone or "",
        "lang": wanted.language,
        **dict(wanted.style),
    }
    holes = {name: hidden_fields(pairs) for name, pairs in filling.items()} if filling else HOLES
    empty = _empty(scene, month, day, language)
    path = f"/w/{widget.name}"
    # What a move costs is told before its button; a hold is told when it costs another price than was shown here.
    shown_price = {} if paths else {"price": str(service.price.amount)}
    return TimesScreen(
        paths=paths or Paths(path, f"{path}/slots", f"{path}/hold"),
        service=ServiceLine(
            name=service.name_in(language),
            duration=formats.format_duration(service.duration, language),
            price=price(service.price, language, whole=whole),
            free=not service.price,
        ),
        several=several,
        person=service.resources[0].name if len(service.resources) == 1 else "",
        place=location.name,
        people=_people(scene, widget, language),
        month=month,
        day=day if day and day.count else None,
        empty=empty,
        opened=scene.opened and not empty,
        zone=_zone(scene, day, language),
        age=_age(scene, language),
        say=empty.sentence if empty else _said(day, language),
        taken=taken,
        event=host_events.problem(taken.code) if taken else None,
        times_fields=filled_fields(
            {**state, "tz": "" if wanted.choose_zone else wanted.zone or "", "date": scene.shown}
        ),
        services_fields=filled_fields({**state, "service": "", "resource": ""}),
        hold_fields=filled_fields({**state, "service": service.id, "lang": language, **shown_price}),
        carried=holes["carried"],
        key=holes["key"],
    )


def filled_fields(state: Mapping[str, str]) -> Pairs:
    """The hidden fields of a form, without the empty ones."""
    return [(name, value) for name, value in state.items() if value]


def taken_words(
    error: SlotTaken | SchedulerError | StripeError | RateLimited,
    lost: datetime,
    zone: str,
    language: str,
    today: date,
    now: datetime | None = None,
) -> Taken:
    """That the time is gone, with the nearest ones to choose instead; or that it can be tried again. Where it is known
    when, by `now`, the page does so by itself."""
    gone = isinstance(error, SlotTaken)
    again_at, again_in = "", 0
    if isinstance(error, RateLimited) and now:
        again_in = error.retry_after
        again_at = formats.format_time(now + timedelta(seconds=again_in + 59), zone, language)
    times = [
        TimeButton(start_value(start), moment_words(start, zone, language, today))
        for start in (error.nearest if isinstance(error, SlotTaken) else (lost,))
    ]
    return Taken(sentence=error.sentence, code=error.code, gone=gone, times=times, again_at=again_at, again_in=again_in)


def _people(scene: Scene, widget: Widget, language: str) -> list[PersonChoice]:
    """Whom one may choose; nobody, where there is no choice."""
    if len(scene.people) < 2:
        return []
    anyone = PersonChoice("", catalogues.translator(language).gettext("Anyone"), not scene.resource, "")
    faces = {one.id: one.image for one in widget.people}
    return [
        anyone,
        *(PersonChoice(one.id, one.name, one.id == scene.resource, faces.get(one.id, "")) for one in scene.people),
    ]


def _zone(scene: Scene, day: DayView | None, language: str) -> ZoneLine:
    """The zone that the times are in, said in words, and all others if the visitor wants to choose. Its offset is that
    of the times which are shown: within a month it may change."""
    shown = [time.starts_at for part in day.parts for time in part.times] if day else []
    at = next(iter([*shown, *(slot.starts_at for slot in scene.times.slots)]), scene.times.as_of)
    place = scene.catalogue.location.time_zone
    apart = next((moment for moment in shown or [at] if not zones.same_clock(scene.zone, place, moment)), None)
    return ZoneLine(
        name=scene.zone,
        chosen=scene.wanted.zone is not None,
        label=zones.zone_label(scene.zone, at, language),
        place=zones.zone_label(place, apart, language) if apart else "",
        choices=zones.zone_choices(language, at, scene.zone) if scene.wanted.choose_zone else (),
    )


def _empty(scene: Scene, month: MonthView, day: DayView | None, language: str) -> NothingFree | None:
    """What to say, and where to go, when there is no time to show."""
    if day and day.count:
        return None
    _ = catalogues.translator(language).gettext
    if not scene.times.read:
        return NothingFree(_(TimesNotRead.sentence), None, "")
    if day and month.total:
        sentence = _("No times on %(day)s") % {"day": day.heading}
    else:
        sentence = _("No times in %(month)s") % {"month": month.heading}
    following = None
    if scene.next_free:
        start = scene.next_free.starts_at
        following = TimeButton(
            value=zones.local(start, scene.zone).date().isoformat(),
            label=moment_words(start, scene.zone, language, scene.today),
        )
    until = _("Later dates cannot be booked yet.")
    if scene.last_day and scene.last_day < scene.today + timedelta(days=62):
        last = formats.format_date(scene.last_day, language, today=scene.today)
        until = _("Bookings are open until %(day)s. More dates will open later.") % {"day": last}
    return NothingFree(sentence, following, until)


def _said(day: DayView | None, language: str) -> str:
    """What a screen reader hears when the times change."""
    if day is None:
        return ""
    said = catalogues.translator(language)
    times = said.ngettext("%(num)s time", "%(num)s times", day.count) % {"num": day.count}
    return said.gettext("%(day)s, %(times)s") % {"day": day.heading, "times": times}


def _age(scene: Scene, language: str) -> str:
    if not scene.times.stale or not scene.times.read:
        return ""
    _ = catalogues.translator(language).gettext
    return _("Times as of %(time)s; we check again when you choose.") % {
        "time": formats.format_time(scene.times.as_of, scene.zone, language)
    }
