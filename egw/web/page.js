"use strict";

const PERIOD_MS = 1000;
const PATIENCE_MS = 4000;
const WINDOW_MS = 60000;
const GAP_MS = 1500;
const LEAST_SPAN_HZ = 0.04;

const SENTENCES = {
  starting: ["wait", "The gateway is starting."],
  provisioning: ["wait", "The gateway is waiting to be set up."],
  connecting: ["wait", "The gateway is connecting to its devices."],
  harvesting: ["good", "All is well: readings are collected and delivered."],
  "offline-buffering": ["warn",
    "The backend takes no packets at the moment. They are kept here and delivered later."],
  degraded: ["warn", "The gateway is running, but something needs attention."],
};
const DEVICE_STATES = {
  online: ["good", "running"],
  degraded: ["warn", "running with faults"],
  connecting: ["wait", "connecting"],
  offline: ["bad", "not reachable"],
};
const UPLINK_STATES = {
  idle: "ready", delivering: "delivering", failing: "failing",
};
const KEY_KINDS = { file: "software key", none: "no key" };

const byId = (id) => document.getElementById(id);
const cards = new Map();
const histories = new Map();
let cursor = null;

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setList(list, texts) {
  list.hidden = texts.length === 0;
  if (list.dataset.texts === JSON.stringify(texts)) return;
  list.dataset.texts = JSON.stringify(texts);
  list.replaceChildren(...texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    return item;
  }));
}

function watts(power) {
  if (power === null || power === undefined) return "–";
  if (Math.abs(power) < 999.5) return `${Math.round(power)} W`;
  if (Math.abs(power) < 999500) return `${(power / 1000).toFixed(2)} kW`;
  return `${(power / 1e6).toFixed(2)} MW`;
}

function duration(ms) {
  if (ms === null || ms === undefined) return "–";
  const s = Math.floor(ms / 1000);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor(s % 86400 / 3600)} h`;
}

function count(number, noun) {
  return `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
}

function getJson(path) {
  return fetch(path, { signal: AbortSignal.timeout(PATIENCE_MS), cache: "no-store" })
    .then((reply) => {
      if (!reply.ok) throw new Error(`${path}: ${reply.status}`);
      return reply.json();
    });
}

// The gateway as a whole.

function showGateway(state) {
  const [tone, sentence] = SENTENCES[state.gateway.state] || ["warn", state.gateway.state];
  const silent = state.gateway.age_ms !== null && state.gateway.age_ms > 10000;
  byId("gateway").dataset.tone = silent ? "bad" : tone;
  setText(byId("sentence"), silent ? "The gateway is not watching itself at the moment." : sentence);
  setList(byId("reasons"), state.gateway.age_ms === null ? [] : state.gateway.reasons);
  const name = state.backend && state.backend.name || "Energy gateway";
  setText(byId("name"), name);
  document.title = name;
  setText(byId("identity"), identity(state.signer));
  setText(byId("footer"),
    `egw ${state.gateway.version} · running for ${duration(state.gateway.uptime_ms)}`);
}

function identity({ serial, kind, reason, age_ms }) {
  if (age_ms === null) return "\u00a0";
  const key = kind ? KEY_KINDS[kind] || kind : `no key: ${reason}`;
  return serial ? `Serial ${serial} · ${key}` : key;
}

function showDelivery(state) {
  const outbox = state.outbox;
  if (outbox) {
    setText(byId("delivered"), outbox.delivered_packets.toLocaleString("en"));
    setText(byId("waiting"), outbox.waiting_packets.toLocaleString("en"));
    setText(byId("oldest"), duration(outbox.oldest_waiting_age_ms));
  }
  setList(byId("troubles"), outbox ? troubles(outbox) : []);
  setList(byId("uplinks"), state.uplinks.map(uplinkLine));
  const backend = state.backend;
  setText(byId("backend"), backend && backend.state === "failing"
    ? `Backend: ${backend.reason}` : "in packets");
}

function troubles(outbox) {
  const lines = [];
  if (outbox.state === "disk_full") lines.push("The disk is full.");
  if (outbox.quarantined_packets) {
    lines.push(`${count(outbox.quarantined_packets, "packet")} refused by the backend`);
  }
  if (outbox.dropped_packets) {
    lines.push(`${count(outbox.dropped_packets, "packet")} dropped: the store was full`);
  }
  if (outbox.damaged_files) {
    lines.push(`${count(outbox.damaged_files, "damaged database")} set aside`);
  }
  return lines;
}

function uplinkLine(uplink) {
  const state = UPLINK_STATES[uplink.state] || uplink.state;
  return `${uplink.endpoint}: ${state}${uplink.reason ? ` (${uplink.reason})` : ""}`;
}

// Devices.

function cardOf(name) {
  let card = cards.get(name);
  if (!card) {
    card = byId("device").content.firstElementChild.cloneNode(true);
    card.querySelector("h3").textContent = name;
    cards.set(name, card);
    byId("devices").append(card);
  }
  return card;
}

function showDevices(devices) {
  byId("no-devices").hidden = devices.length > 0;
  const reached = devices.filter((device) => ["good", "warn"].includes(tone(device)[0]));
  setText(byId("devices-count"),
    devices.length ? `${reached.length} of ${devices.length} reachable` : "");
  const names = new Set(devices.map((device) => device.device));
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    card.remove();
    cards.delete(name);
    histories.delete(name);
  }
  devices.forEach(showDevice);
}

function tone(device) {
  if (device.is_silent && device.age_ms !== null) {
    return ["bad", `no news for ${duration(device.age_ms)}`];
  }
  return DEVICE_STATES[device.state] || ["warn", device.state];
}

