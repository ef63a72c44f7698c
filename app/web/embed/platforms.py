"""Where site builders want an owner to paste: what to click, what to mind. Plans and menus change, so steps name
what is stable, and the doctor tells the rest."""

from __future__ import annotations

from dataclasses import dataclass

from app.msgid import N_


@dataclass(frozen=True, slots=True)
class Platform:
    """One site builder. `steps` are texts to translate."""

    name: str
    steps: tuple[str, ...]


PLATFORMS = (
    Platform(
        "WordPress",
        (
            N_("Edit the page, add a block, choose Custom HTML, paste the script, and publish."),
            N_("In Elementor it is the HTML widget, in Divi the Code module, in the classic editor the Text tab."),
            N_(
                "If the tag is gone after saving, your account may not post scripts (authors may not, nor editors of "
                "a multisite; on WordPress.com it takes a plan with plugins). Paste the link instead, or ask an "
                "administrator."
            ),
            N_(
                "A plugin that combines or delays scripts, or a cookie banner, may hold ours back: put embed.js on its "
                "list of exceptions. It sets no cookie and stores nothing."
            ),
        ),
    ),
    Platform(
        "Squarespace",
        (
            N_("Edit the page, add a Code block, choose HTML, paste the script, and save."),
            N_("A floating button goes into Settings, Code injection, Footer, and is then on every page."),
            N_(
                "Code blocks run scripts on plans with code injection only. On others paste the link into a Button "
                "block."
            ),
            N_("While you are logged in, the editor shows a placeholder. Look at the page in a private window."),
        ),
    ),
    Platform(
        "Wix",
        (
            N_(
                "Add Elements, Embed Code, Embed a Site, and paste the frame's address alone. That frame is the page's "
                "own; Embed HTML would put us into a frame of Wix's, which our allowed_origins do not name."
            ),
            N_("Make the element 760 px high on the desktop, and 1080 px in the mobile editor."),
            N_(
                "With a plan that allows it, the script works as well: Settings, Custom Code, at the end of the body. "
                "That is the place for the floating button."
            ),
            N_("Name the published domain in allowed_origins, and the wixsite.com one if you use it."),
        ),
    ),
    Platform(
        "Webflow",
        (
            N_("Add a Code Embed element where the widget shall be, paste the script, and publish."),
            N_("A floating button goes into the site's settings, Custom code, Footer."),
            N_("The canvas shows a placeholder; embeds run on the published site, and need a paid plan."),
            N_("Name your domain in allowed_origins, and the webflow.io one while you try it there."),
        ),
    ),
    Platform(
        "Shopify",
        (
            N_("Online Store, Themes, Customize: open the page, add a Custom Liquid section, and paste the script."),
            N_("A floating button goes into the theme's code, before the end of the body in theme.liquid."),
            N_("The editor of a page's text takes scripts away, so do not paste it there."),
            N_(
                "The theme editor frames your shop in admin.shopify.com, where browsers refuse the widget, and you see "
                "the link. Look at the shop itself."
            ),
        ),
    ),
)
