/** What the page shows beside the captions: state, figures, meters, messages and the list of events. */

import { short } from "./words.js";

const FLOOR_DBFS = -90;
const FIGURES = ["delay", "erle", "double-talk", "reference", "latency", "round-trip"];
const MAX_EVENTS = 200; // lines on the page; all of them are in the file that can be saved

/** Change a text only where it differs: every change costs a layout. */
function write(id, text) {
  if (at(id).textContent !== text) at(id).textContent = text;
}

function rounded(value, unit) {
  return value == null ? "–" : `${Math.round(value)} ${unit}`;
}

export class View {
  constructor() {
    this.eventCount = 0;
  }

  /** Empty what belongs to one session. */
  reset() {
    this.eventCount = 0;
    at("events").replaceChildren();
    at("event-count").textContent = "";
    for (const id of FIGURES) at(id).textContent = "–";
    this.alert("");
    at("warning").replaceChildren();
    this.calm();
  }

  /** Show that nothing is heard. */
  calm() {
    this.vad(false);
    this.bargeIn("");
    for (const id of ["mic", "ref", "out"]) this.meter(id, FLOOR_DBFS);
  }

  status(state, text) {
    at("status").dataset.state = state;
    at("status").textContent = text;
  }

  running(running) {
    const [appears, goes] = running ? [at("stop"), at("start")] : [at("start"), at("stop")];
    const focused = document.activeElement === goes;
    goes.hidden = true;
    appears.hidden = false;
    if (focused) appears.focus(); // the keyboard stays where it was
  }

  /** Say why it does not go on. */
  alert(text) {
    at("alert").textContent = text;
    at("alert").hidden = text === "";
  }

  /** Say something about one matter beside what is said about others; an empty text takes it back. */
  notice(matter, text) {
    const list = at("warning");
    const line = list.querySelector(`[data-matter="${matter}"]`);
    if ((line?.textContent ?? "") === text) return;
    line?.remove();
    if (text === "") return;
    const made = document.createElement("p");
    made.dataset.matter = matter;
    made.className = "alert mild";
    made.textContent = text;
    list.append(made);
  }

  vad(speaking, overAgent = false) {
    at("vad").dataset.state = speaking ? "speech" : "silence";
    write("vad", speaking ? (overAgent ? "speech over the agent" : "speech") : "silence");
  }

  bargeIn(text) {
    at("barge-in").textContent = text;
  }

  reference(state, message) {
    at("reference").textContent = state;
    at("reference").title = message ?? "";
  }

  /** Milliseconds from the end of a frame to its cleaned audio, and of a ping to its answer. */
  latency(cleanedMs, roundTripMs, deviceMs) {
    write("latency", rounded(cleanedMs, "ms"));
    write("round-trip", rounded(roundTripMs, "ms"));
    at("latency").parentElement.title = `and ${rounded(deviceMs, "ms")} in the browser's own playback buffers`;
  }

  /** Offer loudspeakers, if there is a choice. */
  outputs(devices) {
    at("outputs").hidden = devices.length < 2;
    const options = devices.map(({ deviceId, label }) => new Option(label || "Loudspeaker", deviceId));
    at("outputs").querySelector("select").replaceChildren(...options);
  }

  /** Offer the agents of the service, of those that the page knows. */
  agents(names) {
    for (const input of document.querySelectorAll("input[name=agent]")) {
      if (["clip", "silence"].includes(input.value)) continue;
      input.parentElement.hidden = !names.includes(input.value);
    }
  }

  backends({ asr, vad, turn, voice }) {
    at("backends").textContent = `Recogniser: ${asr}. Speech: ${vad}. Turns: ${turn}. Agent's voice: ${voice ?? "none"}.`;
  }

  stats(event) {
    write("delay", rounded(event.delay_ms, "ms"));
    write("erle", rounded(event.erle_db, "dB"));
    write("double-talk", event.double_talk ? "yes" : "no");
    this.meter("mic", event.mic_dbfs);
    this.meter("ref", event.ref_dbfs);
    this.meter("out", event.out_dbfs);
  }

  meter(id, dbfs) {
    const level = Math.max(FLOOR_DBFS, Math.min(0, dbfs ?? FLOOR_DBFS));
    at(id).setAttribute("aria-valuenow", String(Math.round(level)));
    at(id).firstElementChild.style.transform = `scaleX(${1 - level / FLOOR_DBFS})`;
  }

  /** Add a line, newest at the end; the list follows unless somebody has scrolled up. */
  event(ms, name, text) {
    const list = at("events");
    const follows = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
    const line = document.createElement("li");
    line.title = name;
    line.append(span((ms / 1000).toFixed(2)), span(text ? `${short(name)} · ${text}` : short(name)));
    list.append(line);
    if (list.childElementCount > MAX_EVENTS) list.firstElementChild.remove();
    if (follows) list.scrollTop = list.scrollHeight;
    this.eventCount += 1;
    at("event-count").textContent = `(${this.eventCount})`;
  }
}

function at(id) {
  return document.getElementById(id);
}

function span(text) {
  const made = document.createElement("span");
  made.textContent = text;
  return made;
}
