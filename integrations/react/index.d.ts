import type { CSSProperties, DetailedHTMLProps, HTMLAttributes, ReactElement, ReactNode } from "react";
import type {
  HoldfastAttributes,
  HoldfastBooked,
  HoldfastCanceled,
  HoldfastConfirmed,
  HoldfastDetail,
  HoldfastOptions,
  HoldfastProblem,
  HoldfastStep,
} from "./holdfast.js";

export * from "./holdfast.js";

export interface LoadOptions {
  /** The nonce of a Content-Security-Policy that asks for one. */
  nonce?: string;
}

export interface HoldfastBookingProps extends HoldfastAttributes {
  /** Where Holdfast runs, `https://book.example.com`. */
  server: string;
  nonce?: string;
  id?: string;
  className?: string;
  style?: CSSProperties;
  /** Shown until the widget is there, and where it cannot be; a link to the widget where it is left out. */
  children?: ReactNode;
  onReady?: (detail: HoldfastDetail) => void;
  onStep?: (detail: HoldfastStep) => void;
  onHeld?: (detail: HoldfastBooked) => void;
  onPayment?: (detail: HoldfastBooked) => void;
  onConfirmed?: (detail: HoldfastConfirmed) => void;
  onCanceled?: (detail: HoldfastCanceled) => void;
  onError?: (detail: HoldfastProblem) => void;
}

/** The widget in the page. */
export function HoldfastBooking(props: HoldfastBookingProps): ReactElement;

/** Opens a widget in a dialog, and loads the loader first where it is not there yet. For event handlers. */
export function openHoldfast(
  server: string,
  widget?: string,
  options?: HoldfastOptions & LoadOptions,
): Promise<HTMLDialogElement>;

/** Loads embed.js once; rejects, and may be called again, where it cannot be loaded. Not for the server. */
export function loadHoldfast(server: string, options?: LoadOptions): Promise<void>;

declare module "react" {
  namespace JSX {
    interface IntrinsicElements {
      "holdfast-booking": DetailedHTMLProps<HTMLAttributes<HTMLElement>, HTMLElement> & HoldfastAttributes;
    }
  }
}
