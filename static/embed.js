// Holdfast's loader: one tag on any page. It finds the elements that ask for a widget, gives each a frame that fits,
// passes on what the page knows, and turns what happens inside into DOM events. docs/embed.md has the rest.
//
//   <div data-holdfast="studio"></div>                inline
//   <button data-holdfast-popup="studio">…</button>   in a dialog
//   <script … data-holdfast-float="studio"></script>  a floating button
//
// The rules of this file: nothing thrown into the page, no cookie and no storage, no inline style or script that a
// strict Content-Security-Policy refuses, messages only between the exact frame and the exact origin.
//
// `make static` writes static/embed.min.js from it, which is what is served.
/* global HOLDFAST_WORDS */
(() => {
  "use strict";
  const me = document.currentScript;
  if (!me || window.holdfast) return;
  window.holdfast = 1;

  const base = new URL(me.src).origin;
  const root = document.documentElement;
  const words = HOLDFAST_WORDS; // the server puts them here: {"en": "Book a time", …}
  const kinds = { i: "data-holdfast", p: "data-holdfast-popup", f: "data-holdfast-float" };
  const looks = "theme accent radius density font background transparent";
  const options = "service resource date name email phone notes";

  const shown = new Map(); // element → what it shows
  const told = {}; // what the page was told of which booking: each thing once
  let back = /^#holdfast=([ipf])(\d+)\.([\w.-]+)$/.exec(location.hash);
  let due, why;

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
  const make = (tag, css, properties) => {
    const element = Object.assign(document.createElement(tag), properties);
    style(element, css);
    return element;
  };
  const all = (kind) => [...document.querySelectorAll(`[${kinds[kind]}]`)];
  const language = (element) => element.dataset.lang || (element.closest("[lang]") || root).lang;
  const label = (element) => element.dataset.title || words[language(element).slice(0, 2)] || words.en;
  const emit = (element, type, detail) =>
    element.dispatchEvent(new CustomEvent("holdfast:" + type, { bubbles: true, detail: { version: 1, ...detail } }));

  // Puts a frame into `box`, for `element`. `token` opens a result instead of the widget.
  const open = (element, kind, box, token) => {
    const { dataset } = element;
    const query = new URLSearchParams();
    const add = (name, value) => value && query.set(name, value);
    const here = location.href.split("#")[0];
    looks.split(" ").forEach((name) => add(name, dataset[name]));
    // A dialog has no page to let through. In the page, texts have to be readable on whatever color lies behind them.
    if (kind !== "i") query.set("transparent", 0);
    else if (dataset.transparent)
      for (let outer = element; outer && !query.has("background"); outer = outer.parentElement) {
        const { backgroundColor } = getComputedStyle(outer);
        if (/^rgb\(/.test(backgroundColor)) add("background", backgroundColor);
      }
    if (!token) {
      options.split(" ").forEach((name) => add(name, dataset[name]));
      new URLSearchParams(location.search).forEach(
        (value, name) => /^utm_|clid$|braid$/.test(name) && add(name, value),
      );
    }
    add("lang", language(element));
    add("tz", Intl.DateTimeFormat().resolvedOptions().timeZone);
    // The server keeps 500 characters; half an address would lead nowhere.
    add("host", here.length > 500 ? location.origin + location.pathname : here);
    add("place", kind + Math.max(all(kind).indexOf(element), 0));
    const path = token ? "r/" + token : "w/" + (element.getAttribute(kinds[kind]) || "default");
    const one = { element, box };
    one.frame = make(
      "iframe",
      "all:initial;color-scheme:inherit;display:block;width:100%;height:520px;",
      {
        title: label(element),
        // Tells the frame whom to talk to; it checks that against the widget's own list.
        name: "holdfast " + location.origin,
        src: `${base}/${path}?${query}`,
      },
    );
    if (kind === "i") one.frame.setAttribute("scrolling", "no");
    box.append(one.frame);
    shown.set(element, one);
    setTimeout(safe(() => fail(one)), 6000);
    return one;
  };

  // The frame stays, hidden: should it speak up late, it takes the link's place.
  const fail = (one) => {
    if (one.port || one.failed || !one.box || !one.frame.isConnected) return;
    one.failed = make(
      "a",
      "display:inline-block;padding:12px 20px;border:1px solid;border-radius:8px;",
      { href: one.frame.src, textContent: one.frame.title, target: self === top ? "" : "_blank" },
    );
    one.box.append(one.failed);
    style(one.frame, "display:none;");
    why = why || `add ${location.origin} to allowed_origins, or see whether ${base} answers`;
    console.warn(`Holdfast: ${why}. ${base}/embed tells more`);
    emit(one.element, "error", { code: "FRAME_REFUSED" });
  };
  on(document, "securitypolicyviolation", (event) => {
    if (!/frame|child|default/.test(event.effectiveDirective) || !event.blockedURI.startsWith(base)) return;
    why = `add frame-src ${base} to the Content-Security-Policy`;
    shown.forEach(fail);
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
    const { element, frame, dialog } = one;
    if (type === "size") {
      style(frame, `height:${dialog ? "min(100dvh - 88px," : "calc("}${detail.height}px);`);
      return;
    }
    if (type === "see") {
      // What the frame's visitor has just asked for, as far as it is out of view; 12 px more are in what it tells.
      const { top } = frame.getBoundingClientRect();
      const above = top + detail.top, below = top + detail.bottom - innerHeight;
      const far = above < 0 ? above : Math.max(0, Math.min(below, above));
      return dialog || !far || scrollBy({ top: far, behavior: detail.behavior });
    }
    if (type === "leave") return leave(one);
    if (type === "close") return dialog && dialog.close();
    if (type === "ready") {
      if (dialog) {
        style(dialog, `background:${detail.page};color:${detail.text};`);
        one.close.ariaLabel = detail.close;
      }
      if (one.failed) {
        one.failed.remove();
        style(frame, "display:block;");
      }
      if (one.ready) return;
      one.ready = 1;
      detail = {};
    }
    if (type === "step") {
      if (one.step && one.step !== detail.step) show(one);
      one.step = detail.step;
    }
    if (/held|confirmed|canceled/.test(type)) {
      one.held = type === "held";
      const once = type + detail.booking;
      if (told[once]) return;
      told[once] = 1;
    }
    emit(element, type, detail);
  };

  // To the widget's top, if that is out of view.
  const show = ({ box, dialog }) => {
    const { top } = box.getBoundingClientRect();
    if (!dialog && (top < 0 || top > innerHeight - 80)) box.scrollIntoView();
  };

  // A running hold is not left by accident: the frame asks first.
  const leave = ({ held, port, dialog }) =>
    dialog && (held && port ? port.postMessage({ type: "ask" }) : dialog.close());

  const button = "all:initial;box-sizing:border-box;cursor:pointer;min-height:44px;min-width:44px;";

  const popup = (element, kind, opener, token) => {
    let one = shown.get(element);
    if (one && one.dialog && one.dialog.isConnected) return one.dialog.showModal();
    const dialog = make(
      "dialog",
      "width:min(100%,960px);max-width:none;margin:auto;padding:0;border:0;border-radius:12px;overflow:hidden;box-shadow:0 0 0 100vmax rgb(0 0 0/.5);",
      { ariaLabel: label(element) },
    );
    const close = make("button", button + "display:block;margin:0 0 0 auto;color:inherit;font:20px/44px system-ui;text-align:center;", {
      type: "button",
      textContent: "\u2715",
      ariaLabel: "Close",
    });
    dialog.append(close);
    document.body.append(dialog);
    one = open(element, kind, dialog, token);
    Object.assign(one, { dialog, close });
    on(close, "click", () => leave(one));
    on(dialog, "click", (event) => event.target === dialog && leave(one));
    on(dialog, "cancel", (event) => {
      event.preventDefault();
      leave(one);
    });
    // While the time is held, the dialog is only put away: it opens again where it was.
    on(dialog, "close", () => {
      if (!one.held) dialog.remove();
      opener.focus();
    });
    dialog.showModal();
  };

  const float = (element) => {
    const opener = make(
      "button",
      // The text is black or white, whichever is read better: 0.57 in OKLCH is where they are equal.
      button +
        `position:fixed;inset:auto 20px 20px auto;z-index:2147483647;padding:16px 24px;border-radius:28px;background:#222;background:${element.dataset.accent};color:#fff;color:oklch(from ${element.dataset.accent} clamp(0,(.57 - l)*999,1) 0 0);font:600 16px/1.25 system-ui;`,
      { type: "button", textContent: element.dataset.label || label(element) },
    );
    on(opener, "click", () => popup(element, "f", opener));
    document.body.append(opener);
    shown.set(element, { frame: opener });
  };

  const inline = (element, token) => {
    element.textContent = "";
    return open(element, "i", element, token);
  };

  // What the visitor came back to: the element that they left from, or the next best.
  const comeBack = (late) => {
    const [, kind, number, token] = back;
    const found = all(kind);
    const element = found[number] || (late && (found[0] || root));
    if (!element) return;
    back = 0;
    if (kind === "i" && element !== root) inline(element, token).box.scrollIntoView();
    else popup(element, kind, element, token);
  };

  const scan = safe(() => {
    due = 0;
    if (!document.body) return;
    if (back) comeBack();
    all("i").forEach((element) => shown.has(element) || inline(element));
    all("f").forEach((element) => shown.has(element) || float(element));
    all("p").forEach((element) => {
      element.ariaHasPopup = "dialog";
      if (element.tabIndex < 0) Object.assign(element, { tabIndex: 0, role: "button" });
    });
  });

  const press = (event) => {
    const { target, key } = event;
    const element = target.closest && target.closest(`[${kinds.p}]`);
    if (!element || event.ctrlKey || event.metaKey || event.shiftKey) return;
    // Real buttons and links turn these keys into clicks by themselves.
    if (key && (!/^( |Enter)$/.test(key) || element.role !== "button")) return;
    event.preventDefault();
    popup(element, "p", element);
  };

  safe(() => {
    if (back) history.replaceState(history.state, "", location.pathname + location.search);
    on(document, "click", press);
    on(document, "keydown", press);
    new MutationObserver(() => (due = due || setTimeout(scan, 30))).observe(root, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: Object.values(kinds),
    });
    scan();
    if (back) setTimeout(safe(() => back && comeBack(1)), 3000);
    // The embed doctor looks at this page from inside; it is no part of the loader until it is asked for.
    if (location.hash === "#holdfast-doctor") import(base + "/static/embed-doctor.js").then((it) => it.default(shown, base, () => why));
  })();
})();
