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
/* global HOLDFAST_WORDS, HOLDFAST_BASE */
(() => {
  "use strict";
  if (window.holdfast) return;
  window.holdfast = 1;

  // Where it was fetched from. An optimizer may have put it into a file of the site's, into the page, or made a module
  // of it: then what the server has written here.
  const from = (document.currentScript || {}).src;
  const base = /\/embed\.js(\?|$)/.test(from) ? new URL(from).origin : HOLDFAST_BASE;
  const root = document.documentElement;
  const words = HOLDFAST_WORDS; // the server puts them here: {"en": "Book a time", …}
  const kinds = { i: "data-holdfast", p: "data-holdfast-popup", f: "data-holdfast-float" };
  const looks = "theme accent radius density font background transparent";
  const options = "service resource date name email phone notes";

  const shown = new Map(); // element → what it shows
  const told = {}; // what the page was told of which booking: each thing once
  let back, again, due, why;

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

  // Editors turn quotes into curly ones, and leave blanks: neither is meant.
  const plain = (value) => (value || "").replace(/^["'\s\u00a0\u2018-\u201f\u00ab\u00bb]+|["'\s\u00a0\u2018-\u201f\u00ab\u00bb]+$/g, "");
  const named = (element, kind) => plain(element.getAttribute(kinds[kind])).toLowerCase() || "default";

  // The colour that lies behind the element, as rgb(…): the nearest that is opaque, else the browser's own canvas.
  const ground = (element) => {
    const pen = make("canvas", "", { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
    const read = (colour) => {
      if (/^rgb\(/.test(colour)) return colour;
      pen.clearRect(0, 0, 1, 1);
      pen.fillStyle = colour;
      pen.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = pen.getImageData(0, 0, 1, 1).data;
      return alpha > 250 && `rgb(${red}, ${green}, ${blue})`;
    };
    for (let outer = element; outer; outer = outer.parentElement) {
      const { backgroundColor } = getComputedStyle(outer);
      const found = !/, 0\)$|transparent/.test(backgroundColor) && read(backgroundColor);
      if (found) return found;
    }
    const probe = make("i", "color-scheme:inherit;background:Canvas;");
    element.append(probe);
    const { backgroundColor } = getComputedStyle(probe);
    probe.remove();
    return read(backgroundColor);
  };

  // The address of what an element shows. `token` opens a result instead of the widget.
  const address = (element, kind, token) => {
    const { dataset } = element;
    const query = new URLSearchParams();
    const add = (name, value) => value && query.set(name, value);
    looks.split(" ").forEach((name) => add(name, plain(dataset[name])));
    // A dialog has no page to let through. In the page, texts have to be readable on whatever colour lies behind them.
    if (kind !== "i") query.set("transparent", 0);
    else add("ground", ground(element));
    if (!token) {
      options.split(" ").forEach((name) => add(name, plain(dataset[name])));
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
    setTimeout(safe(() => fail(one)), 6000);
    return one;
  };

  // The frame stays, hidden: should it speak up late, it takes the way out's place. One that somebody is in is let be.
  // The way out is what the owner has put there, since a link of ours would lead where the frame has failed.
  const fail = (one) => {
    if (one.port || one.failed || !one.box || !one.frame.isConnected) return;
    if (document.activeElement === one.frame) return void setTimeout(safe(() => fail(one)), 6000);
    one.failed = make("div", "");
    if (one.own && one.own.some((node) => node.textContent.trim())) one.failed.append(...one.own);
    else
      one.failed.append(
        make("a", "display:inline-block;padding:12px 20px;border:1px solid;border-radius:8px;", {
          href: one.frame.src,
          textContent: one.frame.title,
          target: self === top ? "" : "_blank",
        }),
      );
    one.box.append(one.failed);
    style(one.frame, "display:none;");
    emit(one.element, "error", { code: "FRAME_REFUSED" });
    const warn = (text) => console.warn(`Holdfast: ${text}. ${base}/embed tells more`);
    if (why) return warn(why);
    // The server knows whether there is such a widget, and whether this site may frame it. As a script, which is what
    // the strictest policy lets us have.
    import(`${base}/embed/why?widget=${encodeURIComponent(named(one.element, one.kind))}&origin=${encodeURIComponent(self.origin)}`).then(
      (it) => warn(it.default),
      () => warn(`see whether ${base} answers`),
    );
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
      return dialog || style(frame, `height:${detail.height}px;`);
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
        one.failed = 0;
        style(frame, "display:block;");
      }
      if (one.ready) return;
      one.ready = 1;
      detail = {};
    }
    if (type === "step") {
      if (one.step && one.step !== detail.step) show(one);
      one.step = detail.step;
      // Back from paying: what came of it is read out.
      if (one.token) {
        frame.focus();
        one.port.postMessage({ type: "focus" });
      }
    }
    if (/held|confirmed|canceled/.test(type)) {
      one.held = type === "held";
      if (again && one.token) return; // what a reload shows once more was told before
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
    // As high at every step, so that nothing jumps; on a phone all of the screen.
    const sheet = innerWidth < 640 ? "inset:0;width:100%;height:100dvh;" : "width:min(100% - 40px,960px);height:min(100dvh - 40px,780px);border-radius:12px;";
    const dialog = make(
      "dialog",
      sheet + "max-width:none;max-height:none;margin:auto;padding:0;border:0;overflow:hidden;box-shadow:0 0 0 100vmax rgb(0 0 0/.5);",
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
    style(one.frame, "height:calc(100% - 44px);");
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
    shown.set(element, { frame: opener, opener });
  };

  // One button for each tag, for as long as the tag is in the page: sites that change pages without loading them take
  // the button away with the body, or run the tag again.
  const floats = () => {
    const tags = all("f"), seen = {};
    shown.forEach(({ opener }, element) => {
      if (!opener || tags.includes(element)) return;
      opener.remove();
      shown.delete(element);
    });
    tags.forEach((element) => {
      const name = named(element, "f");
      const one = shown.get(element);
      if (seen[name]) return one && one.opener && one.opener.remove();
      seen[name] = 1;
      if (!one) float(element);
      else if (one.opener && !one.opener.isConnected) document.body.append(one.opener);
    });
  };

  const inline = (element, token) => {
    const own = [...element.childNodes].filter(({ tagName }) => tagName !== "IFRAME");
    element.textContent = "";
    const one = open(element, "i", element, token);
    one.own = own;
    one.again = 0;
    return one;
  };

  // What an element shows, once more: its content may have been put back by the page, or its attributes changed. A time
  // that is held is not taken away for a changed attribute.
  const look = (element) => {
    const one = shown.get(element);
    if (!one) return inline(element);
    if (!element.contains(one.frame)) {
      // A page that does this for ever is left alone.
      const { again } = one;
      if (again < 50) inline(element).again = again + 1;
    } else if (!one.held && !one.token && !one.failed && one.asked !== address(element, "i")) inline(element);
  };

  // Where the visitor is sent after paying: #holdfast=i0.token, or as a router has written it, with the site's own route
  // behind it. A reload finds it in the entry's state, and shows how the booking stands once more.
  const find = (event) => {
    const { location, history } = page;
    const mark = /^#!?\/?holdfast=(([ipf])(\d+)\.([\w.-]+))(?:~(.*))?$/;
    const found = mark.exec(location.hash);
    const kept = !event && !found && history.state && history.state.holdfast;
    again = !!kept;
    if (found || kept) back = found ? found.slice(1) : mark.exec("#holdfast=" + kept).slice(1);
    if (!found) return;
    if (found[5]) location.replace("#" + decodeURIComponent(found[5]));
    history.replaceState({ ...history.state, holdfast: found[1] }, "", found[5] ? location.href : location.pathname + location.search);
    if (!event) return;
    scan();
    setTimeout(safe(() => back && comeBack(1)), 3000);
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
    all("i").forEach(look);
    floats();
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
    find();
    on(page, "hashchange", find);
    on(document, "click", press);
    on(document, "keydown", press);
    new MutationObserver(() => (due = due || setTimeout(scan, 30))).observe(root, {
      childList: true,
      subtree: true,
      attributes: true,
      attributeFilter: Object.values(kinds).concat(`${looks} ${options} lang`.split(" ").map((name) => "data-" + name), "lang"),
    });
    // A site's own switch between light and dark.
    const dark = new MutationObserver(() => (due = due || setTimeout(scan, 300)));
    [root, document.body].forEach((node) => node && dark.observe(node, { attributeFilter: ["class", "style", "data-theme"] }));
    scan();
    if (back) setTimeout(safe(() => back && comeBack(1)), 3000);
    // The embed doctor looks at this page from inside; it is no part of the loader until it is asked for.
    if (location.hash === "#holdfast-doctor") import(base + "/static/embed-doctor.js").then((it) => it.default(shown, base, () => why));
  })();
})();