function showDevice(device) {
  const card = cardOf(device.device);
  const [colour, words] = tone(device);
  card.dataset.tone = colour;
  setText(card.querySelector(".pill"), words);
  const reason = card.querySelector(".reason");
  reason.hidden = !device.reason;
  setText(reason, device.reason);
  setText(card.querySelector(".power"), watts(device.power_w));
  setText(card.querySelector(".frequency"),
    device.frequency_hz === null ? "–" : `${device.frequency_hz.toFixed(3)} Hz`);
  setText(card.querySelector(".profile"), device.profile);
  setText(card.querySelector(".rate"),
    device.sample_rate_hz ? `last minute, ${device.sample_rate_hz.toFixed(1)}/s` : "");
  const figures = card.querySelector(".polling");
  setText(figures, polling(device));
  figures.hidden = !figures.textContent;
}

function polling(device) {
  const words = [];
  if (device.reading_rate_hz) words.push(readingRate(device.reading_rate_hz));
  if (device.success_percent !== null && device.success_percent !== undefined) {
    words.push(`${Math.floor(device.success_percent)} % of requests succeed`);
  }
  if (device.max_registers) words.push(`${device.max_registers} registers at most in one`);
  return words.join(" · ");
}

function readingRate(hz) {
  return hz < 0.95 ? `read every ${(1 / hz).toFixed(1)} s` : "read every second";
}

function keepSamples(live) {
  for (const [name, device] of Object.entries(live.devices)) {
    const history = live.restarted ? [] : histories.get(name) || [];
    device.samples.stamp_ms.forEach((stamp, i) => history.push([stamp, device.samples.hz[i]]));
    const first = history.findIndex(([stamp]) => stamp >= live.now_ms - WINDOW_MS);
    history.splice(0, first < 0 ? history.length : first);
    histories.set(name, history);
  }
}

function drawTraces(nowMs) {
  for (const [name, card] of cards) drawTrace(card, histories.get(name) || [], nowMs);
}

function drawTrace(card, history, nowMs) {
  const values = history.map(([, hz]) => hz);
  const low = Math.min(...values), high = Math.max(...values);
  const middle = (low + high) / 2;
  const span = Math.max(high - low, LEAST_SPAN_HZ) * 1.15;
  const y = (hz) => 50 - (hz - middle) / span * 100;
  let path = "", last = 0;
  for (const [stamp, hz] of history) {
    const x = (stamp - nowMs + WINDOW_MS) / WINDOW_MS * 600;
    path += `${stamp - last > GAP_MS ? "M" : "L"}${x.toFixed(1)} ${y(hz).toFixed(1)}`;
    last = stamp;
  }
  card.querySelector(".line").setAttribute("d", path);
  if (history.length) {
    const height = y(middle > 55 ? 60 : 50);
    const nominal = card.querySelector(".nominal");
    nominal.setAttribute("y1", height);
    nominal.setAttribute("y2", height);
  }
  card.querySelector(".trace").classList.toggle("empty", history.length === 0);
  setText(card.querySelector(".span"), history.length
    ? `${low.toFixed(3)} – ${high.toFixed(3)} Hz` : "no frequency in the last minute");
}

// What an expert unfolds.

function showInside(tree) {
  byId("actors").replaceChildren(...tree.actors.map((actor) => row([
    actor.name, actor.worker, actor.state, actor.restarts,
    actor.gauges ? actor.gauges.handled : null,
    actor.gauges ? actor.gauges.depth : null,
    actor.gauges ? `${(actor.gauges.p99_us / 1000).toFixed(1)} ms` : null,
    actor.last_failure,
  ], [3, 4, 5, 6])));
  const main = { name: "main", state: "up", restarts: 0, ...tree.main };
  byId("workers").replaceChildren(...[main, ...tree.workers].map((worker) => row([
    worker.name, worker.pid === null ? null : String(worker.pid),
    worker.state, worker.restarts,
    worker.cpu_s === null ? null : `${worker.cpu_s.toFixed(1)} s`,
    worker.pss_mb === null ? null : `${worker.pss_mb.toFixed(1)} MB`,
  ], [1, 3, 4, 5])));
}

function showNoInside() {
  byId("actors").replaceChildren(row(["The supervisor does not answer."], []));
  byId("workers").replaceChildren();
}

function row(values, numbers) {
  const line = document.createElement("tr");
  values.forEach((value, i) => {
    const cell = line.insertCell();
    cell.textContent = typeof value === "number" ? value.toLocaleString("en") : value ?? "–";
    if (numbers.includes(i)) cell.className = "number";
    if (i === 2) cell.dataset.tone = value === "up" ? "good" : "warn";
  });
  return line;
}

// The loop: one round a second, and none while nobody looks.

async function readLive() {
  for (;;) {
    const live = await getJson(cursor ? `/api/live?since=${cursor}` : "/api/live");
    keepSamples(live);
    cursor = live.cursor;
    if (!live.more) return live.now_ms;
  }
}

async function round() {
  const [nowMs, state] = await Promise.all([readLive(), getJson("/api/state")]);
  showGateway(state);
  showDevices(state.devices);
  showDelivery(state);
  drawTraces(nowMs);
  document.body.classList.remove("lost");
  if (byId("inside").open) await getJson("/api/actors").then(showInside, showNoInside);
}

function showLost() {
  document.body.classList.add("lost");
  byId("gateway").dataset.tone = "bad";
  setText(byId("sentence"), "The gateway does not answer. Trying again …");
  setList(byId("reasons"), ["What is shown below is what it said last."]);
}

async function run() {
  const began = performance.now();
  if (!document.hidden) await round().catch(showLost);
  setTimeout(run, Math.max(100, PERIOD_MS - (performance.now() - began)));
}

run();
