"""From answers to a live widget: look, plan, carry out, write."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tomlkit.exceptions import ParseError

from app.domain.studio import same_name
from app.environment import Environment
from app.errors import MailError
from app.mail import send_plain
from app.operations.setup.answers import StudioAnswers
from app.operations.setup.files import FileChange, SoldService, env_change, widgets_change
from app.operations.setup.scheduler_access import CREDENTIALS, WEBHOOK_SECRETS, SchedulerAccess
from app.operations.setup.stripe_endpoint import EndpointAct, StripePlan, StripeRefused, StripeSetup
from app.operations.setup.world import SetupRefused, SetupWorld
from app.operations.setup_check import Doctor, Finding
from app.payments.events import API_VERSION, EVENT_TYPES
from app.scheduling.arrangement import Arrangement, Plan, by_name, plan_changes
from app.scheduling.connect import PROVIDERS
from app.settings import Settings, SettingsError, opened, read_settings, value_of

#: Where providers are reached: set in the environment where someone tries Holdfast with stand-ins, and needed at each
#: start from then on.
_ADDRESSES: Final = (
    "HAPIO_BASE_URL",
    "CALCOM_BASE_URL",
    "CALENDLY_BASE_URL",
    "STRIPE_API_BASE",
    "STRIPE_CHECKOUT_ORIGINS",
)


@dataclass(frozen=True, slots=True)
class SetupPlan:
    """What would be done. `stripe` is None without a key. `subscribes`: the scheduler is to tell us of changes."""

    scheduler: Plan
    stripe: StripePlan | None
    subscribes: bool
    lines: tuple[str, ...]
    by_hand: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether anything at a provider would change."""
        acts = {EndpointAct.CREATE, EndpointAct.UPDATE, EndpointAct.REPLACE}
        return bool(self.scheduler.steps) or self.subscribes or bool(self.stripe and self.stripe.act in acts)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it: the files as they are to be, in the order in which to write them."""

    env: FileChange
    widgets: FileChange

    @property
    def files(self) -> tuple[FileChange, ...]:
        """Both of them."""
        return (self.env, self.widgets)


@dataclass(frozen=True, slots=True)
class Paths:
    """Where the files are."""

    env: Path
    widgets: Path
    studio: Path


class Setup:
    """One set-up. `secrets` are settings that were typed: the scheduler's credential, Stripe's key, the mail server;
    what is not among them is taken from `environment`. `tell` hears of what goes on, a line at a time."""

    # Each is a source of what has to be known.
    def __init__(
        self,
        answers: StudioAnswers,
        secrets: Mapping[str, str],
        *,
        environment: Environment,
        paths: Paths,
        world: SetupWorld,
        tell: Callable[[str], None],
    ) -> None:
        self._answers = answers
        self._environment = environment
        self._paths = paths
        self._world = world
        self._tell = tell
        self._provider = PROVIDERS[answers.scheduler]
        self._secrets = {name: value.strip() for name, value in secrets.items() if value.strip()}
        known = environment.variables
        self._known = {name: value_of(known, name) for name in (field.upper() for field in Settings.model_fields)}
        database = f"sqlite:///{paths.env.parent.absolute() / 'holdfast.sqlite3'}"
        self._values = {
            **self._secrets,
            **self._missing("SECRET_KEYS", world.new_secret()),
            **self._missing("METRICS_TOKEN", world.new_secret()),
            **self._missing("DATABASE_URL", database),
            "PUBLIC_URL": answers.public_url,
            **{name: self._known[name] for name in _ADDRESSES if self._known[name]},
        }
        if self.mails:
            self._values |= self._missing("MAIL_FROM", answers.sender)
            self._values |= self._missing("STAFF_EMAILS", answers.owner_email)

    def _missing(self, name: str, value: str) -> dict[str, str]:
        return {} if self._known[name] else {name: value}

    # -- looking ---------------------------------------------------------------------------------------------

    async def plan(self, *, check_token: bool = True) -> SetupPlan:
        """Look at everything, and say what would be done. Raises SetupRefused."""
        credential, called = CREDENTIALS[self._answers.scheduler]
        if not self._variable(credential):
            raise SetupRefused(f"{called} is missing: set {credential}.")
        settings = self._settings()
        async with self._access(settings) as access:
            if check_token:
                await access.check()
            have, traits = await access.describe(), access.traits
        scheduler = plan_changes(
            have, self._answers.studio, arranges=traits.arranges, prices=traits.prices, provider=self._provider
        )
        stripe = await self._look_at_stripe(settings)
        lines = [f"{self._provider}: {step}" for step in scheduler.steps]
        by_hand = list(scheduler.by_hand)
        unheard = not self._known[WEBHOOK_SECRETS[self._answers.scheduler]]
        subscribes = unheard and traits.subscribes
        if subscribes:
            lines.append(f"{self._provider}: let {self._hook(self._answers.scheduler)} be told of changes")
        if stripe:
            lines += _stripe_lines(stripe, self._address)
            by_hand += _stripe_by_hand(stripe, self._address)
        elif self._answers.paid:
            by_hand.append("Without a Stripe key only free services can be booked: set STRIPE_SECRET_KEY.")
        if not self.mails:
            by_hand.append("Without a mail server mails wait, and nobody can sign in to the staff page: set SMTP_URL.")
        return SetupPlan(scheduler, stripe, subscribes, tuple(lines), tuple(by_hand))

    async def _look_at_stripe(self, settings: Settings) -> StripePlan | None:
        stripe = self._stripe(settings)
        if stripe is None:
            return None
        self._tell("Stripe: asking for each permission of the key")
        try:
            return await stripe.look()
        except StripeRefused as error:
            raise SetupRefused(str(error)) from error

    # -- doing -----------------------------------------------------------------------------------------------

    async def carry_out(self, plan: SetupPlan) -> Done:
        """Do it. Settings with new keys are written at once, before anything else can go wrong; the other files are for
        the caller to show and to write. Raises SetupRefused."""
        settings = self._settings()
        self._must_be_writable()
        async with self._access(settings) as access:
            await access.apply(plan.scheduler)
            have = await access.describe() if plan.scheduler.steps else plan.scheduler.have
            sold = self._sold(have, prices=access.traits.prices)
            if plan.subscribes:
                await self._subscribe(access)
        if plan.stripe:
            await self._make_endpoint(settings, plan.stripe)
        place = by_name(plan.scheduler.place, have.places)
        location = (place.id, place.name) if place and self._answers.scheduler == "hapio" else None
        try:
            widgets = widgets_change(self._paths.widgets, self._answers, location=location, services=sold)
        except ParseError as error:
            raise SetupRefused(
                f"{self._paths.widgets} is not TOML: {error}. Correct it, and run this again."
            ) from error
        return Done(self.env_change(), widgets)

    def env_change(self) -> FileChange:
        """`.env` with what is known by now."""
        # What the process's own environment says wins over the file, so it is not repeated there.
        given = {
            name
            for name, value in self._environment.variables.items()
            if value and name not in self._environment.lines and name not in self._secrets and name not in _ADDRESSES
        }
        return env_change(self._paths.env, {name: value for name, value in self._values.items() if name not in given})

    async def send_test_mail(self) -> str:
        """To the owner; what came of it, for people."""
        to, url = self._answers.owner_email, self._variable("SMTP_URL")
        text = (
            f"Mail from {self._answers.name} works.\n\n"
            f"Your widget is {self._answers.public_url}/w/{self._answers.widget}, and the staff page "
            f"{self._answers.public_url}/staff.\n"
        )
        try:
            await send_plain(
                smtp_url=url,
                mail_from=self._variable("MAIL_FROM"),
                to=to,
                subject="Holdfast: a test mail",
                text=text,
                now=self._world.now(),
            )
        except MailError as error:
            return f"The test mail was not sent: {error}. Correct SMTP_URL, then run this again."
        return f"A test mail is on its way to {to}."

    @property
    def mails(self) -> bool:
        """Whether there is a mail server."""
        return bool(self._secrets.get("SMTP_URL") or self._known["SMTP_URL"])

    async def check(self, environment: Environment) -> list[Finding]:
        """The set-up check, over the settings as they are now."""
        return await Doctor(environment, now=self._world.now, wires=self._world.wires).findings()

    async def _subscribe(self, access: SchedulerAccess) -> None:
        """With a secret of ours. Some plans have no webhooks, and nothing depends on them."""
        name, secret = self._answers.scheduler, self._world.new_secret()
        trouble = await access.subscribe(self._hook(name), secret)
        if trouble:
            self._tell(trouble)
        else:
            self._values[WEBHOOK_SECRETS[name]] = secret

    async def _make_endpoint(self, settings: Settings, plan: StripePlan) -> None:
        stripe = self._stripe(settings)
        if stripe is None:
            return
        try:
            secret = await stripe.carry_out(plan)
        except StripeRefused as error:
            raise SetupRefused(str(error)) from error
        if secret:
            self._tell(f"Stripe: the webhook endpoint {self._address} is made, and its secret kept")
            self._values["STRIPE_WEBHOOK_SECRET"] = secret
            # Stripe does not tell it again. The rest of the file is shown before it is written.
            pair = {"STRIPE_SECRET_KEY": self._variable("STRIPE_SECRET_KEY"), "STRIPE_WEBHOOK_SECRET": secret}
            env_change(self._paths.env, pair).write()
        elif plan.act is EndpointAct.UPDATE:
            self._tell(f"Stripe: the webhook endpoint {self._address} is sent every event")

    def _must_be_writable(self) -> None:
        """Found out before anything is made anywhere."""
        for path in {self._paths.env.parent, self._paths.widgets.parent, self._paths.studio.parent}:
            probe = path / ".holdfast.new"
            try:
                probe.write_text("", encoding="utf-8")
                probe.unlink()
            except OSError as error:
                raise SetupRefused(f"{path.absolute()} cannot be written: {error.strerror}.") from error

    def _sold(self, have: Arrangement, *, prices: bool) -> list[SoldService]:
        sold = []
        for service in self._answers.service:
            found = next((one for one in have.services if same_name(one.name, service.name)), None)
            if found:
                sold.append(SoldService(found.id, found.name, None if prices else service.price))
        return sold

    # -- asking ----------------------------------------------------------------------------------------------

    def _hook(self, provider: str) -> str:
        return f"{self._answers.public_url}/api/webhooks/{provider}"

    @property
    def _address(self) -> str:
        return self._hook("stripe")

    def _variable(self, name: str) -> str:
        return self._secrets.get(name) or self._values.get(name) or self._known[name]

    def _settings(self) -> Settings:
        """The settings as they will be, but for a signing secret that is not there yet."""
        variables = {**{name: value for name, value in self._known.items() if value}, **self._values}
        # The widgets are what is being made.
        variables.pop("WIDGETS_FILE", None)
        if variables.get("STRIPE_SECRET_KEY") and not variables.get("STRIPE_WEBHOOK_SECRET"):
            variables["STRIPE_WEBHOOK_SECRET"] = "whsec_not_made_yet"  # noqa: S105 - stands for one
        try:
            return read_settings(variables)
        except SettingsError as error:
            raise SetupRefused(str(error)) from error

    def _access(self, settings: Settings) -> SchedulerAccess:
        return SchedulerAccess(self._answers.scheduler, settings, world=self._world, tell=self._tell)

    def _stripe(self, settings: Settings) -> StripeSetup | None:
        key = opened(settings.stripe_secret_key)
        if not key:
            return None
        # The secret in the settings belongs to the key in the settings.
        same = self._secrets.get("STRIPE_SECRET_KEY", key) == self._known["STRIPE_SECRET_KEY"]
        known = self._values.get("STRIPE_WEBHOOK_SECRET") or (same and self._known["STRIPE_WEBHOOK_SECRET"])
        return StripeSetup(
            key=key,
            api_base=settings.stripe_api_base,
            address=self._address,
            secret_known=bool(known),
            new_key=self._world.new_secret,
            sleep=self._world.sleep,
            transport=self._world.wires.stripe,
        )


def _stripe_lines(plan: StripePlan, address: str) -> list[str]:
    match plan.act:
        case EndpointAct.CREATE:
            return [f"Stripe: create the webhook endpoint {address}"]
        case EndpointAct.UPDATE:
            return [f"Stripe: let the webhook endpoint {address} be sent every event"]
        case EndpointAct.REPLACE:
            return [f"Stripe: replace the webhook endpoint {address}, of which no secret or another version is known"]
    return []


def _stripe_by_hand(plan: StripePlan, address: str) -> list[str]:
    told = []
    if plan.lacking:
        told.append(f"Give the Stripe key these permissions: {', '.join(plan.lacking)}.")
    if plan.act is EndpointAct.BY_HAND:
        told.append(
            f"The Stripe key may not make webhook endpoints. Give it Webhook Endpoints: Write and run this again, or "
            f"create one for {address} in Stripe's Dashboard with version {API_VERSION} and the events "
            f"{', '.join(EVENT_TYPES)}, and set STRIPE_WEBHOOK_SECRET."
        )
    return told
