"""The owner's pictures: a logo over the services, a face on each person's button, a picture by a service."""

import re
from pathlib import Path

from tests.support.stack import open_stack


async def test_the_logo_the_faces_and_a_services_picture_are_shown_and_the_names_next_to_them_are_read(
    tmp_path: Path,
) -> None:
    async with open_stack(tmp_path) as stack:
        service = await stack.parts.availability.service(stack.parts.widgets["studio"], stack.portrait_id)
        person = service.resources[0]
        assert stack.settings.widgets_file
        stack.settings.widgets_file.write_text(
            f"""
            [studio]
            logo = "https://pictures.example/logo.png"
            owner_name = "Studio Nord"
            services = [
              {{ id = "{service.id}", image = "https://pictures.example/portrait.jpg" }},
              {{ id = "{stack.headshot_id}" }},
            ]
            people = [{{ id = "{person.id}", image = "https://pictures.example/face.jpg" }}]
            """,
            encoding="utf-8",
        )
        await stack.restart()
        services = (await stack.client.get("/w/studio", headers={"Sec-Fetch-Dest": "document"})).text
        assert re.search(r'<img class="logo" src="https://pictures.example/logo.png" alt="Studio Nord"', services)
        assert '<img src="https://pictures.example/portrait.jpg" alt="" loading="lazy"' in services
        times = (await stack.client.get(f"/w/studio?service={service.id}")).text
        face = r'<button class="person"[^>]*><img src="https://pictures.example/face.jpg" alt=""[^>]*><bdi>'
        assert re.findall(face + r"([^<]*)</bdi>", times) == [person.name]
