"""The details form: which fields a widget asks for, and reading what a visitor typed into a Customer.

The same fields draw the form and read it, so that nothing is asked for that is not read, or the other way round.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from email_validator import EmailNotValidError, validate_email

from app.domain.booking import Customer
from app.domain.words import Said
from app.errors import InvalidDetails
from app.msgid import N_
from app.widgets import Question, Widget

Kind = Literal["text", "email", "tel", "textarea", "select", "checkbox"]

#: Answers to configured questions travel under their name with this before it, so that a question called
#: "email" cannot take the place of the address.
ANSWER = "q_"

#: The field that says which country a phone number without a country code is of.
PHONE_COUNTRY = "phone_country"
_MEXICO, _MEXICAN = 52, 10
#: U+FF01 to U+FF5E, as the letters that they are wide forms of.
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}

#: The most letters of a text that names no limit of its own.
LONGEST = 2000
#: Code points that are read for each letter that may be kept: a letter may be typed as itself and its marks.
_RAW = 4
_MOST_MARKS = 30

# What a letter may be and nobody sees: Hangul's fillers, the Braille pattern without dots, a note without a head.
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\U0001d159")

# Directional overrides can make a name read as something else in the owner's mail (Unicode TR 36, section 2.5).
_DECEIVING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Option:
    """An answer to choose: what is kept of it, how the reader sees it, and every way in which it may come in."""

    value: str
    said: Said
    spellings: frozenset[str]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of the form. `label` and `help` are msgids, or the owner's own words if `own_words`."""

    name: str
    label: str
    kind: Kind
    required: bool
    limit: int
    missing: str
    own_words: bool = False
    help: str = ""
    options: tuple[Option, ...] = ()
    autocomplete: str = ""
    inputmode: str = ""


_NAME = Field("name", N_("Name"), "text", True, 100, N_("Please enter your name."), autocomplete="name")
_EMAIL = Field(
    "email",
    N_("Email"),
    "email",
    True,
    254,
    N_("Please enter your email address. We send the confirmation there."),
    autocomplete="email",
    inputmode="email",
)
_NOTES = Field("notes", N_("Message"), "textarea", False, 1000, "")
_DESK_NAME_MISSING = N_("Please enter the customer's name.")
_DESK_EMAIL_MISSING = N_("An email address is needed here: the calendar or the payment link is sent to it.")
_PHONE_MISSING = N_("Please enter your phone number.")
_ANSWER_MISSING = N_("Please answer this question.")
_CONSENT_MISSING = N_("Please tick this box to continue.")
EMAIL_WRONG = N_("This does not look like an email address. It should read like name@example.com.")
PHONE_WRONG = N_(
    "This is not a phone number in that country. Please check the digits, or start with + and the country code."
)
NAME_WRONG = N_("Please enter a name of at most 100 characters.")
_TOO_EMPTY = N_("There is no visible text in this. Please type it again.")
_TOO_LONG = N_("This is too long. Please shorten it.")
_NOT_OFFERED = N_("Please choose one of the answers.")


def form_fields(widget: Widget, language: str = "") -> tuple[Field, ...]:
    """The fields that the widget's form shows, in order, to a reader of this language; empty is the owner."""
    fields = [_NAME, _EMAIL]
    if widget.phone != "off":
        fields.append(
            Field(
                "phone",
                N_("Phone"),
                "tel",
                widget.phone == "required",
                40,
                _PHONE_MISSING,
                autocomplete="tel",
                inputmode="tel",
            )
        )
    fields += [_question_field(widget, question, language) for question in widget.questions]
    fields.append(_NOTES)
    if widget.consent:
        consent = widget.said(widget.consent, language)
        fields.append(Field("consent", consent, "checkbox", True, 10, _CONSENT_MISSING, own_words=True))
    return tuple(fields)


def desk_fields(widget: Widget, language: str, *, email: bool) -> tuple[Field, ...]:
    """The fields for an owner who books for someone: a name is all that must be, and an address where `email` says so.
    Nobody consents for another person, so that is not asked."""
    missing = {"name": _DESK_NAME_MISSING, **({"email": _DESK_EMAIL_MISSING} if email else {})}
    return tuple(
        replace(field, required=field.name in missing, missing=missing.get(field.name, ""))
        for field in form_fields(widget, language)
        if field.name != "consent"
    )


def _question_field(widget: Widget, question: Question, language: str) -> Field:
    return Field(
        ANSWER + question.name,
        widget.said(question.label, language),
        question.kind,
        question.required,
        2000 if question.kind == "textarea" else 300,
        _CONSENT_MISSING if question.kind == "checkbox" else _ANSWER_MISSING,
        own_words=True,
        help=widget.said(question.help, language),
        options=tuple(
            Option(widget.said(one), widget.said(one, language), frozenset(text for _, text in one.texts))
            for one in question.options
        ),
    )


