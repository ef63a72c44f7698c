// The loader's second half: dialogs, floating buttons, the way back from paying, and what takes the place of a frame
// that failed. embed.js fetches it when the page has use for one of them, and hands over what both need as `kit`.
//
// The `kit` may be that of any loader since this file exists: copies of it live for months in sites' own bundles.

const button = "all:initial;box-sizing:border-box;cursor:pointer;min-height:44px;min-width:44px;";
const asked = "service resource date name email phone notes lang title theme accent radius density font background".split(" ");

export default (kit) => {
  const { base, root, page, kinds, shown, safe, on, style, make, all, label, option, named, emit, open, inline, later } = kit;

  // A frame that failed

  const why = () => kit.refused && `add frame-src ${base} to the Content-Security-Policy`;
  // The frame stays, hidden: should it speak up late, it takes the way out's place. One that somebody is in is let be.
  // The way out is what the owner has put there, since a link of ours would lead where the frame has failed.
  const fail = (one) => {
    const { element, frame, box, own } = one;
    if (one.port || one.failed || !frame || !frame.isConnected) return;
    if (frame.getRootNode().activeElement === frame) return void setTimeout(safe(() => fail(one)), 6000);
    one.failed = make("div", "");
    // What stands in a custom element's slot is the element's own content.
    if (own && (box instanceof ShadowRoot ? [element] : own).some((node) => node.textContent.trim())) one.failed.append(...own);
    else
      one.failed.append(
        make("a", "display:inline-block;padding:12px 20px;border:1px solid;border-radius:8px;", {
          href: frame.src,
          textContent: frame.title,
          target: self === top ? "" : "_blank",
        }),
      );
    box.append(one.failed);
    style(frame, "display:none;");
    emit(element, "error", { code: "FRAME_REFUSED" });
    const warn = (text) => console.warn(`Holdfast: ${text}. ${base}/embed tells more`);
    if (kit.refused) return warn(why());
    // The server knows whether there is such a widget, and whether this site may frame it. As a script, which is what
    // the strictest policy lets us have.
    import(`${base}/embed/why?widget=${encodeURIComponent(named(element, one.kind))}&origin=${encodeURIComponent(self.origin)}`).then(
      (it) => warn(it.default),
      () => warn(`see whether ${base} answers`),
    );
  };

  // Dialogs

  // A running hold is not left by accident: the frame asks first.
  const leave = ({ held, port, dialog }) => (held && port ? port.postMessage({ type: "ask" }) : dialog.close());

  // What a dialog's frame says that is not for the page; true once it has been dealt with.
  const hear = (one, type, detail) => {
    if (type === "ready") {
      style(one.dialog, `background:${detail.page};color:${detail.text};`);
      one.close.ariaLabel = detail.close;
    }
    if (type === "leave") leave(one);
    if (type === "close") one.dialog.close();
    return /^(size|see|leave|close)$/.test(type);
  };

  // Opens the dialog of `element`; `dialog` where it is its own element.
  const popup = (element, kind, opener, token, dialog) => {
    let one = shown.get(element);
    if (one && one.dialog && one.dialog.isConnected) return one.dialog.showModal();
    // As high at every step, so that nothing jumps; on a phone all of the screen.
    const sheet = innerWidth < 640 ? "inset:0;width:100%;height:100dvh;" : "width:min(100% - 40px,960px);height:min(100dvh - 40px,780px);border-radius:12px;";
    dialog = dialog || document.createElement("dialog");
    dialog.ariaLabel = label(element);
    style(dialog, sheet + "max-width:none;max-height:none;margin:auto;padding:0;border:0;overflow:hidden;box-shadow:0 0 0 100vmax rgb(0 0 0/.5);");
    const close = make("button", button + "display:block;margin:0 0 0 auto;color:inherit;font:20px/44px system-ui;text-align:center;", {
      type: "button",
      textContent: "\u2715",
      ariaLabel: "Close",
    });
    dialog.append(close);
    document.body.append(dialog);
    one = open(element, kind, dialog, token);
    style(one.frame, "height:calc(100% - 44px);");
    Object.assign(one, { dialog, close, hear: (type, detail) => hear(one, type, detail) });
    on(close, "click", () => leave(one));
    on(dialog, "click", (event) => event.target === dialog && leave(one));
    on(dialog, "cancel", (event) => {
      event.preventDefault();
      leave(one);
    });
    // While the time is held, the dialog is only put away: it opens again where it was.
    on(dialog, "close", () => {
      if (dialog.open) return;
      if (!one.held) {
        dialog.remove();
        shown.delete(element);
      }
      if (opener) opener.focus();
    });
    dialog.showModal();
  };

  // A dialog that is its own element, so that events come from it.
  const bare = (name) => {
    const dialog = document.createElement("dialog");
    dialog.setAttribute(kinds.o, name);
    return dialog;
  };

  // Holdfast.open(widget, options)
  const openWidget = (widget, options) => {
    const name = String(widget || "default");
    const opener = document.activeElement;
    for (const [element, { kind, dialog }] of shown) {
      if (kind === "o" && named(element, "o") === name.toLowerCase() && dialog.isConnected) {
        if (!dialog.open) dialog.showModal();
        return dialog;
      }
    }
    const dialog = bare(name);
    asked.forEach((key) => {
      const value = (options || {})[key];
      if (value !== undefined && value !== null) dialog.setAttribute("data-" + key, value);
    });
    popup(dialog, "o", opener, "", dialog);
    return dialog;
  };

  const press = (event) => {
    const { target, key } = event;
    const element = target.closest && target.closest(`[${kinds.p}]`);
    if (!element || event.ctrlKey || event.metaKey || event.shiftKey) return;
    // Real buttons and links turn these keys into clicks by themselves.
    if (key && (!/^( |Enter)$/.test(key) || element.role !== "button")) return;
    event.preventDefault();
    popup(element, "p", element);
  };

  // Floating buttons

  const openers = new Map();
  // As its tag says, which may change. Only a change is written: what is written is looked at again.
  const dress = (element, opener) => {
    const accent = option(element, "accent");
    const text = option(element, "label") || label(element);
    if (opener.textContent !== text) opener.textContent = text;
    if (opener.accent === accent) return;
    opener.accent = accent;
    opener.style.cssText = "";
    style(
      opener,
      // The text is black or white, whichever is read better: 0.57 in OKLCH is where they are equal.
      button +
        `position:fixed;inset:auto 20px 20px auto;z-index:2147483647;padding:16px 24px;border-radius:28px;background:#222;background:${accent};color:#fff;color:oklch(from ${accent} clamp(0,(.57 - l)*999,1) 0 0);font:600 16px/1.25 system-ui;`,
    );
  };
  const float = (element) => {
    const opener = make("button", "", { type: "button" });
    dress(element, opener);
    on(opener, "click", () => popup(element, "f", opener));
    document.body.append(opener);
    openers.set(element, opener);
  };

  // One button for each tag, for as long as the tag is in the page: sites that change pages without loading them take
  // the button away with the body, or run the tag again.
  const floats = () => {
    const tags = all("f"), seen = {};
    openers.forEach((opener, element) => {
      if (tags.includes(element)) return;
      opener.remove();
      openers.delete(element);
    });
    tags.forEach((element) => {
      const name = named(element, "f");
      const opener = openers.get(element);
      if (seen[name]) return opener && opener.remove();
      seen[name] = 1;
      if (!opener) return float(element);
      dress(element, opener);
      if (!opener.isConnected) document.body.append(opener);
    });
  };

  const scan = safe(() => {
    floats();
    all("p").forEach((element) => {
      element.ariaHasPopup = "dialog";
      if (element.tabIndex < 0) Object.assign(element, { tabIndex: 0, role: "button" });
    });
  });

  // Coming back

  const decoded = (text) => {
    try {
      return decodeURIComponent(text);
    } catch {
      return text; // a fragment of the site's own, such as #/50%-off
    }
  };

  // Where the visitor is sent after paying: #holdfast=i0.token with the site's own route behind it, or as a router has
  // written it: #/holdfast=…, encoded, or behind a route (AngularJS: #!#holdfast=… or #!/home#holdfast=…).
  const mark = (hash) =>
    /^#(?:.*#)?!?\/?holdfast=(([ipfo])(\d+)\.([\w.-]+))(?:~(.*))?$/.exec(/holdfast%3D/i.test(hash) ? decoded(hash) : hash);

  // A route that leads everything unknown home, or a script that tidies addresses, may have taken the token out before
  // we came. Where the browser still tells the address that this page was loaded with, it is read there, once for each
  // time that the page is loaded.
  const arrival = () => {
    const [entry] = page.performance.getEntriesByType("navigation");
    return !page.holdfastArrived && entry && entry.type === "navigate" && mark(entry.name.replace(/^[^#]*/, ""));
  };

  // A reload finds the result in the entry's state, and shows how the booking stands once more.
  let back;
  const find = safe((event) => {
    const { location, history } = page;
    kit.back = 0;
    const there = mark(location.hash);
    const kept = !event && !there && history.state && history.state.holdfast;
    const found = there || (!event && !kept && arrival());
    kit.again = !!kept;
    if (found || kept) back = found ? found.slice(1) : mark("#holdfast=" + kept).slice(1);
    kit.back = () => {
      if (back) comeBack();
    };
    setTimeout(safe(() => back && comeBack(1)), 3000);
    if (event) later();
    if (!found) return;
    page.holdfastArrived = 1;
    if (found[5]) location.replace("#" + decoded(found[5]));
    history.replaceState(
      { ...history.state, holdfast: found[1] },
      "",
      found[5] || !there ? location.href : location.pathname + location.search,
    );
  });

  // What the visitor came back to: the element that they left from, or the next best.
  const comeBack = (late) => {
    const [, kind, number, token] = back;
    const found = all(kind);
    const element = kind === "o" ? bare("") : found[number] || (late && (found[0] || root));
    if (!element) return;
    back = 0;
    if (kind === "o") popup(element, kind, null, token, element);
    else if (kind === "i" && element !== root) inline(element, token).box.scrollIntoView();
    else popup(element, kind, element, token);
  };

  on(document, "click", press);
  on(document, "keydown", press);
  const check = () => import(base + "/static/embed-check.js").then((it) => it.default(shown, base, why));
  return { fail: safe(fail), open: openWidget, scan, find, check };
};
