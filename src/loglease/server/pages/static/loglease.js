// What every page has: countdowns, keys, local times, and a notice when a page is out of date.
// Nothing here decides anything: every act is a form or a link that works without this file.
"use strict";
(() => {
  const one = (selector) => document.querySelector(selector);
  const all = (selector) => [...document.querySelectorAll(selector)];

  // Times are UTC; the local time stands beside them.
  for (const element of all("time[data-local]")) {
    const at = new Date(element.dateTime);
    if (Number.isNaN(at.getTime()) || at.getTimezoneOffset() === 0) continue;
    const local = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
    element.append(` (${local} here)`);
  }

  // Countdowns run from the server's clock, so a wrong clock here does not matter. They are silent; what is announced is rare.
  const started = performance.now();
  const timers = all(".countdown[data-until-us]").map((element) => ({
    element,
    leftMs: (Number(element.dataset.untilUs) - Number(element.dataset.nowUs)) / 1000,
    told: new Set(),
  }));
  const words = (seconds) => {
    const parts = [[Math.floor(seconds / 86400), "d"], [Math.floor(seconds / 3600) % 24, "h"], [Math.floor(seconds / 60) % 60, "m"]];
    const shown = parts.filter(([count]) => count > 0).map(([count, unit]) => `${count}${unit}`);
    if (seconds < 3600) shown.push(`${seconds % 60}s`);
    return shown.join("") || "0s";
  };
  const announcements = one("#announcements");
  const endsSoon = one("#ends-soon");
  const tick = () => {
    const passed = performance.now() - started;
    for (const timer of timers) {
      if (timer.element.dataset.over) continue;
      const left = Math.max(0, Math.ceil((timer.leftMs - passed) / 1000));
      timer.element.textContent = words(left);
      timer.element.classList.toggle("is-short", left <= 60);
      for (const [mark, text] of [[300, "Five minutes are left. To go on, ask for more time now."], [60, "One minute is left."], [0, "The time is over."]]) {
        if (left > mark || timer.leftMs / 1000 <= mark || timer.told.has(mark)) continue;
        timer.told.add(mark);
        if (announcements) announcements.textContent = text;
        if (endsSoon) endsSoon.hidden = mark === 0;
        if (mark === 0) timer.element.dispatchEvent(new CustomEvent("over", { bubbles: true }));
      }
    }
  };
  window.logleaseCountdown = (element, leftMs) => {
    timers.push({ element, leftMs: leftMs + performance.now() - started, told: new Set() });
  };
  if (timers.length || one(".viewer")) { tick(); setInterval(tick, 500); }

  // A form that came back with an error, or with offers, is read from there.
  const focused = one("[data-focus]");
  if (focused) focused.focus();

  // Say when the page is out of date. A page on which somebody may be typing is never reloaded under their hands.
  const watched = one("[data-watch]");
  if (watched) {
    const same = (now) => (watched.dataset.version !== undefined
      ? String(now.version) === watched.dataset.version && String(now.reviews) === watched.dataset.reviews
      : now.state === watched.dataset.state);
    const look = async () => {
      if (document.hidden) return;
      try {
        const answer = await fetch(watched.dataset.watch, { headers: { accept: "application/json" }, cache: "no-store" });
        if (!answer.ok || same(await answer.json())) return;
      } catch { return; }
      if (watched.dataset.reload === "yes") { location.reload(); return; }
      const notice = one("#changed");
      if (notice) notice.hidden = false;
    };
    setInterval(look, 3000);
  }

  // Single keys. They move and open; the pages they open ask before anything is decided.
  const move = (step) => {
    const rows = all("[data-row] a.row-link");
    if (!rows.length) return;
    const at = rows.indexOf(document.activeElement);
    const next = at < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + step));
    rows[next].focus();
  };
  document.addEventListener("keydown", (event) => {
    if (document.body.dataset.shortcuts !== "on" || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.target.closest("input:not([type=checkbox], [type=radio]), textarea, select, [contenteditable]")) return;
    if (event.key === "j") move(1);
    else if (event.key === "k") move(-1);
    else if (event.key === "?") location.assign("/help#keys");
    else if (event.key === "/") {
      const field = one("[data-search]");
      if (!field) return;
      field.focus();
      event.preventDefault();
    } else if (["a", "d", "n", "p"].includes(event.key)) {
      const target = one(`[data-key="${event.key}"]`);
      if (target && !target.disabled) target.click();
    }
  });
})();
