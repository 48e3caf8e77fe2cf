// Shows the one value of a grant that reveals it: once, as text, and gone when the page is left.
"use strict";
(() => {
  const one = (id) => document.getElementById(id);
  const card = one("reveal");
  const { grant, csrf } = card.dataset;
  const INVISIBLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/gu;
  const shown = (text) => text.replace(INVISIBLE, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
  const say = (text) => { one("reveal-status").textContent = text; };
  const problemOf = async (answer) => {
    try { const body = await answer.json(); return shown(String(body.detail ?? body.message ?? answer.status)); } catch { return `The server answered ${answer.status}.`; }
  };
  const asked = async () => {
    const code = await fetch(`/grants/${grant}/viewer-code`, { method: "POST", headers: { "x-csrf-token": csrf, accept: "application/json" } });
    if (!code.ok) return code;
    const authorization = `Bearer ${(await code.json()).code}`;
    return fetch(`/g/${grant}/reveal`, { method: "POST", headers: { authorization, accept: "application/json" }, cache: "no-store" });
  };
  one("reveal-button").hidden = false;
  one("reveal-button").addEventListener("click", async () => {
    one("reveal-button").disabled = true;
    say("Looking for the line…");
    try {
      const answer = await asked();
      if (!answer.ok) {
        say(await problemOf(answer));
        one("reveal-again").hidden = answer.status !== 401;
        one("reveal-button").disabled = false;
        return;
      }
      one("reveal-value").textContent = shown(String((await answer.json()).value));
      one("reveal-value").hidden = false;
      one("reveal-button").remove();
      say("It is shown once: it is gone when you leave this page. The reveal is on the record.");
    } catch { say("The server cannot be reached. Load the page again to see whether it was used."); }
  });
  addEventListener("pagehide", () => { one("reveal-value").textContent = ""; });
})();
