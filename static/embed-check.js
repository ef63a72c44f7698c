// The embed check's other half: looks at a host page from inside, where only a browser can. The loader fetches it for
// addresses that end in #holdfast-doctor; nobody else does. It reads and shows, and changes nothing but its own panel.
// No inline style, no HTML from strings: it has to run where the loader runs, under any policy.

const SHEET = `
  :host { all: initial; position: fixed; inset: auto auto 16px 16px; z-index: 2147483647; color-scheme: light dark;
    --card: #fff; --text: #1d2321; --soft: #5a625f; --line: #d9dfdc; --sunken: #f2f5f4;
    --good: #1a763f; --advice: #2f5d50; --problem: #b02b27; font: 14px/1.45 system-ui, sans-serif; color: var(--text); }
  @media (prefers-color-scheme: dark) {
    :host { --card: #1c201f; --text: #eef1f0; --soft: #a9b1ae; --line: #3a413e; --sunken: #121514;
      --good: #66c98b; --advice: #8ccdb8; --problem: #ff8f86; }
  }
  section { box-sizing: border-box; inline-size: min(400px, 100vw - 32px); max-block-size: min(70vh, 640px); overflow: auto;
    padding: 16px 18px; border: 1px solid var(--line); border-radius: 14px; background: var(--card);
    box-shadow: 0 16px 48px rgb(0 0 0 / .28); }
  header { display: flex; align-items: center; gap: 12px; }
  h2 { flex: 1; margin: 0; font-size: 16px; font-weight: 650; line-height: 1.3; }
  button { min-inline-size: 44px; min-block-size: 44px; border: 0; border-radius: 8px; background: none; color: inherit;
    font: inherit; font-weight: 550; cursor: pointer; }
  button:hover { background: var(--sunken); }
  button:focus-visible { outline: 2px solid var(--advice); outline-offset: 1px; }
  ul { display: grid; gap: 12px; margin: 8px 0 0; padding: 0; list-style: none; }
  li { display: grid; grid-template-columns: 20px minmax(0, 1fr); gap: 10px; }
  b { font-weight: 700; }
  li.good b { color: var(--good); } li.advice b { color: var(--advice); } li.problem b { color: var(--problem); }
  li.good p { color: var(--soft); }
  p { margin: 0; } pre { margin: 6px 0 0; padding: 8px 10px; border-radius: 8px; background: var(--sunken);
    font: 12px/1.5 ui-monospace, Menlo, Consolas, monospace; white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
`;
const SIGNS = { problem: "✕", advice: "!", good: "✓" };
const KINDS = { "data-holdfast": "on the page", "data-holdfast-popup": "in a dialog", "data-holdfast-float": "as a button" };
const NARROWEST = 280;

const make = (tag, properties, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};
const hex = (color) => {
  const parts = /^rgba?\((\d+), (\d+), (\d+)(?:, ([\d.]+))?\)$/.exec(color);
  if (!parts || (parts[4] !== undefined && Number(parts[4]) < 1)) return "";
  return "#" + parts.slice(1, 4).map((part) => Number(part).toString(16).padStart(2, "0")).join("");
};
const named = (element) =>
  element.tagName.toLowerCase() + (element.id ? `#${element.id}` : element.classList.length ? `.${element.classList[0]}` : "");
const ancestors = function* (element) {
  const outer = (one) => one.parentElement || one.getRootNode().host;
  for (let one = outer(element); one; one = outer(one)) yield one;
};
// The custom element has the options under plain names.
const TAG = "holdfast-booking";
const option = (element, name) => element.getAttribute(element.localName === TAG ? name : `data-${name}`);

/** What is wrong, worth knowing, or well with this page: [level, sentence, text to copy]. `shown` is the loader's map,
 *  `why` its reason for a link in a frame's place, `refused` what the page's policy has refused since. */
const examine = (shown, base, why, refused) => {
  const found = [];
  const note = (...finding) => found.push(finding);
  const elements = [...document.querySelectorAll([TAG, ...Object.keys(KINDS).map((kind) => `[${kind}]`)])];
  const frames = [...document.querySelectorAll("iframe")].filter((frame) => frame.src.startsWith(`${base}/w/`));
  const bare = frames.filter((frame) => !frame.name.startsWith("holdfast "));
  if (!elements.length && !bare.length) {
    note("problem", "The script runs, but no element asks for a widget.", '<div data-holdfast="…"></div>');
  }
  if (self !== top) {
    note("advice", "This page is itself in a frame, perhaps an editor's. The site that frames it must also be in allowed_origins.");
  }
  for (const [element, { frame, ready, failed, dialog }] of shown) {
    if (!frame || frame.tagName !== "IFRAME" || !element.isConnected) continue;
    const kind = Object.keys(KINDS).find((name) => element.hasAttribute(name)) || "data-holdfast";
    const name = `“${element.getAttribute(element.localName === TAG ? "widget" : kind)}” ${KINDS[kind]}`;
    if (failed) {
      const source = /"(frame-src [^"]+)"/.exec(why);
      note("problem", `${name}: the frame was blocked or did not answer, so a link is shown instead. ${why}.`, source ? source[1] : `allowed_origins = ["${location.origin}"]`);
      continue;
    }
    if (!ready) {
      note("advice", `${name}: the frame has not answered yet. After six seconds a link is shown instead.`);
      continue;
    }
    if (!dialog) fits(element, frame, name, note);
    grounds(element, frame, name, note);
  }
  for (const frame of bare) note("advice", "A frame without the script keeps the height that you gave it, and leads visitors back here only if its address names this page.", `host=${encodeURIComponent(location.href.split("#")[0])}`);
  for (const element of elements) {
    if (element.isConnected && !element.matches(`[data-holdfast],${TAG}`) && !(shown.get(element) || {}).ready) {
      note("good", `${named(element)} opens the widget in a dialog. Open it to check it, too.`);
    }
  }
  for (const [directive, address] of refused) {
    note("problem", `This page's Content-Security-Policy blocks ${address}.`, `${directive} ${base}`);
  }
  if (!refused.size && !/Policy/.test(why)) note("good", "The page's Content-Security-Policy blocks nothing of ours.");
  if (!document.documentElement.lang) note("advice", "The page does not state its language, so the widget uses the visitor's.", '<html lang="…">');
  else note("good", `The page's language is “${document.documentElement.lang}”, and the widget is told.`);
  if (!document.querySelector('meta[name="viewport" i]')) {
    note("problem", "Phones show this page as a shrunken desktop page.", '<meta name="viewport" content="width=device-width, initial-scale=1">');
  }
  if (crossOriginIsolated) note("good", "The page is cross-origin isolated, and the widget may still be framed.");
  const order = Object.keys(SIGNS);
  return found.sort((one, other) => order.indexOf(one[0]) - order.indexOf(other[0]));
};

