// The browser's side of app/challenge.py: find, for each part, a number whose PBKDF2 key begins with so many zero
// bits, and send the form. Where that cannot be done (WebCrypto needs https), the question stays.
(() => {
  "use strict";
  const form = document.getElementById("hf-check");
  if (!form || form.working || !window.crypto?.subtle) return;
  form.working = true;
  const { salt, bits, parts, rounds } = form.dataset;
  const work = form.querySelector("[data-work]");
  const ask = form.querySelector("[data-ask]");
  const answer = form.querySelector("[name=proof_answer]");
  const bytes = new TextEncoder();
  const show = (working) => {
    work.hidden = !working;
    ask.hidden = working;
    if (answer) answer.disabled = working; // a full widget asks for the work alone
  };

  const key = async (part, number) => {
    const password = await crypto.subtle.importKey("raw", bytes.encode(number), "PBKDF2", false, ["deriveBits"]);
    const how = { name: "PBKDF2", hash: "SHA-256", salt: bytes.encode(`${salt}.${part}`), iterations: +rounds };
    return new DataView(await crypto.subtle.deriveBits(how, password, 32)).getUint32(0);
  };
  // Some keys at once, since browsers derive them beside the page's own thread, on all cores.
  const lanes = Math.min(navigator.hardwareConcurrency || 2, 8);
  const find = async (part) => {
    for (let number = 0; ; number += lanes) {
      const tried = Array.from({ length: lanes }, (_, lane) => number + lane);
      const keys = await Promise.all(tried.map((one) => key(part, one)));
      const found = keys.findIndex((value) => value >>> (32 - bits) === 0);
      if (found >= 0) return tried[found];
    }
  };

  const solve = async () => {
    const numbers = [];
    for (let part = 0; part < +parts; part++) {
      numbers.push(await find(part));
      work.querySelector("progress").value = part + 1;
    }
    form.elements.proof_solution.value = numbers.join();
    if (form.isConnected) form.requestSubmit();
  };
  show(true);
  solve().catch(() => show(false));
})();
