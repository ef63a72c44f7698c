// Holdfast's loader: one tag on any page. It finds the elements that ask for a widget, gives each a frame that fits,
// passes on what the page knows, and turns what happens inside into DOM events. docs/embed.md has the rest.
//
//   <div data-holdfast="studio"></div>                     inline
//   <holdfast-booking widget="studio"></holdfast-booking>  inline, for sites whose framework owns what is in the page
//   <button data-holdfast-popup="studio">…</button>        in a dialog
//   <script … data-holdfast-float="studio"></script>       a floating button
//   Holdfast.open("studio", { service: "…" })              a dialog, by script
//
// The rules of this file: nothing thrown into the page, no cookie and no storage, no inline style or script that a
// strict Content-Security-Policy refuses, messages only between the exact frame and the exact origin.
//
// What an inline widget does not need is in embed-more.js, which is fetched when it is first used. Copies of this file
// live for months in sites' own bundles and meet a newer embed-more.js: what `kit` holds may grow and not change.
//
// `make static` writes static/embed.min.js from it, which is what is served.
/* global HOLDFAST_WORDS, HOLDFAST_BASE, HOLDFAST_MORE */
(() => {
  "use strict";
  if (window.holdfast) return;

  // Where it was fetched from. An optimizer may have put it into a file of the site's, into the page, or made a module
  // of it: then what the server has written here.
  const from = (document.currentScript || {}).src;
  const base = /\/embed\.js(\?|$)/.test(from) ? new URL(from).origin : HOLDFAST_BASE;
  const root = document.documentElement;
  const words = HOLDFAST_WORDS; // the server puts them here: {"en": "Book a time", …}
  const tag = "holdfast-booking";
  const kinds = { i: "data-holdfast", p: "data-holdfast-popup", f: "data-holdfast-float", o: "data-holdfast-open" };
  const looks = "theme accent radius density font background transparent".split(" ");
  const options = "service resource date name email phone notes".split(" ");
  const watched = [...looks, ...options, "lang", "title", "label"];

  const shown = new Map(); // element → what it shows
  const told = {}; // what the page was told of which booking: each thing once
  const tagged = new Set(); // the custom elements, also those in other elements' shadow roots
  let due, loading;

  // The page that people see in the address bar, where it is of the same site: a builder may have put us into a frame.
  const page = (() => {
    try {
      return top.location.href && top;
    } catch {
      return window;
    }
  })();

  const safe = (act) => (event) => {
    try {
      act(event);
    } catch (error) {
      console.warn("Holdfast:", error);
    }
  };
  const on = (target, type, act) => target.addEventListener(type, safe(act), true);
  // Every declaration is important, so that the page's own rules for frames and buttons do not reach ours.
  const style = (element, css) => (element.style.cssText += css.replace(/;/g, "!important;"));
  const make = (name, css, properties) => {
    const element = Object.assign(document.createElement(name), properties);
    if (css) style(element, css);
    return element;
  };
  const all = (kind) => [
    ...document.querySelectorAll(`[${kinds[kind]}]`),
    ...[...tagged].filter((one) => kind === "i" && one.isConnected),
  ];

  // Editors turn quotes into curly ones, primes or entities, and leave blanks: none is meant.
  const quotes = /([\s"'`\\\u00ab\u00bb\u00b4\u200b-\u201f\u2032-\u203a\u300c-\u301f\uff02\uff07]|&#?\w+;)+/.source;
  const get = (element, name) => (element.getAttribute(name) || "").replace(RegExp(`^${quotes}|${quotes}$`, "g"), "");
  const isTag = (element) => element.localName === tag;
  const option = (element, name) => get(element, (isTag(element) ? "" : "data-") + name);
  const named = (element, kind) => get(element, isTag(element) ? "widget" : kinds[kind]).toLowerCase() || "default";
  const language = (element) => option(element, "lang") || (element.closest("[lang]") || root).lang;
  const label = (element) => option(element, "title") || words[language(element).slice(0, 2)] || words.en;
  const emit = (element, type, detail) =>
    element.dispatchEvent(
      new CustomEvent("holdfast:" + type, { bubbles: true, composed: true, detail: { version: 1, ...detail } }),
    );

  // The colour that lies behind the element, as rgb(…): the nearest that is opaque, else the browser's own canvas.
  const ground = (element) => {
    const pen = make("canvas", "", { width: 1, height: 1 }).getContext("2d");
    const read = (colour) => {
      if (/^rgb\(/.test(colour)) return colour;
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
      return alpha > 250 && `rgb(${red}, ${green}, ${blue})`;
    };
    for (let outer = element; outer; outer = outer.parentElement || outer.getRootNode().host) {
      const { backgroundColor } = getComputedStyle(outer);
      const found = !/, 0\)$|transparent/.test(backgroundColor) && read(backgroundColor);
      if (found) return found;
    }
    const probe = make("i", "color-scheme:inherit;background:Canvas;");
    (element.shadowRoot || element).append(probe);
    const { backgroundColor } = getComputedStyle(probe);
    probe.remove();
    return read(backgroundColor);
  };

  // The address of what an element shows. `token` opens a result instead of the widget.
  const address = (element, kind, token) => {
    const query = new URLSearchParams();
    const add = (name, value) => value && query.set(name, value);
    const pass = (name) => add(name, option(element, name));
    looks.forEach(pass);
    // A dialog has no page to let through. In the page, texts have to be readable on whatever colour lies behind them.
    if (kind !== "i") add("transparent", "0");
    else add("ground", ground(element));
    if (!token) {
      options.forEach(pass);
      new URLSearchParams(page.location.search).forEach(
        (value, name) => /^utm_|clid$|braid$/.test(name) && add(name, value),
      );
    }
    add("lang", language(element));
    add("tz", Intl.DateTimeFormat().resolvedOptions().timeZone);
    add("place", kind + Math.max(all(kind).indexOf(element), 0));
    return `${base}/${token ? "r/" + token : "w/" + encodeURIComponent(named(element, kind))}?${query}`;
  };

  // Puts a frame into `box`, for `element`.
  const open = (element, kind, box, token) => {
    const one = { element, box, kind, token, asked: address(element, kind, token) };
    // A frame that was written into the page has no address of its own. The fragment is the site's own route, where its
    // router keeps that there. The server keeps 500 characters; half an address would lead nowhere.
    const full = /^http/.test(page.location.href) ? page.location.href : document.baseURI;
    const here = [full, full.split("#")[0], self.origin + page.location.pathname].find((one) => one.length <= 500);
    one.frame = make(
      "iframe",
      "all:initial;color-scheme:inherit;display:block;width:100%;height:520px;",
      {
        title: label(element),
        // Tells the frame whom to talk to; it checks that against the widget's own list.
        name: "holdfast " + self.origin,
        src: one.asked + "&host=" + encodeURIComponent(here || self.origin),
      },
    );
    if (kind === "i") one.frame.setAttribute("scrolling", "no");
    box.append(one.frame);
    shown.set(element, one);
    setTimeout(() => silent(one), 6000);
    return one;
  };

  const more = () =>
    (loading =
      loading ||
      import(base + HOLDFAST_MORE).then(
        (it) => it.default(kit),
        (error) => {
          loading = 0;
          throw error;
        },
      ));

  // A frame that does not greet. Where not even the rest of us comes, what the owner has put there is shown again.
  const silent = (one) =>
    one.port ||
    more().then(
      (it) => it.fail(one),
      () => one.own && (style(one.frame, "display:none;"), one.box.append(...one.own)),
    );
  on(document, "securitypolicyviolation", (event) => {
    if (!/frame|child|default/.test(event.effectiveDirective) || !event.blockedURI.startsWith(base)) return;
    kit.refused = 1;
    shown.forEach(silent);
  });

  // A frame says that it is there; it gets a channel of its own, and all else goes through that.
  on(window, "message", ({ origin, data, source }) => {
    if (origin !== base || !data || data.holdfast !== 1 || data.type !== "hi") return;
    shown.forEach((one) => {
      if (source !== one.frame.contentWindow) return;
      const channel = new MessageChannel();
      one.port = channel.port1;
      one.port.onmessage = safe((message) => hear(one, message.data));
      source.postMessage({ holdfast: 1, type: "hello" }, base, [channel.port2]);
    });
  });

  const hear = (one, { type, ...detail }) => {
    const { element, frame } = one;
    // A dialog has its own size and place, and nothing else can be left.
    if (one.hear ? one.hear(type, detail) : type === "leave") return;
    if (type === "size") return style(frame, `height:${detail.height}px;`);
    if (type === "see") {
      // What the frame's visitor has just asked for, as far as it is out of view; 12 px more are in what it tells.
      const { top } = frame.getBoundingClientRect();
      const above = top + detail.top, below = top + detail.bottom - innerHeight;
      const far = above < 0 ? above : Math.max(0, Math.min(below, above));
      return far && scrollBy({ top: far, behavior: detail.behavior });
    }
    if (type === "ready") {
      if (one.failed) {
        one.failed.remove();
        one.failed = 0;
        style(frame, "display:block;");
      }
      if (one.ready) return;
      one.ready = 1;
      detail = {};
    }
    if (type === "step") {
      // To the widget's top, if that is out of view.
      const { top } = frame.getBoundingClientRect();
      if (one.step && one.step !== detail.step && !one.dialog && (top < 0 || top > innerHeight - 80)) frame.scrollIntoView();
      one.step = detail.step;
      // Back from paying: what came of it is read out.
      if (one.token) {
        frame.focus();
        one.port.postMessage({ type: "focus" });
      }
    }
    if (/held|confirmed|canceled/.test(type)) {
      one.held = type === "held";
      if (kit.again && one.token) return; // what a reload shows once more was told before
      const once = type + detail.booking;
      if (told[once]) return;
      told[once] = 1;
    }
    emit(element, type, detail);
  };

  const inline = (element, token) => {
    const box = isTag(element) ? element.shadowRoot || element.attachShadow({ mode: "open" }) : element;
    const own = box === element ? [...element.childNodes].filter(({ tagName }) => tagName !== "IFRAME") : [make("slot")];
    box.textContent = "";
    const one = open(element, "i", box, token);
    one.own = own;
    one.again = 0;
    return one;
  };

  // What an element shows, once more: its content may have been put back by the page, or its attributes changed. A time
  // that is held is not taken away for a changed attribute.
  const look = (element) => {
    const one = shown.get(element);
    if (!one) return inline(element);
    if (!one.box.contains(one.frame)) {
      // A page that does this for ever is left alone.
      if (one.again < 50) inline(element).again = one.again + 1;
    } else if (!one.held && !one.token && !one.failed && one.asked !== address(element, "i")) inline(element);
    else one.frame.title = label(element);
  };

  const scan = safe(() => {
    due = 0;
    if (!document.body || (kit.back && kit.back())) return;
    all("i").forEach(look);
    if (loading || document.querySelector(`[${kinds.p}],[${kinds.f}]`)) more().then((it) => it.scan(), () => {});
    // What we have just done ourselves is no reason to look again.
    watch.takeRecords();
  });
  const later = (wait) => (due = due || setTimeout(scan, wait || 30));
  const watch = new MutationObserver(() => later());

  // The frame in the shadow root is out of reach for whatever puts the page's own elements in order.
  class Booking extends HTMLElement {
    static get observedAttributes() {
      return watched.concat("widget");
    }
    connectedCallback() {
      tagged.add(this);
      later();
    }
    attributeChangedCallback() {
      later();
    }
  }

  const kit = { base, root, page, kinds, shown, safe, on, style, make, all, label, option, named, emit, open, inline, later };
  window.holdfast = window.Holdfast = { open: (widget, asked) => more().then((it) => it.open(widget, asked)) };

  safe(() => {
    customElements.define(tag, Booking);
    // Whoever comes back from paying sees that first, also where the site has emptied its fragment before we came.
    const came = (address) => /holdfast(=|%3D)/i.test(address);
    on(page, "hashchange", () => came(page.location.href) && more().then((it) => it.find(1)));
    watch.observe(root, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: Object.values(kinds).concat(watched.map((name) => "data-" + name), "lang"),
    });
    // A site's own switch between light and dark.
    const dark = new MutationObserver(() => later(300));
    [root, document.body].forEach((node) => node && dark.observe(node, { attributeFilter: ["class", "style", "data-theme"] }));
    const [arrival = ""] = page.performance.getEntriesByType("navigation");
    if (came(page.location.href + arrival.name) || (page.history.state || {}).holdfast) {
      kit.back = () => 1;
      more().then((it) => it.find(), () => (kit.back = 0)).then(scan);
    } else scan();
    // The embed check looks at this page from inside; it is no part of the loader until it is asked for.
    if (location.hash === "#holdfast-doctor") more().then((it) => it.check());
  })();
})();
