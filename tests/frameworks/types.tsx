// What has to type-check, and what must not: `tsc` fails on either.
import { HoldfastBooking, openHoldfast, type HoldfastConfirmed } from "holdfast-react";

const SERVER = "https://book.example.com";
const report = ({ receipt, price }: HoldfastConfirmed) => `${receipt} ${price.amount.toFixed()} ${price.currency}`;

export const good = (
  <>
    <HoldfastBooking server={SERVER} widget="studio" theme="dark" radius={8} onConfirmed={report} onHeld={({ start }) => start} />
    <holdfast-booking widget="studio" density="compact" />
    <button onClick={() => openHoldfast(SERVER, "studio", { service: "x" }).then((dialog) => dialog.close())}>Book</button>
  </>
);
// @ts-expect-error no server
export const nowhere = <HoldfastBooking widget="studio" />;
// @ts-expect-error no such theme
export const pink = <HoldfastBooking server={SERVER} theme="pink" />;
// @ts-expect-error a time that is held has no receipt
export const early = <HoldfastBooking server={SERVER} onHeld={({ receipt }) => receipt} />;

document.addEventListener("holdfast:canceled", ({ detail }) => detail.reason.length);
document.querySelector("holdfast-booking")?.addEventListener("holdfast:error", ({ detail }) => detail.code.length);
customElements.whenDefined("holdfast-booking").then(() => Holdfast.open("studio", { accent: "#2f5d50" }));
// @ts-expect-error no such option
Holdfast.open("studio", { colour: "red" });
