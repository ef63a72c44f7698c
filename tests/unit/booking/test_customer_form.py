"""What visitors type into the details form, and what is kept of it."""

from __future__ import annotations

import pytest

from app.booking.customer_form import clean, form_fields, read_details, typed_details
from app.errors import InvalidDetails
from app.widgets import Question, Widget

STUDIO = Widget(
    name="studio",
    phone="required",
    country="SE",
    consent="I agree to the house rules.",
    questions=(
        Question(name="email", label="Which address shall the prints go to?"),
        Question(name="style", label="Which style?", kind="select", options=("Warm", "Cool"), required=True),
        Question(name="news", label="Send me news", kind="checkbox"),
    ),
)
PLAIN = Widget(name="plain", phone="off")

FILLED = {
    "name": "Ada Lovelace",
    "email": "ada@Example.com",
    "phone": "070-174 06 05",
    "q_style": "Warm",
    "consent": "yes",
}


def refusal(form: dict[str, str], widget: Widget = STUDIO) -> dict[str, str]:
    with pytest.raises(InvalidDetails) as caught:
        read_details(form, widget)
    return caught.value.fields


def test_a_name_and_an_address_are_enough_where_nothing_else_is_asked() -> None:
    customer = read_details({"name": "Ada", "email": "ada@example.com", "phone": "not asked"}, PLAIN)
    assert (customer.name, customer.email, customer.phone, customer.consent) == ("Ada", "ada@example.com", "", False)


def test_a_local_phone_number_is_kept_in_international_form() -> None:
    assert read_details(FILLED, STUDIO).phone == "+46701740605"


def test_a_foreign_phone_number_needs_its_country_code() -> None:
    assert read_details({**FILLED, "phone": "+1 (212) 555-0123"}, STUDIO).phone == "+12125550123"


@pytest.mark.parametrize("phone", ["12", "call me", "+46 70 174 06 05 99 99 99 99"])
def test_an_invalid_phone_number_is_named_next_to_its_field(phone: str) -> None:
    assert list(refusal({**FILLED, "phone": phone})) == ["phone"]


@pytest.mark.parametrize("email", ["ada", "ada@", "ada@nowhere", "a b@example.com", "ada@example.com, bo@example.com"])
def test_an_invalid_address_is_named_next_to_its_field(email: str) -> None:
    assert list(refusal({**FILLED, "email": email})) == ["email"]


def test_every_missing_answer_is_named_at_once() -> None:
    assert set(refusal({})) == {"name", "email", "phone", "q_style", "consent"}


def test_an_answer_that_was_not_offered_is_refused() -> None:
    assert list(refusal({**FILLED, "q_style": "Hot"})) == ["q_style"]


def test_a_question_named_like_a_field_does_not_take_its_place() -> None:
    customer = read_details({**FILLED, "q_email": "Main Street 1"}, STUDIO)
    assert (customer.email, customer.answers["email"]) == ("ada@example.com", "Main Street 1")


def test_a_text_beyond_its_field_is_refused_rather_than_cut() -> None:
    assert list(refusal({**FILLED, "name": "A" * 101})) == ["name"]
    assert list(refusal({**FILLED, "notes": "A" * 1001})) == ["notes"]


def test_control_and_direction_characters_do_not_reach_the_owner() -> None:
    customer = read_details({**FILLED, "name": "Ada\x00\u202e\r\nBcc: x\x7f", "notes": "One\r\nTwo\x08"}, STUDIO)
    assert (customer.name, customer.notes) == ("Ada Bcc: x", "One\nTwo")


def test_spaces_alone_are_no_name() -> None:
    assert list(refusal({**FILLED, "name": " \t\x00 "})) == ["name"]


def test_letters_of_every_script_are_kept() -> None:
    assert clean("Zoë O’Brien-Ångström 李小龙 عمر") == "Zoë O’Brien-Ångström 李小龙 عمر"


def test_kept_details_fill_the_form_again() -> None:
    customer = read_details({**FILLED, "q_news": "yes"}, STUDIO)
    again = typed_details(customer)
    assert read_details(again, STUDIO) == customer
    assert set(again) <= {field.name for field in form_fields(STUDIO)}
