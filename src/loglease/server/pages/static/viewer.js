// The log viewer: follows one stream of a grant and shows its lines as text, never as markup.
// A line is shown only while the grant is active: at its end, at a revocation, after "back", the page is blank.
"use strict";
(() => {
  const MOST_LINES = 3000;
  const ENDS_THAT_KEEP = new Set(["complete", "client", "limit", "time"]);
  const INVISIBLE = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Cn}\p{Zl}\p{Zp}]/gu;
  const TOKEN = /⟦[^⟦⟧]{1,120}⟧/gu;
  const one = (id) => document.getElementById(id);
  const viewer = one("viewer");
  const pane = one("lines");
  const status = one("status");
  const { grant, csrf } = viewer.dataset;
  one("no-script").remove();
  for (const id of ["controls", "status", "lines", "hint"]) one(id).hidden = false;
  const live = viewer.dataset.live === "yes";
  let running = null; // the AbortController of the open stream
  let run = 0;
  let received = 0;
  let paused = false;
  let waiting = []; // records that came while paused
  let dead = false;

  const shown = (text) => text.replace(INVISIBLE, (c) => (c === "\n" || c === "\t" ? c : `\\u{${c.codePointAt(0).toString(16)}}`));
  const element = (name, className, text) => {
    const made = document.createElement(name);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const say = (text, open = false) => {
    status.textContent = text;
    status.classList.toggle("is-open", open);
  };

  // One line: time, level, text with masked values as chips; its labels on demand.
  const chip = (token) => {
    const made = element("button", "chip", token.slice(1, -1));
    made.type = "button";
    made.title = "Only lines that hold this masked value";
    made.addEventListener("click", () => { one("filter").value = token; start(); });
    return made;
  };
  const withChips = (into, text) => {
    let from = 0;
    for (const match of text.matchAll(TOKEN)) {
      into.append(shown(text.slice(from, match.index)));
      into.append(chip(match[0]));
      from = match.index + match[0].length;
    }
    into.append(shown(text.slice(from)));
  };
  const levelOf = (record) => String(record.labels?.level ?? record.metadata?.level ?? record.labels?.detected_level ?? record.metadata?.detected_level ?? "").toLowerCase();
  const toneOf = (level) => ({ error: "is-error", critical: "is-error", fatal: "is-error", warn: "is-warn", warning: "is-warn", debug: "is-debug", trace: "is-debug" })[level] ?? "";
  // A masked value of the line can be asked for: a form of our own, sent in a new tab, so that the record stays out of addresses.
  const askButton = (record, token, span) => {
    const form = element("form", "ask-reveal");
    form.method = "post";
    form.action = "/requests/reveal";
    form.target = "_blank";
    const line = JSON.stringify({ ts: record.ts, labels: record.labels, line: record.line });
    for (const [name, value] of Object.entries({ csrf, grant, token, span, line, step: "offers" })) {
      const field = element("input");
      field.type = "hidden";
      field.name = name;
      field.value = String(value);
      form.append(field);
    }
    const button = element("button", "chip", `Ask to reveal ${token.slice(1, -1)}`);
    button.type = "submit";
    form.append(button);
    return form;
  };
  const details = (record) => {
    const list = element("dl", "labels");
    const pairs = [["time", record.time], ...Object.entries(record.labels ?? {}), ...Object.entries(record.metadata ?? {})];
    for (const [name, value] of pairs) {
      const pair = element("div");
      pair.append(element("dt", "", `${shown(String(name))} `));
      const text = element("dd");
      const isolated = element("bdi");
      withChips(isolated, String(value));
      text.append(isolated);
      pair.append(text);
      list.append(pair);
    }
    [...String(record.line ?? "").matchAll(TOKEN)].forEach((match, at) => {
      const pair = element("div");
      pair.append(element("dt", "", "masked "));
      const ask = element("dd");
      ask.append(askButton(record, match[0], at + 1));
      pair.append(ask);
      list.append(pair);
    });
    return list;
  };
  const lineOf = (record) => {
    const level = levelOf(record);
    const line = element("div", `line ${toneOf(level)}`);
    const at = element("button", "at", shown(String(record.time ?? "")).slice(11, 23));
    at.type = "button";
    at.title = "Labels of this line";
    at.setAttribute("aria-expanded", "false");
    at.addEventListener("click", () => {
      const open = at.getAttribute("aria-expanded") === "true";
      at.setAttribute("aria-expanded", String(!open));
      if (open) line.querySelector(".labels")?.remove();
      else line.append(details(record));
    });
    const text = element("bdi", "text");
    withChips(text, String(record.line ?? ""));
    line.append(at, element("span", "level", shown(level).slice(0, 8)), text);
    return line;
  };

  const draw = (records) => {
    if (dead) return;
    const atEnd = pane.scrollHeight - pane.scrollTop - pane.clientHeight < 40;
    const batch = document.createDocumentFragment();
    for (const record of records) {
      if (record.type === "gap") batch.append(element("p", "gap-note", record.lines ? `${record.lines} lines are missing here: they came faster than they could be sent.` : "Lines are missing here: the source lost them."));
      else batch.append(lineOf(record));
    }
    pane.append(batch);
    while (pane.childElementCount > MOST_LINES) pane.firstElementChild.remove();
    if (atEnd) pane.scrollTop = pane.scrollHeight;
  };
  const take = (records) => {
    received += records.filter((record) => record.type === "line").length;
    if (paused) waiting.push(...records);
    else draw(records);
    waiting = waiting.slice(-MOST_LINES);
    const kept = paused ? `, ${waiting.length.toLocaleString("en")} wait` : "";
    say(`${paused ? "Paused" : live ? "Following" : "Reading"}: ${received.toLocaleString("en")} lines received${kept}`, !paused);
  };

  // The end of access: everything goes, at once, and the reason stays.
  const blank = () => {
    waiting = [];
    pane.replaceChildren();
  };
  const stop = () => {
    run += 1;
    running?.abort();
    running = null;
    one("pause").disabled = true;
  };
  const AGAIN = "Start it again in a moment; if it stays so, tell an operator.";
  const WHY = {
    revoked: "This grant was revoked.", ended: "This grant has ended.", expired: "The time of this grant is over.",
    suspended: "This grant is suspended. Ask one of its approvers to resume it.", locked: "A lock stops this grant. Ask an administrator to lift it.",
    audit: `What you read could not be recorded, so nothing is shown. ${AGAIN} Its disk may be full.`,
    database: `The server does not reach its database, so nothing is shown. ${AGAIN}`,
    redaction: "Redaction could not vouch for a line, so nothing is shown. Choose another time, and tell an operator.",
    clock: "The server's clock cannot be trusted, so nothing is shown. Tell an operator.",
    slow: "This browser took nothing for too long. Follow fewer lines: filter them, or begin later.",
    idle: "The connection was quiet for too long. Start it again.", source: `The log source failed. ${AGAIN}`,
    drain: "The server is stopping. Start it again in a moment.", error: `A fault of the server ended it. ${AGAIN}`, crash: `The server crashed. ${AGAIN}`,
  };
  const cut = (what) => {
    if (dead && !one("cut").hidden) return;
    stop();
    blank();
    pane.hidden = one("hint").hidden = one("cut-next").hidden = true;
    one("cut").hidden = false;
    one("cut-what").textContent = what;
    one("cut-count").textContent = `${received.toLocaleString("en")} lines were received here. They are no longer shown.`;
    say("Closed.");
  };
  const over = (state, what) => {
    cut(what);
    dead = true;
    one("cut-next").hidden = false; // only here another grant is what helps
    one("run").disabled = true;
    one("grant-state").textContent = state;
    one("grant-state").className = `badge is-${state}`;
    one("left").dataset.over = "yes"; // the countdown stops
    one("left").textContent = "over";
  };
  const stateNow = async () => {
    const answer = await fetch(`/grants/${grant}/state`, { headers: { accept: "application/json" }, cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.json();
  };
  const wordsOf = (now) => {
    if (now.state === "revoked") return `Revoked${now.by ? ` by ${shown(now.by)}` : ""}${now.reason ? `: “${shown(now.reason)}”` : "."}`;
    if (now.state === "ended") return now.why === "expired" ? WHY.expired : `This grant has ended (${now.why}).`;
    return WHY[now.state] ?? "This grant cannot be used now.";
  };
  let counted = viewer.dataset.state === "active";
  const look = async () => {
    let now;
    try { now = await stateNow(); } catch (error) {
      if (["401", "403", "404"].includes(error.message)) over("ended", "You are no longer signed in, so nothing is shown.");
      else cut(`The server cannot be reached, so nothing is shown. ${AGAIN}`);
      return null;
    }
    if (["ended", "revoked"].includes(now.state)) over(now.state, wordsOf(now));
    else if (now.state === "suspended") cut(wordsOf(now));
    else if (now.state === "active" && !counted) {
      counted = true;
      one("grant-state").textContent = "active";
      one("grant-state").className = "badge is-active";
      window.logleaseCountdown(one("left"), now.left_s * 1000);
    }
    return now;
  };

  // The stream: server-sent events over fetch, because EventSource cannot send a credential in a header.
  const recordsOf = (text) => {
    const found = [];
    for (const block of text.split("\n\n")) {
      const data = block.split("\n").filter((row) => row.startsWith("data:")).map((row) => row.slice(5).trimStart()).join("\n");
      if (data) { try { found.push(JSON.parse(data)); } catch { /* half a record: the stream was cut inside it */ } }
    }
    return found;
  };
  const address = () => {
    const query = new URLSearchParams();
    const filter = one("filter").value.trim();
    query.set("query", filter ? `{} |= ${JSON.stringify(filter)}` : "{}");
    const range = one("range").value;
    const nowNs = BigInt(Date.now()) * 1000000n;
    const windowStart = BigInt(viewer.dataset.startNs);
    const endNs = viewer.dataset.endNs ? BigInt(viewer.dataset.endNs) : nowNs;
    if (range === "all") query.set("start", String(windowStart));
    else if (range !== "now") {
      const start = (live ? nowNs : endNs) - BigInt(range) * 1000000000n;
      query.set("start", String(start > windowStart ? start : windowStart));
    }
    if (live) query.set("follow", "true");
    else { query.set("direction", "forward"); query.set("end", String(endNs)); query.set("limit", String(MOST_LINES)); }
    return `/g/${grant}/logs?${query}`;
  };
  const open = async (signal) => {
    const code = await fetch(`/grants/${grant}/viewer-code`, { method: "POST", headers: { "x-csrf-token": csrf, accept: "application/json" }, signal });
    if (!code.ok) throw new Error("no code");
    const authorization = `Bearer ${(await code.json()).code}`;
    return fetch(address(), { headers: { authorization, accept: "text/event-stream" }, cache: "no-store", signal });
  };
  const problemOf = async (answer) => {
    try { const body = await answer.json(); return shown(String(body.detail ?? body.message ?? body.title ?? answer.status)); } catch { return `The server answered ${answer.status}.`; }
  };
  const follow = async (mine, signal) => {
    const answer = await open(signal);
    if (!answer.ok) { say(await problemOf(answer)); await look(); return; }
    await look();
    if (mine === run && live) say("Following: no line yet within the scope, the window and the filter.", true);
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (mine !== run) return;
      if (done) { await look(); if (!dead && mine === run) { stop(); cut(`The stream was cut. ${AGAIN}`); } return; }
      rest += value.replaceAll("\r\n", "\n");
      const whole = rest.lastIndexOf("\n\n");
      if (whole < 0) continue;
      const records = recordsOf(rest.slice(0, whole));
      rest = rest.slice(whole + 2);
      const lines = records.filter((record) => record.type !== "end");
      if (lines.length) take(lines);
      const end = records.find((record) => record.type === "end");
      if (end) { await ended(end); return; }
    }
  };
  const ended = async (end) => {
    stop();
    if (ENDS_THAT_KEEP.has(end.reason)) {
      say(`${received.toLocaleString("en")} lines received. ${end.reason === "limit" || end.reason === "time" ? "A limit was reached: narrow the filter or the time." : "That is all."}`);
      if (!received) say("No line: nothing within the scope, the window and the filter. Widen the time or clear the filter.");
      return;
    }
    const what = WHY[end.reason] ?? `The stream ended: ${shown(String(end.reason))}.`;
    const now = await look();
    if (!dead) cut(now && now.state === "active" ? what : wordsOf(now ?? {}));
  };
  const start = async () => {
    if (dead) return;
    stop();
    blank();
    received = 0;
    paused = false;
    one("cut").hidden = true;
    pane.hidden = one("hint").hidden = false;
    one("pause").textContent = "Pause";
    one("pause").setAttribute("aria-pressed", "false");
    one("pause").disabled = false;
    const mine = run;
    running = new AbortController();
    say("Opening…");
    try { await follow(mine, running.signal); if (mine === run) { running = null; one("pause").disabled = true; } } catch (error) {
      if (mine !== run || error.name === "AbortError") return;
      stop();
      blank();
      const now = await look();
      if (!dead) cut(now && now.state === "active" ? `The connection was cut. ${AGAIN}` : `The server cannot be reached, so nothing is shown. ${AGAIN}`);
    }
  };

  one("controls").addEventListener("submit", (event) => { event.preventDefault(); start(); });
  one("pause").addEventListener("click", () => {
    paused = !paused;
    one("pause").textContent = paused ? "Go on" : "Pause";
    one("pause").setAttribute("aria-pressed", String(paused));
    const kept = waiting;
    if (!paused) { waiting = []; draw(kept); }
    take([]);
  });
  one("wrap").addEventListener("click", () => {
    const wrapped = one("wrap").getAttribute("aria-pressed") === "true";
    one("wrap").setAttribute("aria-pressed", String(!wrapped));
    pane.classList.toggle("no-wrap", wrapped);
  });
  one("clear").addEventListener("click", () => { blank(); });
  one("left").addEventListener("over", () => over("ended", WHY.expired));
  addEventListener("pagehide", () => { stop(); blank(); });
  addEventListener("pageshow", (event) => { if (event.persisted) { blank(); look(); } });
  setInterval(() => { if (!dead && (running || pane.childElementCount)) look(); }, 3000);
  if (["ended", "revoked"].includes(viewer.dataset.state)) look();
})();
