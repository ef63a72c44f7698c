/**
 * What Holdfast's loader, embed.js, puts on a page. Knows nothing of any framework: copy this one file into a project
 * in plain TypeScript, Vue, Svelte or Astro.
 */

/** How a widget opens and looks. What is left out is as the widget's own settings say. */
export interface HoldfastOptions {
  /** Opens on this service, this person or room: ids of your scheduler. */
  service?: string;
  resource?: string;
  /** Opens on a day, `2026-11-24`, or a month, `2026-11`. */
  date?: string;
  /** Fill in the form. */
  name?: string;
  email?: string;
  phone?: string;
  notes?: string;
  /** The language; otherwise the page's, otherwise the visitor's. */
  lang?: string;
  /** The frame's name for screen readers. */
  title?: string;
  theme?: "light" | "dark" | "auto";
  /** Colours as `#2f5d50`. */
  accent?: string;
  background?: string;
  /** How round corners are, 0 to 16 px. */
  radius?: number | `${number}`;
  density?: "compact" | "regular" | "spacious";
  /** A CSS list of fonts. */
  font?: string;
}

/** The attributes of `<holdfast-booking>`. */
export interface HoldfastAttributes extends HoldfastOptions {
  /** The widget's name in widgets.toml; `default` where it is left out. */
  widget?: string;
  /** `0` gives the widget a ground of its own. */
  transparent?: 0 | 1 | "0" | "1";
}

export interface HoldfastDetail {
  /** Raised when a field changes its meaning. */
  version: number;
}

export interface HoldfastStep extends HoldfastDetail {
  step: "services" | "time" | "details" | "check" | "pay" | "result" | "error" | (string & {});
}

/** A booking as its host may know it: never who books. */
export interface HoldfastBooked extends HoldfastDetail {
  booking: string;
  service: { id: string; name: string };
  /** ISO 8601 with an offset. */
  start: string;
  /** In the currency's smallest unit. */
  price: { amount: number; currency: string };
}

export interface HoldfastConfirmed extends HoldfastBooked {
  /** For your server, which can ask `/api/receipts/verify` whether it is genuine. */
  receipt: string;
}

export interface HoldfastCanceled extends HoldfastBooked {
  reason: string;
}

export interface HoldfastProblem extends HoldfastDetail {
  code: string;
}

/** Events that bubble from the element, or from the dialog that `Holdfast.open` returns. */
export interface HoldfastEventMap {
  "holdfast:ready": CustomEvent<HoldfastDetail>;
  "holdfast:step": CustomEvent<HoldfastStep>;
  "holdfast:held": CustomEvent<HoldfastBooked>;
  "holdfast:payment": CustomEvent<HoldfastBooked>;
  "holdfast:confirmed": CustomEvent<HoldfastConfirmed>;
  "holdfast:canceled": CustomEvent<HoldfastCanceled>;
  "holdfast:error": CustomEvent<HoldfastProblem>;
}

export interface HoldfastGlobal {
  /** Opens a widget in a dialog. A dialog whose time is still held is shown again instead of a second one. */
  open(widget?: string, options?: HoldfastOptions): Promise<HTMLDialogElement>;
}

declare global {
  /** There once embed.js has run: `await customElements.whenDefined("holdfast-booking")`. */
  var Holdfast: HoldfastGlobal;
  interface Window {
    Holdfast?: HoldfastGlobal;
  }
  interface HTMLElementTagNameMap {
    "holdfast-booking": HTMLElement;
  }
  interface HTMLElementEventMap extends HoldfastEventMap {}
  interface DocumentEventMap extends HoldfastEventMap {}
  interface WindowEventMap extends HoldfastEventMap {}
}
