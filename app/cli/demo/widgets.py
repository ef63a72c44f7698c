"""What the demo sells: a widget for each scheduler, as widgets.toml has it. Ids and the host site's address are filled
in once they are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

STUDIO: Final = """
[studio]
scheduler = "hapio"
address = "Hornsgatan 12, Stockholm"
bring.en = "A second shirt, if you like. Coffee is ready ten minutes before."
bring.sv = "Gärna en extra skjorta. Kaffet är klart tio minuter innan."
bring.de = "Gern ein zweites Hemd. Der Kaffee steht zehn Minuten vorher bereit."
currency = "sek"
allowed_origins = ["{host}"]
cancellation = [
  {{ at_least_hours = 24, refund_percent = 100 }},
  {{ at_least_hours = 2, refund_percent = 50 }},
]
reschedule = {{ other_service = true }}
notice.en = "Studio Nord uses your details only to handle this booking."
notice.sv = "Studio Nord använder dina uppgifter bara för den här bokningen."
notice.de = "Studio Nord verwendet Ihre Angaben nur für diese Buchung."
owner_name = "Studio Nord"
owner_email = "hello@studionord.example"
languages = ["en", "sv", "de", "fr", "es", "ar"]
theme = {{ accent = "#2f5d50", radius = 10 }}

[[studio.services]]
id = "{portrait}"
name.sv = "Porträttfotografering"
name.de = "Porträt im Studio"
description.en = "An hour in the studio with one photographer, ten retouched pictures."
description.sv = "En timme i studion med en fotograf, tio retuscherade bilder."
description.de = "Eine Stunde im Studio mit einer Fotografin, zehn retuschierte Bilder."
image = "{host}/pictures/portrait.svg"

[[studio.services]]
id = "{headshot}"
name.sv = "Snabbporträtt"
name.de = "Schnelles Profilbild"
description.en = "Half an hour, three retouched pictures for your profile."
description.sv = "En halvtimme, tre retuscherade bilder till din profil."
description.de = "Eine halbe Stunde, drei retuschierte Bilder für Ihr Profil."
image = "{host}/pictures/headshot.svg"

[[studio.services]]
id = "{planning}"
name.sv = "Planeringssamtal"
name.de = "Telefontermin"
description.en = "Twenty minutes on the phone to plan a larger session."
description.sv = "Tjugo minuter på telefon för att planera en större fotografering."
description.de = "Zwanzig Minuten am Telefon, um größere Aufnahmen zu planen."
image = "{host}/pictures/planning.svg"

[[studio.questions]]
name = "occasion"
label.en = "What are the pictures for?"
label.sv = "Vad ska bilderna användas till?"
label.de = "Wofür sind die Bilder?"

[[studio.people]]
id = "{astrid}"
image = "{host}/pictures/astrid.svg"

[[studio.people]]
id = "{jonas}"
image = "{host}/pictures/jonas.svg"
"""

COACH: Final = """
[coach]
scheduler = "calcom"
title = "What do you need?"
services = [
  {{ id = "{session}", price = "140.00", description = "One question, and what you do about it next week." }},
  {{ id = "{practice}", price = "195.00", description = "Questions you would rather not get, notes the same day." }},
  {{ id = "{discovery}", price = "0", description = "Twenty minutes to find out whether coaching is for you." }},
]
currency = "gbp"
allowed_origins = ["{host}"]
cancellation = [
  {{ at_least_hours = 48, refund_percent = 100 }},
  {{ at_least_hours = 12, refund_percent = 50 }},
]
reschedule = {{ until_hours = 12, other_service = true }}
country = "GB"
questions = [{{ name = "question", label = "Which question do you bring?", kind = "textarea" }}]
notice = "Maya Collins uses your details only to handle this booking."
owner_name = "Maya Collins"
owner_email = "maya@collins-coaching.example"
owner_phone = "+44 20 7946 0321"
languages = ["en"]
theme = {{ accent = "#7a2357", radius = 16 }}
"""

ADVICE: Final = """
[advice]
scheduler = "calendly"
title = "Choose an appointment"
services = [
  {{ id = "{intro}", price = "0", description = "Fifteen minutes to find out whether I can help you." }},
  {{ id = "{advice}", price = "280.00", description = "One hour on one question, notes the same day." }},
  {{ id = "{review}", price = "150.00", description = "Half an hour to look at your plan again." }},
]
currency = "usd"
allowed_origins = ["{host}"]
cancellation = [{{ at_least_hours = 24, refund_percent = 100 }}]
country = "US"
questions = [{{ name = "topic", label = "What would you like to talk about?" }}]
notice = "Nora Whitfield uses your details only to handle this booking."
owner_name = "Nora Whitfield"
owner_email = "nora@whitfield.example"
owner_phone = "+1 718 555 0142"
languages = ["en"]
theme = {{ accent = "#1d3f70", radius = 3, font = "Charter, Georgia, serif" }}
"""

#: The widgets by their schedulers.
WIDGETS: Final[Mapping[str, str]] = MappingProxyType({"hapio": STUDIO, "calcom": COACH, "calendly": ADVICE})
