"use client";

import { createElement, useEffect, useRef } from "react";

const TAG = "holdfast-booking";
const EVENTS = ["Ready", "Step", "Held", "Payment", "Confirmed", "Canceled", "Error"];
const loading = new Map(); // loader's address → what waits for it

export function loadHoldfast(server, { nonce } = {}) {
  const source = new URL("/embed.js", server).href;
  // Also where the page itself has the tag.
  if (window.Holdfast) return Promise.resolve();
  if (!loading.has(source)) {
    loading.set(
      source,
      new Promise((done, failed) => {
        const script = Object.assign(document.createElement("script"), { src: source, async: true });
        if (nonce) script.nonce = nonce;
        script.onload = () => done();
        script.onerror = () => {
          loading.delete(source);
          script.remove();
          failed(new Error(`Holdfast: ${source} could not be loaded`));
        };
        document.head.append(script);
      }),
    );
  }
  return loading.get(source);
}

export async function openHoldfast(server, widget, { nonce, ...options } = {}) {
  await loadHoldfast(server, { nonce });
  return window.Holdfast.open(widget, options);
}

export function HoldfastBooking({ server, nonce, className, children, ...props }) {
  const element = useRef(null);
  const handlers = useRef({});
  const attributes = {};
  const heard = {};
  for (const [name, value] of Object.entries(props)) {
    if (EVENTS.includes(name.slice(2)) && name.startsWith("on")) heard[name] = value;
    else attributes[name] = value;
  }
  // Always the handlers of the last render, so that an effect need not run for each of them.
  useEffect(() => {
    handlers.current = heard;
  });

  useEffect(() => {
    const here = element.current;
    const listeners = EVENTS.map((name) => [
      "holdfast:" + name.toLowerCase(),
      (event) => event.target === here && handlers.current["on" + name]?.(event.detail),
    ]);
    listeners.forEach(([type, listener]) => here.addEventListener(type, listener));
    return () => listeners.forEach(([type, listener]) => here.removeEventListener(type, listener));
  }, []);

  useEffect(() => {
    let gone = false;
    // The children stay where they are: without the loader they are the way to book.
    loadHoldfast(server, { nonce }).catch((error) => {
      if (gone) return;
      console.warn(error.message);
      handlers.current.onError?.({ version: 1, code: "LOADER_FAILED" });
    });
    return () => {
      gone = true;
    };
  }, [server, nonce]);

  const link = createElement("a", { href: new URL(`/w/${attributes.widget ?? "default"}`, server).href }, "Book a time");
  // `class`, since React 18 knows no `className` on custom elements.
  return createElement(TAG, { ...attributes, class: className, ref: element }, children ?? link);
}
