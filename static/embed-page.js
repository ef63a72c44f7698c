// The owner's page while script runs: every choice shows at once, and snippets copy with one click. Without it the
// page is a form with a button.
(() => {
  "use strict";
  const live = document.getElementById("live");
  const form = document.getElementById("choices");
  document.documentElement.classList.add("scripted");

  // A report, or what went wrong, takes the focus once.
  document.querySelector("[data-focus]")?.focus();

  const ready = (part) => part.querySelectorAll("[data-copy]").forEach((button) => (button.hidden = false));
  ready(document);

  document.addEventListener("click", async ({ target }) => {
    const button = target.closest?.("[data-copy]");
    if (!button) return;
    const source = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      // Pages without https may not write to the clipboard; what is selected can be copied by hand.
      getSelection().selectAllChildren(source);
      return;
    }
    const said = button.textContent;
    button.textContent = live.textContent = button.dataset.done;
    setTimeout(() => {
      button.textContent = said;
      live.textContent = "";
    }, 1600);
  });

  if (!form) return;

  if (innerWidth < 640) document.querySelector("[name=width][value=phone]").checked = true;

  // Color pickers stand in for the fields beside them.
  form.querySelectorAll("[data-for]").forEach((picker) => {
    const field = document.getElementById(picker.dataset.for);
    picker.hidden = false;
    picker.addEventListener("input", () => {
      field.value = picker.value;
      show(250);
    });
    field.addEventListener("input", () => {
      const digits = field.value.trim().replace("#", "");
      const full = digits.length === 3 ? digits.replace(/./g, "$&$&") : digits;
      if (/^[0-9a-f]{6}$/i.test(full)) picker.value = "#" + full;
    });
  });

  // The old frame stays until the new one is drawn, so that nothing flashes while a color is chosen.
  const preview = (query) => {
    document.querySelectorAll(".screen").forEach((screen) => {
      const frames = screen.querySelectorAll("iframe");
      const address = `${form.dataset.preview}?${query}`;
      const old = frames[0];
      if (frames[frames.length - 1].getAttribute("src") === address) return;
      if (screen.offsetParent === null) {
        old.src = address;
        return;
      }
      [...frames].slice(1).forEach((frame) => frame.remove());
      const fresh = old.cloneNode();
      fresh.loading = "eager";
      fresh.src = address;
      const swap = () => fresh.isConnected && old.remove();
      // The page is there at `load`, the widget in it a moment later.
      fresh.addEventListener("load", () => setTimeout(swap, 350));
      old.after(fresh);
    });
  };

  let waiting, running;
  const show = (wait = 0) => {
    clearTimeout(waiting);
    waiting = setTimeout(draw, wait);
  };
  const draw = async () => {
    if (!form.checkValidity()) return;
    const query = new URLSearchParams(new FormData(form));
    [...query].forEach(([name, value]) => value || query.delete(name));
    running?.abort();
    running = new AbortController();
    try {
      const answer = await fetch(`${form.getAttribute("action")}?${query}`, { signal: running.signal });
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const kind = document.querySelector("[name=kind]:checked").value;
      ["readable", "take"].forEach((id) => document.getElementById(id).replaceWith(page.getElementById(id)));
      // A floating button has fewer kinds.
      const again = document.querySelector(`[name=kind][value=${kind}]`);
      if (again) again.checked = true;
      ready(document.getElementById("take"));
      document.querySelectorAll(".top nav a").forEach((link, number) => (link.href = page.querySelectorAll(".top nav a")[number].href));
      document.querySelectorAll(".chrome span").forEach((span) => (span.textContent = page.querySelector(".chrome span").textContent));
      preview(page.querySelector(".screen iframe").getAttribute("src").split("?")[1]);
      history.replaceState(null, "", `?${query}`);
    } catch (error) {
      if (error.name !== "AbortError") form.querySelector("[data-plain]").removeAttribute("data-plain");
    }
  };
  form.addEventListener("input", ({ target }) => {
    const output = target.parentNode.querySelector("output");
    if (output) output.textContent = `${target.value} px`;
    if (target.matches("[data-reload]")) return form.requestSubmit();
    if (!target.matches("[data-for]")) show(target.matches("[type=radio],[type=checkbox],select") ? 0 : 350);
  });
})();