// Whether the whole frame can be seen.
const fits = (element, frame, name, note) => {
  const box = frame.getBoundingClientRect();
  let well = true;
  const bad = (...finding) => {
    well = false;
    note(...finding);
  };
  if (box.width < NARROWEST) bad("problem", `${name}: only ${Math.round(box.width)} px wide. It needs ${NARROWEST}.`);
  for (const outer of ancestors(frame)) {
    const style = getComputedStyle(outer);
    const inner = outer.getBoundingClientRect();
    if (/hidden|clip|auto|scroll/.test(style.overflowY) && box.bottom > inner.bottom + 1 && outer !== document.documentElement && outer !== document.body) {
      const what = /auto|scroll/.test(style.overflowY) ? "has a scrollbar of its own for it" : "cuts it off";
      bad("problem", `${name}: ${named(outer)} is ${Math.round(inner.height)} px high and ${what}; the frame is ${Math.round(box.height)}.`, `${named(outer)} { height: auto; max-height: none; overflow: visible }`);
      break;
    }
    if (style.transform !== "none" || (style.zoom && style.zoom !== "1" && style.zoom !== "normal")) {
      bad("advice", `${name}: ${named(outer)} is scaled or moved by CSS, which blurs the widget and shifts clicks in some browsers.`);
      break;
    }
  }
  const x = box.left + box.width / 2;
  const y = Math.min(Math.max(box.top, 0) + 20, box.bottom - 5);
  const over = y > 0 && y < innerHeight && frame.getRootNode().elementFromPoint(x, y);
  if (over && over !== frame && !over.contains(frame) && over.tagName !== "HOLDFAST-EMBED-CHECK") {
    bad("problem", `${name}: ${named(over)} lies over the widget and takes the clicks.`);
  }
  if (well) note("good", `${name}: shown, ${Math.round(box.width)} × ${Math.round(box.height)} px, nothing cut off or in the way.`);
};

// Where the page shows through, its color has to be named, or texts may be unreadable on it.
const grounds = (element, frame, name, note) => {
  const transparent = option(element, "transparent"), background = option(element, "background");
  if (!transparent || transparent === "0" || element.hasAttribute("data-holdfast-popup")) return;
  let ground = "#ffffff";
  for (const outer of ancestors(frame)) {
    const color = hex(getComputedStyle(outer).backgroundColor);
    if (color) {
      ground = color;
      break;
    }
  }
  if (!background || background.toLowerCase() === ground) note("good", `${name}: is transparent, and takes this page's colour to be ${ground}.`);
  else note("advice", `${name}: is transparent. This page's colour is ${ground}: state it, so that text is readable on it.`, `${element.localName === TAG ? "" : "data-"}background="${ground}"`);
};

/** Shows the panel, and looks again while frames arrive. The loader calls it. */
export default (shown, base, why) => {
  const refused = new Map();
  document.addEventListener("securitypolicyviolation", (event) => {
    if (event.blockedURI.startsWith(base)) refused.set(event.effectiveDirective, event.blockedURI);
  });
  const host = document.createElement("holdfast-embed-check");
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(SHEET);
  root.adoptedStyleSheets = [sheet];
  const list = make("ul", {});
  const title = make("h2", { textContent: "Holdfast embed check" });
  const again = make("button", { type: "button", textContent: "Again", onclick: () => look() });
  const close = make("button", { type: "button", textContent: "✕", ariaLabel: "Close", onclick: () => host.remove() });
  root.append(make("section", { role: "region", ariaLabel: "Holdfast embed check" }, make("header", {}, title, again, close), list));
  const look = () => {
    const found = examine(shown, base, why() || "", refused);
    const problems = found.filter(([level]) => level === "problem").length;
    title.textContent = problems ? `${problems} ${problems > 1 ? "problems" : "problem"} found` : "No problems found";
    list.replaceChildren(
      ...found.map(([level, sentence, fix]) =>
        make("li", { className: level }, make("b", { textContent: SIGNS[level], ariaHidden: "true" }), make("div", {}, make("p", { textContent: sentence }), ...(fix ? [make("pre", { textContent: fix })] : []))),
      ),
    );
  };
  const begin = () => {
    document.body.append(host);
    look();
    [1000, 3000, 7000].forEach((wait) => setTimeout(() => host.isConnected && look(), wait));
    for (const type of ["ready", "error"]) document.addEventListener(`holdfast:${type}`, () => setTimeout(look, 200));
  };
  if (document.body) begin();
  else addEventListener("DOMContentLoaded", begin);
};
