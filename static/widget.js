// What the pages do beyond links and forms: the visitor's time zone, the countdown, words for screen readers, and a
// way on when htmx or the network is missing. Everything works without this file, too.
(() => {
  "use strict";
  const root = document.documentElement;
  const live = document.getElementById("hf-live");
  let speaks;
  const say = (text) => {
    live.textContent = "";
    // A live region speaks only when its text changes after it was empty. What came before is no longer true.
    clearTimeout(speaks);
    if (text) speaks = setTimeout(() => (live.textContent = text), 50);
  };
  root.classList.add("scripted");

  // Where times are the first page, it shows the place's zone. Where the visitor's differs, they come again in theirs,
  // in place. After a list of services they come in the visitor's zone right away.
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const zoned = async (times) => {
    if (!zone || zone === times.dataset.zone) return;
    const form = document.getElementById("hf-look");
    const query = new URLSearchParams(new FormData(form));
    query.set("tz", zone);
    if (!new URLSearchParams(location.search).has("date")) query.delete("date");
    try {
      const answer = await fetch(`${form.action}/slots?${query}`, { headers: { "HX-Request": "true" } });
      if (!answer.ok || !times.isConnected || times.contains(document.activeElement)) return;
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("hf-times");
      if (!fresh) return;
      times.replaceWith(fresh);
      rove();
      window.htmx?.process(fresh);
    } catch {
      // The place's zone is named beside the times, so what is shown stays true.
    }
  };

  // The countdown goes by this machine's own seconds since the page came, whatever its clock says.
  let counting;
  const count = (line) => {
    clearInterval(counting);
    const end = performance.now() + line.dataset.left * 1000;
    const words = line.querySelector("[data-count]");
    const tick = () => {
      const left = Math.ceil((end - performance.now()) / 60000);
      if (!line.isConnected) return clearInterval(counting);
      if (left <= 0) {
        clearInterval(counting);
        line.classList.add("soon");
        line.querySelector("button")?.remove();
        words.parentNode.textContent = line.dataset.ended;
        return say(line.dataset.ended);
      }
      const text = line.dataset.minutes.replace("{}", left);
      if (words.textContent !== text) words.textContent = text;
      if (left <= 3 && !line.classList.contains("soon")) {
        line.classList.add("soon");
        say(line.dataset.soon);
      }
    };
    tick();
    counting = setInterval(tick, 1000);
  };

  // The page that embeds us, if our loader made the frame. The frame's name says which origin that is; the widget's
  // list says whether it may be. Said to that window and origin only; all else goes through the channel that comes back.
  const [loader, host] = name.split(" ");
  let port;
  const tell = (message) => port?.postMessage(message);
  // Browsers do not draw frames that are out of view, and observers sleep with them. So this is also asked after
  // whatever changes the page, because asking lays it out.
  let height;
  const measure = () => {
    const now = Math.ceil(document.body.getBoundingClientRect().height);
    if (innerWidth && now !== height) tell({ type: "size", height: (height = now) });
  };
  let step;
  const report = () => {
    const main = document.getElementById("hf-main");
    measure();
    if (!port || !main || main === step) return;
    step = main;
    tell({ type: "step", step: main.dataset.step });
    if (main.dataset.event) tell(JSON.parse(main.dataset.event));
  };
  // Back from paying, the host page gives the frame the focus, and with it the heading that says what came of it.
  const read = () => {
    const main = document.getElementById("hf-main");
    if (main?.dataset.step === "result" && document.activeElement === document.body) main.querySelector("h1").focus();
  };
  const ask = document.getElementById("hf-ask");
  const greet = (event) => {
    if (event.source !== parent || event.origin !== host || event.data?.holdfast !== 1 || !event.ports[0]) return;
    removeEventListener("message", greet);
    port = event.ports[0];
    port.onmessage = ({ data }) => {
      // The frame's own focus comes by another way than this, before or after it, and takes the heading's away.
      if (data.type === "focus") {
        read();
        addEventListener("focus", read, { once: true });
      }
      if (data.type !== "ask" || ask.open) return;
      const held = document.getElementById("hf-held");
      if (held) ask.querySelector("p").textContent = held.dataset.leave;
      ask.returnValue = "";
      ask.showModal();
    };
    const { backgroundColor: page, color: text } = getComputedStyle(root);
    tell({ type: "ready", page, text, close: ask.querySelector("[value=leave]").textContent });
    new ResizeObserver(measure).observe(document.body, { box: "border-box" });
    document.addEventListener("load", measure, true);
    report();
  };
  const trusted = [...document.body.dataset.hosts.split(" "), location.origin];
  if (loader === "holdfast" && parent !== window && trusted.includes(host)) {
    addEventListener("message", greet);
    parent.postMessage({ holdfast: 1, type: "hi" }, host);
    document.addEventListener("submit", ({ target }) => target.dataset.event && tell(JSON.parse(target.dataset.event)));
    document.addEventListener("keydown", ({ key }) => key === "Escape" && !ask.open && tell({ type: "leave" }));
    ask.addEventListener("close", () => ask.returnValue === "leave" && tell({ type: "close" }));
  }

  let drawn = document.getElementById("hf-main");
  let looked = document.getElementById("hf-times");

  // A new step's heading, or what went wrong, takes the focus once. (`autofocus` is refused in other sites' frames.)
  const start = () => {
    const first = document.querySelector("[data-focus]");
    first?.removeAttribute("data-focus");
    first?.focus();
    // A limit that says when it ends: the same time is asked for again by itself, unless another was chosen by then.
    const again = document.querySelector("[data-again]");
    if (again) setTimeout(() => again.isConnected && again.click(), again.dataset.again * 1000 + 500);
    // What was typed and not yet sent is in this entry of the history, and nowhere else: Back and Forward bring it back.
    const typed = document.getElementById("hf-details") && history.state?.typed;
    for (const [name, value] of Object.entries(typed || {})) {
      const field = document.getElementById("f-" + name);
      if (!field || field.value !== field.defaultValue) continue;
      if (field.type === "checkbox") field.checked = true;
      else field.value = value;
    }
    const line = document.querySelector("[data-left]");
    if (line && !line.counted) {
      line.counted = true;
      count(line);
    }
    const services = document.querySelector("form[data-zone]");
    if (services && zone && zone !== services.dataset.zone) {
      const field = document.createElement("input");
      Object.assign(field, { type: "hidden", name: "tz", value: zone });
      services.append(field);
      services.removeAttribute("data-zone");
    }
  };

  // After a tap on a day, month or person: no further than until the first times can be seen, so that the day stays in
  // view where there is room. Our own window is asked first, which may scroll in a dialog; then the host page, which
  // alone knows what can be seen of a frame as high as its page.
  const bring = () => {
    const times = document.querySelector(".times");
    if (!times) return;
    const { top, bottom } = times.getBoundingClientRect();
    const last = Math.min(bottom, top + 200) + 12;
    const behavior = matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth";
    const far = top < 0 ? top - 12 : Math.max(0, Math.min(last - innerHeight, top - 12));
    if (far) scrollBy({ top: far, behavior });
    tell({ type: "see", top: top - far, bottom: last - far, behavior });
  };

  let next = "";
  document.addEventListener("click", ({ target }) => (next = target.closest("[data-next]")?.dataset.next || next));

  // A month is one stop for Tab; the arrow keys go from one free day to the next (left and right) or to the nearest
  // free one of that weekday (up and down). Nothing is chosen by that.
  const days = () => [...document.querySelectorAll(".day")];
  const rove = (to) => {
    const all = days();
    to ||= all.find((day) => day.matches("[aria-pressed=true]")) || all[0];
    for (const day of all) day.tabIndex = day === to ? 0 : -1;
  };
  document.addEventListener("keydown", (event) => {
    const from = event.target.closest?.(".day");
    const rtl = root.dir === "rtl" ? -1 : 1;
    const by = { ArrowLeft: -rtl, ArrowRight: rtl, ArrowUp: -7, ArrowDown: 7, Home: -Infinity, End: Infinity }[event.key];
    if (!from || !by || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = days();
    const at = all.indexOf(from);
    const column = (day) => day.parentNode.cellIndex;
    const onward = by < 0 ? all.slice(0, at).reverse() : all.slice(at + 1);
    const to = Math.abs(by) === 7 ? onward.find((day) => column(day) === column(from)) : onward.at(Math.abs(by) === 1 ? 0 : -1);
    event.preventDefault();
    if (!to) return;
    rove(to);
    to.focus();
  });

  document.addEventListener("htmx:after:swap", () => {
    const same = document.getElementById("hf-main") === drawn;
    drawn = document.getElementById("hf-main");
    start();
    report();
    if (same && document.getElementById("hf-times") !== looked) bring();
    looked = document.getElementById("hf-times");
    // What was pressed may be gone: then the focus goes to what has come of it.
    if (next && document.activeElement === document.body) document.getElementById(next)?.focus();
    next = "";
    rove();
    say(document.querySelector("[data-say]")?.dataset.say);
  });
  // The details are kept; Stripe's page takes the whole window. Where the host page's sandbox refuses that, the browser
  // says nothing: what is still here a while later offers a tab of its own.
  document.addEventListener("hf-pay", () => document.getElementById("hf-pay").requestSubmit());
  document.addEventListener("submit", ({ target, submitter }) => {
    if (target.id !== "hf-pay" || target.target !== "_top" || submitter?.formTarget === "_blank") return;
    setTimeout(() => {
      const blocked = document.getElementById("hf-blocked");
      if (!blocked || parent === window) return;
      blocked.hidden = false;
      measure();
      say(blocked.querySelector("p").textContent);
    }, 6000);
  });
  document.addEventListener("input", ({ target: { form } }) => {
    if (form?.id !== "hf-details") return;
    history.replaceState({ ...history.state, typed: Object.fromEntries(new FormData(form)) }, "");
  });
  // On to the details: the times are left with the name of the hold in their address, so that whoever comes back to
  // them is told of it, and does not meet their own hold as a stranger's.
  document.addEventListener("htmx:before:history:update", ({ detail: { history: entry } }) => {
    const held = /^\/b\/([^/?]+)/.exec(entry.path);
    if (entry.type !== "push" || !held || !location.pathname.startsWith("/w/")) return;
    const left = new URL(location);
    left.searchParams.set("mine", held[1]);
    history.replaceState(history.state, "", left);
  });
  document.addEventListener("htmx:error", () => say((document.querySelector("main[data-offline]") || live).dataset.offline));
  // A page from the back-forward cache may be old: its time may be taken by now, or paid. What is being typed stays.
  addEventListener("pageshow", (event) => {
    if (event.persisted && !document.getElementById("hf-details")) location.reload();
  });
  // Not on `load`: that never comes where the CDN is never heard of.
  const poll = document.querySelector("[hx-trigger^=load]");
  if (poll) setTimeout(() => window.htmx || location.replace(poll.getAttribute("hx-get")), 4000);

  start();
  rove();
  const times = document.querySelector("#hf-times[data-zone]");
  if (times) zoned(times);
})();