def read_details(form: Mapping[str, str], widget: Widget, fields: Sequence[Field] = ()) -> Customer:
    """The customer from what was typed; the phone number in E.164. `fields` are those of the desk's form, none are the
    widget's.

    Raises InvalidDetails with a msgid for every field that needs correcting.
    """
    values: dict[str, str] = {}
    wrong: dict[str, str] = {}
    asked = fields or form_fields(widget)
    for field in asked:
        typed = form.get(field.name, "")
        # One more than may be, so that what is too long is refused rather than cut.
        text = clean(typed, most=field.limit + 1, lines=field.kind == "textarea")
        if len(text) > field.limit or len(typed) > _RAW * field.limit:
            wrong[field.name] = _TOO_LONG
        elif not _visible(text) and (field.required or text):
            wrong[field.name] = field.missing or _TOO_EMPTY
        elif text and field.options:
            values[field.name] = chosen_option(field, text) or wrong.setdefault(field.name, _NOT_OFFERED)
        elif text and field.kind == "email":
            values[field.name] = read_address(text) or wrong.setdefault(field.name, EMAIL_WRONG)
        elif text and field.kind == "tel":
            country = read_country(form.get(PHONE_COUNTRY, "")) or widget.country
            values[field.name] = read_phone(text, country) or wrong.setdefault(field.name, PHONE_WRONG)
        else:
            values[field.name] = text
    if wrong:
        raise InvalidDetails(wrong)
    return Customer(
        name=values["name"],
        email=values["email"],
        phone=values.get("phone", ""),
        notes=values["notes"],
        answers={
            question.name: values[ANSWER + question.name]
            for question in widget.questions
            if values[ANSWER + question.name]
        },
        consent=any(field.name == "consent" for field in asked),
    )


def chosen_option(field: Field, text: str) -> str:
    """What is kept of the answer that was chosen, in whichever language it comes in; empty if it is none of them."""
    return next((one.value for one in field.options if text == one.value or text in one.spellings), "")


def typed_details(customer: Customer) -> dict[str, str]:
    """What the form shows again for a customer whose details are kept."""
    return {
        "name": customer.name,
        "email": customer.email,
        "phone": customer.phone,
        "notes": customer.notes,
        "consent": "yes" if customer.consent else "",
        **{ANSWER + name: answer for name, answer in customer.answers.items()},
    }


def clean(text: str, *, most: int = LONGEST, lines: bool = False) -> str:
    """At most `most` letters of composed Unicode without control characters and directional overrides; one line unless
    `lines`. The text is cut before it is composed, so that its cost is bounded whatever comes in."""
    text = unicodedata.normalize("NFC", _stream_safe(text[: _RAW * most].replace("\r\n", "\n")))
    kept = "".join(
        char
        for char in text
        if char in "\n\t " or not (unicodedata.category(char) in {"Cc", "Cs"} or char in _DECEIVING)
    )
    return (kept.strip() if lines else " ".join(kept.split()))[:most]


def _stream_safe(text: str) -> str:
    """The text with at most 30 combining marks in a row (Unicode UAX 15, section 13: more is in no language). Ordering
    them takes time that grows with the square of their number: 29,000 of them, which fit into one form, 6 seconds."""
    if text.isascii():
        return text
    kept, marks = [], 0
    for char in text:
        marks = marks + 1 if unicodedata.combining(char) else 0
        if marks <= _MOST_MARKS:
            kept.append(char)
    return "".join(kept)


def _visible(text: str) -> bool:
    """Whether anything of it can be seen: neither blanks nor marks, joiners and fillers alone."""
    return any(unicodedata.category(char)[0] not in "CMZ" and char not in _BLANK for char in text)


def read_address(text: str) -> str | None:
    """The normalized address, without what comes along from chats and links: invisible characters, "mailto:", angle
    brackets. Full-width letters, as Japanese keyboards write them, are plain ones. Nobody is asked whether its domain
    exists: that would be a call per visitor."""
    text = "".join(char for char in text if unicodedata.category(char) != "Cf").translate(_FULL_WIDTH)
    text = text.strip().removeprefix("<").removesuffix(">")
    text = text[7:] if text[:7].lower() == "mailto:" else text
    try:
        return validate_email(text, check_deliverability=False).normalized
    except EmailNotValidError:
        return None


def read_country(text: str) -> str:
    """A country that has phone numbers, by its two letters; empty for anything else."""
    import phonenumbers  # late: a megabyte that a form without phone numbers never needs

    return text if text in phonenumbers.SUPPORTED_REGIONS else ""


def read_name(text: str) -> str | None:
    """A name as the form takes it; None for what is too long, or cannot be seen."""
    name = clean(text, most=_NAME.limit + 1)
    return name if _visible(name) and len(name) <= _NAME.limit else None


def read_phone(text: str, country: str) -> str | None:
    """E.164, with its extension behind it. A number with its country code is held to lengths alone, because allotted
    ranges change more often than this is installed. One without has to be valid in the country: half the world's
    numbers have a possible length there, and would ring at a stranger's."""
    import phonenumbers

    if text.startswith("00"):  # no number of any country begins so, and people write it where another prefix is dialled
        text = f"+{text[2:]}"
    try:
        number = phonenumbers.parse(text, country, keep_raw_input=True)
    except phonenumbers.NumberParseException:
        return None
    digits = str(number.national_number)
    if number.country_code == _MEXICO and len(digits) == _MEXICAN + 1 and digits.startswith("1"):
        number.national_number = int(digits[1:])  # WhatsApp still writes the 1 of mobile phones, which ended in 2019
    written = phonenumbers.CountryCodeSource
    abroad = number.country_code_source in {written.FROM_NUMBER_WITH_PLUS_SIGN, written.FROM_NUMBER_WITH_IDD}
    if not (
        phonenumbers.is_possible_number(number) if abroad else phonenumbers.is_valid_number_for_region(number, country)
    ):
        return None
    told = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return f"{told} ext. {number.extension}" if number.extension else told
