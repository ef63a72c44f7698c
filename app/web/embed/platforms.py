"""Where site builders want an owner to paste: what to click, what to mind. Plans and menus change, so steps name
what is stable, and the embed check says the rest."""

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
            N_(
                "With the plugin (integrations/wordpress/holdfast.php in Holdfast's repository), add the block "
                "Holdfast booking. It works for authors, too. Without the plugin:"
            ),
            N_("Edit the page, add a block, choose Custom HTML, paste the script, and publish."),
            N_("In Elementor it is the HTML widget, in Divi the Code module, in the classic editor the Text tab."),
            N_(
                "If the tag disappears when you save, your account is not allowed to post scripts. (Authors are not, "
                "nor are editors of a multisite; WordPress.com needs a plan with plugins.) Paste the link instead, "
                "or ask an administrator."
            ),
            N_(
                "A plugin that combines or delays scripts, or a cookie banner, may block ours: add embed.js to its "
                "list of exceptions. It sets no cookies and stores nothing."
            ),
        ),
    ),
    Platform(
        "Squarespace",
        (
            N_("Edit the page, add a Code block, choose HTML, paste the script, and save."),
            N_(
                "For a floating button, paste the script under Settings > Code injection > Footer. It then "
                "appears on every page."
            ),
            N_(
                "Code blocks run scripts only on plans with code injection. On other plans, paste the link into a "
                "Button block."
            ),
            N_("While you are logged in, the editor shows a placeholder. Check the page in a private window."),
        ),
    ),
    Platform(
        "Wix",
        (
            N_(
                "Choose Add Elements > Embed Code > Embed a Site, and paste only the frame's address. Do not use "
                "Embed HTML: it puts the widget in a frame of Wix's own, which is not in allowed_origins."
            ),
            N_("Make the element 760 px high on desktop, and 1080 px high in the mobile editor."),
            N_(
                "If your plan allows it, you can also use the script: paste it under Settings > Custom Code, at the "
                "end of the body. That is also the place for the floating button."
            ),
            N_("Add the published domain to allowed_origins, and the wixsite.com one if you use it."),
        ),
    ),
    Platform(
        "Webflow",
        (
            N_("Add a Code Embed element where the widget should be, paste the script, and publish."),
            N_("For a floating button, paste the script in the site's settings, under Custom code > Footer."),
            N_("The canvas shows a placeholder. Embeds only run on the published site, and need a paid plan."),
            N_("Add your domain to allowed_origins, and the webflow.io one while you test there."),
        ),
    ),
    Platform(
        "Shopify",
        (
            N_(
                "Choose Online Store > Themes > Customize, open the page, add a Custom Liquid section, and paste "
                "the script."
            ),
            N_(
                "For a floating button, paste the script into theme.liquid in the theme's code, before the end "
                "of the body."
            ),
            N_("The page text editor removes scripts, so do not paste it there."),
            N_(
                "The theme editor shows your shop inside admin.shopify.com, where browsers block the widget and you "
                "see the link instead. Check the shop itself."
            ),
        ),
    ),
)
